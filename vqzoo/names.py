"""Checks names of files and folders. It is the lowest row of the package, below `files`."""

import os
import pathlib

_LONGEST_NAME = 255  # bytes, on common systems
_LONGEST_PATH = 4095
_SHOWN = 60  # characters of a name


def check_path(path):
    """Raises an error if an object is not a path.

    Args:
        path: anything.

    Raises:
        ValueError: It is neither text nor a path.

    Example:
    >>> check_path("a.png")
    >>> check_path(None)
    Traceback (most recent call last):
        ...
    ValueError: A path is a str or a pathlib.Path. Received: an object of type NoneType. Give one path.
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(
            f"A path is a str or a pathlib.Path. Received: an object of type {type(path).__name__}. Give one path."
        )


def check_name(path):
    """Raises an error if a name is invalid, before anything is written.

    Args:
        path: str or path of a file or folder to write. The names of its folders are checked too.

    Raises:
        ValueError: It is not a path, one of its names is longer than 255 bytes or the whole path than 4095, or it holds
            a null character or a lone surrogate.

    Example:
    >>> check_name("ä" * 125 + ".png")  # 254 bytes
    >>> check_name("a" * 300 + ".png")
    Traceback (most recent call last):
        ...
    ValueError: The name of a file or folder has at most 255 bytes. Received: 304 bytes, 'aaaaaaaaaaaaaaaaaaaaaaaaaaa...
    """
    check_path(path)
    total = 0
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
        total += length + 1
    if total > _LONGEST_PATH:
        raise ValueError(
            f"A path has at most {_LONGEST_PATH} bytes. Received: {total} bytes, {str(path)[:_SHOWN]!r}... Give a "
            "shorter one."
        )


def make_folder(folder):
    """Creates a folder and its parents if they are missing.

    Args:
        folder: str or path.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        ValueError: It or one of its parents exists and is not a folder, or the name is invalid.

    Example:
    >>> make_folder(".") == pathlib.Path()
    True
    >>> make_folder("/dev/null/a")
    Traceback (most recent call last):
        ...
    ValueError: A folder is needed where something else is. Received: '/dev/null'. Give another place.
    """
    check_name(folder)
    folder = pathlib.Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        taken = next((one for one in (folder, *folder.parents) if os.path.lexists(one)), folder)
        raise ValueError(
            f"A folder is needed where something else is. Received: {str(taken)!r}. Give another place."
        ) from None
    return folder
