"""Agreement of texts and their reconstructions: exact match, pieces, characters, BLEU and chrF."""

import lzma
import zlib

import numpy as np

from vqzoo.jsons import shown
from vqzoo.metrics.packages import optional_package

_COMPRESS = {
    "zlib": lambda data: zlib.compress(data, 9),
    # Raw, with the dictionary size of preset 6. The full format would only add a header of 60 bytes and 600 MB of
    # memory.
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 6}]),
}


def exact_match(texts, decoded):
    """Fraction of the texts that are reconstructed exactly.

    Args:
        texts: list of str.
        decoded: list of str of the same length.

    Returns:
        float in [0, 1].

    Raises:
        ValueError: if there are no texts, or the lengths of the lists differ.

    Example:
    >>> exact_match(["a cat", "a dog"], ["a cat", "a dot"])
    0.5
    """
    _check_pairs(texts, decoded)
    return float(np.mean([text == other for text, other in zip(texts, decoded, strict=True)]))


def piece_accuracy(rows, decoded):
    """Fraction of the pieces of the texts that are reconstructed at their positions.

    A decoded row that is too long is wrong only at the end-of-sequence token. A row that is too short is wrong at all
    missing pieces.

    Args:
        rows: list of int arrays, the ids of each text up to the end-of-sequence token, as from `pieces.encode`.
        decoded: list of int arrays, or an int array (batch, length), the reconstructed ids.

    Returns:
        float in [0, 1], over all pieces with equal weights.

    Raises:
        ValueError: if there are no texts or no pieces, the numbers of rows differ, or a row does not hold integers.

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
    """Character error rate: the sum of the edit distances divided by the number of characters of the texts.

    Args:
        texts: list of str.
        decoded: list of str of the same length.

    Returns:
        float, 0 for equal texts; above 1 if the reconstructions are much longer.

    Raises:
        ValueError: if the texts have no characters, or the lengths of the lists differ.

    Example:
    >>> character_error_rate(["kitten", "cat"], ["sitting", "cat"])  # 3 of 9
    0.3333333333333333
    """
    _check_pairs(texts, decoded)
    characters = _characters(texts)
    return sum(edit_distance(text, other) for text, other in zip(texts, decoded, strict=True)) / characters


def edit_distance(first, second):
    """Levenshtein distance, the smallest number of insertions, deletions and substitutions between two texts.

    The time depends only on the part between the first and the last difference. It is 0.2 ms for two sentences, and 7
    seconds for 100,000 differing characters of each text.

    Args:
        first: str.
        second: str.

    Returns:
        int.

    Raises:
        ValueError: if an argument is not a str.

    Example:
    >>> edit_distance("kitten", "sitting")
    3

    Reference:
        Hyyrö 2003, A bit-vector algorithm for computing Levenshtein and Damerau edit distances, figure 3
    """
    for name, text in (("first", first), ("second", second)):
        if not isinstance(text, str):
            raise ValueError(f"`{name}` must be a str. Received: {name}={shown(text)}. Decode bytes by `x.decode()`.")
    first, second = _between_differences(*sorted((first, second), key=len))
    if not first:
        return len(second)
    places = {}  # character -> bit mask of its positions in the longer text
    for place, letter in enumerate(second):
        places[letter] = places.get(letter, 0) | 1 << place
    every, last = (1 << len(second)) - 1, 1 << (len(second) - 1)
    # One column of the distance table, as bit masks of the positions where it increases and decreases.
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
    """Corpus BLEU, computed by the package `sacrebleu` with its defaults.

    Args:
        texts: list of str, the references.
        decoded: list of str of the same length.

    Returns:
        float from 0 to 100.

    Raises:
        ImportError: the package is not installed.
        ValueError: if there are no texts, or the lengths of the lists differ.

    Example:
    >>> metrics = {"bleu": bleu, "chrf": chrf}  # evaluate_text(tokenizer, sentences, metrics=metrics)

    Reference:
        Papineni et al. 2002, https://aclanthology.org/P02-1040; Post 2018, https://arxiv.org/abs/1804.08771
    """
    _check_pairs(texts, decoded)
    return float(optional_package("sacrebleu").corpus_bleu(list(decoded), [list(texts)]).score)


def chrf(texts, decoded):
    """The F-score of character n-grams, chrF2, computed by the package `sacrebleu` with its defaults.

    Args:
        texts: list of str, the references.
        decoded: list of str of the same length.

    Returns:
        float from 0 to 100.

    Raises:
        ImportError: the package is not installed.
        ValueError: if there are no texts, or the lengths of the lists differ.

    Example:
    >>> metrics = {"bleu": bleu, "chrf": chrf}  # evaluate_text(tokenizer, sentences, metrics=metrics)

    Reference:
        Popović 2015, https://aclanthology.org/W15-3049
    """
    _check_pairs(texts, decoded)
    return float(optional_package("sacrebleu").corpus_chrf(list(decoded), [list(texts)]).score)


def compressed_bits_per_character(texts, compressor):
    """Bits per character of a general compressor on all texts, one per line. A reference for the bits of tokens.

    Args:
        texts: list of str.
        compressor: "zlib" (level 9) or "lzma" (preset 6).

    Returns:
        float, bits per character of the texts, line feeds not counted.

    Raises:
        ValueError: if the compressor is unknown, or the texts have no characters.

    Example:
    >>> 0.2 < compressed_bits_per_character(["the cat sat"] * 100, "zlib") < 0.3
    True
    """
    if not isinstance(compressor, str) or compressor not in _COMPRESS:
        raise ValueError(f"`compressor` must be one of {', '.join(_COMPRESS)}. Received: {shown(compressor)}")
    _check_texts("texts", texts)
    data = "\n".join(texts).encode("utf-8", "replace")  # replaces lone surrogates
    return 8 * len(_COMPRESS[compressor](data)) / _characters(texts)


def _between_differences(first, second):
    """Both texts without their common prefix and suffix, the shorter one first."""
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
        raise ValueError(f"Give two lists of the same length. Received: {received[0]} and {received[1]}")


def _count(texts):
    """The length of a list or an array; None for anything else."""
    if isinstance(texts, str | bytes | dict | set):
        return None
    try:
        return len(texts)
    except TypeError:
        return None


def _check_texts(name, texts):
    if _count(texts) is None:
        raise ValueError(f"`{name}` must be a list of str. Received: {shown(texts)}. Pass `[x]` for one text.")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(
                f"`{name}` must be a list of str. Received: {name}[{i}]={shown(text)}. Decode bytes by "
                "`x.decode()`, and ids by `tokenizer.pieces.decode`."
            )


def _ids(name, rows):
    """Rows of ids as arrays (pieces,)."""
    arrays = []
    for i, row in enumerate(rows):
        try:
            array = np.asarray(row)
        except Exception:  # ragged lists, and errors of other libraries' arrays
            array = np.asarray(None)
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise ValueError(
                f"`{name}` must hold a row of integer ids for each text, as from `pieces.encode`. Received: "
                f"{name}[{i}]={shown(row)}. Pass `x[..., 0]` for ids with a last axis of 1."
            )
        arrays.append(array)
    return arrays
