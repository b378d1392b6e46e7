"""Pieces: nothing is lost, the same corpus gives the same pieces, and bad models and sizes are told."""

import io

import numpy as np
import pytest
import sentencepiece

from vqzoo.data import Pieces
from vqzoo.data.text.pieces import checked_texts

CORPUS = [
    "The cat sat on the mat, and the dog sat on the cat.",
    "A dog and a cat were in the house; the house was old.",
    "In the old house there was a mat, a cat and a dog.",
    "They sat there, and they were sitting and sitting.",
] * 5


@pytest.fixture(scope="module")
def pieces():
    return Pieces.train(CORPUS, size=290)


def named(pieces, row):
    return [pieces.names[i] for i in row]


def test_frequent_words_are_pieces_and_others_are_spelt(pieces):
    (row,) = pieces.encode(["the cat sät"])
    assert row.dtype == np.int32
    assert named(pieces, row) == ["▁the", "▁cat", "▁s", "<0xC3>", "<0xA4>", "t", "</s>"]
    assert pieces.decode([row]) == ["the cat sät"]


def test_ids_are_those_of_plain_sentencepiece(pieces):
    processor = sentencepiece.SentencePieceProcessor(model_proto=pieces.model)
    texts = [*CORPUS, "", " double  spaces ", "日本 \n\t"]
    assert [row[:-1].tolist() for row in pieces.encode(texts)] == processor.encode(texts)
    assert processor.decode([row.tolist() for row in pieces.encode(texts)]) == texts  # the end piece is no text


def test_the_end_piece_is_0_and_every_byte_is_a_piece(pieces):
    assert (pieces.size, len(pieces), pieces.end) == (290, 290, 0)
    assert pieces.names[0] == "</s>"
    assert pieces.names[2:258] == tuple(f"<0x{byte:02X}>" for byte in range(256))
    assert [row.tolist() for row in pieces.encode(["", "\0"])] == [[0], [pieces.names.index("▁"), 2, 0]]


def test_every_character_comes_back(pieces):
    every = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))
    assert pieces.decode(pieces.encode([every])) == [every]


@pytest.mark.parametrize("text", ["▁", "▁▁", " ▁ ", "a▁", "▁a", "a ▁▁ b▁c", "\ufdd0▁\ufdd0", "▁ä▁"])
def test_the_character_that_stands_for_a_space_comes_back(pieces, text):
    assert pieces.decode(pieces.encode(["x", text])) == ["x", text]


def test_the_stand_in_is_a_character_that_no_piece_has():
    pieces = Pieces.train([*CORPUS, "\ufdd0\ufdd0 the \ufdd0"], size=290)
    assert "\ufdd0" in "".join(pieces.names)
    assert pieces.decode(pieces.encode(["\ufdd0▁\ufdd0 a▁"])) == ["\ufdd0▁\ufdd0 a▁"]


def test_lone_surrogates_become_the_replacement_character(pieces):
    assert pieces.decode(pieces.encode(["a\ud800b\udfff", "\ud83d\ude00"])) == ["a\ufffdb\ufffd", "\ufffd\ufffd"]


def test_decoding_stops_at_the_first_end_piece(pieces):
    the, cat = (pieces.names.index(name) for name in ("▁the", "▁cat"))
    rows = [[the, cat], [the, 0, cat, 0], [0, cat], []]
    assert pieces.decode(rows) == ["the cat", "the", "", ""]
    assert pieces.decode(np.array([[the, cat, 0], [cat, 0, the]])) == ["the cat", "cat"]


def test_of_nothing_comes_nothing(pieces):
    assert pieces.encode([]) == pieces.decode([]) == []


def test_any_ids_are_text(pieces):
    byte = pieces.names.index("<0xE2>")
    assert pieces.decode([[byte], [byte, pieces.names.index("▁cat")], [1]]) == ["\ufffd", "\ufffd cat", "\ufffd"]
    rng = np.random.default_rng(0)
    for text in pieces.decode(rng.integers(0, pieces.size, (50, 40))):
        assert pieces.decode(pieces.encode([text])) == [text]


