"""Audio augmentation: functions of (signal, random generator).

Signals and results are float32 arrays (samples, channels) in [-1, 1].
"""

import numpy as np


def normalize_peak(signal, decibels=-1.0, largest=30.0):
    """Scales a signal so that its peak is `decibels`, with a gain of at most `largest`. Silence stays silence.

    The limit keeps the room noise between two words from becoming as loud as the words.

    Args:
        signal: float32 array (samples, channels).
        decibels: float, dB below full scale. Default -1.0.
        largest: float, the largest gain, dB; infinity for no limit. Default 30.0.

    Returns:
        float32 array of the same shape.

    Example:
    >>> normalize_peak(np.array([[0.1], [-0.2]], "float32"), 0.0)[:, 0]
    array([ 0.5, -1. ], dtype=float32)
    """
    peak = float(np.abs(signal).max(initial=0.0))
    return signal if peak == 0.0 else signal * np.float32(_bounded(10 ** (decibels / 20) / peak, largest))


def normalize_rms(signal, decibels=-20.0, largest=30.0):
    """Scales a signal so that its root mean square is `decibels`, or as close as possible without clipping.

    The gain is at most `largest`, as in `normalize_peak`.

    Args:
        signal: float32 array (samples, channels).
        decibels: float, dB below full scale. Default -20.0.
        largest: float, the largest gain, dB; infinity for no limit. Default 30.0.

    Returns:
        float32 array of the same shape.

    Example:
    >>> normalize_rms(np.array([[0.5], [-0.5]], "float32"))[:, 0]
    array([ 0.1, -0.1], dtype=float32)
    """
    level = rms(signal)
    return signal if level == 0.0 else _scaled(signal, _bounded(10 ** (decibels / 20) / level, largest))


def random_gain(signal, rng, decibels=(-12.0, 6.0)):
    """Multiplies a signal by a gain that is uniform in dB, limited so that it does not clip.

    Args:
        signal: float32 array (samples, channels).
        rng: `np.random.Generator`.
        decibels: (lowest, highest), dB. Default (-12.0, 6.0).

    Returns:
        float32 array of the same shape.

    Example:
    >>> quiet = random_gain(np.ones((4, 1), "float32"), np.random.default_rng(0), (-20.0, -20.0))
    >>> round(float(quiet[0, 0]), 6)
    0.1
    """
    return _scaled(signal, 10 ** (rng.uniform(*decibels) / 20))


def random_noise(signal, rng, snr=(20.0, 50.0)):
    """Adds white noise with a signal-to-noise ratio that is uniform in dB. Silence gets none.

    Args:
        signal: float32 array (samples, channels).
        rng: `np.random.Generator`.
        snr: (lowest, highest) signal-to-noise ratio, dB. Default (20.0, 50.0).

    Returns:
        float32 array of the same shape, clipped to [-1, 1].

    Example:
    >>> wave = np.sin(np.arange(10000) / 9.0)[:, None].astype("float32")
    >>> noise = random_noise(wave / 2, np.random.default_rng(0), (20.0, 20.0)) - wave / 2
    >>> round(float(20 * np.log10(rms(wave / 2) / rms(noise))))
    20
    """
    level = rms(signal) * 10 ** (-rng.uniform(*snr) / 20)
    noise = rng.standard_normal(signal.shape, np.float32)
    return np.clip(signal + np.float32(level) * noise, -1.0, 1.0)


def random_polarity(signal, rng):
    """Inverts the polarity of a random half of the signals, which is inaudible.

    Args:
        signal: float32 array (samples, channels).
        rng: `np.random.Generator`.

    Returns:
        float32 array of the same shape.

    Example:
    >>> {float(random_polarity(np.ones((1, 1), "float32"), np.random.default_rng(i))[0, 0]) for i in range(9)}
    {1.0, -1.0}
    """
    return signal if rng.random() < 0.5 else -signal


def pitch_and_tempo(signal, semitones=0.0, tempo=1.0):
    """Changes the pitch without the tempo and the tempo without the pitch: librosa's phase vocoder, then resampling.

    librosa's first call in a process compiles for some seconds, the first on a machine for half a minute.

    Args:
        signal: float32 array (samples, channels).
        semitones: float, higher if positive. Default 0.0.
        tempo: float, faster above 1. Default 1.0.

    Returns:
        float32 array (round(samples / tempo), channels), clipped to [-1, 1].

    Example:
    >>> wave = np.sin(np.arange(8000) / 9.0)[:, None].astype("float32")
    >>> pitch_and_tempo(wave, semitones=2.0, tempo=1.25).shape
    (6400, 1)
    """
    import librosa
    import soxr

    samples = round(len(signal) / tempo)
    factor = 2 ** (semitones / 12)
    # First slower by the factor, which resampling reverts together with the pitch.
    stretched = librosa.effects.time_stretch(np.ascontiguousarray(signal.T), rate=tempo / factor)
    shifted = soxr.resample(np.ascontiguousarray(stretched.T), factor, 1.0)[:samples]
    missing = samples - len(shifted)
    return np.clip(np.pad(shifted, ((0, missing), (0, 0))), -1.0, 1.0).astype(np.float32)


def freq_mask(spectrogram, param, rng):
    """Sets a random band of a spectrogram to zero: f bins from f0 on, f in [0, param), f0 in [0, bins - f).

    The definition is that of `tensorflow_io.audio.freq_mask`.

    Args:
        spectrogram: array (frames, bins).
        param: int, from 1 to the number of bins.
        rng: `np.random.Generator`.

    Returns:
        Array of the same shape and dtype.

    Raises:
        ValueError: `param` is out of range.

    Example:
    >>> freq_mask(np.ones((2, 6), "float32"), 4, np.random.default_rng(0))
    array([[1., 0., 0., 0., 1., 1.],
           [1., 0., 0., 0., 1., 1.]], dtype=float32)

    Reference:
        Park et al. 2019, SpecAugment, section 2
    """
    bins = spectrogram.shape[1]
    if not 1 <= param <= bins:
        raise ValueError(f"param must be the width of a mask, from 1 to {bins} here. Received: param={param}")
    width = int(rng.integers(0, param))
    first = int(rng.integers(0, bins - width))
    masked = np.array(spectrogram)
    masked[:, first : first + width] = 0
    return masked


def time_mask(spectrogram, param, rng):
    """Sets random frames of a spectrogram to zero: t frames from t0 on, t in [0, param), t0 in [0, frames - t).

    The definition is that of `tensorflow_io.audio.time_mask`.

    Args:
        spectrogram: array (frames, bins).
        param: int, from 1 to the number of frames.
        rng: `np.random.Generator`.

    Returns:
        Array of the same shape and dtype.

    Raises:
        ValueError: `param` is out of range.

    Example:
    >>> time_mask(np.ones((6, 1), "float32"), 4, np.random.default_rng(0))[:, 0]
    array([1., 0., 0., 0., 1., 1.], dtype=float32)

    Reference:
        Park et al. 2019, SpecAugment, section 2
    """
    return freq_mask(spectrogram.T, param, rng).T


def rms(signal):
    """The root mean square.

    Args:
        signal: float array.

    Returns:
        float.

    Example:
    >>> rms(np.array([3.0, -3.0]))
    3.0
    """
    return float(np.sqrt(np.mean(np.square(signal, dtype=np.float64))))


def _bounded(gain, largest):
    return min(gain, 10 ** (largest / 20))


def _scaled(signal, gain):
    peak = float(np.abs(signal).max(initial=0.0))
    return signal * np.float32(min(gain, 1.0 / peak) if peak else 1.0)
