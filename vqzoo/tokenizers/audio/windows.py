"""Long sounds in overlapping windows: the networks need the memory of one window, however long the sound is."""

from typing import NamedTuple

from vqzoo.data.stream import is_count
from vqzoo.jsons import shown


class Window(NamedTuple):
    """A part of an axis of tokens."""

    source: slice  # what a network sees
    target: slice  # what is kept of it
    inner: slice  # where that stands in what the network sees


def windows_along(tokens, size, overlap):
    """Cuts an axis into windows that follow each other, and lays context around each.

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
    """Raises where a length is no number of samples.

    Args:
        name: str, of the argument.
        value: int.
        smallest: int.

    Raises:
        ValueError: if it is none.

    Example:
    >>> check_samples("window", 16000, 1)
    """
    if not is_count(value, smallest):
        raise ValueError(
            f"`{name}` is a number of samples, an integer from {smallest} up. Received: {name}={shown(value)}. Other "
            "numbers than whole strides are rounded up."
        )
