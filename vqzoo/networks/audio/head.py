"""From frames to waveforms through the inverse Fourier transform."""

import math
from fractions import Fraction

import keras

from vqzoo.ops import hann
from vqzoo.ops import inverse_stft


@keras.saving.register_keras_serializable(package="vqzoo")
class InverseSTFTHead(keras.layers.Layer):
    r"""Predicts the magnitude and phase of each frame, and adds up what the inverse Fourier transform makes of them.

    $$(m, p) = W x + b, \qquad X = \min(e^m, N/2)\,(\cos p + \mathrm{i} \sin p), \qquad y = \operatorname{ISTFT}(X)$$

    with N the frame length and `vqzoo.ops.inverse_stft`, whose frames lie as those of `LogMel`. N/2 is the sum of the
    window: no spectrum of samples in [-1, 1] is larger, and a sine of full scale has half of it.

    All upsampling is the Fourier transform's: the network before it works at the rate of frames, which makes it
    hundreds of times as fast as transposed convolutions and leaves no pattern of their own. In float32 under every
    policy. Masked frames add nothing.

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
        ValueError: if the lengths are none of frames.

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
        """How many frames beyond its own a sample sees, on either side."""
        return -(-(self.frame_length - self.hop_length + 1) // 2 // self.hop_length)

    @property
    def rate(self):
        """Samples a frame."""
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
        """The samples of a frame are real where it is."""
        return None if previous_mask is None else keras.ops.repeat(previous_mask, self.hop_length, axis=1)

    def compute_output_shape(self, input_shape):
        batch, frames, _ = input_shape
        return batch, None if frames is None else frames * self.hop_length, self.channels

    def portable(self):
        """A model of Keras's operations with the same result."""
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
            # Without a bound the first large step would end a training. Before the exponential: a gradient of zero
            # times infinity would be none.
            magnitude = keras.ops.exp(keras.ops.minimum(x[:, :, i : i + bins], math.log(self.frame_length / 2)))
            phase = x[:, :, i + bins : i + 2 * bins]
            yield magnitude * keras.ops.cos(phase), magnitude * keras.ops.sin(phase)

    def _portable_inverse(self, real, imaginary):
        """`inverse_stft` of sizes that are not known: (batch, frames, bins) to (batch, samples, 1)."""
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
    """Sums frames (batch, count, length) at their places: (batch, (count + pieces - 1) * hop, 1)."""
    frames = keras.ops.pad(frames, [[0, 0], [0, 0], [0, pieces * hop - frames.shape[2]]])
    total = 0.0
    for i in range(pieces):
        piece = frames[:, :, i * hop : (i + 1) * hop]
        total = total + keras.ops.pad(piece, [[0, 0], [i, pieces - 1 - i], [0, 0]])
    return keras.layers.Reshape((-1, 1))(total)
