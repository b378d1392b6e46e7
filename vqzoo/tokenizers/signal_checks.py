"""Finds what is wrong with an array that is not a signal or not tokens."""

import keras
import numpy as np

from vqzoo.data.paths import missing_path
from vqzoo.data.received import described
from vqzoo.data.received import is_dense
from vqzoo.data.received import is_path
from vqzoo.data.received import plain_array
from vqzoo.data.stream import is_count
from vqzoo.jsons import shown
from vqzoo.ops import dtype_name
from vqzoo.ops import known_value

# Signals are in [-1, 1]. Resampling may overshoot slightly, but 8-bit pixels or [0, 255] are far outside.
LARGEST_VALUE = 1.5


def signal_fault(signal, expected):
    """The rule that a signal violates and the received value; None if it is valid.

    Args:
        signal: anything. The values of a symbolic tensor are not checked.
        expected: tuple, the shape of batches, with None for any length; None if it is unknown.

    Returns:
        str or None.

    Example:
    >>> signal_fault(np.zeros((1, 8, 8, 3), "uint8"), (None, None, None, 3))
    'A signal must be floating point in [-1, 1]. Received: dtype=uint8, shape=(1, 8, 8, 3).'
    """
    array = as_array(signal)
    if array is None:
        return f"A signal must be an array, and a batch must have one shape. Received: {described(signal)}."
    dtype, shape = dtype_name(array), shape_of(array)
    if shape is None:
        return f"The rank of a signal must be known, also in graphs. Received: a tensor of any shape, dtype={dtype}."
    if "float" not in dtype:
        return f"A signal must be floating point in [-1, 1]. Received: dtype={dtype}, shape={shape}."
    if expected is not None and not fits(shape, expected):
        return (
            f"This tokenizer takes signals of the shape {('batch', *expected[1:])}, channels last, None for any size. "
            f"Received: shape={shape}."
        )
    if 0 in shape[1:]:
        return f"A signal must not be empty. Received: shape={shape}. Leave such examples out."
    values = known_value(array)
    if values is None or not values.size:
        return None
    largest = float(np.maximum(values.max(), -values.min()))  # without a copy, and keeps NaN
    if largest <= LARGEST_VALUE:
        return None
    damaged = "" if np.isfinite(largest) else " NaN and infinity come from a damaged input."
    return f"A signal must be in [-1, 1]. Received: values up to {largest:g} in magnitude.{damaged}"


def as_array(thing):
    """An array or tensor unchanged, or a list of numbers as an array; None for everything else.

    Args:
        thing: anything.

    Returns:
        Array, tensor or None.

    Example:
    >>> as_array([[1.0, 2.0]]).shape, as_array("a.png"), as_array([])
    ((1, 2), None, None)
    """
    if not is_dense(thing):
        return None
    if hasattr(thing, "dtype") and hasattr(thing, "shape"):
        return None if dtype_name(thing).startswith(("object", "str", "<U", "<S", "|S")) else thing
    if thing is None or is_path(thing) or not isinstance(thing, list | tuple) or not len(thing):
        return None
    try:
        array = np.asarray(thing)
    except (ValueError, TypeError):  # of different shapes
        return None
    return array if array.dtype.kind in "biufcV" else None


def check_not_symbolic(thing):
    """Raises if `encode` or `decode` receives the input of a Functional Keras model.

    Args:
        thing: anything.

    Raises:
        ValueError: if it is a `keras.KerasTensor`.

    Example:
    >>> check_not_symbolic(np.zeros(2))
    """
    if keras.backend.is_keras_tensor(thing):
        raise ValueError(
            "Signals and tokens must be arrays. Only the call, `tokenizer(x)`, takes inputs of Keras models. "
            f"Received: a KerasTensor of the shape {tuple(thing.shape)}."
        )


def shape_of(array):
    """The shape of an array, with None for unknown lengths; None if the rank is unknown.

    Args:
        array: array or tensor.

    Returns:
        tuple or None.

    Example:
    >>> shape_of(np.zeros((2, 3)))
    (2, 3)
    """
    try:
        return tuple(array.shape)
    except ValueError:
        return None


def fits(shape, expected):
    """Whether a shape is the expected one, except for the batch.

    Args:
        shape: tuple, None for unknown lengths.
        expected: tuple, None for any length.

    Returns:
        bool.

    Example:
    >>> fits((1, 8, 3), (None, None, 3)), fits((1, 8, 3), (None, None, 1))
    (True, False)
    """
    return len(shape) == len(expected) and all(
        want is None or have is None or have == want for have, want in zip(shape[1:], expected[1:], strict=True)
    )


