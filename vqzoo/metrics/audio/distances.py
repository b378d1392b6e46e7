"""Distances between audio and its reconstruction: mel spectra, spectra and SI-SDR, one value per clip."""

import functools
import math
import numbers

from vqzoo.jsons import shown
from vqzoo.metrics.pairs import float_tensors
from vqzoo.ops.audio import distances as spectral_distances

# The scales of DAC (Kumar et al. 2023, section 3.5) and of `vqzoo.losses.MelLoss`.
_FRAMES = (32, 64, 128, 256, 512, 1024, 2048)
_BANDS = (5, 10, 20, 40, 80, 160, 320)


def mel_distance(signal, reconstruction, sample_rate):
    """Distance of log-mel spectra, summed over the seven scales of DAC: `vqzoo.losses.MelLoss` with its defaults.

    The scales have frames of 32, 64, ..., 2048 samples, a hop of a quarter frame, and 5, 10, ..., 320 of Slaney's mel
    bands. Each adds the mean absolute difference of log10 magnitudes, which are clipped to at least 1e-5. An error of
    one decibel everywhere is 0.35.

    Args:
        signal: float tensor (batch, samples, channels).
        reconstruction: float tensor of the same shape.
        sample_rate: int, Hz.

    Returns:
        float32 tensor (batch,), the mean over the channels of each clip; 0 for equal clips.

    Raises:
        ValueError: if the signals are not floats of that shape, or `sample_rate` is not positive.

    Example:
    >>> noise = np.random.default_rng(0).normal(size=(1, 4000, 1))
    >>> round(float(mel_distance(noise, 0.1 * noise, 16000)[0]), 3)
    7.0

    Reference:
        Kumar et al. 2023, https://arxiv.org/abs/2306.06546, sections 3.5 and 4.2
    """
    return spectral_distances.mel_distance(*_pair(signal, reconstruction), _scales(sample_rate, _FRAMES, _BANDS))


def log_mel_distance(signal, reconstruction, sample_rate):
    """Mean absolute difference of one log-mel spectrum: 80 bands, frames of 1024 samples 256 apart.

    It compares log10 magnitudes, clipped to at least 1e-5, in Slaney's bands from 0 to half of the sample rate.
    Vocoders typically take such a spectrum as input. An error of one decibel everywhere is 0.05.

    Args:
        signal: float tensor (batch, samples, channels).
        reconstruction: float tensor of the same shape.
        sample_rate: int, Hz.

    Returns:
        float32 tensor (batch,), the mean over the channels of each clip; 0 for equal clips.

    Raises:
        ValueError: if the signals are not floats of that shape, or `sample_rate` is not positive.

    Example:
    >>> noise = np.random.default_rng(0).normal(size=(1, 4000, 1))
    >>> round(float(log_mel_distance(noise, 0.1 * noise, 16000)[0]), 3)
    1.0
    """
    return spectral_distances.mel_distance(*_pair(signal, reconstruction), _scales(sample_rate, (1024,), (80,)))


def stft_distance(signal, reconstruction):
    """Multi-resolution spectral distance: `vqzoo.losses.STFTLoss` with its defaults.

    Args:
        signal: float tensor (batch, samples, channels).
        reconstruction: float tensor of the same shape.

    Returns:
        float32 tensor (batch,), the mean over the channels of each clip; 0 for equal clips.

    Raises:
        ValueError: if the signals are not floats of that shape.

    Example:
    >>> noise = np.random.default_rng(0).normal(size=(1, 4000, 1))
    >>> round(float(stft_distance(noise, 0.5 * noise)[0]), 3)  # 1/2 + ln 2
    1.193

    Reference:
        Yamamoto, Song, Kim 2020, https://arxiv.org/abs/1910.11480, equations 3 to 6 and table 1
    """
    lengths = (512, 1024, 2048), (50, 120, 240), (240, 600, 1200)
    return spectral_distances.stft_distance(*_pair(signal, reconstruction), *lengths)


def si_sdr(signal, reconstruction):
    r"""Scale-invariant signal-to-distortion ratio.

    $$10 \log_{10} \frac{\lVert \alpha x \rVert^2}{\lVert \alpha x - y \rVert^2}, \qquad
    \alpha = \frac{\langle x, y \rangle}{\lVert x \rVert^2}$$

    of signals without their means. 1e-14 per sample is added to both powers, so that equal clips stay finite. A vocoder
    that reconstructs other phases has a low value and may still sound good.

    Args:
        signal: float tensor x, shape (batch, samples, channels).
        reconstruction: float tensor y of the same shape.

    Returns:
        float32 tensor (batch,), in dB, the mean over the channels of each clip; meaningless for a silent signal.

    Raises:
        ValueError: if the signals are not floats of that shape.

    Example:
    >>> x, y = np.array([1.0, -1, 1, -1]), np.array([1.1, -0.9, 0.9, -1.1])
    >>> round(float(si_sdr(x.reshape(1, 4, 1), y.reshape(1, 4, 1))[0]), 3)
    20.0

    Reference:
        Le Roux et al. 2019, https://arxiv.org/abs/1811.02508, equation 5
    """
    return spectral_distances.si_sdr(*_pair(signal, reconstruction))


def level_difference(signal, reconstruction):
    r"""Level of the reconstruction relative to the signal, in decibels. Below 0 the reconstruction is quieter.

    $$10 \log_{10} \frac{\lVert y \rVert^2}{\lVert x \rVert^2}$$

    with 1e-14 per sample added to both powers, so that the value stays finite for silence.

    Args:
        signal: float tensor x, shape (batch, samples, channels).
        reconstruction: float tensor y of the same shape.

    Returns:
        float32 tensor (batch,), in dB, the mean over the channels of each clip.

    Raises:
        ValueError: if the signals are not floats of that shape.

    Example:
    >>> noise = np.random.default_rng(0).normal(size=(1, 4000, 1))
    >>> round(float(level_difference(noise, 0.5 * noise)[0]), 2)
    -6.02
    """
    return spectral_distances.level_difference(*_pair(signal, reconstruction))


def _pair(signal, reconstruction):
    return float_tensors("Pass `x / 32768` for 16 bits.", signal=signal, reconstruction=reconstruction)


def _scales(sample_rate, frame_lengths, bands):
    known = isinstance(sample_rate, numbers.Real) and not isinstance(sample_rate, bool)
    if not known or not 0 < sample_rate < math.inf:
        raise ValueError(f"`sample_rate` must be positive, in Hz. Received: sample_rate={shown(sample_rate)}")
    return _kept_scales(sample_rate, frame_lengths, bands)


@functools.cache
def _kept_scales(sample_rate, frame_lengths, bands):
    return spectral_distances.mel_scales(sample_rate, frame_lengths, bands)
