"""Similarity of an image and its reconstruction: PSNR, SSIM and multi-scale SSIM, one value per image."""

import math
import numbers

import numpy as np
from keras import ops

from vqzoo.jsons import shown
from vqzoo.metrics.pairs import check_magnitudes
from vqzoo.metrics.pairs import float_tensors

# The constants of Wang et al. 2004, which tf.image.ssim and the papers of this field use.
SSIM_WINDOW = 11  # pixels
_SSIM_SIGMA = 1.5  # pixels
_SSIM_K1 = 0.01
_SSIM_K2 = 0.03
# Largest magnitudes, by `max_value`: of originals, and of reconstructions, which may overshoot. [0, 255] exceeds both.
_MOST_OF_ORIGINAL, _MOST_OF_NETWORK = 1.5, 10.0
_AT_ONCE = 2**22  # values of an image whose windows are computed at once
# Wang, Simoncelli and Bovik 2003, section 3.2, from the finest scale to the coarsest. Rounded, they sum to 1.0001.
_MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def psnr(images, reconstructions, max_value=2.0):
    """Peak signal-to-noise ratio of each image: `10 log10(max_value^2 / mean squared error)`.

    Nothing is clipped or rounded here. `evaluate_images` does both first, as in a saved image.

    Args:
        images: float tensor (batch, height, width, channels).
        reconstructions: float tensor of the same shape.
        max_value: float, largest minus smallest possible value; 2 for the signal range [-1, 1].

    Returns:
        float32 tensor (batch,), in dB; `inf` for equal images.

    Raises:
        ValueError: the two are not batches of images of the same shape, or their range is not `max_value`.

    Example:
    >>> import numpy as np
    >>> psnr(np.zeros((1, 4, 4, 3)), np.full((1, 4, 4, 3), 0.2)).numpy().round(3).tolist()
    [20.0]
    """
    images, reconstructions = _check_pair(images, reconstructions, max_value)
    error = ops.mean(ops.square(images - reconstructions), axis=(1, 2, 3))
    return 10.0 * ops.log10(max_value**2 / error)


def ssim(images, reconstructions, max_value=2.0):
    """Structural similarity (SSIM) of each image, averaged over its channels and its complete windows.

    In each Gaussian window (11 pixels, sigma 1.5), with means `m`, variances `v` and covariance `c`, it is
    `(2 m_x m_y + c1) (2 c + c2) / ((m_x^2 + m_y^2 + c1) (v_x + v_y + c2))`,
    where `c1 = (0.01 max_value)^2` and `c2 = (0.03 max_value)^2`. Equal to `tf.image.ssim`, and to
    scikit-image's `structural_similarity` with `gaussian_weights=True, use_sample_covariance=False`.

    The first factor, the luminance, depends on the position of 0. The papers use non-negative intensities. For images
    in [-1, 1] that is `ssim(images + 1, reconstructions + 1)`; without the shift the values are lower.

    Args:
        images: float tensor (batch, height, width, channels), at least 11 x 11 pixels.
        reconstructions: float tensor of the same shape.
        max_value: float, largest minus smallest possible value; 2 for the signal range [-1, 1].

    Returns:
        float32 tensor (batch,); 1 for equal images.

    Raises:
        ValueError: the two are not batches of images of the same shape, their range is not `max_value`, or they are
            smaller than the window.

    Reference:
        Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, eq. 13.

    Example:
    >>> import numpy as np
    >>> ssim(np.zeros((1, 16, 16, 3)), np.full((1, 16, 16, 3), 0.02)).numpy().round(3).tolist()
    [0.5]
    """
    images, reconstructions = _check_pair(images, reconstructions, max_value)
    if any(size is not None and size < SSIM_WINDOW for size in images.shape[1:3]):
        raise ValueError(
            f"SSIM compares windows of {SSIM_WINDOW} x {SSIM_WINDOW} pixels, so images must be at least "
            f"that large. Received: images of shape {tuple(images.shape)}. Use larger images, or PSNR."
        )
    similarity, _ = _similarity(images, reconstructions, max_value)
    return ops.mean(similarity, axis=1)


