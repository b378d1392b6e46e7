"""Resampling by soxr in blocks, so that a piece equals the same piece of the whole."""

import math

import numpy as np

from vqzoo.data.audio.formats.part import UnreadableAudio

# Samples per block at the higher rate. Longer blocks cost more for short pieces, shorter ones more in total.
_BLOCK = 2**16
# Samples at the lower rate that a block sees on each side. soxr's filter ("HQ") is about 100 long; with 256 the result
# is within 4e-7 of one pass over all.
_MARGIN = 256
# Beyond these a block is mostly margin, or the result does not fit in memory: a small file of 63 Hz would be hundreds
# of times as large. No recording needs them (hydrophones go down by 226, a telephone up by 24); headers that lie do.
_LARGEST_RATIO = 256
_LARGEST_GROWTH = 64
_LONGEST_PERIOD = 2**22
# Values of all channels in a period; a block sees three at least.
_LARGEST_PERIOD = 2**24


def check_ratio(from_rate, to_rate, channels=1):
    """Raises an error if audio cannot be resampled in reasonable time and memory.

    Args:
        from_rate: int, Hz, rate of the file.
        to_rate: int, Hz.
        channels: int, channels of the file. Default 1.

    Raises:
        ValueError: `from_rate` is more than 256 times `to_rate` or less than a 64th, or their common divisor is too
            small for the number of channels.

    Example:
    >>> check_ratio(44100, 16000)
    """
    period = max(from_rate, to_rate) // math.gcd(from_rate, to_rate)
    largest = _LARGEST_RATIO if from_rate > to_rate else _LARGEST_GROWTH
    is_far = max(from_rate, to_rate) > largest * min(from_rate, to_rate)
    if from_rate != to_rate and (is_far or period > _LONGEST_PERIOD or period * channels > _LARGEST_PERIOD):
        reason = "they have too little in common" + (f" for {channels} channels" if period <= _LONGEST_PERIOD else "")
        if is_far:
            reason = f"one is more than {largest} times the other"
        raise UnreadableAudio(
            f"its sample rate is {from_rate} Hz by its header, and {to_rate} Hz are wanted: {reason}",
            "Correct its header, take a sample rate nearer to it, or leave it out.",
        )


def resampled_length(samples, from_rate, to_rate):
    """Number of samples at another rate, ceil(samples * to_rate / from_rate).

    Args:
        samples: int.
        from_rate: int, Hz.
        to_rate: int, Hz.

    Returns:
        int.

    Example:
    >>> resampled_length(44101, 44100, 16000)
    16001
    """
    return -(-samples * to_rate // from_rate)


def mixed(signal, channels):
    """The mean over all channels if one is requested. Applied before resampling, which costs time per channel.

    Args:
        signal: float32 array (samples, channels).
        channels: int, or None.

    Returns:
        float32 array.

    Example:
    >>> mixed(np.float32([[0, 1], [1, 1]]), 1).tolist()
    [[0.5], [1.0]]
    """
    if channels != 1 or signal.shape[1] == 1:
        return signal
    return signal.mean(axis=1, keepdims=True, dtype=np.float32)


def repeated(signal, channels):
    """Repeats mono if more channels are requested. Applied after resampling.

    Args:
        signal: float32 array (samples, channels).
        channels: int, or None.

    Returns:
        float32 array.

    Example:
    >>> repeated(np.float32([[0], [1]]), 2).tolist()
    [[0.0, 0.0], [1.0, 1.0]]
    """
    if channels is None or signal.shape[1] != 1:
        return signal
    return np.repeat(signal, channels, axis=1)


class Resampling:
    """Resamples pieces: the input samples of a piece, and the result.

    Args:
        from_rate: int, Hz.
        to_rate: int, Hz.

    Example:
    >>> signal = np.sin(np.arange(44100) / 50.0)[:, None].astype("float32")
    >>> resampling = Resampling(44100, 16000)
    >>> first, last = resampling.needed(3000, 4000)
    >>> piece = resampling.piece(signal[max(first, 0) : last], max(first, 0), 3000, 4000)
    >>> bool((piece == resampling.piece(signal, 0, 0, 16000)[3000:4000]).all())
    True
    """

    def __init__(self, from_rate, to_rate):
        self.from_rate = from_rate
        self.to_rate = to_rate
        divisor = math.gcd(from_rate, to_rate)
        self._up, self._down = to_rate // divisor, from_rate // divisor
        periods = max(1, _BLOCK // max(self._up, self._down))
        self._inputs, self._outputs = periods * self._down, periods * self._up
        margin = -(-_MARGIN * max(self._down, self._up) // (self._up * self._down))  # in periods
        self._margin = margin * self._down
        self._skip = margin * self._up

    def needed(self, start, stop):
        """The range of input samples for outputs `start` to `stop`, which may exceed the ends.

        Args:
            start: int.
            stop: int.

        Returns:
            (first, last), ints.
        """
        if self._up == self._down:
            return start, stop
        last = -(-stop // self._outputs) * self._inputs
        return start // self._outputs * self._inputs - self._margin, last + self._margin

    def piece(self, signal, first, start, stop):
        """Outputs `start` to `stop`.

        Args:
            signal: float32 array (samples, channels), at least the required existing samples; beyond it is silence.
            first: int, position of its first sample.
            start: int.
            stop: int.

        Returns:
            float32 array (stop - start, channels).
        """
        if self._up == self._down:
            return signal[start - first : stop - first]
        pieces = [signal[:0]]
        for block in range(start // self._outputs, -(-stop // self._outputs)):
            begin = block * self._outputs
            whole = self._block(signal, block * self._inputs - self._margin - first)
            pieces.append(whole[max(start - begin, 0) : stop - begin])
        return np.concatenate(pieces)

    def _block(self, signal, begin):
        import soxr

        end = begin + self._inputs + 2 * self._margin
        inside = signal[max(begin, 0) : max(end, 0)]
        before = min(max(-begin, 0), end - begin)
        padded = np.zeros((end - begin, signal.shape[1]), np.float32)
        padded[before : before + len(inside)] = inside
        return soxr.resample(padded, self.from_rate, self.to_rate)[self._skip : self._skip + self._outputs]
