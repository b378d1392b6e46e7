"""Word vectors from files of GloVe and Word2Vec, and vectors of pieces computed from them."""

import array
import collections
import mmap
import os
import re
from typing import NamedTuple

import numpy as np

from vqzoo.data.paths import checked_path
from vqzoo.data.stream import is_count
from vqzoo.data.text.pieces import checked_texts
from vqzoo.files import check_regular
from vqzoo.files import shown_path
from vqzoo.npz import read_arrays

# Two GiB of float32, because a small file can claim any number of words. A word counts as at least 16 numbers.
MAX_VALUES = 2**29
_LEAST = 16
_GUESSED = 1000  # words, after which the total number is estimated
_LONGEST_LINE = 2**20  # bytes
_LONGEST_WORD = 2**12  # bytes
_LARGEST = float(np.finfo(np.float32).max)
_ARCHIVES = {b"\x1f\x8b": "gunzip", b"BZ": "bunzip2", b"\xfd7": "unxz"}
# Words as in GloVe: don't is do and n't, it's is it and 's, and each sign is a word.
_WORD = re.compile(r"[^\W\d_]+?(?=n['’]t\b)|n['’]t\b|['’](?:s|re|ve|ll|d|m)\b|[^\W\d_]+|\d+(?:[.,]\d+)*|\S", re.I)
_STRAIGHT = str.maketrans("‘’“”", "''\"\"")
_AT_ONCE = 10_000


class WordVectors(NamedTuple):
    """The result of `load_vectors`."""

    words: list  # of str, in the order of the file, which is usually by frequency
    vectors: np.ndarray  # float32 (words, dimensions)


def load_vectors(path, limit=None):
    r"""Reads word vectors: GloVe's text, Word2Vec's text and binary, or an npz with the arrays `words` and `vectors`.

    The format is detected from the content: Word2Vec files begin with a line of two numbers. Bytes of a word that are
    not UTF-8, which Google's file contains, become U+FFFD.

    Args:
        path: str or path. `~` is the home folder.
        limit: int, the number of words to read. Default None, all.

    Returns:
        `WordVectors(words, vectors)`: list of str, float32 numpy array (words, dimensions).

    Raises:
        ValueError: the file cannot be read, is damaged or of another kind, or holds more than 2**29 numbers, where a
            word counts as at least 16. The message names the line, or the number of the word.

    Example:
    >>> import pathlib
    >>> _ = pathlib.Path("glove.txt").write_text("the 0.5 1\ncat -1 2\n")
    >>> load_vectors("glove.txt").words
    ['the', 'cat']

    Reference:
        Pennington, Socher, Manning 2014, GloVe, https://aclanthology.org/D14-1162
        Mikolov et al. 2013, https://arxiv.org/abs/1310.4546
    """
    if limit is not None and not is_count(limit):
        raise ValueError(f"limit must be an int, at least 1, or None. Received: limit={limit}")
    path = checked_path(path, "word vectors", "load_vectors", "find_text")
    try:
        check_regular(path)
        with open(path, "rb") as file:
            words, vectors = _read(file, path, limit)
    except OSError as error:
        raise ValueError(f"Cannot read the word vectors {shown_path(path)}: {error.strerror}.") from error
    except _Unreadable as error:
        raise ValueError(f"Cannot read the word vectors {shown_path(path)}: {error}.") from None
    return WordVectors(words, vectors)


