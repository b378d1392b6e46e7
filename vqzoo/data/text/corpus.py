"""Which sentences: the lines of text files, and their split by sentence."""

import functools
import shlex
import warnings

from vqzoo.data.files import as_paths
from vqzoo.data.files import kept_going
from vqzoo.data.files import listed_files
from vqzoo.data.files import validating_by_hash
from vqzoo.data.text.pieces import checked_texts

MAX_BYTES = 2**30  # of text, which takes up to four times as many in memory
TEXT_SUFFIXES = (".txt",)


def find_text(path):
    """Lists the text files of a folder and its subfolders, by suffix: txt.

    Files and folders whose name starts with a dot are skipped. Nothing is opened.

    Args:
        path: str or path, a folder or one file. `~` is the home folder.

    Returns:
        List of `pathlib.Path`, sorted.

    Raises:
        ValueError: The path does not exist, is a file of another kind, or is a folder without text files.

    Example:
    >>> import pathlib
    >>> _ = pathlib.Path("sentences.txt").write_text("The cat sat on the mat.")
    >>> [file.name for file in find_text(".")]
    ['sentences.txt']
    """
    return listed_files(
        path,
        TEXT_SUFFIXES,
        "text file",
        "leave it out (sample_sentences() in Python) for English prose that is already here",
    )


def read_sentences(files, max_bytes=MAX_BYTES):
    r"""Reads text files, one sentence a line.

    The files are UTF-8, with a byte order mark or without; lines end in a line feed, with a carriage return before it
    or without. Empty lines, and those of white space alone, are skipped; all others are as they stand, leading and
    double spaces and repetitions included.

    Args:
        files: list of paths, as from `find_text`.
        max_bytes: int, of text in all. Default 2**30.

    Returns:
        List of str, in the order of the files and lines.

    Raises:
        ValueError: a file cannot be read, or is not UTF-8, or is no text; there are more bytes than `max_bytes`, or no
            sentence at all. Files and lines are named.

    Example:
    >>> import pathlib
    >>> _ = pathlib.Path("sentences.txt").write_text("A cat.\n\nA dog.\n")
    >>> read_sentences(["sentences.txt"])
    ['A cat.', 'A dog.']
    """
    sentences, room = [], max_bytes
    for path in as_paths(files, "text file"):
        try:
            with open(path, "rb") as file:
                # One byte more than there is room for, so that a file without line ends is not read whole.
                for number, line in enumerate(iter(lambda: file.readline(room + 1), b""), start=1):  # noqa: B023
                    room -= len(line)
                    if room < 0:
                        raise ValueError(
                            f"The text is longer than max_bytes={max_bytes}, at line {number} of {path}. Take fewer "
                            "files, or a larger max_bytes: it all has to fit in memory, up to four times over."
                        )
                    sentence = _decoded(line, path, number)
                    if sentence.strip():
                        sentences.append(sentence)
        except OSError as error:
            raise ValueError(f"Cannot read the text file {path}: {error.strerror}.") from error
    if not sentences:
        raise ValueError(f"There is no sentence in {path} or the files before it: all lines are empty.")
    return sentences


def readable_sentences(files, max_bytes=MAX_BYTES):
    r"""Reads text files as `read_sentences` does, without those that cannot be read.

    Args:
        files: list of paths, as from `find_text`.
        max_bytes: int, of text in all. Default 2**30.

    Returns:
        List of str, and a dict path -> reason of the files that were skipped.

    Raises:
        ValueError: no file can be read.

    Example:
    >>> import pathlib
    >>> _ = pathlib.Path("good.txt").write_text("A cat.\n")
    >>> _ = pathlib.Path("other.txt").write_bytes("A dog.\n".encode("utf-16"))
    >>> sentences, skipped = readable_sentences(["good.txt", "other.txt"])
    >>> sentences, [path.name for path in skipped]
    (['A cat.'], ['other.txt'])
    """
    sentences, skipped, room = [], {}, max_bytes
    files = as_paths(files, "text file")
    for path in files:
        with kept_going(functools.partial(skipped.__setitem__, path)):
            sentences += read_sentences([path], room)
            room -= path.stat().st_size
    if not sentences:
        first = "\n".join(list(skipped.values())[:3])
        raise ValueError(f"None of the {len(files)} files can be read. The first reasons:\n{first}")
    return sentences, skipped


def split_sentences(sentences, validation=0.2, seed=0):
    """Splits sentences into those that train and those that validate.

    Each sentence's side follows from a hash of (seed, its text), as in `split_images` from that of a file's name. So
    equal sentences are on one side, and sentences that are added, removed or moved leave the others where they were.

    Args:
        sentences: list of str.
        validation: float in (0, 1), the expected share of sentences that validate. Default 0.2.
        seed: int, another seed is another split. Default 0.

    Returns:
        `(train, validation)`, two lists of str in the order of `sentences`. If all are equal they are on both sides,
        with a warning.

    Raises:
        ValueError: `sentences` is empty or no list of str, or `validation` is outside (0, 1).

    Example:
    >>> split_sentences(["One.", "Two.", "Three.", "Two."], 0.4)
    (['Two.', 'Three.', 'Two.'], ['One.'])
    """
    sentences = checked_texts(sentences)
    if not sentences:
        raise ValueError("sentences is empty: give at least one, such as read_sentences(find_text(folder)) lists.")
    if not 0 < validation < 1:
        raise ValueError(f"validation must be a share between 0 and 1, both excluded. Received: {validation}")
    distinct = list(dict.fromkeys(sentences))
    if len(distinct) == 1:
        warnings.warn(f"{distinct[0]!r:.60} is the only sentence: it trains and validates.", stacklevel=2)
        return list(sentences), list(sentences)
    keys = [sentence.encode("utf-8", "replace").decode() for sentence in distinct]  # lone surrogates have no bytes
    validating = {distinct[i] for i in validating_by_hash(keys, validation, seed)}
    train = [sentence for sentence in sentences if sentence not in validating]
    return train, [sentence for sentence in sentences if sentence in validating]


def _decoded(line, path, number):
    """One line without its end."""
    line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    wide = (number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff")) or b"\0" in line
    if not wide:
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError as error:
            what = f"byte {error.start + 1} of the line, 0x{line[error.start]:02x}, is not UTF-8"
    what, coding = ("it is no text, or UTF-16", "UTF-16") if wide else (what, "ISO-8859-1")
    raise ValueError(
        f"Line {number} of {path} cannot be read: {what}. Convert the file: iconv -f {coding} -t UTF-8 "
        f"{shlex.quote(str(path))} > new.txt"
    )
