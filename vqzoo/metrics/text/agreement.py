"""How near texts are that come back: whole, by pieces, by characters, and as BLEU and chrF count."""

import lzma
import zlib

import numpy as np

from vqzoo.jsons import shown
from vqzoo.metrics.packages import optional_package

_COMPRESS = {
    "zlib": lambda data: zlib.compress(data, 9),
    # Raw, and with the dictionary of preset 6: a header of 60 bytes and 600 MB of memory would change nothing else.
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 6}]),
}


def exact_match(texts, decoded):
    """The share of texts that come back without a change.

    Args:
        texts: list of str.
        decoded: list of str, as many.

    Returns:
        float in [0, 1].

    Raises:
        ValueError: if there are no texts, or not as many of both.

    Example:
    >>> exact_match(["a cat", "a dog"], ["a cat", "a dot"])
    0.5
    """
    _check_pairs(texts, decoded)
    return float(np.mean([text == other for text, other in zip(texts, decoded, strict=True)]))


def piece_accuracy(rows, decoded):
    """The share of the texts' pieces that are in their places.

    A row that goes on behind the end of the other is wrong at the end piece alone, and one that is shorter at all that
    it lacks.

    Args:
        rows: list of int arrays, the ids of each text up to the end piece, as from `pieces.encode`.
        decoded: list of int arrays, or an int array (batch, length), the ids that came back.

    Returns:
        float in [0, 1], of all pieces alike.

    Raises:
        ValueError: if there are no texts or no pieces, not as many of both, or a row is none of integers.

    Example:
    >>> piece_accuracy([[5, 6, 7, 2]], [[5, 9, 7, 2, 2, 2]])
    0.75
    """
    _check_counts(rows, decoded)
    rows, decoded = _ids("rows", rows), _ids("decoded", decoded)
    pieces = sum(map(len, rows))
    if not pieces:
        raise ValueError(f"There are no pieces to count. Received: {len(rows)} rows, all empty.")
    equal = sum(int(np.sum(row[: len(other)] == other[: len(row)])) for row, other in zip(rows, decoded, strict=True))
    return equal / pieces


def character_error_rate(texts, decoded):
    """Characters to put in, take out or exchange, for each character of the texts: edit distances over lengths.

    Args:
        texts: list of str.
        decoded: list of str, as many.

    Returns:
        float, 0 for equal texts, above 1 where what came back is far longer.

    Raises:
        ValueError: if the texts have no characters, or there are not as many of both.

    Example:
    >>> character_error_rate(["kitten", "cat"], ["sitting", "cat"])  # 3 of 9
    0.3333333333333333
    """
    _check_pairs(texts, decoded)
    characters = _characters(texts)
    return sum(edit_distance(text, other) for text, other in zip(texts, decoded, strict=True)) / characters


def edit_distance(first, second):
    """The fewest characters to put in, take out or exchange that make one text of the other (Levenshtein).

    Only what lies between the first and the last difference takes time: two sentences 0.2 ms, and 7 seconds where it is
    100,000 characters of both.

    Args:
        first: str.
        second: str.

    Returns:
        int.

    Raises:
        ValueError: if one of them is no str.

    Example:
    >>> edit_distance("kitten", "sitting")
    3

    Reference:
        Hyyrö 2003, A bit-vector algorithm for computing Levenshtein and Damerau edit distances, figure 3
    """
    for name, text in (("first", first), ("second", second)):
        if not isinstance(text, str):
            raise ValueError(f"`{name}` is a str. Received: {name}={shown(text)}. Bytes are made text by `x.decode()`.")
    first, second = _between_differences(*sorted((first, second), key=len))
    if not first:
        return len(second)
    places = {}  # character -> the bits of its places in the longer text
    for place, letter in enumerate(second):
        places[letter] = places.get(letter, 0) | 1 << place
    every, last = (1 << len(second)) - 1, 1 << (len(second) - 1)
    # A column of the table of distances, as the places where it rises and falls.
    rises, falls, distance = every, 0, len(second)
    for letter in first:
        equal = places.get(letter, 0) | falls
        diagonal = (((equal & rises) + rises) ^ rises) | equal
        up, down = falls | (every & ~(diagonal | rises)), diagonal & rises
        distance += bool(up & last) - bool(down & last)
        up = up << 1 | 1
        rises, falls = every & (down << 1 | ~(diagonal | up)), up & diagonal & every
    return distance


