"""The front end of audio networks, which computes log-mel spectra inside the graph."""

from fractions import Fraction

import keras

from vqzoo.networks.sequence.masks import real_alone
from vqzoo.ops import exact_product
from vqzoo.ops import hann
from vqzoo.ops import magnitudes
from vqzoo.ops import mel_filters
from vqzoo.ops import stft

# The smallest mel value, as in HiFi-GAN. It is absolute, so that a frame does not depend on other frames.
FLOOR = 1e-5
# The logarithms of recorded speech have a mean of -5 to -7 and a standard deviation of 2 to 2.6.
MEAN, DEVIATION = -6.0, 2.5


@keras.saving.register_keras_serializable(package="vqzoo")
class LogMel(keras.layers.Layer):
    r"""Log-mel spectra of waveforms, scaled to about unit variance, one frame per hop.

    $$y_{im} = \frac{\ln \max(10^{-5}, \sum_k |X_{ik}| F_{km}) + 6}{2.5}$$

    with X the short-time Fourier transform of `vqzoo.ops.stft` and F Slaney's filters. Frame i is centred on the
    hop_length samples from i hop_length on, so that n samples have ceil(n / hop_length) frames. The waveform is zero
    beyond its ends and where a mask is False. It computes in float32 under every dtype policy.

    Args:
        sample_rate: int, Hz.
        frame_length: int, samples of a frame, even. Defaults to 1024.
        hop_length: int, samples between frames, at most `frame_length`. Defaults to 256.
        bands: int, mel bands. Defaults to 80.

    Call arguments:
        waveform: float tensor, shape (batch, samples, channels).
        mask: bool tensor (batch, samples), True where a sample is real. Defaults to all.

    Returns:
        float32 tensor, shape (batch, ceil(samples / hop_length), channels * bands), the bands of each channel together.

    Raises:
        ValueError: if filters are so narrow that some contain no bin, or the lengths are not valid for frames.

    Example:
    >>> LogMel(16000)(keras.ops.zeros((1, 1000, 2))).shape
    TensorShape([1, 4, 160])
    """

    def __init__(self, sample_rate, frame_length=1024, hop_length=256, bands=80, *, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.sample_rate = sample_rate
        self.frame_length = frame_length
        self.hop_length = hop_length
        self.bands = bands
        self._filters = mel_filters(sample_rate, frame_length, bands).astype("float32")

    @property
    def reach(self):
        """Number of samples on either side that influence a frame, beyond its own."""
        return (self.frame_length - self.hop_length + 1) // 2

    @property
    def rate(self):
        """Frames per sample."""
        return Fraction(1, self.hop_length)

    def build(self, input_shape):
        self.channels = input_shape[-1]
        if self.channels is None:
            raise ValueError(f"The channels of the waveforms must be known. Received: input_shape={input_shape}")

    def call(self, waveform, mask=None):
        waveform = real_alone(keras.ops.cast(waveform, "float32"), mask)
        spectra = (stft(waveform[:, :, i], self.frame_length, self.hop_length) for i in range(self.channels))
        return keras.ops.concatenate([self._logarithms(*spectrum) for spectrum in spectra], axis=-1)

    def compute_mask(self, inputs, previous_mask):
        """The mask of a frame is that of its first sample."""
        return None if previous_mask is None else previous_mask[:, :: self.hop_length]

    def compute_output_shape(self, input_shape):
        batch, samples, channels = input_shape
        return batch, None if samples is None else -(-samples // self.hop_length), channels * self.bands

    def portable(self):
        """An equivalent model of Keras operations."""
        waveform = keras.Input((None, self.channels), name="waveform")
        before = (self.frame_length - self.hop_length) // 2
        window = hann(self.frame_length).astype("float32")
        logarithms = []
        for i in range(self.channels):
            padded = keras.ops.pad(waveform[:, :, i], [[0, 0], [before, self.frame_length - 1 - before]])
            # Slower than `stft`, which depends on sizes, unlike a model of operations.
            frames = keras.ops.extract_sequences(padded, self.frame_length, self.hop_length)
            logarithms.append(self._logarithms(*keras.ops.rfft(frames * window)))
        outputs = keras.ops.concatenate(logarithms, axis=-1) if len(logarithms) > 1 else logarithms[0]
        return keras.Model(waveform, outputs, name=self.name)

    def _logarithms(self, real, imaginary):
        # Rounded to 8 bits with one scale for all bins, the quiet high bands would be lost.
        mel = exact_product(magnitudes(real, imaginary), self._filters)
        return (keras.ops.log(keras.ops.maximum(mel, FLOOR)) - MEAN) / DEVIATION

    # === Config ===
    def get_config(self):
        names = ("sample_rate", "frame_length", "hop_length", "bands")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