def check_batch_size(batch_size):
    """Raises if `batch_size` is neither None nor a positive integer.

    Args:
        batch_size: anything.

    Raises:
        ValueError: if it is neither.

    Example:
    >>> check_batch_size(8)
    """
    if batch_size is not None and not is_count(batch_size):
        raise ValueError(
            f"`batch_size` is a positive integer. Received: batch_size={shown(batch_size)}. A data set of pairs passes "
            "two arguments to `map`: `dataset.map(lambda image, label: tokenizer.encode(image))`."
        )


def token_fault(tokens, num_codebooks, expected):
    """The rule that tokens violate and the received value; None if they are valid.

    Args:
        tokens: anything. The values of a symbolic tensor are not checked.
        num_codebooks: int, for the message; the quantizer checks the last axis.
        expected: tuple, the shape of batches, with None for any length; None if it is unknown.

    Returns:
        str or None.

    Example:
    >>> token_fault(np.zeros((2, 2, 1)), 1, (None, None, None, 1))
    'Tokens must be integers. Received: dtype=float64, shape=(2, 2, 1).'
    """
    array = as_array(tokens)
    if array is None:
        return f"Tokens must be integers, in an array. Received: {described(tokens)}."
    dtype, shape = dtype_name(array), shape_of(array)
    if not dtype.startswith(("int", "uint")):
        return f"Tokens must be integers. Received: dtype={dtype}, shape={shape}."
    if expected is not None and (not fits(shape[:-1], expected[:-1]) or 0 in shape[1:]):
        return token_shape_fault(shape, num_codebooks, expected)
    return None


def token_shape_fault(shape, num_codebooks, expected):
    """The rule for the shape of tokens and the received shape.

    Args:
        shape: tuple, the received shape.
        num_codebooks: int.
        expected: tuple, the shape of batches, with None for any length; None if it is unknown.

    Returns:
        str.

    Example:
    >>> token_shape_fault((4, 1), 1, (None, None, None, 1))[-79:]
    "here with a grid of ('any', 'any') and num_codebooks=1. Received: shape=(4, 1)."
    """
    grid = "any kind" if expected is None else tuple(length or "any" for length in expected[1:-1])
    return (
        f"Tokens must have the shape (batch, *grid, num_codebooks), here with a grid of {grid} and "
        f"num_codebooks={num_codebooks}. Received: shape={shape}."
    )


def token_way_out(tokens, num_codebooks, expected, signal_shape=None, repairs=None, size=2**31):
    """The last sentence of an error about tokens.

    Args:
        tokens: the received value.
        num_codebooks: int.
        expected: tuple, as in `token_fault`.
        signal_shape: tuple, the shape of batches of signals; None if it is unknown.
        repairs: `vqzoo.data.repair.Repairs` of the signals. Defaults to none.
        size: int, codes of the largest codebook. Defaults to the range of int32.

    Returns:
        str, with the code in backticks.

    Example:
    >>> token_way_out(np.zeros((2, 2, 1), int), 1, (None, None, None, 1))
    'Pass `x[None]`.'
    """
    thing, code = _unwrapped(tokens)
    paths = [thing] if is_path(thing) else list(thing) if isinstance(thing, list | tuple) else []
    rank = None if expected is None else len(expected)
    array = as_array(thing)
    if paths and all(is_path(path) and str(path).endswith(".npz") for path in paths):
        missing = missing_path(paths)
        if missing:
            return missing
        if is_path(thing):
            return "Pass `vqzoo.presets.load_tokens(x).tokens[None]`."
        return "Call `[tokenizer.decode(vqzoo.presets.load_tokens(path).tokens[None]) for path in x]`."
    if array is None:
        rows = [as_array(row) for row in thing] if isinstance(thing, list | tuple) else [None]
        if rows and not any(row is None for row in rows):
            batch = "[None]" if rank is not None and rows[0].ndim == rank - 1 else ""
            return f"Call `[tokenizer.decode(np.asarray(one){batch}) for one in {code}]`."
        return "Pass what `tokenizer.encode(signal)` returns."
    if not isinstance(array, np.ndarray) or code != "x" or array is not thing:
        code = f"np.asarray({code})" if known_value(array) is not None else code
    dtype, shape = dtype_name(array), shape_of(array)
    if repairs and signal_shape and len(shape) == len(signal_shape) and shape[-1] == signal_shape[-1] != num_codebooks:
        draft = repairs.draft(thing, "x")
        if draft is not None:
            return f"This is a signal. Pass `tokenizer.encode({draft.code})`."
    if not dtype.startswith(("int", "uint")):
        values = known_value(array)
        # Numbers beyond any codebook would wrap around in int32.
        real = "float" in dtype
        whole = real and (values is None or bool(((values >= 0) & (values < size) & (values % 1 == 0)).all()))
        if not whole:
            return "Pass what `tokenizer.encode(signal)` returns."
        code = f'{code}.astype("int32")' if values is not None else f'keras.ops.cast({code}, "int32")'
    index = _axes_added(shape, rank, num_codebooks)
    if index is None:
        library = "np" if known_value(array) is not None else "keras.ops"
        for axis in (0, 1):
            if rank in (len(shape), len(shape) + 1 - axis) and len(shape) > axis and shape[axis] == num_codebooks > 1:
                batch = "[None]" if len(shape) == rank - 1 else ""
                return f"Pass `{library}.moveaxis({code}, {axis}, -1){batch}`."
        return "Decode tokens with the tokenizer that made them. Pass what `tokenizer.encode(signal)` returns."
    if code + index == "x":  # the shape is right, so they are of another tokenizer, or empty
        return "Pass what `tokenizer.encode(signal)` returns."
    return f"Pass `{code}{index}`."


