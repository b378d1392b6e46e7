"""Batches of sentences: what a row holds, and that a batch depends on nothing but its step."""

import concurrent.futures

import numpy as np
import pytest
import tensorflow as tf

from vqzoo.data import Pieces
from vqzoo.data import SentenceBatches

SENTENCES = [" ".join(["one", "two", "three", "four", "five", "six"][: 1 + number % 6]) for number in range(6)]
LONG = "".join(chr(0x61 + number) for number in range(26))


@pytest.fixture(scope="module")
def pieces():
    return Pieces.train([*SENTENCES, " ".join(LONG)], size=300, exact=False)


def test_rows_are_sentences_and_end_pieces(pieces):
    batch = SentenceBatches(SENTENCES, pieces, 6, 40).batch(0)
    assert batch.shape == (6, 40) and batch.dtype == np.int32
    assert sorted(pieces.decode(batch)) == sorted(SENTENCES)
    for row in batch:
        (expected,) = pieces.encode(pieces.decode([row]))
        np.testing.assert_array_equal(row, np.pad(expected, (0, 40 - len(expected))))


def test_each_epoch_has_each_sentence_once_in_another_order(pieces):
    batches = SentenceBatches(SENTENCES, pieces, 4, 40)
    assert batches.sentences == 6
    texts = [text for step in range(3) for text in pieces.decode(batches.batch(step))]
    assert sorted(texts[:6]) == sorted(texts[6:]) == sorted(SENTENCES)
    assert texts[:6] != texts[6:]


def test_of_long_sentences_windows_are_taken_from_everywhere(pieces):
    batches = SentenceBatches([LONG], pieces, 2000, 7)
    (ids,) = pieces.encode([LONG])
    assert batches.cut == 1.0
    starts = []
    windows = {tuple(ids[start : start + 7]): start for start in range(len(ids) - 6)}
    for row in batches.batch(0):
        starts.append(windows[tuple(row)])
    assert set(starts) == set(range(len(ids) - 6))  # the last one has the end piece
    np.testing.assert_allclose(np.bincount(starts), 2000 / len(windows), rtol=0.6)


def test_a_sentence_that_just_fits_is_whole(pieces):
    (ids,) = pieces.encode([LONG])
    batches = SentenceBatches([LONG], pieces, 3, len(ids))
    np.testing.assert_array_equal(batches.batch(5), [ids] * 3)
    assert batches.cut == 0.0
    assert SentenceBatches(["a", LONG], pieces, 3, len(ids) - 1).cut == 0.5


def test_the_length_is_rounded_up_to_a_multiple(pieces):
    assert SentenceBatches(SENTENCES, pieces, 2, 33, multiple=8).batch(0).shape == (2, 40)
    assert SentenceBatches(SENTENCES, pieces, 2, 40, multiple=8).length == 40


def test_batches_are_equal_in_any_order_from_any_thread(pieces):
    def make(seed=0):
        return SentenceBatches([*SENTENCES, LONG], pieces, 5, 9, seed=seed)

    expected = [make().batch(step) for step in range(12)]
    batches = make()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        received = dict(zip(reversed(range(12)), pool.map(batches.batch, reversed(range(12))), strict=True))
    for step in range(12):
        np.testing.assert_array_equal(received[step], expected[step])
    assert not np.array_equal(expected[0], expected[7])
    assert not np.array_equal(make(seed=1).batch(0), expected[0])


def test_the_dataset_is_the_batches(pieces):
    batches = SentenceBatches([*SENTENCES, LONG], pieces, 4, 9)
    dataset = batches.dataset(start=5, steps=3)
    assert dataset.element_spec == tf.TensorSpec((4, 9), tf.int32)
    for step, batch in enumerate(dataset, start=5):
        np.testing.assert_array_equal(batch, batches.batch(step))
    assert len(dataset) == 3


def test_workers_share_a_batch(pieces):
    batches = SentenceBatches([*SENTENCES, LONG], pieces, 6, 9)
    parts = [batches.batch(3, worker, 3) for worker in range(3)]
    np.testing.assert_array_equal(np.concatenate(parts), batches.batch(3))
    (batch,) = batches.dataset(3, 1, worker=1, workers=3)
    np.testing.assert_array_equal(batch, parts[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sentences": []}, "sentences is empty: give at least one"),
        ({"sentences": "a cat"}, r"Give a list of str. Received: one str, 'a cat'. Pass `.x.`"),
        ({"length": 0}, "length must be an int, at least 1. Received: length=0"),
        ({"multiple": 0.5}, "multiple must be an int, at least 1. Received: multiple=0.5"),
        ({"batch_size": 0}, "batch_size must be an int, at least 1"),
        ({"seed": -1}, "seed must be an int from 0"),
    ],
)
def test_arguments_are_checked(pieces, arguments, message):
    with pytest.raises(ValueError, match=message):
        SentenceBatches(**{"sentences": SENTENCES, "pieces": pieces, "batch_size": 2, "length": 8, **arguments})
