"""Vectors of length 1."""

import keras

# A shorter vector has no direction in float32, and its gradient would be its inverse length.
SHORTEST = 1e-6


def l2_normalize(vectors):
    r"""Scales each vector to length 1.

    $$\hat v = v / \max(\lVert v \rVert, 10^{-6})$$

    `keras.ops.normalize` has a gradient of NaN at a vector of zeros; here it is finite.

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
    return vectors / keras.ops.sqrt(keras.ops.maximum(squares, SHORTEST**2))
