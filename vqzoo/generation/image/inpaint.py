"""Pictures repaired, and continued beyond their borders, by a prior."""

import numpy as np

from vqzoo.generation.by_preset import generator_of
from vqzoo.generation.image.seams import edge_fill
from vqzoo.generation.image.seams import with_colours
from vqzoo.generation.image.seams import without_seam
from vqzoo.presets.suggest import inpainting_way_out
from vqzoo.priors.settings import RIM
from vqzoo.priors.settings import SEEDS
from vqzoo.priors.settings import checked
from vqzoo.tokenizers.image.tiles import grid_of
from vqzoo.tokenizers.signal_checks import as_array

# Tokens over which what is wrong at a hole's border is taken back inside.
_REACH = 8
# Tokens: what is wider has the filling's colours, where the prior is not trusted with the whole hole.
_DETAIL = 2


def inpaint(prior, image, mask, condition=None, *, seed=0, rim=RIM, **options):
    """Makes the pixels under a mask anew, so that they fit to the others, which stay as they are.

    The hole is filled from its border, the picture encoded, and the tokens deeper in the hole than the rim are made by
    the prior, which sees the others; those of the rim keep the filling, as the tokenizer knows it. A larger picture
    than the prior's is worked on in windows of its size, from the border of the hole inwards. What is decoded is put
    into the hole in the colours of its border; where there is a rim, the filling's wherever it is wider than two
    tokens. A picture is continued beyond its border by padding it, with the mask True there.

    Args:
        prior: str or path, name or folder of a prior's preset, or a `Generator`: a `MaskedPrior`, which sees all
            around the hole, best; an `AutoregressivePrior` sees what stands above and before.
        image: float array (height, width, channels) in [-1, 1], of any size.
        mask: bool array (height, width), True where pixels are to be made; what the image has there does not count.
        condition: str or int, name or number of a label, or a text. Defaults to none, where the prior has learnt
            without.
        seed: int from 0 to 2**63 - 1; another makes another picture, where the hole is deeper than the rim. Defaults
            to 0.
        rim: int, tokens from the border of the hole inwards that the prior does not make: the weaker the prior, the
            more. 0 makes all that any pixel of the hole belongs to. Defaults to 2.
        **options: as of the prior's `generate`: `temperature`, `top_p`, `steps`, ...

    Returns:
        float32 array (height, width, channels) in [-1, 1]; where the mask is False, the image itself.

    Raises:
        ValueError: if image and mask do not fit together or to the prior, its tokens have no rows and columns, or
            a setting is out of range.
    """
    generator = generator_of(prior)
    image, mask = _checked(generator, image, mask)
    rim = checked("rim", rim)
    options = generator.check(condition, {"seed": seed, **options})
    if not mask.any():
        return image
    strides, _ = grid_of(generator.tokenizer)
    filled = edge_fill(image, mask)
    tokens = np.array(generator.tokenizer.encode(filled[None]))[0]
    tokens[deeper_than(rim, token_holes(mask, strides, tokens.shape[:2]))] = -1
    tokens = _completed(generator, tokens, condition, **options)
    decoded = np.asarray(generator.tokenizer.decode(tokens[None], size=image.shape[:2]))[0]
    repaired = without_seam(decoded, image, mask, reach=float(_REACH * max(strides)))
    if rim:
        repaired = with_colours(repaired, filled, mask, reach=float(_DETAIL * max(strides)))
    return np.clip(repaired, -1.0, 1.0)


def token_holes(mask, strides, grid):
    """Which tokens have a pixel under a mask.

    Args:
        mask: bool array (height, width).
        strides: tuple (rows, columns), pixels of a token.
        grid: tuple (rows, columns) of the tokens, which may reach beyond the mask.

    Returns:
        bool array of the shape `grid`.

    Example:
    >>> token_holes(np.eye(4, 5, dtype=bool), (2, 2), (2, 3)).tolist()
    [[True, False, False], [False, True, False]]
    """
    whole = [(0, rows * stride - length) for rows, stride, length in zip(grid, strides, mask.shape, strict=True)]
    cells = np.pad(mask, whole).reshape(grid[0], strides[0], grid[1], strides[1])
    return cells.any(axis=(1, 3))


