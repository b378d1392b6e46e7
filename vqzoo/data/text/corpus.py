"""Reads sentences from the lines of text files, and splits them."""

import errno
import functools
import os
import shlex
import warnings

from vqzoo.data.files import as_paths
from vqzoo.data.files import kept_going
from vqzoo.data.files import listed_files
from vqzoo.data.files import validating_by_hash
from vqzoo.data.paths import checked_folder
from vqzoo.data.paths import near_path
from vqzoo.data.text.pieces import checked_texts
from vqzoo.files import check_regular
from vqzoo.files import shown_path

MAX_BYTES = 2**30  # of text, which takes up to four times this in memory
MAX_LINE = 2**20  # bytes of a sentence, with more pieces than any network accepts
MAX_SENTENCES = 2**26  # even empty ones take the memory of this much text
TEXT_SUFFIXES = (".txt",)
_AROUND = 5  # bytes of a line besides its sentence: a byte order mark and the line end
# First bytes of files that are not UTF-8. The marks of UTF-32 begin like those of UTF-16, and therefore come first.
_MARKS = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zX": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


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
    path = checked_folder(path, "find_text")
    return listed_files(
        path,
        TEXT_SUFFIXES,
        "text file",
        "take sample_sentences(), as recipes without --data do: English prose",
    )


def read_sentences(files, max_bytes=MAX_BYTES):
    r"""Reads text files with one sentence per line.

    The files are UTF-8, with or without a byte order mark. Lines end in a line feed, with or without a carriage return.
    Empty lines and lines of only white space are skipped. All others are unchanged, including leading and double spaces
    and repetitions.

    Args:
        files: list of paths, as from `find_text`.
        max_bytes: int, the largest size of all text, which has at most 2**26 sentences. Default 2**30.

    Returns:
        List of str, in the order of the files and lines.

    Raises:
        ValueError: a file cannot be read, or is not UTF-8 or not text; a line has more than 2**20 bytes; there are more
            bytes than `max_bytes`, too many sentences, or none. The message names files and lines.

    Example:
    >>> import pathlib
    >>> _ = pathlib.Path("sentences.txt").write_text("A cat.\n\nA dog.\n")
    >>> read_sentences(["sentences.txt"])
    ['A cat.', 'A dog.']
    """
    files = as_paths(files, "text file")
    size = sum(map(_size_of, files))
    if size > max_bytes:  # before reading any
        raise ValueError(
            _too_long(max_bytes, f"with {size} bytes in {len(files)} files from {shown_path(files[0])} on")
        )
    sentences, room = [], max_bytes
    for path in files:
        found, room = _lines_of(path, room, max_bytes, len(sentences))
        sentences += found
    if not sentences:
        raise ValueError(_no_sentence(files[-1], " or the files before it"))
    return sentences


