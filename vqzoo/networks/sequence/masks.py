"""Padding masks of networks over sequences."""

import keras


def real_alone(x, mask):
    """Sets padded positions to zero, as beyond the ends of a signal, so that neighbours see the same in both cases.

    Args:
        x: float tensor (batch, positions, channels).
        mask: bool tensor (batch, positions), or None for no padding.

    Returns:
        Tensor like `x`.

    Example:
    >>> float(real_alone(keras.ops.ones((1, 2, 1)), keras.ops.convert_to_tensor([[True, False]]))[0, 1, 0])
    0.0
    """
    if mask is None:
        return x
    # `where` instead of a product, which would propagate NaN from a padded position.
    return keras.ops.where(keras.ops.expand_dims(mask, -1), x, keras.ops.zeros_like(x))
