"""Masks of damage to repair: boxes, and strokes as of scratches and writing."""

import numpy as np


def random_masks(count, size, share=0.25, seed=0):
    """Masks in turn of a box and of strokes, random, a function of their number only.

    Args:
        count: int.
        size: tuple (height, width), pixels.
        share: float in (0, 1), of the pixels that a mask has, about. Defaults to 0.25.
        seed: int. Defaults to 0.

    Returns:
        bool array (count, height, width), True where pixels are missing.

    Raises:
        ValueError: if the share is out of range.

    Example:
    >>> masks = random_masks(2, (32, 32))
    >>> masks.shape, int(masks[0].sum())
    ((2, 32, 32), 256)
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"`share` lies between 0 and 1. Received: share={share}")
    masks = np.zeros((count, *size), bool)
    for number, mask in enumerate(masks):
        random = np.random.default_rng((seed, number))
        if number % 2:
            while mask.mean() < share:
                _stroke(mask, random)
        else:
            sides = [max(1, round(length * share**0.5)) for length in size]
            top, left = (random.integers(length - side + 1) for length, side in zip(size, sides, strict=True))
            mask[top : top + sides[0], left : left + sides[1]] = True
    return masks


def _stroke(mask, random):
    """Draws a bent line of a third of a side's length and some pixels' width."""
    side = min(mask.shape)
    place, angle = random.random(2) * mask.shape, random.random() * 2 * np.pi
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    radius = max(1.0, side / 24) * (0.6 + random.random())
    for _ in range(max(1, side // 3)):
        mask |= (rows - place[0]) ** 2 + (columns - place[1]) ** 2 <= radius**2
        angle += random.normal(0.0, 0.25)
        place = place + (np.sin(angle), np.cos(angle))
