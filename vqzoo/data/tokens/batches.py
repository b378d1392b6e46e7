"""Batches of tokens in memory with their conditions."""

import functools

import numpy as np
import tensorflow as tf

from vqzoo.data.stream import Order
from vqzoo.data.stream import StepBatches
from vqzoo.data.stream import step_dataset

_PADDING = 0  # as in `vqzoo.priors.TokenSpace`


class TokenBatches(StepBatches):
    """Batches of tokens for a prior. Batch `step` is a pure function of (tokens, seed, step).

    An epoch has each row once. Several workers (machines that train one model) share a batch. Worker w of `workers`
    loads the rows from w * batch_size / workers on, and together they load the batch of a single worker.

    Rows of several lengths waste computation on padding. With `lengths`, the rows of a batch have similar lengths, and
    it is cut to the shortest of these lengths that holds all of its tokens, prefixes and contexts. A few lengths are
    best, because the training step is compiled for each.

    Args:
        tokens: int array (rows, *grid, num_codebooks).
        batch_size: int, rows per batch.
        prefix: int array (rows, length), ids from `TokenSpace.prefix`. Default None, no prefix.
        context: int array (rows, length), ids for the cross-attention of the prior. Default None, no context.
        seed: int from 0 to 2**63 - 1. Default 0.
        lengths: sequence of int, to which batches of tokens with a single grid axis are cut. The whole length is one of
            them anyway. Default None, none.

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

    def __init__(self, tokens, batch_size, prefix=None, context=None, *, seed=0, lengths=None):
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
        self.lengths, self._needed = None, None
        if lengths is not None:
            self._needed = self._lengths_needed()
            longest = max(x.shape[1] for x in (self.tokens, *self._conditions().values()))
            self.lengths = np.array(sorted({*(n for n in lengths if 1 <= n < longest), longest}), "int32")
        self._order = Order(len(self.tokens), batch_size, seed, sizes=self._needed)

    def __len__(self):
        return len(self.tokens)

    @property
    def padding(self):
        """float, the share of padding among the tokens of the first epoch."""
        real = (self.tokens >= 0).all(axis=tuple(range(2, self.tokens.ndim)))
        if self.lengths is None:
            return float(1 - real.mean())
        rows = self._order.batch_size
        steps = max(1, len(self) // rows)
        numbers = [super(TokenBatches, self).batch(step) for step in range(steps)]
        places = sum(rows * min(self._cut(some), self.tokens.shape[1]) for some in numbers)
        return float(1 - sum(real[some].sum() for some in numbers) / places)

    def batch(self, step, worker=0, workers=1):
        """As `StepBatches`: tokens (rows, *grid, num_codebooks), or a pair of them and a dict of ids."""
        numbers = super().batch(step, worker, workers)
        cut = self._cut(super().batch(step)) if self.lengths is not None else None
        return self._taken(numbers, self.tokens, self._conditions(), np.take, cut)

    def dataset(self, start=0, steps=None, worker=0, workers=1):
        """As `StepBatches`, with the results of `batch`."""
        spec = tf.TensorSpec((self._order.rows(worker, workers),), self._dtype)
        numbers = functools.partial(super().batch, worker=worker, workers=workers)
        # Created once, outside of the graph of the dataset, which would hold a copy.
        tokens = tf.constant(self.tokens)
        conditions = {name: tf.constant(ids) for name, ids in self._conditions().items()}
        if self.lengths is None:
            return step_dataset(numbers, spec, start, steps).map(
                lambda n: self._taken(n, tokens, conditions, tf.gather)
            )
        whole = super().batch  # of all workers, which cut to one length
        cuts = step_dataset(lambda step: self._cut(whole(step)), tf.TensorSpec((), tf.int32), start, steps)
        both = tf.data.Dataset.zip(step_dataset(numbers, spec, start, steps), cuts)
        return both.map(lambda n, cut: self._taken(n, tokens, conditions, tf.gather, cut))

    def _example(self, number, order, position):
        return np.int64(order[position])

    def _conditions(self):
        given = {"prefix": self.prefix, "context": self.context}
        return {name: ids for name, ids in given.items() if ids is not None}

    def _lengths_needed(self):
        """The shortest length of each row that holds its tokens and its conditions."""
        if self.tokens.ndim != 3:
            raise ValueError(f"`lengths` need tokens of one axis. Received: tokens of the shape {self.tokens.shape}")
        real = [(self.tokens >= 0).any(axis=2), *(ids != _PADDING for ids in self._conditions().values())]
        return np.max([(x * np.arange(1, x.shape[1] + 1)).max(axis=1, initial=1) for x in real], axis=0)

    def _cut(self, numbers):
        """The length to which a batch of rows is cut, an int32."""
        return self.lengths[np.searchsorted(self.lengths, self._needed[numbers].max())]

    @staticmethod
    def _taken(numbers, tokens, conditions, take, cut=None):
        rows = take(tokens, numbers, axis=0)[:, :cut]
        taken = {name: take(ids, numbers, axis=0)[:, :cut] for name, ids in conditions.items()}
        return (rows, taken) if taken else rows