def ms_ssim(images, reconstructions, max_value=2.0, scales=5):
    """Multi-scale structural similarity (MS-SSIM) of each image, averaged over its channels.

    With `SSIM_M` at the coarsest of the `M` scales, and only the contrast and structure terms
    `CS_j = (2 c + c2) / (v_x + v_y + c2)` at the finer ones, each averaged over the complete windows of `ssim`, it is
    `SSIM_M^(w_M) prod_(j < M) CS_j^(w_j)`. Each scale halves the previous one by 2x2 means; an odd last row or column
    is averaged with itself. A term below 0 counts as 0. Equal to `tf.image.ssim_multiscale`. Add 1 to images in [-1, 1]
    for the non-negative intensities of the paper, as for `ssim`.

    The five scales of the paper need 161 pixels. A smaller image allows only `ms_ssim_scales` scales. They use the same
    window and the first weights of the paper divided by their sum, so that the weights add up to 1 and one scale equals
    SSIM. That is a different metric. Compare only values with the same number of scales, and report the number.

    Args:
        images: float tensor (batch, height, width, channels), at least `10 * 2^(scales - 1) + 1` pixels each way:
            11, 21, 41, 81 and 161 for 1 to 5 scales.
        reconstructions: float tensor of the same shape.
        max_value: float, largest minus smallest possible value; 2 for the signal range [-1, 1].
        scales: int, 1 to 5.

    Returns:
        float32 tensor (batch,), from 0 to 1; 1 for equal images.

    Raises:
        ValueError: the two are not batches of images of the same shape, their range is not `max_value`, `scales` is out
            of range, or the coarsest scale would be smaller than the window.

    Reference:
        Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", 2003, eq. 7.

    Example:
    >>> import numpy as np
    >>> round(float(ms_ssim(np.zeros((1, 64, 64, 3)), np.full((1, 64, 64, 3), 0.02), scales=3)[0]), 3)
    0.719
    """
    known = isinstance(scales, numbers.Integral) and not isinstance(scales, bool)
    if not known or not 1 <= scales <= len(_MS_SSIM_WEIGHTS):
        most = len(_MS_SSIM_WEIGHTS)
        raise ValueError(f"`scales` must be an int from 1 to {most}. Received: scales={shown(scales)}")
    images, reconstructions = _check_pair(images, reconstructions, max_value)
    _check_scales(images, scales)
    weights = np.array(_MS_SSIM_WEIGHTS[:scales], "float32")
    if scales < len(_MS_SSIM_WEIGHTS):
        weights = weights / weights.sum()
    product = 1.0
    for scale, weight in enumerate(weights):
        if scale:
            images, reconstructions = _halve(images), _halve(reconstructions)
        similarity, structure = _similarity(images, reconstructions, max_value)
        term = similarity if scale == scales - 1 else structure
        # Negatively correlated images have a negative term, whose fractional power would be NaN.
        product = product * ops.power(ops.relu(term), weight)
    return ops.mean(product, axis=1)


def ms_ssim_scales(height, width):
    """The largest number of scales of `ms_ssim` for an image size, such that the coarsest holds a complete window.

    Args:
        height: int, in pixels.
        width: int, in pixels.

    Returns:
        int, 0 to 5; 0 for fewer than 11 pixels.

    Example:
    >>> [ms_ssim_scales(size, 256) for size in (8, 16, 32, 64, 128, 256)]
    [0, 1, 2, 3, 4, 5]
    """
    fitting = [scale for scale in range(1, len(_MS_SSIM_WEIGHTS) + 1) if min(height, width) >= _smallest_size(scale)]
    return len(fitting)


def _smallest_size(scales):
    """The smallest size that is still the window after `scales - 1` halvings, each rounded up."""
    return (SSIM_WINDOW - 1) * 2 ** (scales - 1) + 1


def _check_scales(images, scales):
    known = [size for size in images.shape[1:3] if size is not None]
    if known and min(known) < _smallest_size(scales):
        fitting = ms_ssim_scales(min(known), min(known))
        raise ValueError(
            f"{scales} scales need images of at least {_smallest_size(scales)} pixels, so that the coarsest holds "
            f"a window of {SSIM_WINDOW} x {SSIM_WINDOW}. Received: images of shape {tuple(images.shape)}. Use "
            + (f"scales={fitting}, and report the number with the result." if fitting else "larger images, or PSNR.")
        )


