"""Lists the files of a folder by suffix, and splits them into training and validation."""

import collections
import contextlib
import errno
import hashlib
import os
import pathlib
import stat
import warnings

from vqzoo.files import shown_path
from vqzoo.files import user_path

_MOST_ENDINGS = 8  # in one line
_LONGEST_NAME = 300  # of a folder in one
_LONGEST_REASON = 2000  # characters


class FileList(list):
    """A list of paths from a folder, with the numbers of other files in it.

    Args:
        files: iterable of `pathlib.Path`.
        ignored: dict of str to int, the number of other files by ending. Default none.

    Example:
    >>> FileList([pathlib.Path("a.png")], {".txt": 2}).ignored
    {'.txt': 2}
    """

    def __init__(self, files=(), ignored=None):
        super().__init__(files)
        self.ignored = dict(ignored or {})


def listed_files(path, suffixes, noun, instead, otherwise=None, readers=None):
    """Lists the files with the given suffixes in a folder and its subfolders, except hidden ones.

    Links to folders are followed. A file or folder with several names is listed once, under the name with the fewest
    links. Ties are resolved to the first name in order.

    Args:
        path: str or path, a folder or one file. A str that begins with `~/` is below the home folder.
        suffixes: tuple of str, lower case.
        noun: str, the noun for such a file in messages.
        instead: str, the suggestion in messages if the path does not exist.
        otherwise: str, the suggestion if a folder has no such files. Default: convert the files to one of these kinds.
        readers: dict of str to str, suffixes that need another package, and what to install. Such files are ignored.
            Default none.

    Returns:
        `FileList` of `pathlib.Path`, sorted. Its `ignored` holds the number of other files by ending.

    Raises:
        ValueError: The path does not exist, is a file of another kind, or is a folder without such files.

    Example:
    >>> from vqzoo.data import sample_images
    >>> [file.name for file in listed_files(sample_images()[0], (".png",), "picture", "take another")]
    ['astronaut.png']
    """
    path = user_path(path)
    name = shown_path(path)
    looked_for = f"Looked for {' '.join(suffixes)}"
    if os.path.isdir(path):
        ignored = collections.Counter()
        found = list(_walked(path, suffixes, ignored))
        if not found:
            others = f" It holds {counted(ignored)}." if ignored else ""
            needed = sorted({how for suffix, how in (readers or {}).items() if suffix in ignored})
            others += f" To read them: {' and '.join(needed)}." if needed else ""
            raise ValueError(
                f"{name} and its subfolders hold no {noun}s.{others} {looked_for} (hidden files do not count): "
                f"give another folder, or {otherwise or f'convert the {noun}s to one of these kinds'}."
            )
        return FileList(sorted(found), ignored)
    if not os.path.lexists(path):
        raise ValueError(f"{name} does not exist. {looked_for}: give a folder or a {noun}, or {instead}.")
    if path.suffix.lower() in (readers or {}):
        raise ValueError(f"{name} cannot be read here: {readers[path.suffix.lower()]}, or convert it.")
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{name} is not a {noun} by its suffix. {looked_for}: convert or rename it.")
    return FileList([path])


