"""Word vectors: each format is read as it was written, and pieces get the means of their words."""

import os

import numpy as np
import pytest

from vqzoo.data import Pieces
from vqzoo.data import load_vectors
from vqzoo.data import piece_vectors
from vqzoo.data.text import vectors as module

WORDS = ["the", "cat", "ä", "New York", "don't", "."]
VECTORS = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")


def glove(words=WORDS, vectors=VECTORS, end="\n"):
    rows = (" ".join([word, *map(repr, row)]) for word, row in zip(words, vectors.tolist(), strict=True))
    return "".join(row + end for row in rows).encode()


def binary(words=WORDS, vectors=VECTORS, end=b""):
    words = [word.replace(" ", "_") for word in words]
    rows = (word.encode() + b" " + row.astype("<f4").tobytes() + end for word, row in zip(words, vectors, strict=True))
    return b"%d %d\n" % vectors.shape + b"".join(rows)


FORMATS = {
    "glove": glove(),
    "glove of Windows": glove(end="\r\n"),
    "word2vec": b"6 5\n" + glove(),
    "fastText": b"6 5\n" + glove(end=" \n"),
    "binary": binary(),
    "binary with line feeds": binary(end=b"\n"),
}


@pytest.mark.parametrize("limit", [None, 2, 100])
@pytest.mark.parametrize("name", FORMATS)
def test_what_was_written_is_read(name, limit, tmp_path):
    (tmp_path / "vectors").write_bytes(FORMATS[name])
    words, vectors = load_vectors(tmp_path / "vectors", limit=limit)
    expected = [word.replace(" ", "_") for word in WORDS] if "binary" in name else WORDS  # where a space ends a word
    assert words == expected[:limit]
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, VECTORS[:limit])


@pytest.mark.parametrize("words", [np.array(WORDS), np.array([word.encode() for word in WORDS])])
def test_npz(words, tmp_path):
    np.savez(tmp_path / "a.npz", words=words, vectors=VECTORS.astype("float64"))
    found = load_vectors(tmp_path / "a.npz")
    assert found.words == WORDS and found.vectors.dtype == np.float32
    np.testing.assert_array_equal(found.vectors, VECTORS)
    assert load_vectors(tmp_path / "a.npz", limit=2).words == WORDS[:2]


def test_words_of_other_bytes_are_kept(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"caf\xe9 1 2\n")
    assert load_vectors(tmp_path / "a.txt").words == ["caf\ufffd"]


def test_more_than_fits_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_VALUES", 20)
    monkeypatch.setattr(module, "_LEAST", 1)
    for name in ("glove", "word2vec", "binary"):
        (tmp_path / "a").write_bytes(FORMATS[name])
        with pytest.raises(ValueError, match="it has more than 20 numbers, [56] words of 5. .*limit=4"):
            load_vectors(tmp_path / "a")
        assert len(load_vectors(tmp_path / "a", limit=4).words) == 4
    np.savez(tmp_path / "a.npz", words=np.array(WORDS), vectors=VECTORS)
    with pytest.raises(ValueError, match="it claims [0-9]+ bytes, and at most 80 are read"):
        load_vectors(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="limit must be an int, at least 1, or None. Received: limit=0"):
        load_vectors(tmp_path / "a", limit=0)


# === Vectors of pieces ===

CORPUS = ["the cat sat on the mat", "a cat and a mat"]


@pytest.fixture(scope="module")
def pieces():
    return Pieces.train(CORPUS, size=272)


def rows_of(pieces, table, *names):
    return [table[pieces.names.index(name)].tolist() for name in names]


def test_a_piece_has_the_mean_of_its_words(pieces):
    words, vectors = ["cat", "sat", "dog"], [[4.0, 0], [0, 8], [100, 100]]
    table = piece_vectors(pieces, words, vectors, iter(["cat sat sat sat", "nothing cat"]))
    assert table.shape == (272, 2) and table.dtype == np.float32
    # c-at twice, s-at three times: at is in both.
    assert rows_of(pieces, table, "c", "s", "at") == [[4, 0], [0, 8], pytest.approx([8 / 5, 24 / 5])]
    mean = [(4 + 4) * 2 / 10, (8 + 8) * 3 / 10]
    assert rows_of(pieces, table, "</s>", "<0x00>", "▁", "d") == [pytest.approx(mean)] * 4


def test_case_signs_and_numbers_are_words_of_their_own(pieces):
    words = ["cat", "Cat", "mat", ".", '"', "12", "n't", "do", "'s"]
    table = piece_vectors(pieces, words, np.eye(9), ["Cat. CAT", "“Mat”", "12", "don't", "it’s"])
    where = dict(zip(words, range(9), strict=True))
    expected = {"▁mat": None, "<0x2E>": ".", "<0x31>": "12", "<0x27>": None, "<0x43>": None}
    found = {name: table[pieces.names.index(name)] for name in expected}
    assert found["<0x2E>"].argmax() == where["."] and found["<0x2E>"].max() == 1
    assert found["<0x31>"].argmax() == where["12"] and found["<0x31>"].max() == 1
    assert found["<0x27>"][where["n't"]] == 1  # of don't; that of it's is another character
    np.testing.assert_allclose(found["<0x43>"][[where["cat"], where["Cat"]]], [0.5, 0.5])  # C of CAT and of Cat
    quote = table[pieces.names.index("<0xE2>")]  # the first byte of “, ” and ’
    np.testing.assert_allclose(quote[[where['"'], where["'s"]]], [2 / 3, 1 / 3], rtol=1e-6)


