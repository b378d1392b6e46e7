"""Overlapping windows of long audio, so that the networks need only the memory of one window."""

from typing import NamedTuple

from vqzoo.data.stream import is_count
from vqzoo.jsons import shown


class Window(NamedTuple):
    """A window along an axis of tokens."""

    source: slice  # input of the network
    target: slice  # the part to keep
    inner: slice  # the part to keep, relative to the input


def windows_along(tokens, size, overlap):
    """Splits an axis into adjacent windows with context around each.

    Args:
        tokens: int, positions along the axis.
        size: int, positions of a window without its context.
        overlap: int, positions of context on either side, fewer at the ends.

    Returns:
        List of `Window`, in positions.

    Example:
    >>> for window in windows_along(tokens=10, size=6, overlap=2):
    ...     print(*window)
    slice(0, 8, None) slice(0, 6, None) slice(0, 6, None)
    slice(4, 10, None) slice(6, 10, None) slice(2, 6, None)
    """
    windows = []
    for start in range(0, tokens, size):
        stop = min(start + size, tokens)
        first, last = max(0, start - overlap), min(tokens, stop + overlap)
        windows.append(Window(slice(first, last), slice(start, stop), slice(start - first, stop - first)))
    return windows


def check_samples(name, value, smallest):
    """Raises if a length is not a number of samples.

    Args:
        name: str, name of the argument.
        value: int.
        smallest: int, minimum.

    Raises:
        ValueError: if it is none.

    Example:
    >>> check_samples("window", 16000, 1)
    """
    if not is_count(value, smallest):
        raise ValueError(
            f"`{name}` must be a number of samples, an integer of at least {smallest}. Received: "
            f"{name}={shown(value)}. It is rounded up to whole strides."
        )
