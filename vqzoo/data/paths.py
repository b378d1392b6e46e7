"""Checks paths from users, with errors that suggest the intended call."""

import difflib
import errno
import itertools
import os

from vqzoo.data.received import described
from vqzoo.files import shown_path
from vqzoo.files import user_path

_COMPARED = 10_000  # names of a folder
_CURRENT = 'Pass `"."` for the current folder.'


def checked_path(path, noun, load, find):
    """Checks the path of a file to read.

    Args:
        path: str or path.
        noun: str, the noun for such a file in messages.
        load: str, the name of the function of `vqzoo.data` that reads one.
        find: str, the name of the function of `vqzoo.data` that lists them.

    Returns:
        `pathlib.Path` that exists and is not a folder.

    Raises:
        ValueError: it is not such a path.

    Example:
    >>> checked_path(["a.png", "b.png"], "picture", "load_image", "find_images")
    Traceback (most recent call last):
        ...
    ValueError: A path is a str or a pathlib.Path. Received: a list of 2 str. Call `[vqzoo.data.load_image(path) for ...
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(
            f"A path is a str or a pathlib.Path. Received: {described(path)}. {_instead(path, load, find)}"
        )
    found = user_path(path)
    name = shown_path(path)
    if os.path.isdir(found):
        raise ValueError(
            f"Cannot read the {noun} {name}: Is a directory. Call `[vqzoo.data.{load}(path) for path in "
            f"vqzoo.data.{find}({str(path)!r})]`."
        )
    try:
        found.stat()
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in (None, errno.ENOENT, errno.ENAMETOOLONG):  # none: it holds a zero
            why = getattr(error, "strerror", None) or os.strerror(errno.ENOENT)
            raise ValueError(f"Cannot read the {noun} {name}: {why}. {near_path(path)}") from None
        # Opening it raises the reason why it cannot be read.
    return found


def checked_folder(path, find):
    """Checks the path of a file or a folder to list.

    Args:
        path: str or path.
        find: str, the name of the function of `vqzoo.data` that lists it.

    Returns:
        The unchanged path.

    Raises:
        ValueError: it is not a path, or does not exist while a similar name does.

    Example:
    >>> checked_folder(["a", "b"], "find_images")
    Traceback (most recent call last):
        ...
    ValueError: A folder is a str or a pathlib.Path. Received: a list of 2 str. Call `[file for path in x for ...
    """
    if not isinstance(path, str | os.PathLike):
        several = isinstance(path, list | tuple | set) and path and all(isinstance(p, str | os.PathLike) for p in path)
        call = f"Call `[file for path in x for file in vqzoo.data.{find}(path)]`."
        raise ValueError(
            f"A folder is a str or a pathlib.Path. Received: {described(path)}. {call if several else _CURRENT}"
        )
    if not os.path.lexists(user_path(path)) and "`" in near_path(path):
        raise ValueError(f"{shown_path(path)} does not exist. {near_path(path)}")
    return path


def target_path(path, thing, name, save, suffixes, suffix, more=""):
    """Checks the path of a file to write.

    Args:
        path: str or path.
        thing: the object to write.
        name: str, the argument that holds it.
        save: str, the name of the function of `vqzoo.data` that writes it.
        suffixes: tuple of str, the supported suffixes.
        suffix: str, the suffix to suggest.
        more: str, code of the other arguments. Defaults to none.

    Returns:
        `pathlib.Path`.

    Raises:
        ValueError: it is not a path, or has another suffix.

    Example:
    >>> target_path("a.bmp", None, "image", "save_image", (".jpg", ".png"), ".png")
    Traceback (most recent call last):
        ...
    ValueError: Files of this kind are saved as .jpg .png. Received: 'a.bmp'. Pass `'a.png'`.
    """
    if not isinstance(path, str | os.PathLike):
        swapped = isinstance(thing, str | os.PathLike)
        way_out = (
            f"Call `vqzoo.data.{save}({name}, path{more})`." if swapped else f"Pass `'new{suffix}'`, for instance."
        )
        order = " before what is saved" if swapped else ""
        raise ValueError(f"A path is a str or a pathlib.Path{order}. Received: {described(path)}. {way_out}")
    found = user_path(path)
    if found.suffix.lower() in suffixes:
        return found
    named = str(found / f"new{suffix}") if os.path.isdir(found) or not found.name else str(found.with_suffix(suffix))
    raise ValueError(
        f"Files of this kind are saved as {' '.join(suffixes)}. Received: {str(path)!r}. Pass `{named!r}`."
    )


