"""Distances of audio, one value per clip: mel spectra, spectra, and the scale-invariant signal-to-distortion ratio.

`vqzoo.losses` and `vqzoo.metrics` use them. Signals are (batch, samples, channels). The values of the channels of a
clip are averaged.
"""

import keras
import numpy as np

from vqzoo.ops.audio.spectra import hann
from vqzoo.ops.audio.spectra import magnitudes
from vqzoo.ops.audio.spectra import mel_filters
from vqzoo.ops.audio.spectra import stft

# The smallest power of a bin, as in Parallel WaveGAN's code. Without it, silence would have an unbounded weight.
SMALLEST_POWER = 1e-7
# The mean square below which signal and error count as zero, 140 dB below a full-scale sine.
SILENCE = 1e-14


def mel_scales(sample_rate, frame_lengths, bands):
    """The settings of each mel spectrum that `mel_distance` compares: Slaney's filters, hops of a quarter frame.

    With few bins, some narrow filters contain none and are constant, such as the lowest of 5 at 48 kHz over frames of
    32 samples. Such a spectrum has fewer bands, so that each contains a bin.

    Args:
        sample_rate: int, Hz.
        frame_lengths: sequence of int, samples, even.
        bands: sequence of int, one per frame length.

    Returns:
        List of (frame length, hop length, float32 numpy array (frame_length // 2 + 1, bands)).

    Raises:
        ValueError: if the numbers do not define mel spectra.

    Example:
    >>> [filters.shape for _, _, filters in mel_scales(48000, (32, 64), (5, 10))]
    [(17, 4), (33, 9)]
    """
    if sample_rate <= 0:
        raise ValueError(f"`sample_rate` must be positive, in Hz. Received: sample_rate={sample_rate}")
    _check_same_number(frame_lengths=frame_lengths, bands=bands)
    for name, values, least in (("frame_lengths", frame_lengths, 4), ("bands", bands, 1)):
        if min(values) < least:
            raise ValueError(f"`{name}` holds ints of at least {least}. Received: {name}={tuple(values)}")
    return [
        (length, length // 4, _seeing_filters(sample_rate, length, count))
        for length, count in zip(frame_lengths, bands, strict=True)
    ]


def mel_distance(signal, reconstruction, scales, floor=1e-5):
    r"""The mean absolute difference of log-mel spectra, summed over scales.

    $$d(x, y) = \sum_s \operatorname{mean}_{i,m} \left| \log_{10} \max(\epsilon, M_s(x)_{im})
    - \log_{10} \max(\epsilon, M_s(y)_{im}) \right|, \qquad M_s(x) = |X_s| F_s$$

    with X_s the short-time Fourier transform of `vqzoo.ops.stft` and F_s the filters.

    Args:
        signal: float tensor (batch, samples, channels).
        reconstruction: float tensor of the same shape.
        scales: list of (frame length, hop length, filters), see `mel_scales`.
        floor: float, ε. Defaults to 1e-5.

    Returns:
        float32 tensor (batch,).

    Raises:
        ValueError: if the signals do not have that shape.

    Example:
    >>> noise = np.random.default_rng(0).normal(size=(1, 800, 1))
    >>> round(float(mel_distance(noise, 0.1 * noise, mel_scales(8000, (64,), (10,)))[0]), 4)
    1.0
    """
    x, y, channels = _rows(signal, reconstruction)
    total = 0.0
    for frame_length, hop_length, filters in scales:
        filters = keras.ops.convert_to_tensor(np.asarray(filters, "float32"))
        logs = []
        for rows in (x, y):
            mel = keras.ops.matmul(magnitudes(*stft(rows, frame_length, hop_length)), filters)
            logs.append(keras.ops.log10(keras.ops.maximum(mel, floor)))
        total = total + _mean(keras.ops.abs(logs[0] - logs[1]))
    return _of_clips(total, channels)


def stft_distance(signal, reconstruction, frame_lengths, hop_lengths, window_lengths):
    r"""Spectral convergence and the mean absolute difference of log magnitudes, averaged over resolutions.

    $$d(x, y) = \frac1M \sum_{m=1}^M \left(
    \frac{\lVert |X_m| - |Y_m| \rVert_F}{\lVert |X_m| \rVert_F}
    + \operatorname{mean} \left|\ln |X_m| - \ln |Y_m|\right| \right)$$

    with Hann windows in the middle of longer frames, and powers of at least 1e-7.

    Args:
        signal: float tensor (batch, samples, channels).
        reconstruction: float tensor of the same shape.
        frame_lengths: sequence of int, samples, even.
        hop_lengths: sequence of int, samples, one per frame length.
        window_lengths: sequence of int, samples, one per frame length, and at most that.

    Returns:
        float32 tensor (batch,).

    Raises:
        ValueError: if the lengths do not match, or the signals do not have that shape.

    Example:
    >>> noise = np.random.default_rng(0).normal(size=(1, 800, 1))
    >>> [round(float(stft_distance(noise, gain * noise, (64,), (16,), (64,))[0]), 2) for gain in (1.0, 0.5)]
    [0.0, 1.19]

    Reference:
        Yamamoto, Song, Kim 2020, https://arxiv.org/abs/1910.11480, equations 3 to 6
    """
    check_resolutions(frame_lengths, hop_lengths, window_lengths)
    x, y, channels = _rows(signal, reconstruction)
    total = 0.0
    for frame_length, hop_length, window_length in zip(frame_lengths, hop_lengths, window_lengths, strict=True):
        before = (frame_length - window_length) // 2
        window = np.pad(hann(window_length), [before, frame_length - window_length - before])
        a, b = (_floored(*stft(rows, frame_length, hop_length, window)) for rows in (x, y))
        convergence = _norm(a - b) / _norm(a)
        total = total + convergence + _mean(keras.ops.abs(keras.ops.log(a) - keras.ops.log(b)))
    return _of_clips(total / len(frame_lengths), channels)


def level_difference(signal, reconstruction):
    r"""Level of the reconstruction relative to the signal, in decibels.

    $$10 \log_{10} \frac{\lVert y \rVert^2 + \epsilon}{\lVert x \rVert^2 + \epsilon}$$

    ε is 1e-14 per sample, as in `si_sdr`.

    Args:
        signal: float tensor (batch, samples, channels).
        reconstruction: float tensor of the same shape.

    Returns:
        float32 tensor (batch,), in dB; below 0 it is quieter.

    Raises:
        ValueError: if the signals do not have that shape.

    Example:
    >>> noise = np.random.default_rng(0).normal(size=(1, 800, 1))
    >>> round(float(level_difference(noise, 0.5 * noise)[0]), 2)
    -6.02
    """
    x, y, channels = _rows(signal, reconstruction)
    before, after = (_mean(keras.ops.square(rows)) + SILENCE for rows in (x, y))
    return _of_clips(10.0 * (keras.ops.log10(after) - keras.ops.log10(before)), channels)


def level_distance(signal, reconstruction, frame_length, pooled, filters, floor):
    r"""Mean absolute difference of levels in time windows, over all frequencies and per band.

    $$d(x, y) = \frac14 \sum_{s=1}^2 \operatorname{mean}_{w,b} \left|
    \log_{10} \left(\frac{E_s(x)_{wb} + \delta}{E(x) + \delta} + \epsilon\right)
    - \log_{10} \left(\frac{E_s(y)_{wb} + \delta}{E(x) + \delta} + \epsilon\right) \right|$$

    with E_1 the mean power of the frames of a window over all bins, E_2 that of each filter, and E(x) that of the whole
    clip over all bins. Windows overlap by half, with zeros beyond the ends of the clip. δ is 1e-7, as in
    `stft_distance`. Without it, silence would have an unbounded weight.

    Args:
        signal: float tensor (batch, samples, channels).
        reconstruction: float tensor of the same shape.
        frame_length: int, samples per frame; the hop is a quarter of it.
        pooled: int, frames per window, at least 2.
        filters: float array (frame_length // 2 + 1, bands); the scale of a column does not matter.
        floor: float, ε, relative to the energy of the clip.

    Returns:
        float32 tensor (batch,).

    Raises:
        ValueError: if the signals do not have that shape.

    Example:
    >>> noise = np.random.default_rng(0).normal(size=(1, 800, 1))
    >>> _, _, filters = mel_scales(8000, (64,), (10,))[0]
    >>> round(float(level_distance(noise, 0.1 * noise, 64, 8, filters, 1e-9)[0]), 3)
    1.0
    """
    x, y, channels = _rows(signal, reconstruction)
    filters = np.asarray(filters, "float32")
    alike = np.full((len(filters), 1), 1.0 / len(filters), "float32")
    filters = np.concatenate([alike, filters / filters.sum(axis=0)], axis=1)
    energies = []
    for rows in (x, y):
        power = sum(map(keras.ops.square, stft(rows, frame_length, frame_length // 4)))
        energies.append(keras.ops.matmul(power, filters))
    whole = keras.ops.mean(energies[0][:, :, :1], axis=1, keepdims=True) + SMALLEST_POWER
    a, b = (keras.ops.log10((_pooled(energy, pooled) + SMALLEST_POWER) / whole + floor) for energy in energies)
    apart = keras.ops.mean(keras.ops.abs(a - b), axis=1)
    return _of_clips(0.25 * (apart[:, 0] + keras.ops.mean(apart[:, 1:], axis=1)), channels)


def check_resolutions(frame_lengths, hop_lengths, window_lengths):
    """Raises an error unless the lengths are valid for `stft_distance`.

    Args:
        frame_lengths: sequence of int, samples.
        hop_lengths: sequence of int, samples.
        window_lengths: sequence of int, samples.

    Raises:
        ValueError: if their numbers differ, or a frame is odd or shorter than its window or hop.

    Example:
    >>> check_resolutions((512, 1024), (128, 256), (512, 1024))
    """
    _check_same_number(frame_lengths=frame_lengths, hop_lengths=hop_lengths, window_lengths=window_lengths)
    for frame, hop, window in zip(frame_lengths, hop_lengths, window_lengths, strict=True):
        if frame % 2 or not 0 < hop <= frame or not 0 < window <= frame:
            raise ValueError(
                "A frame must be even and at least as long as its hop and its window. Received: "
                f"frame_length={frame}, hop_length={hop}, window_length={window}"
            )


def si_sdr(signal, reconstruction):
    r"""Scale-invariant signal-to-distortion ratio, in decibels.

    $$\text{SI-SDR}(x, y) = 10 \log_{10} \frac{\lVert \alpha x \rVert^2 + \epsilon}{\lVert \alpha x - y \rVert^2 +
    \epsilon}, \qquad \alpha = \frac{\langle x, y \rangle}{\lVert x \rVert^2}$$

    of signals without their means, because a constant offset is inaudible (the paper assumes zero means). ε is 1e-14
    per sample, which keeps the value finite for equal signals and silence.

    Args:
        signal: float tensor (batch, samples, channels).
        reconstruction: float tensor of the same shape.

    Returns:
        float32 tensor (batch,), in dB; meaningless for a silent signal.

    Raises:
        ValueError: if the signals do not have that shape.

    Example:
    >>> x, y = np.array([1.0, -1, 1, -1]), np.array([1.1, -0.9, 0.9, -1.1])
    >>> round(float(si_sdr(x.reshape(1, 4, 1), 3 * y.reshape(1, 4, 1))[0]), 3)
    20.0

    Reference:
        Le Roux et al. 2019, https://arxiv.org/abs/1811.02508, equation 5
    """
    x, y, channels = _rows(signal, reconstruction)
    x, y = (rows - keras.ops.mean(rows, axis=1, keepdims=True) for rows in (x, y))
    power = _mean(keras.ops.square(x))
    scale = _mean(x * y) / keras.ops.maximum(power, SILENCE)
    error = _mean(keras.ops.square(keras.ops.expand_dims(scale, 1) * x - y))
    ratio = (keras.ops.square(scale) * power + SILENCE) / (error + SILENCE)
    return _of_clips(10.0 * keras.ops.log10(ratio), channels)


def _pooled(frames, count):
    """Means of (batch, frames, bands) over half-overlapping windows of `count` frames, zero-padded."""
    padded = keras.ops.pad(frames, [[0, 0], [count // 2, count // 2], [0, 0]])
    return keras.ops.average_pool(padded, count, count // 2, "valid", "channels_last")


def _seeing_filters(sample_rate, frame_length, bands):
    for count in range(bands, 1, -1):
        try:
            return mel_filters(sample_rate, frame_length, count).astype("float32")
        except ValueError:  # some contain no bin
            continue
    return mel_filters(sample_rate, frame_length, 1).astype("float32")


def _check_same_number(**sequences):
    if len({len(values) for values in sequences.values()}) > 1 or not min(map(len, sequences.values())):
        names = " and ".join(f"`{name}`" for name in sequences)
        received = ", ".join(f"{name}={tuple(values)}" for name, values in sequences.items())
        raise ValueError(f"{names} must hold one number per scale, at least one. Received: {received}")


def _rows(signal, reconstruction):
    """Both signals as float32 (batch * channels, samples), and the number of channels."""
    signals = [keras.ops.cast(keras.ops.convert_to_tensor(x), "float32") for x in (signal, reconstruction)]
    shapes = [tuple(x.shape) for x in signals]
    same = all(a == b or None in (a, b) for a, b in zip(*shapes, strict=False))  # None: unknown in a graph
    if [len(shape) for shape in shapes] != [3, 3] or not same:
        raise ValueError(
            "Both signals must have the same shape, (batch, samples, channels); `decode(tokens, length=samples)` crops "
            f"to it. Received: a signal of shape {shapes[0]}, a reconstruction of shape {shapes[1]}"
        )
    rows = [keras.ops.reshape(keras.ops.transpose(x, (0, 2, 1)), (-1, keras.ops.shape(x)[1])) for x in signals]
    return *rows, shapes[0][2]


def _of_clips(values, channels):
    """(batch * channels,) -> (batch,)."""
    return keras.ops.mean(keras.ops.reshape(values, (-1, channels)), axis=1)


def _mean(x):
    """Sum over all axes except the first, one after another, because TensorFlow's joint float32 sum loses precision."""
    while len(x.shape) > 1:
        x = keras.ops.mean(x, axis=-1)
    return x


def _floored(real, imaginary):
    power = keras.ops.square(real) + keras.ops.square(imaginary)
    return keras.ops.sqrt(keras.ops.maximum(power, SMALLEST_POWER))


def _norm(spectrum):
    """The norm of each row divided by the root of its size, with a zero gradient at zero."""
    squares = _mean(keras.ops.square(spectrum))
    positive = squares > 0.0
    return keras.ops.where(positive, keras.ops.sqrt(keras.ops.where(positive, squares, 1.0)), 0.0)
