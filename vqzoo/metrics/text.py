"""How near texts are that come back: whole, by pieces, by characters, and as BLEU and chrF count."""

import lzma
import zlib

import numpy as np

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
        ValueError: if there are no texts, or not as many of both.

    Example:
    >>> piece_accuracy([[5, 6, 7, 2]], [[5, 9, 7, 2, 2, 2]])
    0.75
    """
    _check_pairs(rows, decoded)
    equal = sum(
        int(np.sum(np.asarray(row)[: len(other)] == np.asarray(other)[: len(row)]))
        for row, other in zip(rows, decoded, strict=True)
    )
    return equal / sum(map(len, rows))


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

    Example:
    >>> edit_distance("kitten", "sitting")
    3

    Reference:
        Hyyrö 2003, A bit-vector algorithm for computing Levenshtein and Damerau edit distances, figure 3
    """
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
    if compressor not in _COMPRESS:
        raise ValueError(f"`compressor` is one of {', '.join(_COMPRESS)}. Received: {compressor!r}")
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
    if isinstance(texts, str) or isinstance(decoded, str) or not len(texts) or len(texts) != len(decoded):
        counts = [f"one {type(x).__name__}" if isinstance(x, str) else len(x) for x in (texts, decoded)]
        raise ValueError(f"Give two lists, as many of one as of the other. Received: {counts[0]} and {counts[1]}")
