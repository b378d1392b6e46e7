"""Speech and audio quality by other packages: STOI, PESQ, ViSQOL. Install by `pip install "vqzoo[metrics]"`."""

import numpy as np
from keras import ops

from vqzoo.metrics.packages import optional_package
from vqzoo.metrics.pairs import float_tensors

# The exact value that pystoi returns if it does not find enough speech.
_TOO_LITTLE_SPEECH = 1e-5


def stoi(signal, reconstruction, sample_rate):
    """Short-time objective intelligibility (STOI) of speech, computed by the package `pystoi`.

    Args:
        signal: float tensor (batch, samples, channels), clean speech.
        reconstruction: float tensor of the same shape.
        sample_rate: int, Hz; the package resamples to 10 kHz.

    Returns:
        float64 numpy array (batch,), at most 1, the mean over the channels of each clip; NaN if a channel has less than
        0.4 seconds of speech, for which the package warns. `evaluate_audio` leaves such clips out.

    Raises:
        ImportError: the package is not installed.
        ValueError: if the signals do not have that shape.

    Example:
    >>> from vqzoo.metrics import evaluate_audio
    >>> metrics = {"stoi": lambda x, y: stoi(x, y, 16000)}  # evaluate_audio(tokenizer, batches, metrics=metrics)

    Reference:
        Taal et al. 2011, An algorithm for intelligibility prediction of time-frequency weighted noisy speech
    """
    package = optional_package("pystoi")

    def measure(x, y):
        value = package.stoi(x, y, sample_rate)
        return np.nan if value == _TOO_LITTLE_SPEECH else value

    return _of_channels(measure, signal, reconstruction)


def pesq(signal, reconstruction, sample_rate=16000):
    """Perceptual evaluation of speech quality (PESQ), wide-band, computed by the package `pesq`.

    Args:
        signal: float tensor (batch, samples, channels), clean speech.
        reconstruction: float tensor of the same shape.
        sample_rate: int, Hz; must be 16000, the only rate of wide-band PESQ.

    Returns:
        float64 numpy array (batch,), from 1 to 4.64, the mean over the channels of each clip; NaN if the package finds
        no speech in a channel, or less than a quarter of a second. `evaluate_audio` leaves such clips out.

    Raises:
        ImportError: the package is not installed.
        ValueError: if the signals do not have that shape, or `sample_rate` is not 16000.

    Example:
    >>> metrics = {"pesq": pesq}  # evaluate_audio(tokenizer, batches, metrics=metrics)

    Reference:
        ITU-T P.862.2, 2007
    """
    if sample_rate != 16000:
        raise ValueError(f"Wide-band PESQ expects speech at 16000 Hz. Received: {sample_rate=}. Resample both.")
    package = optional_package("pesq")

    def measure(x, y):
        try:
            return package.pesq(sample_rate, x, y, "wb")
        except (package.NoUtterancesError, package.BufferTooShortError):
            return np.nan

    return _of_channels(measure, signal, reconstruction)


def visqol(signal, reconstruction, sample_rate):
    """Quality of speech or audio as a mean opinion score (ViSQOL), computed by the package `visqol-python`.

    Args:
        signal: float tensor (batch, samples, channels).
        reconstruction: float tensor of the same shape.
        sample_rate: int, Hz; 16000 for the speech model, 48000 for the general audio model.

    Returns:
        float64 numpy array (batch,), from 1 to 5, the mean over the channels of each clip.

    Raises:
        ImportError: the package is not installed.
        ValueError: if the signals do not have that shape, or there is no model for that rate.

    Example:
    >>> metrics = {"visqol": lambda x, y: visqol(x, y, 16000)}  # evaluate_audio(tokenizer, batches, metrics=metrics)

    Reference:
        Chinen et al. 2020, https://arxiv.org/abs/2004.09584
    """
    modes = {16000: "speech", 48000: "audio"}
    if sample_rate not in modes:
        raise ValueError(
            f"ViSQOL has models of speech at 16000 Hz and of audio at 48000 Hz. Received: sample_rate={sample_rate}. "
            "Resample both."
        )
    judge = optional_package("visqol").VisqolApi()
    judge.create(mode=modes[sample_rate])
    return _of_channels(lambda x, y: judge.measure_from_arrays(x, y, sample_rate).moslqo, signal, reconstruction)


def _of_channels(measure, signal, reconstruction):
    """The mean of `measure(channel, reconstructed channel)` over the channels of each clip."""
    pair = float_tensors("Pass `x / 32768` for 16 bits.", signal=signal, reconstruction=reconstruction)
    signal, reconstruction = (ops.convert_to_numpy(x).astype("float64") for x in pair)
    if signal.ndim != 3 or signal.shape != reconstruction.shape:
        raise ValueError(
            "Both signals must have the same shape, (batch, samples, channels). Received: a signal of shape "
            f"{signal.shape}, a reconstruction of shape {reconstruction.shape}"
        )
    clips = zip(signal, reconstruction, strict=True)
    return np.array([np.mean([measure(*pair) for pair in zip(x.T, y.T, strict=True)]) for x, y in clips])
