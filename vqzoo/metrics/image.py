"""How near a picture is to its original: PSNR and SSIM, one number per picture."""

import numpy as np
from keras import ops

# The constants of Wang et al. 2004, which tf.image.ssim and the papers of this field use.
SSIM_WINDOW = 11  # pixels
_SSIM_SIGMA = 1.5  # pixels
_SSIM_K1 = 0.01
_SSIM_K2 = 0.03


def psnr(images, reconstructions, max_value=2.0):
    """Peak signal-to-noise ratio of each picture: `10 log10(max_value^2 / mean squared error)`.

    Nothing is clipped or rounded here; `evaluate_images` does both first, as a saved picture would be.

    Args:
        images: float tensor (batch, height, width, channels).
        reconstructions: float tensor of the same shape.
        max_value: float, largest minus smallest possible value; 2 for the signal range [-1, 1].

    Returns:
        float32 tensor (batch,), in dB; `inf` for equal pictures.

    Raises:
        ValueError: the two are not batches of pictures of one shape.

    Example:
    >>> import numpy as np
    >>> psnr(np.zeros((1, 4, 4, 3)), np.full((1, 4, 4, 3), 0.2)).numpy().round(3).tolist()
    [20.0]
    """
    images, reconstructions = _check_pair(images, reconstructions)
    error = ops.mean(ops.square(images - reconstructions), axis=(1, 2, 3))
    return 10.0 * ops.log10(max_value**2 / error)


def ssim(images, reconstructions, max_value=2.0):
    """Structural similarity of each picture, the mean over its channels and its whole windows.

    In each Gaussian window (11 pixels, sigma 1.5), with means `m`, variances `v` and covariance `c`, it is
    `(2 m_x m_y + c1) (2 c + c2) / ((m_x^2 + m_y^2 + c1) (v_x + v_y + c2))`,
    where `c1 = (0.01 max_value)^2` and `c2 = (0.03 max_value)^2`. Equal to `tf.image.ssim`, and to
    scikit-image's `structural_similarity` with `gaussian_weights=True, use_sample_covariance=False`.

    Args:
        images: float tensor (batch, height, width, channels), at least 11 x 11 pixels.
        reconstructions: float tensor of the same shape.
        max_value: float, largest minus smallest possible value; 2 for the signal range [-1, 1].

    Returns:
        float32 tensor (batch,); 1 for equal pictures.

    Raises:
        ValueError: the two are not batches of pictures of one shape, or are smaller than the window.

    Reference:
        Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, eq. 13.

    Example:
    >>> import numpy as np
    >>> ssim(np.zeros((1, 16, 16, 3)), np.full((1, 16, 16, 3), 0.02)).numpy().round(3).tolist()
    [0.5]
    """
    images, reconstructions = _check_pair(images, reconstructions)
    if any(size is not None and size < SSIM_WINDOW for size in images.shape[1:3]):
        raise ValueError(
            f"SSIM compares windows of {SSIM_WINDOW} x {SSIM_WINDOW} pixels, so pictures must be at least "
            f"that large. Received: images of shape {tuple(images.shape)}. Use larger pictures, or PSNR."
        )
    mean_x, mean_y = _window_mean(images), _window_mean(reconstructions)
    product_of_means = mean_x * mean_y
    squared_means = ops.square(mean_x) + ops.square(mean_y)
    covariance = _window_mean(images * reconstructions) - product_of_means
    variances = _window_mean(ops.square(images) + ops.square(reconstructions)) - squared_means
    c1, c2 = (_SSIM_K1 * max_value) ** 2, (_SSIM_K2 * max_value) ** 2
    luminance = (2.0 * product_of_means + c1) / (squared_means + c1)
    structure = (2.0 * covariance + c2) / (variances + c2)
    return ops.mean(luminance * structure, axis=(1, 2, 3))


def _check_pair(images, reconstructions):
    images = ops.cast(ops.convert_to_tensor(images), "float32")
    reconstructions = ops.cast(ops.convert_to_tensor(reconstructions), "float32")
    shapes = tuple(images.shape), tuple(reconstructions.shape)
    same = all(a == b or None in (a, b) for a, b in zip(*shapes, strict=False))  # None: unknown in a graph
    if len(shapes[0]) != 4 or len(shapes[1]) != 4 or not same:
        raise ValueError(
            "`images` and `reconstructions` must have one shape, (batch, height, width, channels); "
            "`decode(tokens, size=(height, width))` crops to the input's. "
            f"Received: images of shape {shapes[0]}, reconstructions of shape {shapes[1]}"
        )
    return images, reconstructions


def _window_mean(x):
    """Gaussian mean at every whole window: (batch, h, w, c) -> (batch, h - 10, w - 10, c)."""
    distance = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    weights = np.exp(-0.5 * np.square(distance / _SSIM_SIGMA))
    weights = np.asarray(weights / weights.sum(), "float32")
    # A Gaussian is separable: a column, then a row. Each channel by itself.
    for shape in ((SSIM_WINDOW, 1, 1, 1), (1, SSIM_WINDOW, 1, 1)):
        kernel = np.repeat(weights.reshape(shape), x.shape[-1], axis=2)
        x = ops.depthwise_conv(x, kernel, padding="valid", data_format="channels_last")
    return x
