import json
import lzma
import zlib

import numpy as np
import pytest

from vqzoo.data import Pieces
from vqzoo.metrics import codebook_statistics
from vqzoo.metrics import edit_distance
from vqzoo.metrics import evaluate_text

SENTENCES = ["the cat sat on the mat", "", "a dog", "the dog and a cat sat on the mat and a mat", "a cat and the dog"]


@pytest.fixture(scope="module")
def pieces():
    return Pieces.train(SENTENCES, size=280, exact=False)


class Pairs:
    """Two pieces are a position, each by a codebook; pieces from 256 up are `loss` too low when they come back."""

    stride = 2

    def __init__(self, pieces, loss=0):
        self.pieces, self.loss = pieces, loss
        self.codebook_sizes = (pieces.size, pieces.size)
        self.batches = []

    def encode(self, texts):
        self.batches.append(len(texts))
        ids = self.pieces.pad(self.pieces.encode(texts), self.stride)
        return ids.reshape(len(texts), -1, 2)

    def decode_ids(self, tokens):
        ids = tokens.reshape(len(tokens), -1)
        return np.where(ids >= 260, ids - self.loss, ids)


def test_what_comes_back_whole(pieces):
    report = evaluate_text(Pairs(pieces), SENTENCES)
    rows = pieces.encode(SENTENCES)
    lengths, characters = [len(row) for row in rows], sum(map(len, SENTENCES))
    chunks = sum(-(-length // 2) for length in lengths)
    data = "\n".join(SENTENCES).encode()
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6}]
    assert report.pop("encoded_tokens_per_second") > 0 and report.pop("decoded_tokens_per_second") > 0
    padded = np.concatenate([np.pad(row, (0, len(row) % 2)) for row in rows])
    usage = [codebook_statistics(np.bincount(padded[i::2], minlength=pieces.size)) for i in range(2)]
    for i in range(2):
        assert report.pop(f"usage_{i}") == usage[i]["usage"]
        assert report.pop(f"perplexity_{i}") == pytest.approx(usage[i]["perplexity"], rel=1e-6)
    assert report == {
        "exact_match": 1.0,
        "piece_accuracy": 1.0,
        "character_error_rate": 0.0,
        "bits_per_character": pytest.approx(2 * chunks * np.log2(pieces.size) / characters),
        "bits_per_character_pieces": pytest.approx(sum(lengths) * np.log2(pieces.size) / characters),
        "bits_per_character_zlib": 8 * len(zlib.compress(data, 9)) / characters,
        "bits_per_character_lzma": 8 * len(lzma.compress(data, lzma.FORMAT_RAW, filters=filters)) / characters,
        "usage": pytest.approx(np.mean([of["usage"] for of in usage]), rel=1e-6),
        "perplexity": pytest.approx(np.mean([of["perplexity"] for of in usage]), rel=1e-6),
        "dead_codes": sum(of["dead_codes"] for of in usage),
        "sentences": 5,
        "characters": characters,
    }


def test_what_is_lost_is_told(pieces):
    tokenizer = Pairs(pieces, loss=1)
    report = evaluate_text(tokenizer, SENTENCES)
    rows = pieces.encode(SENTENCES)
    decoded = pieces.decode([np.where(row >= 260, row - 1, row) for row in rows])
    every = np.concatenate(rows)
    assert report["piece_accuracy"] == pytest.approx(np.mean(every < 260)) and 0 < report["piece_accuracy"] < 1
    assert report["exact_match"] == np.mean([a == b for a, b in zip(SENTENCES, decoded, strict=True)]) < 1
    distances = [edit_distance(a, b) for a, b in zip(SENTENCES, decoded, strict=True)]
    assert report["character_error_rate"] == sum(distances) / sum(map(len, SENTENCES)) > 0


def test_neither_the_order_nor_the_batch_changes_a_number(pieces):
    def report(sentences, batch_size):
        numbers = evaluate_text(Pairs(pieces, loss=1), sentences, batch_size=batch_size)
        return {name: value for name, value in numbers.items() if "second" not in name and "lib" not in name}

    expected = report(SENTENCES, 64)
    expected.pop("bits_per_character_lzma")
    for other in (report(SENTENCES[::-1], 1), report(iter(SENTENCES), 2)):
        other.pop("bits_per_character_lzma")
        assert other == pytest.approx(expected)


def test_sentences_of_about_one_length_go_together_and_compilation_is_not_counted(pieces):
    tokenizer = Pairs(pieces)
    evaluate_text(tokenizer, SENTENCES, batch_size=2)
    assert tokenizer.batches == [2, 1, 2, 2, 2, 1]  # the first, the last and the first again, and then all


def test_tokens_are_decoded_to_the_own_last_chunk(pieces):
    class Endless(Pairs):
        def decode_ids(self, tokens):
            return np.full((len(tokens), 2 * tokens.shape[1]), pieces.names.index("a"))

    seen = []
    evaluate_text(Endless(pieces), SENTENCES, metrics={"seen": lambda texts, decoded: seen.extend(decoded) or 0.0})
    assert seen == ["a" * (-(-len(row) // 2) * 2) for row in pieces.encode(SENTENCES)]


def test_metrics_are_given_all_sentences_in_their_order(pieces):
    def same(texts, decoded):
        assert texts == decoded == SENTENCES
        return np.float32(len(texts))

    report = evaluate_text(Pairs(pieces), iter(SENTENCES), batch_size=2, metrics={"count": same})
    assert report["count"] == 5.0 and type(report["count"]) is float


def test_the_report_is_plain_json(pieces):
    report = evaluate_text(Pairs(pieces), SENTENCES)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    counts = ("dead_codes", "sentences", "characters")
    assert {type(value) for name, value in report.items() if name not in counts} == {float}


def test_one_codebook_has_no_numbers_of_each_and_empty_sentences_no_rates(pieces):
    class Single(Pairs):
        stride = 1

        def __init__(self, pieces):
            super().__init__(pieces)
            self.codebook_sizes = (pieces.size,)

        def encode(self, texts):
            return self.pieces.pad(self.pieces.encode(texts))[..., None]

    report = evaluate_text(Single(pieces), ["", ""])
    assert not [name for name in report if "character_" in name or "per_character" in name or name[-1] in "01"]
    assert (report["exact_match"], report["piece_accuracy"], report["perplexity"]) == (1, 1, 1)


def test_what_it_refuses(pieces):
    with pytest.raises(ValueError, match="There is nothing to evaluate: `sentences` held no sentence"):
        evaluate_text(Pairs(pieces), [])
    with pytest.raises(ValueError, match="`batch_size` must be at least 1. Received: batch_size=0"):
        evaluate_text(Pairs(pieces), SENTENCES, batch_size=0)
    with pytest.raises(ValueError, match=r"does not use itself. Received: \['characters', 'usage_1'\]"):
        evaluate_text(Pairs(pieces), SENTENCES, metrics={"usage_1": None, "characters": None})
    with pytest.raises(ValueError, match="A metric must return one number. Received: from odd, "):
        evaluate_text(Pairs(pieces), SENTENCES, metrics={"odd": lambda texts, decoded: np.zeros(5)})
    with pytest.raises(ValueError, match="A metric must return one number. Received: from odd, None"):
        evaluate_text(Pairs(pieces), SENTENCES, metrics={"odd": lambda texts, decoded: None})
