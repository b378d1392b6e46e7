"""One page of numbers for a tokenizer on a set of pictures."""

import itertools
import time

import keras
import numpy as np
from keras import ops

from vqzoo.metrics.codebook import CodebookUsage
from vqzoo.metrics.image import ms_ssim
from vqzoo.metrics.image import ms_ssim_scales
from vqzoo.metrics.image import psnr
from vqzoo.metrics.image import ssim
from vqzoo.metrics.rate import bits_per_pixel

# A picture that survives 8 bits exactly (a flat one) has an infinite PSNR, and would make the mean infinite.
_LARGEST_PSNR = 100.0  # dB
_MS_SSIM_NAMES = {5: "ms_ssim", 4: "ms_ssim_4_scales", 3: "ms_ssim_3_scales", 2: "ms_ssim_2_scales"}
_NAMES = ("psnr", "ssim", *_MS_SSIM_NAMES.values(), "l1", "bits_per_pixel", "usage", "perplexity", "dead_codes")
_NAMES += ("images_per_second", "images")


def evaluate_images(tokenizer, batches, max_batches=None, metrics=None):
    """Encodes and decodes pictures and measures what comes back.

    Reconstructions are clipped to [-1, 1] and rounded to 8 bits first, because that is what a saved picture
    holds.

    Args:
        tokenizer: has `encode(images) -> tokens`, `decode(tokens, size=(height, width)) -> images` and
            `codebook_sizes`.
        batches: iterable of float32 arrays or tensors (batch, height, width, channels) in [-1, 1].
        max_batches: int, stop after so many batches; None takes them all.
        metrics: dict name -> what to report too. Each is either a callable (images, reconstructions) -> one number
            for the batch or one for each picture, for instance a `PerceptualLoss`; or an object with
            `update_state(images, reconstructions)`, `result()` and `reset_state()`, which begins anew here, for
            instance a `FrechetDistance`. Name it after its network. Defaults to none.

    Returns:
        A dict of Python numbers, means over the pictures: `psnr` (dB, at most 100 for one picture), `ssim` (of
        intensities from 0 up, over the pictures of 11 pixels or more), `ms_ssim` (the same, over the pictures of 161
        pixels or more, which have all five scales; smaller ones are in `ms_ssim_4_scales`, `ms_ssim_3_scales` and
        `ms_ssim_2_scales`, from 81, 41 and 21 pixels), `l1` (mean absolute difference in [-1, 1] units),
        `bits_per_pixel`, and those of `metrics`; over all tokens `usage`, `perplexity` and `dead_codes` (see
        `CodebookUsage`); `images_per_second` (through encode and decode, compilation not counted) and `images`, their
        number. A number without a picture of its size is left out.

    Raises:
        ValueError: there is no picture, a batch is not (batch, height, width, channels), a metric has the name of
            one of ours, or returns something else.

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
    per_picture, streaming = _split(metrics or {})
    codebook = CodebookUsage(tokenizer.codebook_sizes)
    scores = {name: [] for name in (*_NAMES, *per_picture)}  # name -> one array (batch,) per batch
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
        saved = _as_saved(decoded)
        for name, values in _distances(images, saved).items():
            scores[name].append(values)
        for name, distance in per_picture.items():
            scores[name].append(_for_each_picture(name, distance(images, saved), len(images)))
        for metric in streaming.values():
            metric.update_state(images, saved)
    scores = {name: np.concatenate(values) for name, values in scores.items() if values}
    count = len(scores.get("psnr", ()))
    if not count:
        raise ValueError("There is nothing to evaluate: `batches` held no picture. Check the folder or the split.")
    usage = {name: float(value) for name, value in codebook.result().items()}
    return {
        **{name: float(np.mean(values, dtype="float64")) for name, values in scores.items()},
        **{name: float(metric.result()) for name, metric in streaming.items()},
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


def _split(metrics):
    """Those that judge each picture or batch by itself, and those that gather all, begun anew."""
    taken = sorted(set(metrics) & set(_NAMES))
    if taken:
        raise ValueError(f"`metrics` must have names that the report does not use itself. Received: {taken}")
    streaming = {name: metric for name, metric in metrics.items() if hasattr(metric, "update_state")}
    for metric in streaming.values():
        metric.reset_state()
    return {name: metric for name, metric in metrics.items() if name not in streaming}, streaming


def _for_each_picture(name, value, count):
    """One number for the batch, or one for each picture -> array (batch,)."""
    shapes = [tuple(np.shape(x)) for x in keras.tree.flatten(value)]
    if shapes not in ([()], [(count,)]):
        raise ValueError(
            f"A metric must return one number for the batch or one for each of its {count} pictures. Received: from "
            f"{name}, shapes {shapes}. A network alone is no metric: use FrechetDistance(network)."
        )
    return np.broadcast_to(ops.convert_to_numpy(value), (count,))


def _distances(images, reconstructions):
    """One number per picture: {name: array (batch,)}."""
    distances = {
        "psnr": np.minimum(ops.convert_to_numpy(psnr(images, reconstructions)), _LARGEST_PSNR),
        "l1": np.abs(images - reconstructions).mean(axis=(1, 2, 3)),
    }
    images, reconstructions = images + 1.0, reconstructions + 1.0  # both measures are of intensities from 0 up
    scales = ms_ssim_scales(*images.shape[1:3])
    if scales:
        distances["ssim"] = ops.convert_to_numpy(ssim(images, reconstructions))
    if scales in _MS_SSIM_NAMES:  # one scale is SSIM
        distances[_MS_SSIM_NAMES[scales]] = ops.convert_to_numpy(ms_ssim(images, reconstructions, scales=scales))
    return distances


def _encode_decode(tokenizer, images):
    tokens = tokenizer.encode(images)
    decoded = tokenizer.decode(tokens, size=images.shape[1:3])
    return ops.convert_to_numpy(tokens), ops.convert_to_numpy(decoded)  # numpy: waits for the device


def _as_saved(images):
    """[-1, 1] floats -> what an 8-bit file of them would load as."""
    pixels = np.rint((np.clip(images.astype("float32"), -1.0, 1.0) + 1.0) * 127.5)
    return (pixels / 127.5 - 1.0).astype("float32")
