"""Resampling inside a graph, by a windowed sinc as one strided convolution."""

import functools
import math

import keras
import numpy as np

# Ripple and leakage of the Kaiser window, dB. The width of the window determines the width of the transition.
_ATTENUATION = 80.0
_LARGEST = 2**24


def resample_signal(signal, from_rate, to_rate, half_width=32):
    r"""Changes the sample rate of a signal.

    With the rates divided by their greatest common divisor, M samples become L, and output n lies at input n M / L:

    $$y_n = \sum_t h\!\left(t - \frac{nM}{L}\right) x_t, \qquad
    h(u) = \frac{\rho}{c_n}\, \mathrm{sinc}(\rho u)\,
    \frac{I_0\big(\beta \sqrt{1 - (u/W)^2}\big)}{I_0(\beta)}, \quad |u| \le W$$

    with zeros for x beyond the ends, W = `half_width` max(1, M/L), and c_n such that h sums to 1, which preserves
    constants. ρ places the transition of 80 dB just below half of the lower rate. With a `half_width` of 32 the highest
    16 % of the band are damped, with 64 the highest 8 %.

    Args:
        signal: float tensor x, shape (batch, samples, channels), with a static number of channels.
        from_rate: int, Hz.
        to_rate: int, Hz.
        half_width: int, samples at the lower rate on each side of an output. Defaults to 32.

    Returns:
        Tensor of the dtype of `signal`, shape (batch, ceil(samples * to_rate / from_rate), channels).

    Raises:
        ValueError: if an argument is not a positive integer, or the common divisor of the rates is so small that the
            filters would take more than 64 MiB.

    Example:
    >>> resample_signal(np.ones((1, 441, 1), "float32"), 44100, 16000).shape
    TensorShape([1, 160, 1])

    Reference:
        Smith 2020, Digital Audio Resampling, ccrma.stanford.edu/~jos/resample
    """
    for name, value in (("from_rate", from_rate), ("to_rate", to_rate), ("half_width", half_width)):
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"`{name}` is a positive int. Received: {name}={value!r}")
    divisor = math.gcd(from_rate, to_rate)
    up, down = int(to_rate // divisor), int(from_rate // divisor)
    signal = keras.ops.convert_to_tensor(signal)
    if up == down:
        return signal
    side = _side(up, down, half_width)
    if up * (down + 2 * side) > _LARGEST:
        raise ValueError(
            f"From {from_rate} to {to_rate} Hz, {up} filters of {down + 2 * side} values would be needed, because the "
            "common divisor of the rates is small. Resample while loading: load_audio(path, sample_rate)."
        )
    filters = keras.ops.cast(sinc_filters(up, down, half_width)[:, None], signal.dtype)
    samples = signal.shape[1]
    samples = keras.ops.shape(signal)[1] if samples is None else samples
    # In this order no number exceeds the length. A product of both would soon overflow 32 bits.
    length = samples // down * up + (samples % down * up + down - 1) // down
    padded = keras.ops.pad(signal, [[0, 0], [side, side + down], [0, 0]])
    channels = [
        _convolved(padded[:, :, channel : channel + 1], filters, down)[:, :length] for channel in range(signal.shape[2])
    ]
    return channels[0] if len(channels) == 1 else keras.ops.concatenate(channels, axis=2)


@functools.lru_cache(maxsize=8)
def sinc_filters(up, down, half_width):
    """The filters of `resample_signal`, one for each of L outputs, over the M samples of a period and W on each side.

    Args:
        up: int L.
        down: int M, with no common divisor.
        half_width: int, samples at the lower rate.

    Returns:
        float32 numpy array (M + 2 ceil(W), L), whose columns sum to 1.

    Example:
    >>> sinc_filters(1, 2, 2)[:, 0].round(2)
    array([ 0.  ,  0.01,  0.08,  0.24,  0.34,  0.24,  0.08,  0.01,  0.  , -0.  ], dtype=float32)
    """
    side = _side(up, down, half_width)
    # Kaiser's formulas for the width of the transition, as a share of the band, and for beta.
    transition = (_ATTENUATION - 7.95) / (2.285 * 2 * half_width * math.pi)
    cutoff = min(1.0, up / down) * max(1.0 - transition / 2, 0.5)
    beta = 0.1102 * (_ATTENUATION - 8.7)
    # In units of 1/L, so that the ends of the window are exact.
    offsets = np.arange(-side, down + side)[:, None] * up - np.arange(up) * down
    places = offsets / (half_width * max(up, down))
    window = np.where(np.abs(places) <= 1.0, np.i0(beta * np.sqrt(np.maximum(1.0 - places**2, 0.0))), 0.0)
    filters = np.sinc(cutoff * offsets / up) * window
    return (filters / filters.sum(axis=0)).astype("float32")


def _side(up, down, half_width):
    return math.ceil(half_width * max(1.0, down / up))


def _convolved(signal, filters, down):
    """All outputs of a period at each step, one after another."""
    outputs = keras.ops.conv(signal, filters, strides=down, padding="valid", data_format="channels_last")
    if outputs.shape[1] is None:
        return keras.ops.reshape(outputs, (keras.ops.shape(outputs)[0], -1, 1))
    return keras.ops.reshape(outputs, (-1, outputs.shape[1] * outputs.shape[2], 1))
