"""The short-time Fourier transform, its inverse, and mel filters.

A complex spectrum is a pair of real tensors. Frame i is centred on sample (i + 1/2) hop_length, so that a signal of n
samples has ceil(n / hop_length) frames. The signal is zero beyond its ends.
"""

import functools
import math

import keras
import numpy as np

from vqzoo.ops.gradients import custom_gradient
from vqzoo.ops.litert import as_read
from vqzoo.ops.litert import exact_product
from vqzoo.ops.litert import is_for_litert

SCALES = ("slaney", "htk")


def hann(length):
    """The periodic Hann window.

    Args:
        length: int, samples.

    Returns:
        float64 numpy array (length,).

    Example:
    >>> hann(4)
    array([0. , 0.5, 1. , 0.5])
    """
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)


def stft(signal, frame_length, hop_length, window=None):
    r"""The short-time Fourier transform.

    $$X_{ik} = \sum_{t=0}^{N-1} w_t\, x_{ih - p + t}\, e^{-2\pi\mathrm{i} k t / N}$$

    with N the frame length, h the hop, p = ⌊(N - h) / 2⌋, and zeros for x beyond the ends. It equals
    `librosa.stft(center=False)` of the samples with p zeros in front.

    Args:
        signal: float tensor x, shape (batch, samples).
        frame_length: int N, samples of a frame, even.
        hop_length: int h, samples between frames, at most N.
        window: array w, shape (frame_length,). Defaults to `hann(frame_length)`.

    Returns:
        Two float32 tensors, real and imaginary part, shape (batch, ceil(samples / hop_length), frame_length // 2 + 1).

    Raises:
        ValueError: if the lengths are invalid.

    Example:
    >>> real, imaginary = stft(np.ones((1, 10), "float32"), 8, 4)
    >>> real.shape
    TensorShape([1, 3, 5])
    """
    _check_lengths(frame_length, hop_length)
    window = hann(frame_length) if window is None else window
    window = keras.ops.convert_to_tensor(np.asarray(window, "float32"))
    signal = keras.ops.cast(signal, "float32")
    samples = signal.shape[1]
    samples = keras.ops.shape(signal)[1] if samples is None else samples
    shares = frame_length / _counts(frame_length)

    def forward(signal):
        return _spectra(_frames(signal, frame_length, hop_length) * window, frame_length)

    def adjoint(real, imaginary):
        frames = _inverse_frames(real * shares, imaginary * shares, frame_length) * window
        before = (frame_length - hop_length) // 2
        return _overlap_add(frames, hop_length)[:, before : before + samples]

    return _linear(forward, adjoint, signal)