def deeper_than(rim, holes):
    """Which tokens of the holes are more than `rim` steps, rows or columns, away from those that are known.

    Args:
        rim: int.
        holes: bool array (rows, columns).

    Returns:
        bool array like `holes`; all of it where nothing is known.

    Example:
    >>> deeper_than(1, np.array([[False, True, True, True, True]])).tolist()
    [[False, False, True, True, True]]
    """
    if not rim or holes.all():
        return holes
    from scipy.ndimage import distance_transform_cdt  # here, because it takes a quarter of a second

    return distance_transform_cdt(holes) > rim


def _completed(generator, tokens, condition, seed, **options):
    """Tokens (rows, columns, num_codebooks) whose -1 have been made, window by window."""
    grid, size = generator.prior.grid, tokens.shape[:2]
    missing = [(0, max(0, want - have)) for want, have in zip(grid, size, strict=True)]
    tokens = np.pad(tokens, (*missing, (0, 0)), constant_values=-1)
    wanted = np.zeros(tokens.shape[:2], bool)
    wanted[: size[0], : size[1]] = True
    turn = 0
    while True:
        holes = wanted & (tokens < 0).any(axis=-1)
        if not holes.any():
            return tokens[: size[0], : size[1]]
        top, left = _window(holes, tokens[..., 0] >= 0, grid)
        place = (slice(top, top + grid[0]), slice(left, left + grid[1]))
        made = generator.complete(tokens[place][None], condition, seed=(seed + turn) % SEEDS, **options)[0]
        tokens[place] = np.where(holes[place][..., None], made, tokens[place])
        turn += 1


def _window(holes, known, grid):
    """The top left corner of the window in which there is most to make and most to see: the largest product."""
    tops, lefts = (
        sorted({*range(0, length - side + 1, max(1, side // 4)), length - side})
        for length, side in zip(holes.shape, grid, strict=True)
    )

    def score(place):
        window = (slice(place[0], place[0] + grid[0]), slice(place[1], place[1] + grid[1]))
        return int(holes[window].sum()) * (1 + int(known[window].sum()))

    return max(((top, left) for top in tops for left in lefts), key=score)


def _checked(generator, image, mask):
    mask = np.asarray(mask)
    if generator.prior.grid is None or len(generator.prior.grid) != 2:
        raise ValueError(
            f"A hole is repaired where tokens lie in rows and columns. Received: a prior of tokens of the grid "
            f"{generator.prior.grid}. {inpainting_way_out()}"
        )
    array = as_array(image)
    seen = image if array is None else np.asarray(array)
    if array is not None and mask.shape == seen.shape[:2] and seen.dtype.kind == "f":
        seen = np.where(mask[..., None] > 0, 0.0, seen)  # what is under the mask does not count
    generator.tokenizer.checked_example(seen)
    if mask.shape != seen.shape[:2] or mask.dtype != bool:
        raise ValueError(
            "A mask is bool (height, width), True where pixels are to be made. Received: mask "
            f"{mask.dtype} {mask.shape}, image {seen.shape}. {_mask_way_out(mask, seen.shape[:2])}"
        )
    return np.asarray(array, "float32"), mask


def _mask_way_out(mask, size):
    """The code that makes a mask of another array."""
    code, shape = "np.asarray(x)", mask.shape
    if len(shape) == 3 and 1 in (shape[0], shape[-1]):
        code, shape = (f"{code}[..., 0]", shape[:-1]) if shape[-1] == 1 else (f"{code}[0]", shape[1:])
    elif len(shape) == 3 and shape[:-1] == size:
        code, shape = f"{code}.max(axis=-1)", shape[:-1]
    if shape == size[::-1] != size:
        code, shape = f"{code}.T", size
    return f"Pass `{code} > 0`." if shape == size else "Make it as large as the image."
