"""Tracing for LiteRT, which does not support some operations of TensorFlow or runs them slowly."""

import contextlib
import contextvars

import keras

_for_litert = contextvars.ContextVar("for_litert", default=False)


@contextlib.contextmanager
def for_litert():
    """Traces the functions of this package in forms that LiteRT supports and runs fast.

    The results are the same up to rounding. It requires the TensorFlow backend, as does LiteRT.

    Example:
    >>> import keras
    >>> from vqzoo.ops import nearest_codes
    >>> with for_litert():
    ...     tokens = nearest_codes(keras.ops.zeros((2, 1)), keras.ops.ones((3, 1)))
    """
    token = _for_litert.set(True)
    try:
        yield
    finally:
        _for_litert.reset(token)


def is_for_litert():
    """Whether this is inside `for_litert`.

    Example:
    >>> is_for_litert()
    False
    """
    return _for_litert.get()


def as_read(constant, tensor):
    """Hides a constant from LiteRT's converter, which would round it to 8 bits in an int8 file.

    Args:
        constant: float tensor or array.
        tensor: tensor of at least one axis, whose first size is dynamic.

    Returns:
        Tensor like `constant`. Outside of `for_litert` it is `constant` itself.

    Example:
    >>> as_read(0.5, keras.ops.zeros((2, 1)))
    0.5
    """
    if not is_for_litert():
        return constant
    zero = keras.ops.minimum(keras.ops.shape(tensor)[0], 0)
    return constant + keras.ops.cast(zero, constant.dtype)


def exact_product(tensor, matrix):
    """Matrix product with a matrix that is not rounded in an int8 LiteRT file.

    Args:
        tensor: float tensor (..., n), whose first size is dynamic.
        matrix: float32 tensor or array (n, m).

    Returns:
        Tensor (..., m).

    Example:
    >>> exact_product(keras.ops.ones((2, 3)), keras.ops.ones((3, 4))).shape
    TensorShape([2, 4])
    """
    if not is_for_litert():
        return keras.ops.matmul(tensor, matrix)
    n, m = matrix.shape
    # As a batch of one, because LiteRT is several times slower at a product of two computed matrices.
    rows = keras.ops.reshape(tensor, (1, -1, n))
    made = keras.ops.matmul(rows, keras.ops.expand_dims(as_read(matrix, tensor), 0))
    return keras.ops.reshape(made, (*keras.ops.shape(tensor)[:-1], m))
