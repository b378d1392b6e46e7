"""Describes objects received instead of an array, and converts them to arrays."""

import os

import keras
import numpy as np

from vqzoo.ops import dtype_name
from vqzoo.ops import known_value

# Keys of the sample rate in a dataset row, as used by libraries.
_RATES = ("sampling_rate", "sample_rate", "samplerate", "rate", "sr", "fs")
_MOST_VALUES = 2**24  # of a sparse matrix that is checked as a whole
_LEAST_RATE = 1000  # Hz; smaller numbers next to an array are labels


def is_dense(thing):
    """Whether an object is not an array that needs conversion.

    Such arrays are sparse, ragged or masked arrays, matrices (which stay 2-D), and arrays without accessible values,
    which are on another device or only a specification.

    Args:
        thing: anything.

    Returns:
        bool.

    Example:
    >>> is_dense(np.zeros(2)), is_dense(np.ma.array([1, 2], mask=[0, 1]))
    (True, False)
    """
    if any(hasattr(thing, name) for name in ("row_splits", "dense_shape", "toarray")):
        return False
    return not (np.ma.is_masked(thing) or isinstance(thing, np.matrix) or without_values(thing))


def without_values(thing):
    """Whether an object has the shape and dtype of an array, but no accessible values.

    Args:
        thing: anything. Symbolic tensors count as having values.

    Returns:
        bool.

    Example:
    >>> without_values(np.zeros(2)), without_values([1, 2])
    (False, False)
    """
    if isinstance(thing, np.ndarray | np.generic) or not (hasattr(thing, "dtype") and hasattr(thing, "shape")):
        return False
    if keras.ops.is_tensor(thing) or keras.backend.is_keras_tensor(thing) or hasattr(thing, "to_numpy"):
        return False
    if hasattr(thing, "most_specific_common_supertype"):  # a `tf.TensorSpec`
        return True
    try:
        known_value(thing)
    except Exception:  # libraries raise many types
        return True
    return False


def plain_array(thing, code):
    """Converts an object that becomes an array by one call, with the code of the call; anything else is unchanged.

    Args:
        thing: anything.
        code: str, its expression.

    Returns:
        `(thing, code)`.

    Example:
    >>> plain_array(np.ma.array([1, 2], mask=[0, 1]), "x")
    (array([1, 0]), 'x.filled(0)')
    """
    if np.ma.is_masked(thing):
        return thing.filled(0), f"{code}.filled(0)"
    if hasattr(thing, "toarray") and np.prod(shape_of_any(thing) or (np.inf,)) <= _MOST_VALUES:
        return thing.toarray(), f"{code}.toarray()"
    if isinstance(thing, np.matrix):
        return np.asarray(thing), f"np.asarray({code})"
    if not hasattr(thing, "cpu") or not without_values(thing):
        return thing, code
    for steps in (("detach", "cpu"), ("detach", "cpu", "float"), ("cpu",)):  # of PyTorch
        moved = thing
        try:
            for step in steps:
                moved = getattr(moved, step)()
            return np.asarray(moved), f"np.asarray({code}{''.join(f'.{step}()' for step in steps)})"
        except Exception:  # libraries raise many types
            continue
    return thing, code


def densely(thing, code):
    """Message for an object that `is_dense` refuses and `plain_array` cannot convert.

    Args:
        thing: a sparse or ragged tensor or matrix, or an array without values.
        code: str, its expression.

    Returns:
        str.
    """
    if hasattr(thing, "row_splits"):
        return f"Pass `{code}.to_tensor()` if all have the same size, or pass them one by one."
    if hasattr(thing, "toarray"):
        return f"Pass `{code}.toarray()`."
    if hasattr(thing, "dense_shape"):
        return f"Pass `tf.sparse.to_dense({code})`."
    return "Its values cannot be read here. Expected an array in main memory."