def test_pad(pieces):
    rows = [np.array([5, 6, 0]), np.array([0])]
    assert pieces.pad(rows).tolist() == [[5, 6, 0], [0, 0, 0]]
    assert pieces.pad(rows, 2).tolist() == [[5, 6, 0, 0], [0, 0, 0, 0]]
    assert pieces.pad(rows, 2, length=6).shape == (2, 6)
    assert pieces.pad(rows).dtype == np.int32
    assert pieces.pad([]).shape == (0, 0)
    with pytest.raises(ValueError, match="A row has 3 ids. Received: length=2. Cut it, or use a larger length"):
        pieces.pad(rows, length=2)
    for arguments in ((0,), (2, 3), (1, 0)):
        with pytest.raises(ValueError, match="multiple must be an int, at least 1, and length a multiple of it"):
            pieces.pad(rows, *arguments)


# === Training ===


def test_the_same_corpus_gives_the_same_pieces(pieces):
    again = Pieces.train(iter(CORPUS), size=290)
    assert again == pieces and hash(again) == hash(pieces) and again.model == pieces.model
    other = Pieces.train(CORPUS, size=289)
    assert other != pieces and pieces != pieces.model
    assert Pieces(other.model) == other
    assert repr(other) == "Pieces(size=289)"


def test_of_a_large_corpus_a_random_part_is_learnt_from():
    numbers = [f"number {number}" for number in range(2000)]
    words = ["the cat sat on the mat"] * 2000
    few = Pieces.train([*numbers, *words], size=290, limit=100, exact=False)
    assert {"c", "b"} <= set("".join(few.names[258:]))  # the first hundred alone have no cat
    assert Pieces.train([*numbers, *words], size=290, limit=100, exact=False) == few
    assert Pieces.train([*numbers, *words], size=290, limit=100, exact=False, seed=1) != few


def test_a_corpus_without_line_ends_is_learnt_from():
    pieces = Pieces.train([" ".join(CORPUS * 10)], size=290)
    assert "▁cat" in pieces.names


def test_training_is_quiet(capfd):
    Pieces.train(CORPUS, size=290)
    assert capfd.readouterr() == ("", "")


def test_a_corpus_that_is_too_small():
    with pytest.raises(ValueError, match=r"1 lines do not have 4000 pieces: the largest size is 269. .*exact=False"):
        Pieces.train(["the cat sat on the mat"])
    assert Pieces.train(["the cat sat on the mat"], exact=False).size == 269
    assert Pieces.train(["the cat sat on the mat"], size=269).size == 269
    with pytest.raises(ValueError, match="Bytes and frequent letters need 268 pieces. Received: size=267"):
        Pieces.train(["the cat sat on the mat"], size=267)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 300), "There is no sentence to train pieces on"),
        ((["", " \n"], 300), "There is no sentence to train pieces on"),
        (("the cat", 300), r"Give a list of str. Received: one str, 'the cat'. Pass `.x.`"),
        (([b"the cat"], 300), "Each text must be a str. Received: b'the cat' of type bytes"),
        ((CORPUS, 0), "size must be an int, at least 1. Received: size=0"),
        ((CORPUS, 300.0), "size must be an int"),
        ((CORPUS, 300, -1), "limit must be an int, at least 1, and seed one, at least 0. Received: .* seed=-1"),
    ],
)
def test_arguments_of_training_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        Pieces.train(*arguments)


def test_what_sentencepiece_says_else_is_handed_on(monkeypatch):
    def fail(**options):
        raise RuntimeError("INTERNAL: some reason")

    monkeypatch.setattr(sentencepiece.SentencePieceTrainer, "train", fail)
    with pytest.raises(ValueError, match="could not train pieces on 20 lines: INTERNAL: some reason"):
        Pieces.train(CORPUS, size=290)


