"""Rows of a matrix, spread evenly and without a random state."""

import keras
import numpy as np

GOLDEN = (5**0.5 - 1) / 2


def spread_rows(matrix, count, step, real=None):
    """Selects `count` rows of `matrix`, spread evenly over it, with a different selection for each `step`.

    Row i is at the fraction `(i * g + step * g') mod 1` of the matrix, with g the golden ratio: an additive
    recurrence, the most even sequence of one dimension. It needs no random state, is the same on every backend and
    in every replica, and repeats a row only where `count` comes near the number of rows.

    Args:
        matrix: tensor, shape (n, d).
        count: int, number of rows; more than n repeats rows.
        step: int tensor or int, the number of the call.
        real: bool tensor (n,), the rows to select from. Defaults to all, also if none is True.

    Returns:
        Tensor of shape (count, d); zeros where n is 0.

    Example:
    >>> import numpy as np
    >>> np.asarray(spread_rows(np.arange(8.0)[:, None], 4, 0))[:, 0]
    array([0., 4., 1., 6.])
    """
    fractions = np.modf(np.arange(count) * GOLDEN)[0].astype("float32")
    # 0.7548776 is the golden ratio's companion in two dimensions: the shifts of successive steps do not line up
    # with the rows. Steps repeat after 4096 to keep float32 exact.
    shift = keras.ops.cast(step % 4096, "float32") * 0.7548776
    positions = fractions + (shift - keras.ops.floor(shift))
    positions = positions - keras.ops.floor(positions)
    n = keras.ops.shape(matrix)[0]
    if real is None:
        return _take(matrix, _at(positions, n))
    real = keras.ops.cast(real, "bool")
    ones = keras.ops.cast(real, "int32")
    # Entry i is the index of the i-th real row. A sort would take four times as long, and ten times with XLA. The other
    # rows add 0 to the last entry.
    places = keras.ops.where(real, keras.ops.cumsum(ones) - 1, n - 1)
    numbers = keras.ops.segment_sum(ones * keras.ops.arange(n, dtype="int32"), places, n)
    found = keras.ops.sum(ones)
    rows = keras.ops.where(found > 0, _take(numbers, _at(positions, found)), _at(positions, n))
    return _take(matrix, rows)


def _at(positions, n):
    """The row of n that lies at each fraction in [0, 1); 0 where n is 0."""
    rows = keras.ops.cast(keras.ops.floor(positions * keras.ops.cast(n, "float32")), "int32")
    return keras.ops.maximum(keras.ops.minimum(rows, n - 1), 0)


def _take(matrix, rows):
    """The `rows` of a matrix or vector, or zeros if it is empty, which `take` refuses."""
    count, n = rows.shape[0], keras.ops.shape(matrix)[0]
    if isinstance(n, int):
        return keras.ops.take(matrix, rows, axis=0) if n else keras.ops.zeros((count, *matrix.shape[1:]), matrix.dtype)
    taken = keras.ops.take(matrix, rows[: keras.ops.where(n > 0, count, 0)], axis=0)
    zeros = keras.ops.zeros((count, *matrix.shape[1:]), matrix.dtype)
    return keras.ops.reshape(keras.ops.concatenate([taken, zeros])[:count], zeros.shape)
