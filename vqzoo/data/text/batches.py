"""Batches of sentences, for training."""

import numpy as np
import tensorflow as tf

from vqzoo.data.stream import Order
from vqzoo.data.stream import StepBatches
from vqzoo.data.stream import is_count
from vqzoo.data.text.pieces import checked_texts

_AT_ONCE = 10_000  # sentences, because ids as Python ints take twenty times the memory


class SentenceBatches(StepBatches):
    """Ids of sentences. Batch `step` is a pure function of (sentences, seed, step).

    An epoch has each sentence once. A sentence of fewer than `length` pieces is padded with end-of-sequence tokens.
    From a longer one a random window is taken, a different one in each epoch, which has an end-of-sequence token only
    at the end of the sentence.

    Example number g of the endless stream is sentence g % n of the permutation of epoch g // n, with its own random
    numbers. Batches are therefore the same in any order, from any thread, and after a resume. Several workers (machines
    that train one model) share a batch. Worker w of `workers` loads the rows from w * batch_size / workers on, and
    together they load the batch of a single worker.

    Args:
        sentences: list of str, as from `read_sentences`. They are encoded once, and take 4 bytes per piece.
        pieces: `Pieces`.
        batch_size: int, sentences per batch.
        length: int, pieces per row, including the end-of-sequence token.
        multiple: int, `length` is rounded up to a multiple of it, such as the `stride` of a tokenizer. Default 1.
        seed: int from 0 to 2**63 - 1. Default 0.

    Raises:
        ValueError: An argument is out of range, or there is no sentence.

    Example:
    >>> from vqzoo.data import Pieces
    >>> sentences = ["the cat sat on the mat", "a cat, a mat and the dog"]
    >>> pieces = Pieces.train(sentences, size=275)
    >>> batches = SentenceBatches(sentences, pieces, batch_size=4, length=30, multiple=8)
    >>> batches.batch(0).shape, sorted(set(pieces.decode(batches.batch(0)))) == sorted(sentences)
    ((4, 32), True)
    >>> for batch in batches.dataset(start=100, steps=1):
    ...     bool((batch.numpy() == batches.batch(100)).all())
    True
    """

    _dtype = tf.int32

    def __init__(self, sentences, pieces, batch_size, length, *, multiple=1, seed=0):
        sentences = checked_texts(sentences)
        if not sentences:
            raise ValueError("sentences is empty: give at least one, such as read_sentences(find_text(folder)) lists.")
        for name, value in (("length", length), ("multiple", multiple)):
            if not is_count(value):
                raise ValueError(f"{name} must be an int, at least 1. Received: {name}={value}")
        self.pieces = pieces
        self.batch_size = batch_size
        self.length = -(-length // multiple) * multiple
        self.multiple = multiple
        self.seed = seed
        self._order = Order(len(sentences), batch_size, seed)
        rows = [row for i in range(0, len(sentences), _AT_ONCE) for row in pieces.encode(sentences[i : i + _AT_ONCE])]
        self._ends = np.cumsum([len(row) for row in rows])
        self._ids = np.concatenate(rows)

    @property
    def sentences(self):
        """The number of sentences per epoch."""
        return self._order.count

    @property
    def cut(self):
        """The fraction of sentences that are longer than `length` pieces."""
        return float((np.diff(self._ends, prepend=0) > self.length).mean())

    @property
    def _shape(self):
        return (self.length,)

    def _example(self, number, order, position):
        """The ids of one sentence, or of a window that depends on the number of the example."""
        sentence = int(order[position])
        end = int(self._ends[sentence])
        start = int(self._ends[sentence - 1]) if sentence else 0
        if end - start > self.length:
            start += int(self._order.random(number, stream=1).integers(end - start - self.length + 1))
        return self.pieces.pad([self._ids[start : min(end, start + self.length)]], length=self.length)[0]