# === What is refused ===


def plain(vocab_size=290, **options):
    writer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=writer, vocab_size=vocab_size, minloglevel=2, **options
    )
    return writer.getvalue()


def test_other_models_of_sentencepiece():
    lossless = {"byte_fallback": True, "normalization_rule_name": "identity", "remove_extra_whitespaces": False}
    own = Pieces(plain(**lossless, model_type="bpe", add_dummy_prefix=False))
    assert own.end == 2
    assert own.decode(own.encode(["  the  ▁cat\n"])) == ["  the  ▁cat\n"]
    with pytest.raises(ValueError, match="lacks an end-of-sequence token"):
        Pieces(plain(**lossless, eos_id=-1))
    with pytest.raises(ValueError, match="lacks a piece for each byte .byte_fallback.. Make one with `Pieces.train`"):
        Pieces(plain(40, **{**lossless, "byte_fallback": False}))
    for change in ({"normalization_rule_name": "nmt_nfkc"}, {"remove_extra_whitespaces": True}):
        with pytest.raises(ValueError, match="This sentencepiece model changes text"):
            Pieces(plain(**{**lossless, **change}))


def test_what_is_no_text_and_no_ids(pieces):
    with pytest.raises(ValueError, match=r"Give a list of str. Received: one str, 'the cat'. Pass `.x.`"):
        pieces.encode("the cat")
    with pytest.raises(ValueError, match="Each text must be a str. Received: 5 of type int"):
        checked_texts(["a", 5])
    with pytest.raises(ValueError, match="Ids are from 0 to 289. Received: ids from -1 to 3"):
        pieces.decode([[0, 3, -1]])
    with pytest.raises(ValueError, match="Ids are from 0 to 289. Received: ids from 0 to 290"):
        pieces.decode([[0, 290]])
    with pytest.raises(ValueError, match=r"Each row must be ints, one axis. Received: int64 of shape \(\)"):
        pieces.decode([3, 4])
    with pytest.raises(ValueError, match="Each row must be ints, one axis. Received: float64"):
        pieces.decode([[3.0]])
    with pytest.raises(ValueError, match="A model is bytes, .* Received: str"):
        Pieces("pieces.model")


def test_a_text_has_a_longest_length(monkeypatch):
    pieces = Pieces.train(["the cat sat on the mat", "a dog and a cat"], size=300, exact=False)
    assert len(pieces.encode(["a" * 2**21])) == 1
    monkeypatch.setattr(pieces, "_processor", None)  # nothing is encoded
    with pytest.raises(ValueError, match="at most 2097152 characters. Received: one of 2097153. Encode it by"):
        pieces.encode(["the cat", "a" * (2**21 + 1)])


def test_a_model_has_a_largest_size():
    with pytest.raises(ValueError, match="A sentencepiece model has at most 67108864 bytes. Received: 67108865. Make"):
        Pieces(bytes(2**26 + 1))


def test_long_sentences_count_as_several_to_learn_from(monkeypatch):
    taken = []
    monkeypatch.setattr("vqzoo.data.text.pieces._trained", lambda lines, *_, **__: taken.append(lines))
    monkeypatch.setattr(Pieces, "__init__", lambda self, model: None)
    Pieces.train(["ab" * 5000, "c"], limit=4)
    assert len(taken[-1]) == 4 and max(map(len, taken[-1])) <= 1000
    Pieces.train(["ab" * 5000, "c"], limit=100)
    assert list(map(len, taken[-1])) == [1000] * 10 + [1]
    monkeypatch.setattr("vqzoo.data.text.pieces._LEARNT_CHARACTERS", 5000)
    Pieces.train(["ab" * 5000, "c"], limit=100)
    assert 4000 <= sum(map(len, taken[-1])) <= 5001
    with pytest.raises(ValueError, match="Each text must be a str. Received: None"):
        Pieces.train(["a", None])