def readable_sentences(files, max_bytes=MAX_BYTES):
    r"""Reads text files like `read_sentences`, without those that cannot be read.

    Args:
        files: list of paths, as from `find_text`.
        max_bytes: int, the largest size of all text, as in `read_sentences`. Default 2**30.

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
            size = _size_of(path)
            if size > room:
                raise ValueError(_too_long(max_bytes, f"with the {size} bytes of {shown_path(path)}"))
            found, room = _lines_of(path, room, max_bytes, len(sentences))
            if not found:
                raise ValueError(_no_sentence(path))
            sentences += found
    if not sentences:
        first = "\n".join(list(skipped.values())[:3])
        raise ValueError(f"None of the {len(files)} files can be read. The first reasons:\n{first}")
    return sentences, skipped


def read_lines(path):
    r"""Reads all lines of a text file, blank ones too, as '', so that they stay beside those of a parallel file.

    Args:
        path: str or path.

    Returns:
        List of str. The end of the last line begins no further one.

    Raises:
        ValueError: as of `read_sentences`.

    Example:
    >>> import pathlib
    >>> _ = pathlib.Path("sentences.txt").write_text("A cat.\n\nA dog.\n")
    >>> read_lines("sentences.txt")
    ['A cat.', '', 'A dog.']
    """
    (path,) = as_paths([path], "text file")
    size = _size_of(path)
    if size > MAX_BYTES:
        raise ValueError(_too_long(MAX_BYTES, f"with the {size} bytes of {shown_path(path)}"))
    lines, _ = _lines_of(path, MAX_BYTES, MAX_BYTES, 0, blank=True)
    if not any(lines):
        raise ValueError(_no_sentence(path))
    return lines


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
        raise ValueError(f"validation must be a fraction between 0 and 1, both excluded. Received: {validation}")
    distinct = list(dict.fromkeys(sentences))
    if len(distinct) == 1:
        warnings.warn(f"{distinct[0]!r:.60} is the only sentence: it trains and validates.", stacklevel=2)
        return list(sentences), list(sentences)
    keys = [sentence.encode("utf-8", "replace").decode() for sentence in distinct]  # lone surrogates have no bytes
    validating = {distinct[i] for i in validating_by_hash(keys, validation, seed)}
    train = [sentence for sentence in sentences if sentence not in validating]
    return train, [sentence for sentence in sentences if sentence in validating]


def _no_sentence(path, more=""):
    return f"There is no sentence in {shown_path(path)}{more}: all lines are empty."


def _lines_of(path, room, max_bytes, before, blank=False):
    """The lines of a file, blank ones as '' or not at all, and how many bytes there is room for then."""
    sentences = []
    try:
        check_regular(path)
        with open(path, "rb") as file:
            # One byte more than a line may have, so that a file without line ends is not read whole.
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + _AROUND + 1), b""), start=1):
                room -= len(line)
                if room < 0:  # it has grown
                    raise ValueError(_too_long(max_bytes, f"at line {number} of {shown_path(path)}"))
                sentence = _decoded(line, path, number)
                if blank or sentence.strip():
                    sentences.append(sentence if sentence.strip() else "")
                    _check_count(len(sentences) + before, path)
    except OSError as error:
        way_out = f" {near_path(path)}" if error.errno in (errno.ENOENT, errno.ENAMETOOLONG) else ""
        raise ValueError(f"Cannot read the text file {shown_path(path)}: {error.strerror}.{way_out}") from error
    return sentences, room


def _size_of(path):
    """The size of a file in bytes, 0 for anything else."""
    try:
        return os.stat(path).st_size if os.path.isfile(path) else 0
    except OSError:
        return 0


def _check_count(count, path):
    if count > MAX_SENTENCES:
        raise ValueError(f"The text has more than {MAX_SENTENCES} sentences, in {shown_path(path)}. Take fewer files.")


def _too_long(max_bytes, place):
    return (
        f"The text is longer than max_bytes={max_bytes}, {place}. Take fewer files, or a larger max_bytes: it all has "
        "to fit in memory, up to four times over."
    )


def _decoded(line, path, number):
    """One line without its end."""
    raw, start = line, line[:4] if number == 1 else b""
    line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    packed = next((name for magic, name in _PACKED.items() if start.startswith(magic)), None)
    if packed:
        raise ValueError(
            f"{shown_path(path)} cannot be read: it is compressed, by {packed}. Unpack it: {packed} -dc < "
            f"{shlex.quote(shown_path(path))} > new.txt"
        )
    if len(line) > MAX_LINE:
        raise ValueError(
            f"Line {number} of {shown_path(path)} has more than {MAX_LINE} bytes. A line is one sentence: "
            "break it into several."
        )
    coding = next((name for mark, name in _MARKS.items() if start.startswith(mark)), None)
    if coding:
        what = f"it is {coding}, by its first bytes"
    elif b"\0" in line:
        coding = _wide_coding(raw) if number == 1 else None
        if coding is None:
            raise ValueError(
                f"Line {number} of {shown_path(path)} cannot be read: it holds zero bytes, so it is not text. Leave "
                "the file out, or save its text as UTF-8."
            )
        what = "it is UTF-16 without a byte order mark, by its zero bytes"
    else:
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError as error:
            what = f"byte {error.start + 1} of the line, 0x{line[error.start]:02x}, is not UTF-8"
    unknown = (
        "" if coding else ", with its own encoding for ENCODING (iconv -l lists them), such as CP1252 or SHIFT_JIS"
    )
    raise ValueError(
        f"Line {number} of {shown_path(path)} cannot be read: {what}. Convert the file{unknown}: "
        f"iconv -f {coding or 'ENCODING'} -t UTF-8 {shlex.quote(shown_path(path))} > new.txt"
    )


def _wide_coding(line):
    """The UTF-16 variant of the first line of a file, by its bytes with the line feed; None for neither."""
    first, second = line[::2].count(0), line[1::2].count(0)
    big = len(line) % 2 == 0  # a whole "\0\n" ends it, or the file
    little = (len(line) - line.endswith(b"\n")) % 2 == 0  # the zero behind the line feed is the next line's
    for name, fits, zeros, others in (("UTF-16LE", little, second, first), ("UTF-16BE", big, first, second)):
        if fits and zeros > 1 and 4 * zeros > len(line) and zeros > 4 * others:
            return name
    return None