def piece_vectors(pieces, words, vectors, sentences):
    r"""Computes vectors of pieces from those of words, as the initial values of an embedding.

    $$e_p = \sum_w n_{pw} v_w \Big/ \sum_w n_{pw}$$

    with $n_{pw}$ the number of occurrences of piece p in word w in the sentences, and $v_w$ the vector of the word.
    Words are looked up unchanged, then in lower case. A piece without a known word gets the mean over all pieces,
    $\sum_{pw} n_{pw} v_w / \sum_{pw} n_{pw}$. This applies to the end-of-sequence token and most bytes.

    Args:
        pieces: `Pieces`.
        words: list of str; the first of equal ones counts.
        vectors: float array (words, dimensions).
        sentences: iterable of str, in which words are counted. Pass the corpus, or `words` without a corpus.

    Returns:
        float32 numpy array (pieces.size, dimensions).

    Raises:
        ValueError: the vectors are not one for each word, or no sentence has any of the words.

    Example:
    >>> from vqzoo.data import Pieces
    >>> pieces = Pieces.train(["the cat sat on the mat", "a cat and a mat"], size=272)
    >>> table = piece_vectors(pieces, ["cat", "sat"], [[1.0, 0.0], [0.0, 1.0]], ["cat sat sat sat"])
    >>> [table[pieces.names.index(name)].tolist() for name in ("c", "s", "at")]  # c-at, s-at
    [[1.0, 0.0], [0.0, 1.0], [0.25, 0.75]]
    """
    words, vectors = checked_texts(words), np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or len(vectors) != len(words) or not np.isfinite(vectors).all():
        raise ValueError(
            "vectors must have one row of finite numbers for each word, as from `load_vectors`. Received: "
            f"{len(words)} words, vectors of shape {vectors.shape}"
        )
    numbers = {}
    for number, word in enumerate(words):
        numbers.setdefault(word, number)
    counts = collections.Counter(part for sentence in sentences for part in sentence.split())
    pairs = collections.Counter()
    parts = list(counts)
    for first in range(0, len(parts), _AT_ONCE):
        some = parts[first : first + _AT_ONCE]
        for part, ids in zip(some, pieces.encode(some), strict=True):
            for pair in _overlaps(part, ids[:-1].tolist(), pieces.names, numbers):
                pairs[pair] += counts[part]
    if not pairs:
        raise ValueError(
            f"No sentence has any of the {len(words)} words. Are they of another language? Give the sentences that "
            "the pieces were trained on."
        )
    return _means(pairs, vectors, pieces.size)


class _Unreadable(Exception):
    """The reason why a file of vectors cannot be read."""


# === Files ===


def _read(file, path, limit):
    start = file.read(4)
    if start == b"PK\x03\x04":
        return _read_npz(file, limit)
    if start[:2] in _ARCHIVES:
        raise _Unreadable(f"it is compressed. Unpack it first: {_ARCHIVES[start[:2]]} {path.name}")
    if not start:
        raise _Unreadable("the file is empty")
    file.seek(0)
    line = _line(file, 1)
    header = line.split()
    if len(header) != 2 or not all(number.isdigit() and len(number) < 19 for number in header):
        file.seek(0)
        return _read_text(file, None, len(header) - 1, limit)
    count, dimensions = map(int, header)
    size = path.stat().st_size - len(line)
    # The smallest row: a letter, a space, and per number a digit with a space, or four bytes.
    if not count or not dimensions or count * 2 * dimensions > size:
        raise _Unreadable(
            f"its first line claims {count} words of {dimensions} numbers, for which it is too small. It is "
            "truncated or damaged. Fetch it again"
        )
    _check_room(min(count, limit or count), dimensions)
    if _is_text(file, dimensions):
        return _read_text(file, count, dimensions, limit)
    return _read_binary(file, len(line), count, dimensions, limit)


def _is_text(file, dimensions):
    start = file.tell()
    fields = file.readline(_LONGEST_LINE).split()
    file.seek(start)
    return len(fields) > dimensions and _is_number(*fields[-dimensions:])


def _read_text(file, count, dimensions, limit):
    """Reads lines of a word and its numbers; `count` is None without a header."""
    first = 1 if count is None else 2
    words, values = [], array.array("f")
    number = first
    while limit is None or len(words) < limit:
        line = _line(file, number)
        if not line:
            break
        fields = line.rsplit(None, dimensions)
        # A few of GloVe's words have spaces, and none of them a number behind one.
        if len(fields) != dimensions + 1 or not dimensions or _is_number(*fields[0].split()[1:][-1:]):
            raise _Unreadable(
                f"line {number} is not a word and {dimensions or 'its'} numbers, as line {first} is: it begins "
                f"{line[:40]!r}"
            )
        try:
            row = [float(field) for field in fields[1:]]
        except ValueError as error:
            raise _Unreadable(f"line {number}: {error}") from None
        if not all(-_LARGEST <= value <= _LARGEST for value in row):  # NaN compares as false
            raise _Unreadable(f"line {number} has numbers that are NaN, infinite or too large")
        if len(fields[0]) > _LONGEST_WORD:
            raise _Unreadable(f"line {number} has a word of more than {_LONGEST_WORD} bytes")
        words.append(fields[0].strip().decode("utf-8", "replace"))
        values.extend(row)
        _check_room(len(words), dimensions)
        if len(words) == _GUESSED and count is None:
            _check_guess(file, limit, dimensions)
        number += 1
    if count is not None and len(words) != min(count, limit or count):
        raise _Unreadable(f"its first line claims {count} words, and it has {len(words)}")
    return words, np.frombuffer(values, np.float32).reshape(-1, dimensions)


def _is_number(*fields):
    try:
        return bool(np.isfinite([float(field) for field in fields]).all()) and bool(fields)
    except ValueError:
        return False


