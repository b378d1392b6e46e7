"""Output head that turns frames into waveforms by the inverse Fourier transform."""

import math
from fractions import Fraction

import keras

from vqzoo.ops import hann
from vqzoo.ops import inverse_stft


@keras.saving.register_keras_serializable(package="vqzoo")
class InverseSTFTHead(keras.layers.Layer):
    r"""Predicts magnitude and phase of each frame, and overlap-adds the inverse Fourier transforms.

    $$(m, p) = W x + b, \qquad X = \min(e^m, N/2)\,(\cos p + \mathrm{i} \sin p), \qquad y = \operatorname{ISTFT}(X)$$

    with N the frame length and `vqzoo.ops.inverse_stft`, whose frames are aligned with those of `LogMel`. N/2 is the
    sum of the window. No spectrum of samples in [-1, 1] is larger, and that of a full-scale sine is half of it.

    The inverse Fourier transform does all upsampling, so that the network works at the frame rate. This is hundreds of
    times faster than transposed convolutions and has none of their artifacts. It computes in float32 under every dtype
    policy. Masked frames contribute nothing.

    Args:
        frame_length: int, samples of a frame, even. Defaults to 1024.
        hop_length: int, samples between frames, at most `frame_length`. Defaults to 256.
        channels: int, of the waveforms. Defaults to 1.

    Call arguments:
        inputs: tensor, shape (batch, frames, width).
        mask: bool tensor (batch, frames), True where a frame is real. Defaults to all.

    Returns:
        float32 tensor, shape (batch, frames * hop_length, channels).

    Raises:
        ValueError: if the lengths are not valid for frames.

    Example:
    >>> InverseSTFTHead(channels=2)(keras.ops.zeros((1, 4, 8))).shape
    TensorShape([1, 1024, 2])

    Reference:
        Siuzdak 2023, https://arxiv.org/abs/2306.00814, section 3.3
    """

    def __init__(self, frame_length=1024, hop_length=256, channels=1, *, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.frame_length = frame_length
        self.hop_length = hop_length
        self.channels = channels

    @property
    def reach(self):
        """Number of frames on either side that influence a sample, beyond its own frame."""
        return -(-(self.frame_length - self.hop_length + 1) // 2 // self.hop_length)

    @property
    def rate(self):
        """Samples per frame."""
        return Fraction(self.hop_length)

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self._width()), "glorot_uniform", name="kernel")
        self.bias = self.add_weight((self._width(),), "zeros", name="bias")

    def call(self, inputs, mask=None):
        x = keras.ops.matmul(keras.ops.cast(inputs, "float32"), self.kernel) + self.bias
        waveforms = [
            inverse_stft(*spectrum, self.frame_length, self.hop_length, mask=mask) for spectrum in self._spectra(x)
        ]
        return keras.ops.stack(waveforms, axis=-1)

    def compute_mask(self, inputs, previous_mask):
        """Repeats the mask of a frame for its samples."""
        return None if previous_mask is None else keras.ops.repeat(previous_mask, self.hop_length, axis=1)

    def compute_output_shape(self, input_shape):
        batch, frames, _ = input_shape
        return batch, None if frames is None else frames * self.hop_length, self.channels

    def portable(self):
        """An equivalent model of Keras operations."""
        frames = keras.Input((None, self.kernel.shape[0]), name="frames")
        x = keras.layers.Dense(self._width(), name="spectra")(frames)
        channels = [self._portable_inverse(*spectrum) for spectrum in self._spectra(x)]
        waveform = keras.ops.concatenate(channels, axis=-1) if len(channels) > 1 else channels[0]
        return keras.Model(frames, waveform, name=self.name)

    def _width(self):
        return self.channels * (self.frame_length + 2)

    def _spectra(self, x):
        """Yields the real and the imaginary part of each channel's spectrum."""
        bins = self.frame_length // 2 + 1
        for i in range(0, 2 * bins * self.channels, 2 * bins):
            # Without a bound, the first large step would make the training diverge. The bound is applied before the
            # exponential, because zero times an infinite gradient is NaN.
            magnitude = keras.ops.exp(keras.ops.minimum(x[:, :, i : i + bins], math.log(self.frame_length / 2)))
            phase = x[:, :, i + bins : i + 2 * bins]
            yield magnitude * keras.ops.cos(phase), magnitude * keras.ops.sin(phase)

    def _portable_inverse(self, real, imaginary):
        """`inverse_stft` for unknown sizes, (batch, frames, bins) to (batch, samples, 1)."""
        length, hop = self.frame_length, self.hop_length
        pieces, before = -(-length // hop), (length - hop) // 2
        window = hann(length).astype("float32")
        frames = keras.ops.irfft((real, imaginary), length)
        added = _overlap_add(frames * window, pieces, hop)
        weights = _overlap_add(keras.ops.ones_like(frames) * window**2, pieces, hop)
        signal = added * keras.ops.where(weights > 1e-8, 1.0 / keras.ops.maximum(weights, 1e-8), 0.0)
        after = pieces * hop - hop - before
        return signal[:, before : -after or None]

    # === Config ===
    def get_config(self):
        names = ("frame_length", "hop_length", "channels")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _overlap_add(frames, pieces, hop):
    """Overlap-adds frames (batch, count, length) to (batch, (count + pieces - 1) * hop, 1)."""
    frames = keras.ops.pad(frames, [[0, 0], [0, 0], [0, pieces * hop - frames.shape[2]]])
    total = 0.0
    for i in range(pieces):
        piece = frames[:, :, i * hop : (i + 1) * hop]
        total = total + keras.ops.pad(piece, [[0, 0], [i, pieces - 1 - i], [0, 0]])
    return keras.layers.Reshape((-1, 1))(total)
