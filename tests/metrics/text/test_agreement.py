import lzma
import random
import sys
import zlib

import numpy as np
import pytest

from vqzoo.metrics import bits_per_character
from vqzoo.metrics import bleu
from vqzoo.metrics import character_error_rate
from vqzoo.metrics import chrf
from vqzoo.metrics import compressed_bits_per_character
from vqzoo.metrics import edit_distance
from vqzoo.metrics import exact_match
from vqzoo.metrics import piece_accuracy

TEXTS = ["The cat sat on the mat, and the dog slept.", "In the house there was a dog.", "Nobody came to see the cat."]
DECODED = ["The cat sat on a mat, and the dog slept.", "In the house there is a dog.", "Nobody came to see the cat."]


def test_exact_match():
    assert exact_match(TEXTS, DECODED) == pytest.approx(1 / 3)
    assert exact_match(["a", ""], ["a", " "]) == 0.5


def test_piece_accuracy():
    rows = [[5, 6, 7, 0], [5, 0], [0]]
    assert piece_accuracy(rows, rows) == 1.0
    assert piece_accuracy(rows, [[5, 6, 8, 0], [5, 0, 0, 0], [0, 9]]) == pytest.approx(6 / 7)
    assert piece_accuracy(rows, [[5, 6], [5, 6, 0], [1]]) == pytest.approx(3 / 7)  # too short, too long, wrong
    assert piece_accuracy([np.array([5, 0])], np.array([[5, 1, 0]])) == 0.5


def table(first, second):
    """Wagner and Fischer's: the whole table of distances."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        before, row = row, [i]
        for j, b in enumerate(second, start=1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b)))
    return row[-1]


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        ("", "", 0),
        ("", "abc", 3),
        ("abc", "abc", 0),
        ("kitten", "sitting", 3),
        ("intention", "execution", 5),
        ("ab", "ba", 2),
        ("aaa", "aa", 1),
        ("aba", "a", 2),
        ("ä\u0301😀", "ä😀", 1),
    ],
)
def test_edit_distance(first, second, distance):
    assert edit_distance(first, second) == edit_distance(second, first) == distance


def test_edit_distance_is_that_of_the_table():
    rng = random.Random(0)
    for _ in range(300):
        letters = "ab" if rng.random() < 0.5 else "abcdefghij"
        first, second = ("".join(rng.choices(letters, k=rng.randrange(90))) for _ in range(2))
        assert edit_distance(first, second) == table(first, second), (first, second)


def test_long_texts_take_no_table():
    text = "".join(random.Random(0).choices("abcdefgh", k=100_000))
    changed = text[:50_000] + "x" + text[50_100:]
    assert edit_distance(text, changed) == 100
    assert edit_distance(text[:500], text[500:1200]) == table(text[:500], text[500:1200])


def test_character_error_rate_weighs_characters_alike():
    assert character_error_rate(["kitten", "cat"], ["sitting", "cat"]) == pytest.approx(3 / 9)
    assert character_error_rate(["ab", ""], ["ab", "abcd"]) == 2.0


def test_compressors():
    text = "\n".join(TEXTS).encode()
    assert compressed_bits_per_character(TEXTS, "zlib") == 8 * len(zlib.compress(text, 9)) / sum(map(len, TEXTS))
    xz = 8 * len(lzma.compress(text)) / sum(map(len, TEXTS))
    assert 0.4 * xz < compressed_bits_per_character(TEXTS, "lzma") < xz  # without its header
    assert compressed_bits_per_character(["\ud800ä"], "zlib") == 8 * len(zlib.compress("?ä".encode(), 9)) / 2
    for name in ("zlib", "lzma"):
        assert compressed_bits_per_character(TEXTS * 100, name) < 0.2 * compressed_bits_per_character(TEXTS, name)


def test_bits_per_character():
    assert bits_per_character(12, (1024, 256), 80) == 12 * 18 / 80
    with pytest.raises(ValueError, match="`characters` must be positive. Received: characters=0"):
        bits_per_character(12, (1024,), 0)


@pytest.mark.environment("main", "sacrebleu")
def test_bleu_and_chrf_are_the_packages():
    import sacrebleu as package

    assert bleu(TEXTS, DECODED) == package.corpus_bleu(DECODED, [TEXTS]).score
    assert chrf(TEXTS, DECODED) == package.corpus_chrf(DECODED, [TEXTS]).score
    assert 60 < bleu(TEXTS, DECODED) < 95 and 70 < chrf(TEXTS, DECODED) < 98
    assert bleu(TEXTS, TEXTS) == pytest.approx(100) and chrf(TEXTS, TEXTS) == pytest.approx(100)


@pytest.mark.parametrize("measure", [bleu, chrf])
def test_without_the_package_it_tells_how_to_get_it(measure, monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(ImportError, match=r'needs the package `sacrebleu`: pip install "vqzoo\[metrics\]"'):
        measure(TEXTS, DECODED)


@pytest.mark.parametrize("measure", [exact_match, piece_accuracy, character_error_rate, bleu, chrf])
def test_what_they_refuse(measure):
    for texts, decoded, received in (
        ([], [], "0 and 0"),
        (TEXTS, TEXTS[:2], "3 and 2"),
        ("abc", TEXTS, "one str and 3"),
        (TEXTS, "abc", "3 and one str"),
    ):
        with pytest.raises(ValueError, match=f"Give two lists of the same length. Received: {received}"):
            measure(texts, decoded)


def test_texts_without_characters():
    with pytest.raises(ValueError, match="There are no characters to count. Received: 2 texts, all empty."):
        character_error_rate(["", ""], ["", "a"])
    with pytest.raises(ValueError, match="There are no characters to count. Received: 0 texts"):
        compressed_bits_per_character([], "zlib")
    with pytest.raises(ValueError, match="`compressor` must be one of zlib, lzma. Received: 'zip'"):
        compressed_bits_per_character(TEXTS, "zip")
