"""Resampling by fixed matrices, with the same results in every framework, export and precision."""

import math

import keras
import numpy as np

# PyTorch's cubic kernel; 0.5 would be Catmull and Rom's, which TensorFlow's bicubic uses.
CUBIC = -0.75


def crop(tensor, size):
    """Keeps the first `size` positions of the grid axes.

    Args:
        tensor: shape (batch, *grid, channels).
        size: tuple with an int or an int tensor for each grid axis. Larger than the grid keeps all of it.

    Returns:
        Tensor of shape (batch, *size, channels).

    Example:
    >>> tuple(crop(keras.ops.zeros((1, 4, 4, 3)), (3, 2)).shape)
    (1, 3, 2, 3)
    """
    return tensor[(slice(None), *(slice(0, length) for length in size))]


def area_matrix(n_in, n_out):
    r"""Builds the matrix that averages `n_in` values to `n_out`, as in adaptive average pooling.

    Output i is the mean of the inputs from floor(i n_in / n_out) to ceil((i + 1) n_in / n_out) - 1: whole inputs, so
    that neighbouring means share one where the sizes do not divide. `tf.image.resize(method="area")` takes fractions
    of inputs instead.

    Args:
        n_in: int, number of inputs.
        n_out: int, number of outputs, at most `n_in`.

    Returns:
        float32 `numpy.ndarray`, shape (n_out, n_in). Its rows sum to 1.

    Raises:
        ValueError: if the sizes are not positive integers, or `n_out` is larger than `n_in`.

    Example:
    >>> area_matrix(3, 2)
    array([[0.5, 0.5, 0. ],
           [0. , 0.5, 0.5]], dtype=float32)

    Reference:
        `torch.nn.AdaptiveAvgPool2d`, which is `torch.nn.functional.interpolate(mode="area")`.
    """
    _check_sizes(n_in, n_out)
    if n_out > n_in:
        raise ValueError(
            f"Averaging cannot increase the number of values. Received: n_in={n_in}, n_out={n_out}. `bicubic_matrix` "
            "enlarges."
        )
    matrix = np.zeros((n_out, n_in))
    for i in range(n_out):
        start, end = i * n_in // n_out, -(-(i + 1) * n_in // n_out)
        matrix[i, start:end] = 1.0 / (end - start)
    return matrix.astype("float32")


def bicubic_matrix(n_in, n_out):
    r"""Builds the matrix that interpolates `n_in` values at `n_out` positions with a cubic kernel.

    Output i lies at x = (i + 1/2) n_in / n_out - 1/2 and weighs the four inputs around it by k(distance), with
    A = -0.75 and the border repeated:

    $$k(d) = \begin{cases} (A + 2) d^3 - (A + 3) d^2 + 1 & d \le 1 \\
    A d^3 - 5 A d^2 + 8 A d - 4 A & 1 < d < 2 \end{cases}$$

    The kernel is not widened where the result is smaller (no antialiasing).

    Args:
        n_in: int, number of inputs.
        n_out: int, number of outputs.

    Returns:
        float32 `numpy.ndarray`, shape (n_out, n_in). Its rows sum to 1.

    Raises:
        ValueError: if the sizes are not positive integers.

    Example:
    >>> bicubic_matrix(2, 4).round(4)
    array([[ 1.1055, -0.1055],
           [ 0.7734,  0.2266],
           [ 0.2266,  0.7734],
           [-0.1055,  1.1055]], dtype=float32)

    Reference:
        Keys 1981, Cubic convolution interpolation for digital image processing, equation 4;
        `torch.nn.functional.interpolate(mode="bicubic", align_corners=False)`.
    """
    _check_sizes(n_in, n_out)
    matrix = np.zeros((n_out, n_in))
    for i in range(n_out):
        place = (i + 0.5) * n_in / n_out - 0.5
        for tap in range(math.floor(place) - 1, math.floor(place) + 3):
            matrix[i, min(max(tap, 0), n_in - 1)] += _cubic(abs(place - tap))
    return matrix.astype("float32")


def resize(images, rows, columns):
    """Resamples height and width by one matrix each.

    Args:
        images: float tensor, shape (batch, height, width, channels), channels known.
        rows: float32 array (new height, height), such as `area_matrix` makes.
        columns: float32 array (new width, width).

    Returns:
        Tensor of shape (batch, new height, new width, channels).

    Example:
    >>> half = area_matrix(4, 2)
    >>> import numpy as np
    >>> np.asarray(resize(np.arange(16.0, dtype="float32").reshape(1, 4, 4, 1), half, half))[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)
    """
    images = keras.ops.convert_to_tensor(images)
    _, height, width, _ = keras.ops.shape(images)
    channels = images.shape[-1]
    x = keras.ops.matmul(rows, keras.ops.reshape(images, (-1, height, width * channels)))
    x = keras.ops.matmul(columns, keras.ops.reshape(x, (-1, width, channels)))
    return keras.ops.reshape(x, (-1, rows.shape[0], columns.shape[0], channels))


def _check_sizes(n_in, n_out):
    for name, size in (("n_in", n_in), ("n_out", n_out)):
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"`{name}` is a positive integer. Received: {name}={size!r}")


def _cubic(distance):
    """Weight of an input at this distance, in inputs."""
    if distance <= 1.0:
        return ((CUBIC + 2.0) * distance - (CUBIC + 3.0)) * distance**2 + 1.0
    return ((distance - 5.0) * distance + 8.0) * distance * CUBIC - 4.0 * CUBIC if distance < 2.0 else 0.0