def _read_binary(file, start, count, dimensions, limit):
    """Words, each with a space and its numbers in four bytes, little end first; some writers add a line feed."""
    if count * (4 * dimensions + 2) + start > os.stat(file.fileno()).st_size:
        raise _Unreadable(f"its first line claims {count} words of {dimensions} numbers, and it ends earlier")
    words = []
    vectors = np.empty((min(count, limit or count), dimensions), np.float32)
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for number in range(len(vectors)):
            space = content.find(b" ", start, start + _LONGEST_WORD)
            end = space + 1 + 4 * dimensions
            if space < 0 or end > len(content):
                raise _Unreadable(f"it breaks off at word {number + 1} of {count}, byte {start}")
            words.append(content[start:space].strip().decode("utf-8", "replace"))
            vectors[number] = np.frombuffer(content[space + 1 : end], "<f4")
            if not np.isfinite(vectors[number]).all():
                raise _Unreadable(f"word {number + 1}, at byte {start}, has numbers that are NaN or infinite")
            start = end
    return words, vectors


def _read_npz(file, limit):
    file.seek(0)
    try:
        arrays = read_arrays(file, ("words", "vectors"), 4 * MAX_VALUES)
    except ValueError as error:
        raise _Unreadable(str(error)) from None
    words, vectors = arrays["words"], arrays["vectors"]
    fit = words.ndim == 1 and vectors.ndim == 2 and len(words) == len(vectors) and vectors.size
    if words.dtype.kind not in "US" or vectors.dtype.kind != "f" or not fit:
        raise _Unreadable(
            "words must be an array (words,) of str and vectors one (words, dimensions) of floats. It holds: "
            f"{words.dtype} {words.shape} and {vectors.dtype} {vectors.shape}"
        )
    _check_room(len(words[:limit]), vectors.shape[1])
    with np.errstate(over="ignore"):  # checked below
        words, vectors = words[:limit].tolist(), vectors[:limit].astype(np.float32)
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise _Unreadable(f"word {int(np.argmin(finite)) + 1} has numbers that are NaN, infinite or too large")
    return [word.decode("utf-8", "replace") if isinstance(word, bytes) else word for word in words], vectors


def _line(file, number):
    line = file.readline(_LONGEST_LINE)
    if len(line) == _LONGEST_LINE:
        raise _Unreadable(f"line {number} is longer than {_LONGEST_LINE} bytes: it is not a text of word vectors")
    return line


def _check_room(count, dimensions, about=""):
    most = MAX_VALUES // max(dimensions, _LEAST)
    if count > most:
        raise _Unreadable(
            f"it has more than {MAX_VALUES} numbers, {about}{count} words of {dimensions}. Read only the first words: "
            f"limit={most}"
        )


def _check_guess(file, limit, dimensions):
    """Refuses a file that is far too long by the length of its first lines, and not after minutes."""
    guess = int(_GUESSED * os.stat(file.fileno()).st_size / file.tell())
    if limit is None and guess > 1.5 * MAX_VALUES / max(dimensions, _LEAST):  # lines differ in length
        _check_room(guess, dimensions, "about ")


# === Pieces ===


def _overlaps(part, ids, names, numbers):
    """Yields (piece, word's number) where a piece stands in a known word of `part`, which has no space."""
    spans = []
    for found in _WORD.finditer(part):
        word = found[0].translate(_STRAIGHT)
        number = numbers.get(word, numbers.get(word.lower()))
        if number is not None:
            spans.append((found.start(), found.end(), number))
    place = -1  # of the space before the part, which the first piece has
    for piece in ids:
        name = names[piece]
        byte = int(name[3:5], 16) if len(name) == 6 and name.startswith("<0x") else None
        if byte is not None and 0x80 <= byte < 0xC0:
            start = place - 1  # the rest of a character
        else:
            start, place = place, place + (len(name) if byte is None else 1)
        for first, end, number in spans:
            if start < end and first < place:
                yield piece, number


def _means(pairs, vectors, size):
    sums, weights = np.zeros((size, vectors.shape[1])), np.zeros(size)
    keys, counts = np.array(list(pairs)), np.array(list(pairs.values()), np.float64)
    for first in range(0, len(keys), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        np.add.at(sums, keys[some, 0], counts[some, None] * vectors[keys[some, 1]])
        np.add.at(weights, keys[some, 0], counts[some])
    table = np.broadcast_to(sums.sum(axis=0) / weights.sum(), sums.shape).copy()
    table[weights > 0] = sums[weights > 0] / weights[weights > 0, None]
    return table.astype(np.float32)
