"""Checks the inputs of metrics of two signals and converts them to tensors."""

import numpy as np
from keras import ops

from vqzoo.jsons import shown
from vqzoo.ops import dtype_name
from vqzoo.ops import known_value


def float_tensors(way_out=None, **arrays):
    """Converts arrays to float32 tensors.

    Args:
        way_out: str, the fix that the error for integers suggests. Default None, which accepts integers.
        **arrays: name -> array or tensor; the values of symbolic tensors are not checked.

    Returns:
        List of float32 tensors.

    Raises:
        ValueError: an argument is not an array of numbers, or has integers that are not accepted.

    Example:
    >>> [tuple(x.shape) for x in float_tensors(signal=np.zeros((1, 2, 1)), reconstruction=[[[0.5], [1]]])]
    [(1, 2, 1), (1, 2, 1)]
    >>> float_tensors(signal="a.wav")
    Traceback (most recent call last):
        ...
    ValueError: `signal` is an array of numbers, all rows of one length. Received: 'a.wav'. Read a file first, ...
    """
    tensors = []
    for name, array in arrays.items():
        try:
            tensor = ops.convert_to_tensor(array)
            dtype = dtype_name(tensor)
        except Exception:  # each backend raises different types
            dtype = ""
        if not dtype.startswith(("float", "bfloat", "int", "uint", "bool")):
            raise ValueError(
                f"`{name}` is an array of numbers, all rows of one length. Received: {shown(array)}. Read a file "
                "first, by `vqzoo.data.load_image` or `vqzoo.data.load_audio`."
            )
        if way_out and dtype.startswith(("int", "uint")):
            raise ValueError(f"`{name}` must be floating point. Received: dtype={dtype}. {way_out}")
        tensors.append(ops.cast(tensor, "float32"))
    return tensors


def check_magnitudes(most, way_out, **tensors):
    """Raises if values are too large. Symbolic tensors and NaN are not checked.

    Args:
        most: float, the largest magnitude.
        way_out: str, the fix that the error suggests.
        **tensors: name -> tensor.

    Raises:
        ValueError: a value exceeds `most`.

    Example:
    >>> check_magnitudes(3.0, "Divide them.", images=ops.ones(2))
    """
    for name, tensor in tensors.items():
        values = known_value(tensor)
        largest = float(np.maximum(values.max(), -values.min())) if values is not None and values.size else 0.0
        if largest > most:
            raise ValueError(
                f"`{name}` must have magnitudes of at most {most:g}. Received: up to {largest:g}. {way_out}"
            )