def missing_path(paths):
    """Message about the first path that does not exist; None if all exist.

    Args:
        paths: sequence of str or path.

    Returns:
        str or None.

    Example:
    >>> missing_path([".", "/no/folder/a.png"])
    "There is no file '/no/folder/a.png'. Its folder does not exist either."
    """
    missing = next((path for path in paths if not os.path.exists(user_path(path))), None)
    return None if missing is None else f"There is no file {str(missing)!r}. {near_path(missing)}"


def path_of_other_kind(paths, kind):
    """Message about the first file of another kind, by its ending; None if there is none.

    Args:
        paths: sequence of str or path.
        kind: str, modality of the tokenizer: "image", "audio" or "text".

    Returns:
        str or None.

    Example:
    >>> path_of_other_kind(["a.png", "b.wav"], "image")
    "'b.wav' is an audio file by its ending. It needs a tokenizer of audio, and this one is of image."
    """
    from vqzoo.data.audio.files import AUDIO_SUFFIXES  # imported here, because it imports this file
    from vqzoo.data.audio.media import MEDIA_SUFFIXES
    from vqzoo.data.image.formats import readable_suffixes
    from vqzoo.data.text.corpus import TEXT_SUFFIXES

    kinds = {
        **dict.fromkeys(readable_suffixes(), "image"),
        **dict.fromkeys((*AUDIO_SUFFIXES, *MEDIA_SUFFIXES), "audio"),
        **dict.fromkeys(TEXT_SUFFIXES, "text"),
        ".npz": "tokens",
    }
    for path in paths:
        found = kinds.get(user_path(path).suffix.lower(), kind)
        if found == "tokens":
            return f"{str(path)!r} is a file of tokens by its ending. Tokens go to `decode`."
        if found != kind:
            article = "a" if found == "text" else "an"
            return (
                f"{str(path)!r} is {article} {found} file by its ending. It needs a tokenizer of {found}, and this one "
                f"is of {kind}."
            )
    return None


def near_path(path):
    """Last sentence of an error about a path that does not exist.

    Args:
        path: str or path.

    Returns:
        str.

    Example:
    >>> near_path("/no/folder/a.png")
    'Its folder does not exist either.'
    """
    folder = user_path(path).parent
    if os.path.islink(user_path(path)):
        return "It is a link to something that does not exist."
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in itertools.islice(entries, _COMPARED)]
    except (OSError, ValueError):
        return "Its folder does not exist either."
    near = difflib.get_close_matches(user_path(path).name, names, 1, 0.75)
    return f"Did you mean the one beside it? Pass `{str(folder / near[0])!r}`." if near else "Check its name."


def _instead(path, load, find):
    several = isinstance(path, list | tuple | set) and path and all(isinstance(p, str | os.PathLike) for p in path)
    if several:
        return f"Call `[vqzoo.data.{load}(path) for path in x]`."
    if isinstance(path, bytes):
        return "Pass `os.fsdecode(x)` if it is a path; content is written to a file first."
    if isinstance(getattr(path, "name", None), str) and hasattr(path, "read"):
        return "Pass `x.name`."
    if getattr(path, "filename", None):  # a Pillow image that was read from a file
        return "Pass `x.filename`."
    if hasattr(path, "dtype"):
        return "It is read already, and tokenizers take arrays."
    return f'A folder is listed by `vqzoo.data.{find}(".")`; pass one of its files.'
