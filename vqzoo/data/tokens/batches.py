"""Batches of tokens in memory with their conditions."""

import functools

import numpy as np
import tensorflow as tf

from vqzoo.data.stream import Order
from vqzoo.data.stream import StepBatches
from vqzoo.data.stream import step_dataset


class TokenBatches(StepBatches):
    """Batches of tokens for a prior. Batch `step` is a pure function of (tokens, seed, step).

    An epoch has each row once. Several workers (machines that train one model) share a batch. Worker w of `workers`
    loads the rows from w * batch_size / workers on, and together they load the batch of a single worker.

    Args:
        tokens: int array (rows, *grid, num_codebooks).
        batch_size: int, rows per batch.
        prefix: int array (rows, length), ids from `TokenSpace.prefix`. Default None, no prefix.
        seed: int from 0 to 2**63 - 1. Default 0.

    Raises:
        ValueError: There is no row, the numbers of prefixes and tokens differ, or a number is out of range.

    Example:
    >>> batches = TokenBatches(np.arange(8).reshape(4, 2, 1), batch_size=2, prefix=[[5], [6], [7], [8]])
    >>> tokens, condition = batches.batch(0)
    >>> tokens.shape, condition["prefix"].shape
    ((2, 2, 1), (2, 1))
    >>> for again, _ in batches.dataset(start=0, steps=1):
    ...     bool((again.numpy() == tokens).all())
    True
    """

    _dtype = tf.int64
    _shape = ()  # of the number of a row, which represents the row

    def __init__(self, tokens, batch_size, prefix=None, *, seed=0):
        self.tokens = np.asarray(tokens, "int32")
        self.prefix = None if prefix is None else np.asarray(prefix, "int32")
        self.batch_size = batch_size
        self.seed = seed
        if not len(self.tokens) or (prefix is not None and len(self.prefix) != len(self.tokens)):
            count = "no" if prefix is None else len(self.prefix)
            raise ValueError(
                f"Give a prefix for each row of tokens, or for none, and at least one row. Received: "
                f"{len(self.tokens)} rows of tokens, {count} prefixes."
            )
        self._order = Order(len(self.tokens), batch_size, seed)

    def __len__(self):
        return len(self.tokens)

    def batch(self, step, worker=0, workers=1):
        """As `StepBatches`: tokens (rows, *grid, num_codebooks), or a pair of them and `{"prefix": ids}`."""
        return self._taken(super().batch(step, worker, workers), self.tokens, self.prefix, np.take)

    def dataset(self, start=0, steps=None, worker=0, workers=1):
        """As `StepBatches`, with the results of `batch`."""
        spec = tf.TensorSpec((self._order.rows(worker, workers),), self._dtype)
        numbers = functools.partial(super().batch, worker=worker, workers=workers)
        # Created once, outside of the graph of the dataset, which would hold a copy.
        tokens, prefix = (None if rows is None else tf.constant(rows) for rows in (self.tokens, self.prefix))
        return step_dataset(numbers, spec, start, steps).map(lambda n: self._taken(n, tokens, prefix, tf.gather))

    def _example(self, number, order, position):
        return np.int64(order[position])

    @staticmethod
    def _taken(numbers, tokens, prefix, take):
        rows = take(tokens, numbers, axis=0)
        return rows if prefix is None else (rows, {"prefix": take(prefix, numbers, axis=0)})
