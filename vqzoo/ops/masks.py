"""Padding masks: which positions of the grid are real."""

import keras


def mask_until(ids, end):
    """Marks the ids of each row up to and including the first `end`, or all ids if there is none.

    Args:
        ids: integer tensor (batch, length).
        end: int, the id that ends a row.

    Returns:
        bool tensor (batch, length).

    Example:
    >>> import numpy as np
    >>> np.asarray(mask_until(np.array([[5, 2, 5, 2], [5, 6, 7, 8]]), end=2))
    array([[ True,  True, False, False],
           [ True,  True,  True,  True]])
    """
    ends = keras.ops.cast(keras.ops.equal(ids, end), "int32")
    before = keras.ops.cumsum(ends, axis=1) - ends
    return keras.ops.equal(before, 0)


def masked_mean(values, mask=None):
    """Averages `values` over the real positions.

    Args:
        values: float tensor (batch, *grid) or (batch, *grid, channels).
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        Scalar float32; 0 if no position is real, or the batch is empty.

    Example:
    >>> float(masked_mean(keras.ops.convert_to_tensor([[1.0, 5.0]]), keras.ops.convert_to_tensor([[True, False]])))
    1.0
    """
    values = keras.ops.cast(values, "float32")
    if mask is None:
        # An empty batch has the mean 0 instead of 0 / 0. A replica may get one at the end of an epoch.
        count = keras.ops.cast(keras.ops.size(values), "float32")
        return keras.ops.sum(values) / keras.ops.maximum(count, 1.0)
    mask = keras.ops.cast(mask, "bool")
    if len(values.shape) > len(mask.shape):
        values = keras.ops.mean(values, axis=-1)
    # `where` instead of a product, which would propagate NaN from a padded position.
    total = keras.ops.sum(keras.ops.where(mask, values, 0.0))
    return total / keras.ops.maximum(keras.ops.sum(keras.ops.cast(mask, "float32")), 1.0)


def masked_tokens(tokens, mask=None):
    """Sets the tokens of padded positions to 0.

    Args:
        tokens: int32 tensor (batch, *grid, num_codebooks).
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        int32 tensor of the same shape.

    Example:
    >>> import numpy as np
    >>> np.asarray(masked_tokens(np.array([[[3], [4]]], "int32"), np.array([[True, False]])))[0, :, 0]
    array([3, 0], dtype=int32)
    """
    if mask is None:
        return tokens
    return keras.ops.where(keras.ops.expand_dims(keras.ops.cast(mask, "bool"), -1), tokens, 0)


def masked_gradient(values, mask=None):
    """Returns `values`, and blocks the gradient of padded positions.

    It is meant for values computed from weights at every position, such as rows of a learned table, which padding would
    otherwise train.

    Args:
        values: float tensor (batch, *grid, channels).
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        Tensor equal to `values`.

    Example:
    >>> float(masked_gradient(keras.ops.ones((1, 1, 1)), keras.ops.zeros((1, 1), "bool"))[0, 0, 0])
    1.0
    """
    if mask is None:
        return values
    real = keras.ops.expand_dims(keras.ops.cast(mask, "bool"), -1)
    return keras.ops.where(real, values, keras.ops.stop_gradient(values))
