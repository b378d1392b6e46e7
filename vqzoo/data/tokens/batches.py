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
    its tokens are cut to the shortest of these lengths that holds them. Prefixes and contexts are cut in the same way,
    to every second of the lengths. A few lengths are best, because the training step is compiled for each.

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
        self._cuts = None
        if lengths is not None:
            self._cuts = {name: _Cuts(ids, lengths) for name, ids in self._conditions().items()}
            self._cuts["tokens"] = _Cuts(self.tokens, lengths, tokens=True)
        self._order = Order(len(self.tokens), batch_size, seed, sizes=self._sizes())

    def __len__(self):
        return len(self.tokens)

    @property
    def padding(self):
        """float, the share of padding among the tokens and conditions of the first epoch."""
        arrays = {"tokens": (self.tokens >= 0).all(axis=tuple(range(2, self.tokens.ndim)))}
        arrays |= {name: ids != _PADDING for name, ids in self._conditions().items()}
        real = sum(array.sum(axis=1) for array in arrays.values())
        if self._cuts is None:
            return float(1 - real.mean() / sum(array.shape[1] for array in arrays.values()))
        steps = max(1, len(self) // self.batch_size)
        numbers = [super(TokenBatches, self).batch(step) for step in range(steps)]
        places = sum(len(some) * sum(cut.of(some) for cut in self._cuts.values()) for some in numbers)
        return float(1 - sum(real[some].sum() for some in numbers) / places)

    def batch(self, step, worker=0, workers=1):
        """As `StepBatches`: tokens (rows, *grid, num_codebooks), or a pair of them and a dict of ids."""
        numbers = super().batch(step, worker, workers)
        return self._taken(numbers, self._arrays(), self._lengths_of(super().batch(step)), np.take)

    def dataset(self, start=0, steps=None, worker=0, workers=1):
        """As `StepBatches`, with the results of `batch`."""
        spec = tf.TensorSpec((self._order.rows(worker, workers),), self._dtype)
        numbers = step_dataset(functools.partial(super().batch, worker=worker, workers=workers), spec, start, steps)
        # Created once, outside of the graph of the dataset, which would hold a copy.
        arrays = {name: tf.constant(array) for name, array in self._arrays().items()}
        if self._cuts is None:
            return numbers.map(lambda n: self._taken(n, arrays, None, tf.gather))
        whole = super().batch  # of all workers, which cut to the same lengths
        spec = tf.TensorSpec((len(arrays),), tf.int32)
        lengths = step_dataset(lambda step: self._lengths_of(whole(step)), spec, start, steps)
        return tf.data.Dataset.zip(numbers, lengths).map(lambda n, cut: self._taken(n, arrays, cut, tf.gather))

    def _example(self, number, order, position):
        return np.int64(order[position])

    def _conditions(self):
        given = {"prefix": self.prefix, "context": self.context}
        return {name: ids for name, ids in given.items() if ids is not None}

    def _arrays(self):
        return {"tokens": self.tokens, **self._conditions()}

    def _sizes(self):
        """What the rows are sorted by: the length that their tokens are cut to, then how long their conditions are."""
        if self._cuts is None:
            return None
        conditions = [cut.needed for name, cut in self._cuts.items() if name != "tokens"]
        longest = np.max(conditions, axis=0) if conditions else self._cuts["tokens"].needed
        tokens = self._cuts["tokens"]
        return np.searchsorted(tokens.lengths, tokens.needed) * (int(longest.max()) + 1) + longest

    def _lengths_of(self, numbers):
        """The lengths that the arrays of a batch are cut to, int32; None for none."""
        return (
            None if self._cuts is None else np.array([self._cuts[name].of(numbers) for name in self._arrays()], "int32")
        )

    @staticmethod
    def _taken(numbers, arrays, lengths, take):
        taken = {name: take(array, numbers, axis=0) for name, array in arrays.items()}
        if lengths is not None:
            taken = {name: rows[:, : lengths[i]] for i, (name, rows) in enumerate(taken.items())}
        tokens = taken.pop("tokens")
        return (tokens, taken) if taken else tokens


class _Cuts:
    """The lengths that rows of an array are cut to.

    Args:
        rows: int array (rows, length), ids; or (rows, length, num_codebooks), tokens.
        lengths: sequence of int; of ids every second of them is taken.
        tokens: bool. Defaults to False.
    """

    def __init__(self, rows, lengths, tokens=False):
        if tokens and rows.ndim != 3:
            raise ValueError(f"`lengths` need tokens of one axis. Received: tokens of the shape {rows.shape}")
        real = (rows >= 0).any(axis=2) if tokens else rows != _PADDING
        self.needed = (real * np.arange(1, rows.shape[1] + 1)).max(axis=1, initial=1)
        smaller = sorted(n for n in lengths if 1 <= n < rows.shape[1])
        self.lengths = np.array([*(smaller if tokens else smaller[::-2][::-1]), rows.shape[1]], "int32")

    def of(self, numbers):
        """The length that a batch of rows is cut to."""
        return int(self.lengths[np.searchsorted(self.lengths, self.needed[numbers].max())])