def is_path(thing):
    """Whether something is the path of a file.

    Args:
        thing: anything.

    Returns:
        bool.

    Example:
    >>> is_path("a.png"), is_path(["a.png"])
    (True, False)
    """
    return isinstance(thing, str | os.PathLike)


def described(thing):
    """Describes a received object in a few words.

    Args:
        thing: anything.

    Returns:
        str.

    Example:
    >>> described(["a.png", "b.png"]), described(np.zeros((2, 3))), described(None)
    ('a list of 2 str', 'float64 (2, 3)', 'None')
    """
    if thing is None or is_path(thing) or isinstance(thing, bytes | int | float | bool):
        text = repr(thing)
        return text if len(text) <= 60 else f"{text[:57]}..."
    if hasattr(thing, "dtype") and hasattr(thing, "shape"):
        kind = "" if is_dense(thing) else f"a {type(thing).__name__} of "
        return f"{kind}{dtype_name(thing)} {shape_of_any(thing)}"
    if isinstance(thing, list | tuple | dict | set):
        kinds = sorted({type(one).__name__ for one in thing})
        return f"a {type(thing).__name__} of {len(thing)}" + (f" {', '.join(kinds[:3])}" if kinds else "")
    return f"an object of type {type(thing).__name__}"


def key_of_signal(thing):
    """The key or attribute of the signal in a container; None for the signal itself.

    Args:
        thing: anything.

    Returns:
        str, int or None.

    Example:
    >>> key_of_signal({"audio": {"array": np.zeros(9), "sampling_rate": 8000}, "label": 1})
    'audio'
    """
    if isinstance(thing, tuple) and hasattr(thing, "signal"):  # a `Reconstruction`
        return "signal"
    if isinstance(thing, dict) and thing:
        sizes = {key: np.prod(shape) for key, value in thing.items() if (shape := shape_of_any(value))}
        if sizes:
            return max(sizes, key=sizes.get)
        return next((key for key, value in thing.items() if key_of_signal(value) is not None), None)
    if not isinstance(thing, tuple) or len(thing) != 2:
        return None
    ranks = [None if shape is None else len(shape) for shape in map(shape_of_any, thing)]
    if None in ranks or max(ranks) == 0:
        return None
    # A signal with its sample rate or label, and a batch of signals with a row of labels.
    if ranks[0] > ranks[1] and ranks[1] <= 1:
        return 0
    return 1 if ranks[0] == 0 else None


def shape_of_any(thing):
    """The shape of an array or of lists of numbers; None for anything else, also for ragged lists.

    Args:
        thing: anything.

    Returns:
        tuple or None.

    Example:
    >>> shape_of_any([[1, 2]]), shape_of_any([[1], [1, 2]]), shape_of_any("a.png")
    ((1, 2), None, None)
    """
    if thing is None or is_path(thing) or isinstance(thing, dict):
        return None
    try:
        return tuple(getattr(thing, "shape", None) or np.shape(thing))
    except Exception:  # ragged, or of unknown rank
        return None


def rate_beside(thing, code):
    """The sample rate next to a signal, and its expression; `(None, None)` if there is none.

    Args:
        thing: anything, as received.
        code: str, its expression.

    Returns:
        `(rate, code)`.

    Example:
    >>> rate_beside((np.zeros(9), 44100), "x")
    (44100, 'x[1]')
    """
    key = key_of_signal(thing)
    if key is None or isinstance(thing, tuple) and len(thing) != 2:
        return None, None
    others = [1 - key] if isinstance(thing, tuple) else [name for name in _RATES if name in thing]
    for other in others:
        rate, place = thing[other], f"{code}[{other!r}]"
        try:
            if float(rate) == int(rate) >= _LEAST_RATE:
                return int(rate), place if isinstance(rate, int | np.integer) else f"int({place})"
        except (TypeError, ValueError, OverflowError):
            continue
    return rate_beside(thing[key], f"{code}[{key!r}]")