def bleu(texts, decoded):
    """BLEU of a corpus, by the package `sacrebleu` with its defaults.

    Args:
        texts: list of str, the references.
        decoded: list of str, as many.

    Returns:
        float from 0 to 100.

    Raises:
        ImportError: the package is not installed.
        ValueError: if there are no texts, or not as many of both.

    Example:
    >>> metrics = {"bleu": bleu, "chrf": chrf}  # evaluate_text(tokenizer, sentences, metrics=metrics)

    Reference:
        Papineni et al. 2002, https://aclanthology.org/P02-1040; Post 2018, https://arxiv.org/abs/1804.08771
    """
    _check_pairs(texts, decoded)
    return float(optional_package("sacrebleu").corpus_bleu(list(decoded), [list(texts)]).score)


def chrf(texts, decoded):
    """The F-score of character n-grams, chrF2, by the package `sacrebleu` with its defaults.

    Args:
        texts: list of str, the references.
        decoded: list of str, as many.

    Returns:
        float from 0 to 100.

    Raises:
        ImportError: the package is not installed.
        ValueError: if there are no texts, or not as many of both.

    Example:
    >>> metrics = {"bleu": bleu, "chrf": chrf}  # evaluate_text(tokenizer, sentences, metrics=metrics)

    Reference:
        Popović 2015, https://aclanthology.org/W15-3049
    """
    _check_pairs(texts, decoded)
    return float(optional_package("sacrebleu").corpus_chrf(list(decoded), [list(texts)]).score)


def compressed_bits_per_character(texts, compressor):
    """What a general compressor takes for all texts together, one a line: a scale for the bits of tokens.

    Args:
        texts: list of str.
        compressor: "zlib" (level 9) or "lzma" (preset 6).

    Returns:
        float, bits for each character of the texts, line feeds not counted.

    Raises:
        ValueError: if the compressor is another, or the texts have no characters.

    Example:
    >>> 0.2 < compressed_bits_per_character(["the cat sat"] * 100, "zlib") < 0.3
    True
    """
    if not isinstance(compressor, str) or compressor not in _COMPRESS:
        raise ValueError(f"`compressor` is one of {', '.join(_COMPRESS)}. Received: {shown(compressor)}")
    _check_texts("texts", texts)
    data = "\n".join(texts).encode("utf-8", "replace")  # of lone surrogates
    return 8 * len(_COMPRESS[compressor](data)) / _characters(texts)


def _between_differences(first, second):
    """Both texts without what they begin and end with alike; the first is not the longer one."""
    start = next((i for i, letter in enumerate(first) if letter != second[i]), len(first))
    first, second = first[start:], second[start:]
    end = next((i for i in range(len(first)) if first[-1 - i] != second[-1 - i]), len(first))
    return first[: len(first) - end], second[: len(second) - end]


def _characters(texts):
    characters = sum(map(len, texts))
    if not characters:
        raise ValueError(f"There are no characters to count. Received: {len(texts)} texts, all empty.")
    return characters


def _check_pairs(texts, decoded):
    _check_counts(texts, decoded)
    _check_texts("texts", texts)
    _check_texts("decoded", decoded)


def _check_counts(texts, decoded):
    counts = [_count(x) for x in (texts, decoded)]
    if counts[0] != counts[1] or counts[0] in (0, None):
        received = [
            f"one {type(x).__name__}" if n is None else n for x, n in zip((texts, decoded), counts, strict=True)
        ]
        raise ValueError(f"Give two lists, as many of one as of the other. Received: {received[0]} and {received[1]}")


def _count(texts):
    """How many there are in a list or an array; None where it is neither."""
    if isinstance(texts, str | bytes | dict | set):
        return None
    try:
        return len(texts)
    except TypeError:
        return None


def _check_texts(name, texts):
    if _count(texts) is None:
        raise ValueError(f"`{name}` is a list of str. Received: {shown(texts)}. Pass `[x]` for one text.")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(
                f"`{name}` is a list of str. Received: {name}[{i}]={shown(text)}. Bytes are made text by "
                "`x.decode()`, ids by `tokenizer.pieces.decode`."
            )


def _ids(name, rows):
    """Rows of ids as arrays (pieces,)."""
    arrays = []
    for i, row in enumerate(rows):
        try:
            array = np.asarray(row)
        except Exception:  # ragged lists, and what arrays of other libraries raise
            array = np.asarray(None)
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise ValueError(
                f"`{name}` holds a row of integer ids for each text, as from `pieces.encode`. Received: "
                f"{name}[{i}]={shown(row)}. Pass `x[..., 0]` for ids with a last axis of 1."
            )
        arrays.append(array)
    return arrays
