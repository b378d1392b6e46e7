"""Conversion between tokens and digits, one per channel of a code. The first channel is the least significant digit.

With two levels a channel, the digits are bits. SEED-Voken (Open-MAGVIT2) and MaskBit have this order of bits too;
vector-quantize-pytorch and bsq-vit have the reverse, which `reverse_bits` converts. For finite scalar quantization
vector-quantize-pytorch, big_vision and Cosmos have this order.
"""

import keras
import numpy as np

from vqzoo.ops.compiled import known_value


def digits_to_tokens(digits, levels):
    r"""Joins the digits of each position to one token.

    $$t = \sum_i d_i \prod_{j < i} L_j$$

    All arithmetic is in int32, because float32 loses precision above 2^24.

    Args:
        digits: int32 tensor (..., channels), digit i in [0, levels[i]).
        levels: sequence of ints, the number L of levels of each channel; their product is at most 2^31.

    Returns:
        int32 tensor, shape (..., 1).

    Example:
    >>> import numpy as np
    >>> np.asarray(digits_to_tokens(np.array([[2, 1]]), (3, 5)))
    array([[5]], dtype=int32)
    """
    parts = keras.ops.multiply(keras.ops.cast(digits, "int32"), _place_values(levels))
    return keras.ops.sum(parts, axis=-1, keepdims=True)


def tokens_to_digits(tokens, levels):
    r"""Splits each token into its digits: the inverse of `digits_to_tokens`.

    $$d_i = \left\lfloor t \Big/ \prod_{j < i} L_j \right\rfloor \bmod L_i$$

    Args:
        tokens: int32 tensor (..., 1), in [0, product of the levels).
        levels: sequence of ints, the number L of levels of each channel; their product is at most 2^31.

    Returns:
        int32 tensor, shape (..., channels).

    Example:
    >>> import numpy as np
    >>> np.asarray(tokens_to_digits(np.array([[5]], "int32"), (3, 5)))
    array([[2, 1]], dtype=int32)
    """
    higher = keras.ops.floor_divide(tokens, _place_values(levels))
    return keras.ops.mod(higher, np.array(levels, "int32"))


def reverse_bits(tokens, bits):
    """Converts tokens of bits between the two orders: the first channel as the least or as the most significant bit.

    Args:
        tokens: integer tensor of any shape, in [0, 2^bits).
        bits: int from 1 to 31, the number of channels.

    Returns:
        int32 tensor of the same shape.

    Raises:
        ValueError: if `bits` is out of its range, or, in eager calls, a token is.

    Example:
    >>> import numpy as np
    >>> np.asarray(reverse_bits(np.array([1, 2, 3]), bits=4))
    array([ 8,  4, 12], dtype=int32)
    """
    if not isinstance(bits, int) or not 1 <= bits <= 31:
        raise ValueError(f"`bits` is an integer from 1 to 31: tokens are int32. Received: bits={bits!r}")
    values = known_value(tokens)
    if values is not None and values.size and not 0 <= values.min() <= values.max() < 2**bits:
        raise ValueError(
            f"Tokens of {bits} bits lie in [0, {2**bits}). Received: values from {values.min()} to {values.max()}. "
            "Pass the number of bits that made them."
        )
    levels = (2,) * bits
    tokens = keras.ops.expand_dims(keras.ops.cast(tokens, "int32"), -1)
    return keras.ops.squeeze(digits_to_tokens(keras.ops.flip(tokens_to_digits(tokens, levels), -1), levels), -1)


def _place_values(levels):
    """The place value of each digit."""
    return np.cumprod([1, *levels[:-1]]).astype("int32")