def are_tokens(thing, expected, signal_channels):
    """Whether the received signal is tokens.

    Args:
        thing: the received value.
        expected: tuple, the shape of tokens, as in `token_fault`.
        signal_channels: int.

    Returns:
        bool; False if it is not known.

    Example:
    >>> are_tokens(np.zeros((1, 9, 4), "int32"), (None, None, 4), 1)
    True
    """
    array = as_array(thing)
    if array is None or expected is None or not dtype_name(array).startswith(("int32", "int64")):
        return False
    shape = shape_of(array)
    return shape is not None and fits(shape, expected) and shape[-1] == expected[-1] != signal_channels


def _axes_added(shape, rank, num_codebooks):
    """The index that adds missing axes to tokens, "" if none is missing; None if that does not help."""
    if rank is None or (len(shape) == rank and shape[-1] in (None, num_codebooks)):
        return ""
    if len(shape) == rank - 1 and shape[-1] == num_codebooks:
        return "[None]"
    if num_codebooks == 1 and rank - 2 <= len(shape) < rank and len(shape):
        return "[..., None]" if len(shape) == rank - 1 else "[None, ..., None]"
    return None


def _unwrapped(thing):
    """The tokens of an object that also has other parts, and their code."""
    code = "x"
    if isinstance(thing, np.lib.npyio.NpzFile):
        thing, code = thing["tokens"], 'x["tokens"]'
    elif hasattr(thing, "tokens"):
        thing, code = thing.tokens, "x.tokens"
    elif isinstance(thing, dict) and "tokens" in thing:
        thing, code = thing["tokens"], 'x["tokens"]'
    return plain_array(thing, code) if isinstance(thing, np.matrix) else (thing, code)


def check_decoded(signal, latents, decoded):
    """Raises if the strides of encoder and decoder differ. Unknown sizes are not checked.

    Args:
        signal: tensor (batch, *size, channels).
        latents: tensor (batch, *grid, latent_dim).
        decoded: tensor (batch, *size, channels), with whole strides.

    Raises:
        ValueError: if the strides differ.
    """
    sizes = [tuple(x.shape[1:-1]) for x in (signal, latents, decoded)]
    grid = sizes[1] if len(sizes[1]) == len(sizes[0]) else (1,) * len(sizes[0])
    for want, rows, have in zip(sizes[0], grid, sizes[2], strict=True):
        # The last row of latents must be needed, and no further row.
        known = all(isinstance(x, int) for x in (want, rows, have))
        if known and not (have >= want and (rows - 1) * have < rows * want):
            raise ValueError(
                "The strides of the encoder and the decoder must be equal. Received: signals of the size "
                f"{sizes[0]}, with latents of {sizes[1]}, decoded to {sizes[2]}. Set both strides equal."
            )
