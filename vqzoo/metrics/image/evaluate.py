"""Evaluates an image tokenizer on a dataset."""

import math

import numpy as np
from keras import ops

from vqzoo.metrics.batches import checked_batches
from vqzoo.metrics.batches import evaluate_batches
from vqzoo.metrics.image.similarity import ms_ssim
from vqzoo.metrics.image.similarity import ms_ssim_scales
from vqzoo.metrics.image.similarity import psnr
from vqzoo.metrics.image.similarity import ssim
from vqzoo.metrics.rate import bits_per_pixel

# An image that is reconstructed exactly in 8 bits (a constant one) would make the mean PSNR infinite.
_LARGEST_PSNR = 100.0  # dB
_MS_SSIM_NAMES = {5: "ms_ssim", 4: "ms_ssim_4_scales", 3: "ms_ssim_3_scales", 2: "ms_ssim_2_scales"}
_NAMES = ("psnr", "ssim", *_MS_SSIM_NAMES.values(), "l1", "bits_per_pixel", "usage", "perplexity", "dead_codes")
_NAMES += ("images_per_second", "images")


def evaluate_images(tokenizer, batches, max_batches=None, metrics=None):
    """Encodes and decodes images and measures the reconstructions.

    Reconstructions are clipped to [-1, 1] and rounded to 8 bits first, as in a saved image.

    Args:
        tokenizer: has `encode(images) -> tokens`, `decode(tokens, size=(height, width)) -> images` and
            `codebook_sizes`.
        batches: iterable of float32 arrays or tensors (batch, height, width, channels) in [-1, 1].
        max_batches: int, the largest number of batches to evaluate; None evaluates all.
        metrics: dict name -> additional metric. A metric is a callable (images, reconstructions) -> one value for the
            batch or one per image, for instance a `PerceptualLoss`; or an object with
            `update_state(images, reconstructions)`, `result()` and `reset_state()`, for instance a `FrechetDistance`,
            which is reset first. Name a metric after its network. Defaults to none.

    Returns:
        A dict of Python numbers, means over the images: `psnr` (dB, at most 100 per image), `ssim` (of non-negative
        intensities, over the images of at least 11 pixels), `ms_ssim` (the same, over the images of at least 161
        pixels, which have all five scales; smaller images are in `ms_ssim_4_scales`, `ms_ssim_3_scales` and
        `ms_ssim_2_scales`, from 81, 41 and 21 pixels), `l1` (mean absolute difference of values in [-1, 1]),
        `bits_per_pixel` (all bits divided by all pixels), and those of `metrics`. Over all tokens: `usage`,
        `perplexity` and `dead_codes` (see `CodebookUsage`). Then `images_per_second` (encoded and decoded, without
        compilation) and `images`, the number of images. A value for which no image is large enough is left out.

    Raises:
        ValueError: there is no image, a batch is not (batch, height, width, channels), a metric has a name of the
            report, or returns something else.

    Example:
    >>> import numpy as np
    >>> class Brightness:
    ...     codebook_sizes = (3,)
    ...     def encode(self, images):
    ...         return np.rint(images.mean(axis=-1, keepdims=True) + 1).astype("int32")
    ...     def decode(self, tokens, size):
    ...         return np.repeat(tokens - 1.0, 3, axis=-1)
    >>> report = evaluate_images(Brightness(), [np.full((2, 8, 8, 3), 0.8, "float32")])
    >>> round(report["psnr"], 2), round(report["bits_per_pixel"], 3), report["dead_codes"], report["images"]
    (20.0, 1.585, 2, 2)
    """
    bits, pixels = [], []  # one number per batch

    def measured(images, decoded, tokens):
        saved = _as_saved(decoded)
        pixels.append(math.prod(images.shape[:3]))
        bits.append(pixels[-1] * bits_per_pixel(tokens.shape, tokenizer.codebook_sizes, *images.shape[1:3]))
        return saved, _distances(images, saved)

    def decode(tokens, images):
        return tokenizer.decode(tokens, size=images.shape[1:3])

    batches = checked_batches(batches, max_batches, ("batch", "height", "width", "channels"), "images")
    evaluated = evaluate_batches(tokenizer, batches, metrics, _NAMES, "image", decode, measured)
    speed = evaluated.count / evaluated.seconds
    rate = sum(bits) / sum(pixels)  # over all images together, as in one file
    return {**evaluated.report, "bits_per_pixel": rate, "images_per_second": speed, "images": evaluated.count}


def _distances(images, reconstructions):
    """The values of each image, {name: array (batch,)}."""
    distances = {
        "psnr": np.minimum(ops.convert_to_numpy(psnr(images, reconstructions)), _LARGEST_PSNR),
        "l1": np.abs(images - reconstructions).mean(axis=(1, 2, 3)),
    }
    images, reconstructions = images + 1.0, reconstructions + 1.0  # both metrics expect non-negative intensities
    scales = ms_ssim_scales(*images.shape[1:3])
    if scales:
        distances["ssim"] = ops.convert_to_numpy(ssim(images, reconstructions))
    if scales in _MS_SSIM_NAMES:  # with one scale it is SSIM
        distances[_MS_SSIM_NAMES[scales]] = ops.convert_to_numpy(ms_ssim(images, reconstructions, scales=scales))
    return distances


def _as_saved(images):
    """Floats in [-1, 1] -> the values that an 8-bit file of them holds."""
    pixels = np.rint((np.clip(images.astype("float32"), -1.0, 1.0) + 1.0) * 127.5)
    return (pixels / 127.5 - 1.0).astype("float32")
