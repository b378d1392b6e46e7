"""Rows of a matrix, spread evenly and without a random state."""

import keras
import numpy as np

GOLDEN = (5**0.5 - 1) / 2


def spread_rows(matrix, count, step, real=None):
    """Picks `count` rows of `matrix`, spread evenly over it; another choice for each `step`.

    Row i is at the fraction `(i * g + step * g') mod 1` of the matrix, with g the golden ratio: an additive
    recurrence, the most even sequence of one dimension. It needs no random state, is the same on every backend and
    in every replica, and repeats a row only where `count` comes near the number of rows.

    Args:
        matrix: tensor, shape (n, d).
        count: int, rows wanted; more than n repeats rows.
        step: int tensor or int, counts the calls.
        real: bool tensor (n,), the rows to pick from. Defaults to all; so it does where none is True.

    Returns:
        Tensor of shape (count, d).

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
    if real is not None:
        # The rows to pick from come first, in their order.
        real = keras.ops.cast(real, "int32")
        matrix = keras.ops.take(matrix, keras.ops.argsort(1 - real), axis=0)
        picked = keras.ops.sum(real)
        n = keras.ops.where(picked > 0, picked, n)
    rows = keras.ops.cast(keras.ops.floor(positions * keras.ops.cast(n, "float32")), "int32")
    return keras.ops.take(matrix, keras.ops.minimum(rows, n - 1), axis=0)
