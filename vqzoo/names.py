"""Which names files and folders can have: the lowest row of the package, below `files`."""

import os
import pathlib

_LONGEST_NAME = 255  # bytes, on the usual systems
_SHOWN = 60  # characters of a name


def check_name(path):
    """Raises where no file can have a name, before anything is written.

    Args:
        path: str or path, of a file or folder that is to be written. The names of its folders count, too.

    Raises:
        ValueError: A name is longer than 255 bytes, or holds a zero or half of a character.

    Example:
    >>> check_name("ä" * 125 + ".png")  # 254 bytes
    >>> check_name("a" * 300 + ".png")
    Traceback (most recent call last):
        ...
    ValueError: The name of a file or folder has at most 255 bytes. Received: 304 bytes, 'aaaaaaaaaaaaaaaaaaaaaaaaaaa...
    """
    for name in pathlib.Path(path).parts:
        shown = repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")
        try:
            length = len(os.fsencode(name))
        except UnicodeEncodeError:
            length = 0
        if not length or "\0" in name:
            raise ValueError(
                f"The name of a file or folder is text without zeros. Received: {shown}. Give another one."
            )
        if length > _LONGEST_NAME:
            raise ValueError(
                f"The name of a file or folder has at most {_LONGEST_NAME} bytes. Received: {length} bytes, {shown}. "
                "Give a shorter one."
            )
