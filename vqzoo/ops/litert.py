"""Whether functions are traced for LiteRT, which runs some forms badly that TensorFlow runs well, or cannot at all."""

import contextlib
import contextvars

_for_litert = contextvars.ContextVar("for_litert", default=False)


@contextlib.contextmanager
def for_litert():
    """Traces the functions of this package in the forms that LiteRT converts and runs fast.

    The results are the same up to rounding. For the TensorFlow backend alone, as LiteRT itself.

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
