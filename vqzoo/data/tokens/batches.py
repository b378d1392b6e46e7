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
        context: int array (rows, length), ids for the cross-attention of the prior. Default None, no context.
        seed: int from 0 to 2**63 - 1. Default 0.

    Raises:
        ValueError: There is no row, the numbers of conditions and tokens differ, or a number is out of range.

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

    def __init__(self, tokens, batch_size, prefix=None, context=None, *, seed=0):
        self.tokens = np.asarray(tokens, "int32")
        self.prefix, self.context = (None if ids is None else np.asarray(ids, "int32") for ids in (prefix, context))
        self.batch_size = batch_size
        self.seed = seed
        for name, ids in (("prefix", self.prefix), ("context", self.context)):
            if ids is not None and len(ids) != len(self.tokens):
                raise ValueError(
                    f"Give a {name} for each row of tokens, or for none. Received: {len(self.tokens)} rows of tokens, "
                    f"{len(ids)} of {name}."
                )
        if not len(self.tokens):
            raise ValueError("There is one row of tokens or more. Received: no rows of tokens.")
        self._order = Order(len(self.tokens), batch_size, seed)

    def __len__(self):
        return len(self.tokens)

    def batch(self, step, worker=0, workers=1):
        """As `StepBatches`: tokens (rows, *grid, num_codebooks), or a pair of them and a dict of ids."""
        return self._taken(super().batch(step, worker, workers), self.tokens, self._conditions(), np.take)

    def dataset(self, start=0, steps=None, worker=0, workers=1):
        """As `StepBatches`, with the results of `batch`."""
        spec = tf.TensorSpec((self._order.rows(worker, workers),), self._dtype)
        numbers = functools.partial(super().batch, worker=worker, workers=workers)
        # Created once, outside of the graph of the dataset, which would hold a copy.
        tokens = tf.constant(self.tokens)
        conditions = {name: tf.constant(ids) for name, ids in self._conditions().items()}
        return step_dataset(numbers, spec, start, steps).map(lambda n: self._taken(n, tokens, conditions, tf.gather))

    def _example(self, number, order, position):
        return np.int64(order[position])

    def _conditions(self):
        given = {"prefix": self.prefix, "context": self.context}
        return {name: ids for name, ids in given.items() if ids is not None}

    @staticmethod
    def _taken(numbers, tokens, conditions, take):
        rows = take(tokens, numbers, axis=0)
        return (rows, {name: take(ids, numbers, axis=0) for name, ids in conditions.items()}) if conditions else rows