def _similarity(images, reconstructions, max_value):
    """Means over all complete windows of SSIM and of its contrast and structure terms, both (batch, channels).

    Large images are processed in bands of rows, because the window means would take ten times the memory of the image.
    """
    batch, height, width, channels = images.shape
    if None in (batch, height, width):
        return _similarity_of_band(images, reconstructions, max_value)
    windows = height - SSIM_WINDOW + 1  # rows of windows
    rows = max(1, _AT_ONCE // max(1, batch * width * channels))
    if windows <= rows:
        return _similarity_of_band(images, reconstructions, max_value)
    means = 0.0, 0.0
    for start in range(0, windows, rows):
        count = min(rows, windows - start)
        band = slice(start, start + count + SSIM_WINDOW - 1)
        found = _similarity_of_band(images[:, band], reconstructions[:, band], max_value)
        means = tuple(mean + part * (count / windows) for mean, part in zip(means, found, strict=True))
    return means


def _similarity_of_band(images, reconstructions, max_value):
    """As `_similarity`."""
    mean_x, mean_y = _window_mean(images), _window_mean(reconstructions)
    product_of_means = mean_x * mean_y
    squared_means = ops.square(mean_x) + ops.square(mean_y)
    covariance = _window_mean(images * reconstructions) - product_of_means
    variances = _window_mean(ops.square(images) + ops.square(reconstructions)) - squared_means
    c1, c2 = (_SSIM_K1 * max_value) ** 2, (_SSIM_K2 * max_value) ** 2
    luminance = (2.0 * product_of_means + c1) / (squared_means + c1)
    structure = (2.0 * covariance + c2) / (variances + c2)
    return _mean_of_grid(luminance * structure), _mean_of_grid(structure)


def _mean_of_grid(x):
    """(batch, h, w, c) -> (batch, c)."""
    # In two steps, because TensorFlow's float32 mean over both axes has an error of 5e-4 for 512 pixels and 3 channels.
    return ops.mean(ops.mean(x, axis=2), axis=1)


def _halve(x):
    """Means of 2x2 pixels: (batch, h, w, c) -> (batch, ceil(h / 2), ceil(w / 2), c)."""
    # "same" pooling excludes the padding from the mean, as if an odd last row or column were repeated.
    return ops.average_pool(x, 2, 2, padding="same", data_format="channels_last")


def _check_pair(images, reconstructions, max_value):
    if not isinstance(max_value, numbers.Real) or isinstance(max_value, bool) or not 0 < max_value < math.inf:
        raise ValueError(
            "`max_value` must be positive, the largest minus the smallest possible value, such as 2 for images in "
            f"[-1, 1] or 255 for 8 bits. Received: max_value={shown(max_value)}"
        )
    eight_bits = "Pass `max_value=255` for images in [0, 255]"
    images, reconstructions = float_tensors(
        f"{eight_bits}, or `x / 127.5 - 1`." if max_value <= 2 else None, images=images, reconstructions=reconstructions
    )
    shapes = tuple(images.shape), tuple(reconstructions.shape)
    same = all(a == b or None in (a, b) for a, b in zip(*shapes, strict=False))  # None: unknown in a graph
    if len(shapes[0]) != 4 or len(shapes[1]) != 4 or not same:
        raise ValueError(
            "`images` and `reconstructions` must have the same shape, (batch, height, width, channels); "
            "`decode(tokens, size=(height, width))` crops to that of the input. "
            f"Received: images of shape {shapes[0]}, reconstructions of shape {shapes[1]}"
        )
    way_out = f"Their max_value is {max_value}. {eight_bits}."
    check_magnitudes(_MOST_OF_ORIGINAL * max_value, way_out, images=images)
    check_magnitudes(_MOST_OF_NETWORK * max_value, way_out, reconstructions=reconstructions)
    return images, reconstructions


def _window_mean(x):
    """Gaussian mean of every complete window: (batch, h, w, c) -> (batch, h - 10, w - 10, c)."""
    distance = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    weights = np.exp(-0.5 * np.square(distance / _SSIM_SIGMA))
    weights = np.asarray(weights / weights.sum(), "float32")
    # A Gaussian is separable into a column and a row. Each channel is filtered separately.
    for shape in ((SSIM_WINDOW, 1, 1, 1), (1, SSIM_WINDOW, 1, 1)):
        kernel = np.repeat(weights.reshape(shape), x.shape[-1], axis=2)
        x = ops.depthwise_conv(x, kernel, padding="valid", data_format="channels_last")
    return x
