"""Normalization of vectors to length 1."""

import keras

# A shorter vector has no direction in float32, and its gradient, which scales with 1 / length, would dominate.
SHORTEST = 1e-6


def l2_normalize(vectors):
    r"""Scales each vector to length 1.

    $$\hat v = v / \lVert v \rVert \text{ where } \lVert v \rVert > 10^{-6}, \qquad \hat v = v \text{ elsewhere}$$

    The gradient of `keras.ops.normalize` at a zero vector is NaN. Here it is that of the identity.

    Args:
        vectors: float tensor (..., width).

    Returns:
        Tensor of the same shape. Zeros stay zeros.

    Example:
    >>> import numpy as np
    >>> np.asarray(l2_normalize(np.array([[3.0, 4.0]]))).round(6).tolist()
    [[0.6, 0.8]]
    """
    squares = keras.ops.sum(keras.ops.square(vectors), axis=-1, keepdims=True)
    return vectors / keras.ops.sqrt(keras.ops.where(squares > SHORTEST**2, squares, 1.0))