def test_all_bytes_of_a_character_belong_to_its_word(pieces):
    table = piece_vectors(pieces, ["ä", "t"], [[1.0, 0], [0, 1]], ["ä t"])
    assert rows_of(pieces, table, "<0xC3>", "<0xA4>", "t") == [[1, 0], [1, 0], [0, 1]]
    table = piece_vectors(pieces, ["tät", "x"], [[1.0, 0], [0, 1]], ["tät x"])
    assert rows_of(pieces, table, "<0xC3>", "<0xA4>", "t") == [[1, 0]] * 3


def test_it_equals_a_slow_sum_over_all_occurrences(pieces):
    rng = np.random.default_rng(0)
    words = ["cat", "sat", "mat", "the", "a", "and", "tam"]
    vectors = rng.normal(size=(7, 3))
    sentences = [" ".join(rng.choice([*words, "dam", "hem"], 8)) for _ in range(50)]
    sums, counts = np.zeros((272, 3)), np.zeros(272)
    for word in " ".join(sentences).split():
        for piece in pieces.encode([word])[0][:-1] if word in words else ():
            if pieces.names[piece] != "▁":
                sums[piece] += vectors[words.index(word)]
                counts[piece] += 1
    expected = np.where(counts[:, None], sums / np.maximum(counts, 1)[:, None], sums.sum(0) / counts.sum())
    np.testing.assert_allclose(piece_vectors(pieces, words, vectors, sentences), expected, atol=1e-6)


def test_of_equal_words_the_first_counts(pieces):
    table = piece_vectors(pieces, ["cat", "cat"], [[1.0], [2.0]], ["cat"])
    assert (table == 1).all()


def test_arguments_are_checked(pieces):
    for vectors in ([[1.0]], [1.0, 2.0], [[1.0], [np.nan]]):
        with pytest.raises(ValueError, match="one row of finite numbers for each word.* Received: 2 words"):
            piece_vectors(pieces, ["cat", "mat"], vectors, CORPUS)
    with pytest.raises(ValueError, match="No sentence has any of the 1 words. Are they of another language"):
        piece_vectors(pieces, ["Katze"], [[1.0]], CORPUS)


def test_a_word_counts_as_some_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_VALUES", 64)
    (tmp_path / "a.txt").write_text("".join(f"w{i} 1\n" for i in range(5)))
    with pytest.raises(ValueError, match="it has more than 64 numbers, 5 words of 1. Read only the first .* limit=4"):
        load_vectors(tmp_path / "a.txt")
    assert len(load_vectors(tmp_path / "a.txt", limit=4).words) == 4


def test_a_file_that_is_far_too_long_is_refused_by_its_size(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("".join(f"w{i:04d} 0.25 0.5\n" for i in range(1500)))
    os.truncate(path, 2**34)  # a hole: no disk is needed
    told = "it has more than 536870912 numbers, about 11[0-9]+ words of 2. Read only the first words: limit=33554432"
    with pytest.raises(ValueError, match=told):
        load_vectors(path)
    assert len(load_vectors(path, limit=1200).words) == 1200


def test_words_and_npz_that_are_too_long(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("w" * 5000 + " 1 2\n")
    with pytest.raises(ValueError, match="line 1 has a word of more than 4096 bytes"):
        load_vectors(tmp_path / "a.txt")
    np.savez(tmp_path / "a.npz", words=np.array(["a", "b", "c"]), vectors=np.ones((3, 20), "float16"))
    monkeypatch.setattr(module, "MAX_VALUES", 2**9)
    assert len(load_vectors(tmp_path / "a.npz").words) == 3
    monkeypatch.setattr(module, "_LEAST", 2**8)
    with pytest.raises(ValueError, match="it has more than 512 numbers, 3 words of 20. Read only the first .* limit=2"):
        load_vectors(tmp_path / "a.npz")


def test_an_npz_with_characters_that_are_none_is_named(tmp_path):
    words = np.array([0xFFFFFFF0, 65], "<u4").view("<U1")
    np.savez(tmp_path / "a.npz", words=words, vectors=np.ones((2, 3)))
    with pytest.raises(
        ValueError,
        match="Cannot read the word vectors .*a.npz: it is damaged: words.npy holds invalid characters",
    ):
        load_vectors(tmp_path / "a.npz")


@pytest.mark.parametrize("shape", [(2,), (2, 0), (2, 3, 1)])
def test_an_npz_of_other_axes_is_named(tmp_path, shape):
    np.savez(tmp_path / "a.npz", words=np.array(["a", "b"]), vectors=np.ones(shape))
    with pytest.raises(ValueError, match="must be an array .words,. of str and vectors one .words, dimensions."):
        load_vectors(tmp_path / "a.npz")


def test_vectors_that_never_end_are_not_read(tmp_path):
    (tmp_path / "a.txt").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="Cannot read the word vectors .*: not a regular file but a device"):
        load_vectors(tmp_path / "a.txt")
