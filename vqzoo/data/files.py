"""Which files: those of a folder by their suffix, and their split into training and validation."""

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
    """Paths that a folder holds, and what it holds besides.

    Args:
        files: iterable of `pathlib.Path`.
        ignored: dict of str to int, how many other files there are by their ending. Default none.

    Example:
    >>> FileList([pathlib.Path("a.png")], {".txt": 2}).ignored
    {'.txt': 2}
    """

    def __init__(self, files=(), ignored=None):
        super().__init__(files)
        self.ignored = dict(ignored or {})


def listed_files(path, suffixes, noun, instead, otherwise=None, readers=None):
    """Lists the files of some suffixes in a folder and its subfolders, hidden ones skipped.

    Links to folders are followed. A file or a folder that several names lead to is listed once, under the name that
    leads through the fewest links; of equal ones the first in order.

    Args:
        path: str or path, a folder or one file. A str that begins with `~/` is below the home folder.
        suffixes: tuple of str, lower case.
        noun: str, what messages call such a file.
        instead: str, what messages suggest where the path does not exist.
        otherwise: str, what they suggest where a folder holds none. Default: convert the files to one of these kinds.
        readers: dict of str to str, suffixes of such files that nothing installed reads, and what to install. They
            are ignored files. Default none.

    Returns:
        `FileList` of `pathlib.Path`, sorted. Its `ignored` counts the other files by their ending.

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
        raise ValueError(f"{name} is not read here: {readers[path.suffix.lower()]}, or convert it.")
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{name} is not a {noun} by its suffix. {looked_for}: convert or rename it.")
    return FileList([path])


def counted(ignored):
    """Counts of files by their ending, in words, the most frequent first.

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
    """The files below a folder, each once: real ones first, then those behind links; others are counted."""
    seen, links = set(), []
    waiting = [(root, os.path.realpath(root))]
    while waiting or links:
        # Links wait until all that is real was seen, so that a link never takes the place of the thing itself.
        path, real = waiting.pop() if waiting else links.pop(0)
        try:
            is_folder = stat.S_ISDIR(os.stat(path).st_mode)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:  # by all of its folders: their own names are fine
                ignored[_unlisted(path, error)] += 1
                continue
            is_folder = False  # reading it says why
        if not is_folder and path.suffix.lower() not in suffixes:  # a link to it may have another ending
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
    """What a summary calls a folder that cannot be listed, or what is in a folder too deep."""
    name = shown_path(path)
    name = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME // 2]}...{name[-_LONGEST_NAME // 2 :]}"
    return f"unreadable folder {name} ({error.strerror})"


@contextlib.contextmanager
def kept_going(note):
    """Runs what concerns one file of many: an error of any kind is noted, and ends nothing else.

    What decoders, file systems and memory raise has no end, and a batch of a night does not end for one file.

    Args:
        note: callable, takes the reason, a str of one line.

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
    """An exception in one line, for people.

    Args:
        error: exception.

    Returns:
        str, cut in the middle where it is longer than 2000 characters.

    Example:
    >>> reason_of(KeyError("tokens"))
    "KeyError: 'tokens'"
    """
    text = " ".join(str(error).split())
    if len(text) > _LONGEST_REASON:  # TensorFlow's hold whole graphs; the way out stands at the end
        text = f"{text[: _LONGEST_REASON // 2]} ... {text[-_LONGEST_REASON // 2 :]}"
    if isinstance(error, MemoryError):
        return "it does not fit in memory" + (f" ({text})" if text else "")
    if isinstance(error, (ValueError, OSError)) and text and not isinstance(error, UnicodeError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def split_files(files, validation, seed, noun):
    """Splits files of any kind, as `split_images` and `split_audio` say.

    Args:
        files: list of paths, or a source with `subset`.
        validation: float in (0, 1).
        seed: int.
        noun: str, what messages call such a file.

    Returns:
        `(train, validation)`.

    Raises:
        ValueError: As `split_images`.

    Example:
    >>> [len(side) for side in split_files(["a.wav", "b.wav"], 0.5, 0, "recording")]
    [1, 1]
    """
    take = getattr(files, "subset", None)  # a source's
    names = list(files) if take else as_paths(files, noun)
    ignored = getattr(names, "ignored", None)
    if not 0 < validation < 1:
        raise ValueError(f"validation must be a share between 0 and 1, both excluded. Received: {validation}")
    take = take or (lambda numbers: FileList(names[i] for i in numbers))
    if len(names) == 1:
        warnings.warn(f"{shown_path(names[0])} is the only {noun}: it trains and validates.", stacklevel=3)
        return names if ignored else take([0]), take([0])
    validating = validating_by_hash([pathlib.PurePath(name).name for name in names], validation, seed)
    train = take([i for i in range(len(names)) if i not in validating])
    if ignored:
        train.ignored = ignored  # on one side, so that each counts once
    return train, take(sorted(validating))


def validating_by_hash(keys, validation, seed):
    """Chooses those whose hash of (seed, key) is below `validation`; of two or more at least one, and not all.

    Args:
        keys: list of str.
        validation: float in (0, 1).
        seed: int.

    Returns:
        Set of int, their places.

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
        files: list of str or paths; of these a str that begins with `~/` is below the home folder.
        noun: str, "picture", "recording" or "text file", what messages call such a file. Default "picture".

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