def inverse_stft(real, imaginary, frame_length, hop_length, window=None, mask=None):
    r"""Inverse short-time Fourier transform: the signal whose transform is nearest to the given one.

    $$x_{ih - p + t} = \frac{\sum_i w_t\, y_{it}}{\sum_i w_t^2}, \qquad
    y_{it} = \frac1N \sum_{k=0}^{N-1} X_{ik}\, e^{2\pi\mathrm{i} k t / N}$$

    over the existing frames, also at the ends. Samples that no window covers are zero.

    Args:
        real: float tensor, shape (batch, frames, frame_length // 2 + 1).
        imaginary: float tensor of the same shape.
        frame_length: int N, samples of a frame, even.
        hop_length: int h, samples between frames, at most N.
        window: array w, shape (frame_length,). Defaults to `hann(frame_length)`.
        mask: bool tensor (batch, frames), True where a frame exists. Defaults to all.

    Returns:
        float32 tensor, shape (batch, frames * hop_length). If the length of the signal is not a multiple of the hop,
        the result ends with zeros.

    Raises:
        ValueError: if the lengths are invalid.

    Example:
    >>> real, imaginary = stft(np.arange(10, dtype="float32")[None], 8, 4)
    >>> np.asarray(inverse_stft(real, imaginary, 8, 4))[0].round(3) + 0.0
    array([0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 0., 0.], dtype=float32)

    Reference:
        Griffin, Lim 1984, Signal estimation from modified short-time Fourier transform, equation 6
    """
    _check_lengths(frame_length, hop_length)
    window = np.asarray(hann(frame_length) if window is None else window, "float32")
    real, imaginary = keras.ops.cast(real, "float32"), keras.ops.cast(imaginary, "float32")
    mask = None if mask is None else keras.ops.expand_dims(keras.ops.cast(mask, "bool"), -1)
    # Frames of ones of one example, for any number of frames; or the masks of all examples.
    ones = keras.ops.ones_like(real[:1, :, :1]) if mask is None else keras.ops.cast(mask, "float32")
    shares = _counts(frame_length) / frame_length

    def windowed(frames):
        frames = frames if mask is None else keras.ops.where(mask, frames, 0.0)
        return frames * keras.ops.convert_to_tensor(window)

    def forward(real, imaginary):
        return _overlap_add(windowed(_inverse_frames(real, imaginary, frame_length)), hop_length)

    def adjoint(signal):
        real, imaginary = _spectra(windowed(_cut(signal, frame_length, hop_length)), frame_length)
        return real * shares, imaginary * shares

    added = _linear(forward, adjoint, real, imaginary)
    weights = _overlap_add(ones * keras.ops.convert_to_tensor(np.square(window)), hop_length)
    signal = added * keras.ops.where(weights > 1e-8, 1.0 / keras.ops.maximum(weights, 1e-8), 0.0)
    before = (frame_length - hop_length) // 2
    count = signal.shape[1]
    after = -(-frame_length // hop_length) * hop_length - hop_length - before
    kept = signal[:, before : -after or None]
    return kept if count is None else keras.ops.reshape(kept, (-1, count - before - after))


def magnitudes(real, imaginary):
    """Magnitudes of a spectrum, with finite gradients at zero.

    Args:
        real: float tensor.
        imaginary: float tensor of the same shape.

    Returns:
        Tensor of that shape.

    Example:
    >>> float(magnitudes(np.float32(3.0), np.float32(-4.0)))
    5.0
    """
    power = keras.ops.square(real) + keras.ops.square(imaginary)
    return keras.ops.sqrt(keras.ops.maximum(power, 1e-20))


def mel_filters(sample_rate, frame_length, bands, low=0.0, high=None, scale="slaney"):
    r"""Triangular filters over the bins of a spectrum, evenly spaced on the mel scale.

    Slaney's scale is linear below 1,000 Hz and logarithmic above, and each filter has the area 1 over frequency, as in
    librosa and in vocoders. HTK's scale is $2595 \log_{10}(1 + f/700)$, with peaks of 1, as in Keras and
    TensorFlow. Their log spectra are up to 38 dB apart.

    Args:
        sample_rate: int, Hz.
        frame_length: int, samples of a frame.
        bands: int.
        low: float, Hz, start of the first filter. Defaults to 0.
        high: float, Hz, end of the last filter. Defaults to half of the sample rate.
        scale: str, "slaney" or "htk". Defaults to "slaney".

    Returns:
        float64 numpy array (frame_length // 2 + 1, bands).

    Raises:
        ValueError: if the frequencies are not in order, or filters are so narrow that some contain no bin.

    Example:
    >>> mel_filters(8000, 16, 3, scale="htk").round(2).T
    array([[0.  , 0.89, 0.17, 0.  , 0.  , 0.  , 0.  , 0.  , 0.  ],
           [0.  , 0.11, 0.83, 0.65, 0.2 , 0.  , 0.  , 0.  , 0.  ],
           [0.  , 0.  , 0.  , 0.35, 0.8 , 0.84, 0.56, 0.28, 0.  ]])

    Reference:
        Slaney 1998, Auditory Toolbox; Young et al. 2002, The HTK Book, section 5.4
    """
    high = sample_rate / 2.0 if high is None else high
    if scale not in SCALES:
        raise ValueError(f"`scale` is one of {', '.join(SCALES)}. Received: {scale!r}")
    if not 0.0 <= low < high <= sample_rate / 2.0:
        raise ValueError(
            f"Filters lie between 0 and half of the sample rate, {sample_rate / 2.0} Hz. Received: low={low}, "
            f"high={high}"
        )
    bins = np.arange(frame_length // 2 + 1) * sample_rate / frame_length
    to_mel, from_mel = (_slaney_mel, _slaney_hertz) if scale == "slaney" else (_htk_mel, _htk_hertz)
    edges = from_mel(np.linspace(to_mel(low), to_mel(high), bands + 2))
    widths = np.diff(edges)
    rising = (bins[:, None] - edges[:-2]) / widths[:-1]
    falling = (edges[2:] - bins[:, None]) / widths[1:]
    filters = np.maximum(0.0, np.minimum(rising, falling))
    blind = int((~filters.any(axis=0)).sum())
    if blind:
        raise ValueError(
            f"{blind} of {bands} filters contain no bin of a frame of {frame_length} samples at {sample_rate} Hz. Use "
            "fewer bands, longer frames, or a higher `low`."
        )
    return filters * (2.0 / (edges[2:] - edges[:-2])) if scale == "slaney" else filters


def _check_lengths(frame_length, hop_length):
    if frame_length % 2 or not 0 < hop_length <= frame_length:
        raise ValueError(
            "`frame_length` is even and `hop_length` from 1 to it. Received: "
            f"frame_length={frame_length}, hop_length={hop_length}"
        )


def _linear(forward, adjoint, *tensors):
    """A linear function whose gradient is its adjoint. TensorFlow's own gradient takes several times as long."""
    plain = keras.config.backend() != "tensorflow" or is_for_litert()
    if plain or any(isinstance(tensor, keras.KerasTensor) for tensor in tensors):
        return forward(*tensors)

    def function(*tensors):
        return forward(*tensors), functools.partial(_linear, adjoint, forward)

    return custom_gradient(function)(*tensors)


def _frames(signal, frame_length, hop_length):
    """The frames of (batch, samples)."""
    pieces = -(-frame_length // hop_length)
    before = (frame_length - hop_length) // 2
    return _cut(keras.ops.pad(signal, [[0, 0], [before, pieces * hop_length - 1 - before]]), frame_length, hop_length)


def _cut(signal, frame_length, hop_length):
    """The frames of (batch, samples), from blocks of one hop. A gather would be slow, especially in LiteRT."""
    pieces = -(-frame_length // hop_length)
    length = signal.shape[1]
    length = keras.ops.shape(signal)[1] if length is None else length
    blocks = length // hop_length
    blocks = keras.ops.reshape(signal[:, : blocks * hop_length], (-1, blocks, hop_length))
    shifted = [blocks[:, i : i - pieces + 1 or None] for i in range(pieces)]
    frames = keras.ops.concatenate(shifted, axis=-1)
    return frames if pieces * hop_length == frame_length else frames[:, :, :frame_length]


def _overlap_add(frames, hop_length):
    """Overlap-adds frames (batch, count, length) to (batch, (count + pieces - 1) * hop_length)."""
    length = frames.shape[2]
    pieces = -(-length // hop_length)
    if pieces * hop_length != length:
        frames = keras.ops.pad(frames, [[0, 0], [0, 0], [0, pieces * hop_length - length]])
    total = 0.0
    for i in range(pieces):
        piece = frames[:, :, i * hop_length : (i + 1) * hop_length]
        total = total + keras.ops.pad(piece, [[0, 0], [i, pieces - 1 - i], [0, 0]])
    count = frames.shape[1]
    return keras.ops.reshape(
        total, (-1, (count + pieces - 1) * hop_length) if count else (keras.ops.shape(total)[0], -1)
    )


def _spectra(frames, frame_length):
    # LiteRT's operation supports only powers of two.
    if not is_for_litert() or frame_length & (frame_length - 1) == 0:
        return keras.ops.rfft(frames)
    cosines, sines = _waves(frames, frame_length)
    return (
        exact_product(frames, keras.ops.transpose(cosines)),
        exact_product(frames, keras.ops.transpose(-sines)),
    )


def _inverse_frames(real, imaginary, frame_length):
    # LiteRT has no operation for it, but supports a matrix product.
    if not is_for_litert():
        return keras.ops.irfft((real, imaginary), frame_length)
    cosines, sines = _waves(real, frame_length)
    twice = _counts(frame_length) / frame_length
    return exact_product(real * twice, cosines) - exact_product(imaginary * twice, sines)


def _counts(frame_length):
    """The number of bins of a full transform per bin of a real signal's, float32 numpy array (bins,)."""
    return np.array([1.0, *[2.0] * (frame_length // 2 - 1), 1.0], "float32")


def _waves(tensor, frame_length):
    """Cosines and sines of each bin's angle at each sample, (bins, frame_length), computed when LiteRT runs.

    They are computed from those at every `step`-th sample and of the first `step` samples. Stored, they would take most
    of a file.
    """
    step = max(i for i in range(1, math.isqrt(frame_length) + 1) if frame_length % i == 0)
    bins = np.arange(frame_length // 2 + 1)
    # Whole turns are integers, because a large angle would lose precision.
    near, far = (
        2.0 * np.pi / frame_length * (np.outer(bins, samples) % frame_length)
        for samples in (np.arange(step), np.arange(0, frame_length, step))
    )
    cosine, sine = (as_read(f(far).astype("float32")[:, :, None], tensor) for f in (np.cos, np.sin))
    near_cosine, near_sine = (f(near).astype("float32")[:, None, :] for f in (np.cos, np.sin))
    shape = (len(bins), frame_length)
    return (
        keras.ops.reshape(cosine * near_cosine - sine * near_sine, shape),
        keras.ops.reshape(sine * near_cosine + cosine * near_sine, shape),
    )


def _slaney_mel(hertz):
    hertz = np.asarray(hertz, "float64")
    logarithmic = 15.0 + 27.0 * np.log(np.maximum(hertz, 1e-9) / 1000.0) / np.log(6.4)
    return np.where(hertz < 1000.0, hertz * 3.0 / 200.0, logarithmic)


def _slaney_hertz(mel):
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.power(6.4, (mel - 15.0) / 27.0))


def _htk_mel(hertz):
    return 2595.0 * np.log10(1.0 + np.asarray(hertz, "float64") / 700.0)


def _htk_hertz(mel):
    return 700.0 * (np.power(10.0, mel / 2595.0) - 1.0)
