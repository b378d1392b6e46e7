"""Rotary position embeddings along one axis or several."""

import keras
import numpy as np


def rotary_angles(positions, width, base=10000.0):
    r"""The angle of each pair of channels at each position.

    $$\theta_{t,a,i} = t_a \, b^{-2i / w}, \quad w = \text{width} / \text{axes}$$

    with t_a the coordinate along axis a. Each axis has an equal share of the pairs: time for a text, row and column for
    an image.

    Args:
        positions: int tensor (..., length, axes), coordinates.
        width: int, channels per head, an even number for each axis.
        base: float b. The slowest pair rotates about once in 2 pi b positions. Defaults to 10000.

    Returns:
        float32 tensor (..., length, width / 2), in radians.

    Raises:
        ValueError: if `width` cannot be divided among the axes in pairs.

    Example:
    >>> np.asarray(rotary_angles(np.array([[0], [3]]), 4, base=100.0)).round(1)
    array([[0. , 0. ],
           [3. , 0.3]], dtype=float32)

    Reference:
        Su et al. 2021, https://arxiv.org/abs/2104.09864, equation 15; several axes: Heo et al. 2024,
        https://arxiv.org/abs/2403.13298, section 3.2, axial frequencies
    """
    axes = positions.shape[-1]
    if axes is None or width % (2 * axes):
        raise ValueError(
            f"Rotary positions rotate an equal number of channel pairs for each of the {axes} axes. Received: heads of "
            f"{width} channels. Give heads a multiple of {2 * (axes or 1)} channels."
        )
    frequencies = base ** (-np.arange(0, width // axes, 2) * (axes / width))
    # One row per axis, with its frequencies at its share of the pairs and zeros elsewhere.
    table = np.kron(np.eye(axes), frequencies).astype("float32")
    return keras.ops.matmul(keras.ops.cast(positions, "float32"), table)


def rotate(x, angles):
    r"""Rotates the channels i and i + width / 2 of each head by an angle.

    $$y_i = x_i \cos\theta_i - x_{i + w/2} \sin\theta_i, \quad
    y_{i + w/2} = x_{i + w/2} \cos\theta_i + x_i \sin\theta_i$$

    The product of two vectors rotated by the angles of their positions depends only on the distance of the positions.
    It computes in float32, also if `x` is in half precision.

    Args:
        x: float tensor (batch, heads, length, width).
        angles: float32 tensor (length, width / 2) or (batch, length, width / 2), of `rotary_angles`.

    Returns:
        Tensor like `x`.

    Example:
    >>> x = np.array([[[[1.0, 0.0]]]], "float32")
    >>> np.asarray(rotate(x, np.array([[np.pi / 2]], "float32"))).round(3)[0, 0, 0] + 0.0
    array([0., 1.], dtype=float32)
    """
    if len(angles.shape) == 3:
        angles = keras.ops.expand_dims(angles, 1)  # the heads
    half = x.shape[-1] // 2
    one, other = keras.ops.cast(x[..., :half], "float32"), keras.ops.cast(x[..., half:], "float32")
    cos, sin = keras.ops.cos(angles), keras.ops.sin(angles)
    turned = keras.ops.concatenate([one * cos - other * sin, other * cos + one * sin], axis=-1)
    return keras.ops.cast(turned, x.dtype)