def counted(ignored):
    """Describes counts of files by ending, the most frequent first.

    Args:
        ignored: dict of str to int.

    Returns:
        str.

    Example:
    >>> counted({".txt": 2, ".heic": 1})
    '2 .txt, 1 .heic'
    """
    order = sorted(ignored.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{count} {ending}" for ending, count in order[:_MOST_ENDINGS]]
    rest = sum(count for _, count in order[_MOST_ENDINGS:])
    return ", ".join(named + ([f"{rest} others"] if rest else []))


def amount(count, noun):
    """How many of something, in words.

    Args:
        count: int.
        noun: str, in the plural, with an s.

    Returns:
        str.

    Example:
    >>> amount(2, "text files"), amount(1, "text files")
    ('2 text files', '1 text file')
    """
    return f"{count} {noun.removesuffix('s') if count == 1 else noun}"


def _walked(root, suffixes, ignored):
    """The files below a folder, each once, first real ones, then those behind links. Others are counted."""
    seen, links = set(), []
    waiting = [(root, os.path.realpath(root))]
    while waiting or links:
        # Links are processed after all real files, so that a link never replaces its target.
        path, real = waiting.pop() if waiting else links.pop(0)
        try:
            is_folder = stat.S_ISDIR(os.stat(path).st_mode)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:  # because of the whole path; the single names are valid
                ignored[_unlisted(path, error)] += 1
                continue
            is_folder = False  # reading it raises the reason
        if not is_folder and path.suffix.lower() not in suffixes:  # a link to it may have a different ending
            ignored[path.suffix.lower() or "no ending"] += 1
            continue
        real = real or os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        if not is_folder:
            yield path
            continue
        try:
            with os.scandir(path) as entries:
                names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
        except OSError as error:
            ignored[_unlisted(path, error)] += 1
            continue
        for name in names:
            child = path / name
            if os.path.islink(child):
                links.append((child, None))
            else:
                waiting.append((child, os.path.join(real, name)))


def _unlisted(path, error):
    """The entry of a summary for a folder that cannot be listed or is nested too deeply."""
    name = shown_path(path)
    name = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME // 2]}...{name[-_LONGEST_NAME // 2 :]}"
    return f"unreadable folder {name} ({error.strerror})"


@contextlib.contextmanager
def kept_going(note):
    """Processes one file of many. An error of any kind is noted, and does not stop the others.

    Decoders, file systems and memory raise many types of errors, and a long batch must not stop for one file.

    Args:
        note: callable that takes the reason, a str of one line.

    Example:
    >>> with kept_going(print):
    ...     raise MemoryError
    it does not fit in memory
    """
    try:
        yield
    except Exception as error:
        note(reason_of(error))


def reason_of(error):
    """Describes an exception in one line.

    Args:
        error: exception.

    Returns:
        str, shortened in the middle if it is longer than 2000 characters.

    Example:
    >>> reason_of(KeyError("tokens"))
    "KeyError: 'tokens'"
    """
    text = " ".join(str(error).split())
    if len(text) > _LONGEST_REASON:  # those of TensorFlow may hold whole graphs; the fix is at the end
        text = f"{text[: _LONGEST_REASON // 2]} ... {text[-_LONGEST_REASON // 2 :]}"
    if isinstance(error, MemoryError):
        return "it does not fit in memory" + (f" ({text})" if text else "")
    if isinstance(error, (ValueError, OSError)) and text and not isinstance(error, UnicodeError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def split_files(files, validation, seed, noun):
    """Splits files of any kind, see `split_images` and `split_audio`.

    Args:
        files: list of paths, or a source with `subset`.
        validation: float in (0, 1).
        seed: int.
        noun: str, the noun for such a file in messages.

    Returns:
        `(train, validation)`.

    Raises:
        ValueError: As `split_images`.

    Example:
    >>> [len(side) for side in split_files(["a.wav", "b.wav"], 0.5, 0, "recording")]
    [1, 1]
    """
    take = getattr(files, "subset", None)  # of a source
    names = list(files) if take else as_paths(files, noun)
    ignored = getattr(names, "ignored", None)
    if not 0 < validation < 1:
        raise ValueError(f"validation must be a fraction between 0 and 1, both excluded. Received: {validation}")
    take = take or (lambda numbers: FileList(names[i] for i in numbers))
    if len(names) == 1:
        warnings.warn(f"{shown_path(names[0])} is the only {noun}: it trains and validates.", stacklevel=3)
        return names if ignored else take([0]), take([0])
    validating = validating_by_hash([pathlib.PurePath(name).name for name in names], validation, seed)
    train = take([i for i in range(len(names)) if i not in validating])
    if ignored:
        train.ignored = ignored  # only on one side, so that each counts once
    return train, take(sorted(validating))


def validating_by_hash(keys, validation, seed):
    """Selects the keys whose hash of (seed, key) is below `validation`; of two or more at least one, and not all.

    Args:
        keys: list of str.
        validation: float in (0, 1).
        seed: int.

    Returns:
        Set of int, their indices.

    Example:
    >>> validating_by_hash(["a.wav", "b.wav", "c.wav"], 0.5, 0)
    {2}
    """
    hashes = [_hash(key, seed) for key in keys]
    by_hash = sorted(range(len(keys)), key=lambda i: hashes[i])
    count = sum(value < validation for value in hashes)
    return set(by_hash[: min(max(count, 1), len(keys) - 1)])


def as_paths(files, noun="picture"):
    """Checks a list of files and returns it as a new list of `pathlib.Path`.

    Args:
        files: list of str or paths; a str that begins with `~/` is below the home folder.
        noun: str, "picture", "recording" or "text file", the noun for such a file in messages. Default "picture".

    Returns:
        `FileList` of `pathlib.Path`, at least one.

    Raises:
        ValueError: `files` is empty or one path instead of a list.

    Example:
    >>> as_paths(["a.png"])[0].name
    'a.png'
    """
    find = {"picture": "find_images", "recording": "find_audio"}.get(noun, "find_text")
    if isinstance(files, (str, os.PathLike)):
        raise ValueError(f"files must be a list of paths: {find}({str(files)!r}) makes one of a folder.")
    instead = f"Pass a list of str or pathlib.Path, such as vqzoo.data.{find}(folder) gives."
    try:
        named = list(files)
    except TypeError:
        raise ValueError(f"files must be a list of paths. Received: {type(files).__name__}. {instead}") from None
    others = [file for file in named if not isinstance(file, (str, os.PathLike))]
    if others:
        raise ValueError(f"files must be a list of paths. Received: one of {type(others[0]).__name__}. {instead}")
    if not named:
        raise ValueError(f"files is empty: give at least one {noun}, such as {find}(folder) lists.")
    return FileList(map(user_path, named), getattr(files, "ignored", None))


def _hash(name, seed):
    digest = hashlib.sha256(f"{seed}/{name}".encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
