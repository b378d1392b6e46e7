"""Evaluates an audio tokenizer on a dataset."""

import math

import numpy as np
from keras import ops

from vqzoo.metrics.audio.distances import level_difference
from vqzoo.metrics.audio.distances import log_mel_distance
from vqzoo.metrics.audio.distances import mel_distance
from vqzoo.metrics.audio.distances import si_sdr
from vqzoo.metrics.audio.distances import stft_distance
from vqzoo.metrics.batches import checked_batches
from vqzoo.metrics.batches import evaluate_batches
from vqzoo.metrics.codebook import codebook_statistics
from vqzoo.metrics.rate import kilobits_per_second

# A clip that is reconstructed exactly has only rounding errors, and would dominate the mean.
_LARGEST_SI_SDR = 100.0  # dB
_AT_ONCE = 2**20  # samples of a clip whose spectra are compared at once
_NAMES = (
    "mel_distance",
    "log_mel_distance",
    "stft_distance",
    "si_sdr",
    "level_difference",
    "l1",
    "kilobits_per_second",
)
_NAMES += ("usage", "perplexity", "dead_codes", "times_real_time", "seconds", "clips")


def evaluate_audio(tokenizer, batches, max_batches=None, metrics=None):
    """Encodes and decodes audio and measures the reconstructions.

    Reconstructions are clipped to [-1, 1] first, as in a saved file. Clips of different lengths must be in different
    batches, because the padding of a padded clip would be measured too.

    Args:
        tokenizer: has `encode(signal) -> tokens`, `decode(tokens, length=samples) -> signal`, `codebook_sizes` and
            `sample_rate`.
        batches: iterable of float32 arrays or tensors (batch, samples, channels) in [-1, 1].
        max_batches: int, the largest number of batches to evaluate; None evaluates all.
        metrics: dict name -> additional metric, as in `evaluate_images`. A metric is a callable
            (signal, reconstruction) -> one value for the batch or one per clip, such as
            `lambda x, y: stoi(x, y, tokenizer.sample_rate)`; or an object with `update_state`, `result` and
            `reset_state`. NaN and infinite values of a callable are left out, for example those of clips without
            speech. Defaults to none.

    Returns:
        A dict of Python numbers, means over the clips: `mel_distance` (DAC's, over seven scales), `log_mel_distance`
        (of 80 bands), `stft_distance`, `si_sdr` (dB, at most 100 per clip, over the clips without a silent channel),
        `level_difference` (dB, over the same clips; below 0 the reconstructions are quieter), `l1` (mean absolute
        difference), `kilobits_per_second` (all bits divided by all seconds, without entropy coding), and those of
        `metrics`. Over all tokens: `usage`, `perplexity` and `dead_codes` (see `CodebookUsage`); with several codebooks
        also the usage and the perplexity of each, `usage_0`, `perplexity_0` and so on. Then `times_real_time` (seconds
        of audio that are encoded and decoded per second, without compilation), `seconds` of audio and `clips`, the
        number of clips. A value that is defined for no clip is left out.

    Raises:
        ValueError: there is no clip, a batch is not (batch, samples, channels), a metric has a name of the report,
            or returns something else.

    Example:
    >>> class Bits:
    ...     codebook_sizes, sample_rate = (16,), 8000
    ...     def encode(self, signal):
    ...         return np.rint(signal * 7.5 + 7.5).astype("int32")
    ...     def decode(self, tokens, length):
    ...         return tokens / 7.5 - 1.0
    >>> tone = np.sin(np.arange(8000) / 9.0).reshape(1, 8000, 1)
    >>> report = evaluate_audio(Bits(), [tone])
    >>> round(report["si_sdr"], 1), report["kilobits_per_second"], report["clips"]
    (25.8, 32.0, 1)
    """
    sample_rate = tokenizer.sample_rate
    seconds, positions = [], []  # of audio and of its tokens, one number per batch

    def measured(signal, decoded, tokens):
        saved = np.clip(decoded.astype("float32"), -1.0, 1.0)
        seconds.append(signal.shape[1] / sample_rate * len(signal))
        positions.append(math.prod(tokens.shape[1:-1]) * len(signal))
        return saved, _distances(signal, saved, sample_rate)

    def decode(tokens, signal):
        return tokenizer.decode(tokens, length=signal.shape[1])

    several = range(len(tokenizer.codebook_sizes)) if len(tokenizer.codebook_sizes) > 1 else ()
    names = (*_NAMES, *(f"{name}_{i}" for i in several for name in ("usage", "perplexity")))
    batches = checked_batches(batches, max_batches, ("batch", "samples", "channels"), "clips")
    evaluated = evaluate_batches(tokenizer, batches, metrics, names, "clip", decode, measured)
    of_each = [codebook_statistics(counts) for counts in evaluated.codebook.counts_per_codebook()]
    return {
        **evaluated.report,
        **{f"{name}_{i}": of_each[i][name] for i in several for name in ("usage", "perplexity")},
        # Over all clips together, because a mean over clips would overstate the bits per second of short ones.
        "kilobits_per_second": kilobits_per_second(sum(positions) / sum(seconds), tokenizer.codebook_sizes),
        "times_real_time": sum(seconds) / evaluated.seconds,
        "seconds": sum(seconds),
        "clips": evaluated.count,
    }


def _distances(signal, reconstruction, sample_rate):
    """The values of each clip, {name: array (batch,)}."""
    audible = np.ptp(signal, axis=1).all(axis=-1)  # decibels of silence are meaningless
    distances = {
        **_spectral_distances(signal, reconstruction, sample_rate),
        "si_sdr": ops.minimum(si_sdr(signal, reconstruction), _LARGEST_SI_SDR),
        "level_difference": level_difference(signal, reconstruction),
        "l1": np.abs(signal - reconstruction).mean(axis=(1, 2)),
    }
    distances = {name: ops.convert_to_numpy(values) for name, values in distances.items()}
    return {**distances, **{name: distances[name][audible] for name in ("si_sdr", "level_difference")}}


def _spectral_distances(signal, reconstruction, sample_rate):
    """The distances whose frames take far more memory than the audio, as means over the parts of a long clip."""
    pieces = -(-signal.shape[1] // _AT_ONCE)
    found = []
    for x, y in zip(np.array_split(signal, pieces, 1), np.array_split(reconstruction, pieces, 1), strict=True):
        of_piece = {
            "mel_distance": mel_distance(x, y, sample_rate),
            "log_mel_distance": log_mel_distance(x, y, sample_rate),
            "stft_distance": stft_distance(x, y),
        }
        share = x.shape[1] / signal.shape[1]
        found.append({name: share * ops.convert_to_numpy(values) for name, values in of_piece.items()})
    return {name: sum(of_piece[name] for of_piece in found) for name in found[0]}
