"""One page of numbers for a tokenizer on a set of pictures."""

import itertools
import time

import numpy as np
from keras import ops

from vqzoo.metrics.codebook import CodebookUsage
from vqzoo.metrics.image import SSIM_WINDOW
from vqzoo.metrics.image import psnr
from vqzoo.metrics.image import ssim
from vqzoo.metrics.rate import bits_per_pixel

# A picture that survives 8 bits exactly (a flat one) has an infinite PSNR, and would make the mean infinite.
_LARGEST_PSNR = 100.0  # dB


def evaluate_images(tokenizer, batches, max_batches=None):
    """Encodes and decodes pictures and measures what comes back.

    Reconstructions are clipped to [-1, 1] and rounded to 8 bits first, because that is what a saved picture
    holds.

    Args:
        tokenizer: has `encode(images) -> tokens`, `decode(tokens, size=(height, width)) -> images` and
            `codebook_sizes`.
        batches: iterable of float32 arrays or tensors (batch, height, width, channels) in [-1, 1].
        max_batches: int, stop after so many batches; None takes them all.

    Returns:
        A dict of Python numbers, means over the pictures: `psnr` (dB, at most 100 for one picture), `ssim`
        (left out if all pictures are smaller than 11 pixels), `l1` (mean absolute difference in [-1, 1]
        units) and `bits_per_pixel`; over all tokens `usage`, `perplexity` and `dead_codes` (see
        `CodebookUsage`); `images_per_second` (through encode and decode, compilation not counted) and
        `images`, their number.

    Raises:
        ValueError: there is no picture, or a batch is not (batch, height, width, channels).

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
    codebook = CodebookUsage(tokenizer.codebook_sizes)
    scores = {"psnr": [], "ssim": [], "l1": [], "bits_per_pixel": []}  # name -> one array (batch,) per batch
    seconds = 0.0
    compiled = set()
    for images in itertools.islice(batches, max_batches):
        images = _check_batch(images)
        if images.shape not in compiled:
            _encode_decode(tokenizer, images)
            compiled.add(images.shape)
        start = time.perf_counter()
        tokens, decoded = _encode_decode(tokenizer, images)
        seconds += time.perf_counter() - start
        codebook.update_state(tokens)
        bits = bits_per_pixel(tokens.shape, tokenizer.codebook_sizes, *images.shape[1:3])
        scores["bits_per_pixel"].append(np.full(len(images), bits))
        for name, values in _distances(images, _as_saved(decoded)).items():
            scores[name].append(values)
    scores = {name: np.concatenate(values) for name, values in scores.items() if values}
    count = len(scores.get("psnr", ()))
    if not count:
        raise ValueError("There is nothing to evaluate: `batches` held no picture. Check the folder or the split.")
    usage = {name: float(value) for name, value in codebook.result().items()}
    return {
        **{name: float(np.mean(values, dtype="float64")) for name, values in scores.items()},
        **usage,
        "dead_codes": int(usage["dead_codes"]),
        "images_per_second": count / seconds,
        "images": count,
    }


def _check_batch(images):
    images = ops.convert_to_numpy(images)
    if images.ndim != 4:
        raise ValueError(
            "Each batch must be pictures alone, (batch, height, width, channels). "
            f"Received: a batch of shape {images.shape}"
        )
    return images


def _distances(images, reconstructions):
    """One number per picture: {name: array (batch,)}."""
    distances = {
        "psnr": np.minimum(ops.convert_to_numpy(psnr(images, reconstructions)), _LARGEST_PSNR),
        "l1": np.abs(images - reconstructions).mean(axis=(1, 2, 3)),
    }
    if min(images.shape[1:3]) >= SSIM_WINDOW:
        distances["ssim"] = ops.convert_to_numpy(ssim(images, reconstructions))
    return distances


def _encode_decode(tokenizer, images):
    tokens = tokenizer.encode(images)
    decoded = tokenizer.decode(tokens, size=images.shape[1:3])
    return ops.convert_to_numpy(tokens), ops.convert_to_numpy(decoded)  # numpy: waits for the device


def _as_saved(images):
    """[-1, 1] floats -> what an 8-bit file of them would load as."""
    pixels = np.rint((np.clip(images.astype("float32"), -1.0, 1.0) + 1.0) * 127.5)
    return (pixels / 127.5 - 1.0).astype("float32")
