"""The evaluation loop over batches that all modalities share."""

import itertools
import time
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from vqzoo.metrics.codebook import CodebookUsage

_MOST_CHANNELS = 8  # a longer last axis is not a channel axis


class Evaluated(NamedTuple):
    """The result of `evaluate_batches`."""

    report: dict  # name -> Python number
    codebook: Any  # `CodebookUsage` of all tokens
    count: int  # examples
    seconds: float  # of encode and decode, without compilation


def evaluate_batches(tokenizer, batches, metrics, reserved, thing, decode, distances):
    """Encodes and decodes batches and collects the metrics of each example.

    Args:
        tokenizer: has `encode(signal) -> tokens` and `codebook_sizes`.
        batches: iterable of numpy arrays (batch, *size, channels).
        metrics: dict name -> callable or object with `update_state`, see `evaluate_images`; None for none.
        reserved: tuple of str, names that a metric must not have.
        thing: str, the noun for an example in errors.
        decode: callable (tokens, signal) -> reconstruction, an array of the signal's shape.
        distances: callable (signal, reconstruction, tokens) -> (reconstruction as it is saved, dict name -> array with
            the values of the examples for which they are defined). Its names are reserved too.

    Returns:
        `Evaluated(report, codebook, count, seconds)`. The report holds means over the examples, the metrics, and the
        usage of the codebooks. A value that is defined for no example is left out. NaN and infinite values of a
        callable in `metrics` are undefined.

    Raises:
        ValueError: there is no example, a metric has a reserved name, or returns a wrong shape.

    Example:
    >>> class Rounding:
    ...     codebook_sizes = (3,)
    ...     def encode(self, signal):
    ...         return np.rint(signal).astype("int32")
    >>> evaluated = evaluate_batches(
    ...     Rounding(), [np.full((2, 4, 1), 1.1)], None, ("l1",), "row", lambda tokens, signal: 1.0 * tokens,
    ...     lambda x, y, tokens: (y, {"l1": np.abs(x - y).mean(axis=(1, 2))}))
    >>> round(evaluated.report["l1"], 3), evaluated.report["dead_codes"], evaluated.count
    (0.1, 2, 2)
    """
    of_each, streaming = _split(metrics or {}, reserved)
    codebook = CodebookUsage(tokenizer.codebook_sizes)
    scores = {name: [] for name in (*reserved, *of_each)}  # name -> one array (batch,) per batch
    count, seconds, compiled = 0, 0.0, set()

    def encode_decode(signal):
        tokens = tokenizer.encode(signal)
        decoded = decode(tokens, signal)
        return ops.convert_to_numpy(tokens), ops.convert_to_numpy(decoded)  # numpy: waits for the device

    for signal in batches:
        if signal.shape not in compiled:
            encode_decode(signal)
            compiled.add(signal.shape)
        start = time.perf_counter()
        tokens, decoded = encode_decode(signal)
        seconds += time.perf_counter() - start
        count += len(signal)
        codebook.update_state(tokens)
        saved, values = distances(signal, decoded, tokens)
        for name, metric in of_each.items():
            of_batch = _for_each(name, metric(signal, saved), len(signal), thing)
            values[name] = of_batch[np.isfinite(of_batch)]
        for name, value in values.items():
            scores[name].append(value)
        for metric in streaming.values():
            metric.update_state(signal, saved)
    if not count:
        raise ValueError(f"There is nothing to evaluate: `batches` held no {thing}. Check the folder or the split.")
    scores = {name: np.concatenate(values) for name, values in scores.items() if values}
    usage = {name: float(value) for name, value in codebook.result().items()}
    report = {
        **{name: float(np.mean(values, dtype="float64")) for name, values in scores.items() if len(values)},
        **{name: float(metric.result()) for name, metric in streaming.items()},
        **usage,
        "dead_codes": int(usage["dead_codes"]),
    }
    return Evaluated(report, codebook, count, seconds)


def checked_batches(batches, max_batches, axes, things):
    """Yields at most `max_batches` batches as numpy arrays.

    Args:
        batches: iterable of arrays or tensors.
        max_batches: int, or None for all.
        axes: tuple of str, the names of the axes of a batch.
        things: str, the noun for the examples of a batch.

    Yields:
        Numpy arrays.

    Raises:
        ValueError: a batch has a different number of axes.

    Example:
    >>> [x.shape for x in checked_batches([np.zeros((2, 3)), np.ones((1, 3))], 1, ("batch", "size"), "rows")]
    [(2, 3)]
    """
    rule = f"`batches` must hold only arrays of {things}, each ({', '.join(axes)}). Received:"
    for batch in itertools.islice(batches, max_batches):
        if isinstance(batch, tuple | dict):
            key = 0 if isinstance(batch, tuple) else max(batch, key=lambda name: np.ndim(batch[name]))
            raise ValueError(
                f"{rule} a {type(batch).__name__} of {len(batch)}. Pass `[batch[{key!r}] for batch in x]`, where `x` "
                "is the received value."
            )
        batch = ops.convert_to_numpy(batch)
        if batch.ndim != len(axes):
            missing = len(axes) - batch.ndim
            index = "[..., None]" if batch.shape and batch.shape[-1] > _MOST_CHANNELS else "[None]"
            way_out = "[x]" if hasattr(batches, "shape") else f"[batch{index} for batch in x]"
            way_out = f" Pass `{way_out}`, where `x` is the received value." if missing == 1 else ""
            raise ValueError(f"{rule} a batch of shape {batch.shape}.{way_out}")
        yield batch


def _split(metrics, reserved):
    """The metrics of single examples or batches, and those with a state, which is reset."""
    taken = sorted(set(metrics) & set(reserved))
    if taken:
        raise ValueError(f"`metrics` must have names that the report does not use itself. Received: {taken}")
    streaming = {name: metric for name, metric in metrics.items() if hasattr(metric, "update_state")}
    for metric in streaming.values():
        metric.reset_state()
    return {name: metric for name, metric in metrics.items() if name not in streaming}, streaming


def _for_each(name, value, count, thing):
    """One value for the batch, or one per example -> array (batch,)."""
    shapes = [tuple(np.shape(x)) for x in keras.tree.flatten(value)]
    if shapes not in ([()], [(count,)]):
        raise ValueError(
            f"A metric must return one number for the batch or one for each of its {count} {thing}s. Received: from "
            f"{name}, shapes {shapes}. A network is not a metric. Use FrechetDistance(network)."
        )
    return np.broadcast_to(ops.convert_to_numpy(value), (count,))
