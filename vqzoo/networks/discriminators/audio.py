"""Discriminators of waveforms: multi-period, and multi-resolution on complex spectra."""

import keras

from vqzoo.ops import stft

BANDS = ((0.0, 0.1), (0.1, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0))


def multi_period_discriminator(channels=1, periods=(2, 3, 5, 7, 11), filters=32, name="multi_period_discriminator"):
    """Builds the multi-period discriminator of HiFi-GAN.

    Each part reshapes the waveform to rows of one period and convolves along the columns, which hold samples one period
    apart. With prime periods the parts see different samples. It detects wrong pitches and phases. It has no weight
    normalisation.

    Args:
        channels: int, of the waveforms. Defaults to 1.
        periods: tuple of ints, samples. Defaults to (2, 3, 5, 7, 11).
        filters: int, filters of the first convolution; the next have 4, 16, 32 and 32 times this number. Defaults to
            32. 4 can be trained on a CPU.
        name: str, of the model. Defaults to "multi_period_discriminator".

    Returns:
        `keras.Model`, waveforms (batch, samples, channels) to a list with a list for each period: the activations after
        each convolution, and last the float32 logits (batch, rows, period, 1). With one period it is only that list.

    Raises:
        ValueError: if a period is below 1.

    Example:
    >>> model = multi_period_discriminator(periods=(2, 3), filters=1)
    >>> [part[-1][1:] for part in model.compute_output_shape((1, 1620, 1))]
    [(10, 2, 1), (7, 3, 1)]

    Reference:
        Kong, Kim, Bae 2020, https://arxiv.org/abs/2010.05646, section 2.3
    """
    waveform = keras.Input((None, channels), name="waveform")
    outputs = []
    for period in periods:
        x = FoldPeriod(period, name=f"period_{period}")(waveform)
        features = []
        for i, (width, stride) in enumerate(((1, 3), (4, 3), (16, 3), (32, 3), (32, 1))):
            layer = f"period_{period}_{i}"
            x = _convolution(filters * width, (5, 1), (stride, 1), layer)(x)
            x = keras.layers.LeakyReLU(0.1, name=f"{layer}_features")(x)
            features.append(x)
        outputs.append([*features, _logits((3, 1), f"period_{period}_logits")(x)])
    return keras.Model(waveform, outputs, name=name)


def multi_resolution_discriminator(channels=1, frame_lengths=(2048, 1024, 512), bands=BANDS, filters=32):
    """Builds the multi-band, multi-resolution discriminator of complex spectra of DAC.

    Real and imaginary parts are its channels, so that it uses phases. Each band has its own convolutions. Otherwise the
    energy of low bands would hide the high ones, where aliasing is audible. It has no weight normalisation.

    Args:
        channels: int, of the waveforms. Defaults to 1.
        frame_lengths: tuple of ints, samples; hops are a quarter of them. Defaults to (2048, 1024, 512).
        bands: tuple of (low, high), fractions of half the sample rate. Defaults to DAC's five.
        filters: int, filters of the convolutions. Defaults to 32. 8 can be trained on a CPU.

    Returns:
        `keras.Model`, waveforms (batch, samples, channels) to a list with a list for each resolution: the activations
        after each convolution of each band, and last the float32 logits (batch, frames, bins, 1). With one resolution
        it is only that list.

    Raises:
        ValueError: if a band is not within 0 to 1, or contains no bin.

    Example:
    >>> model = multi_resolution_discriminator(frame_lengths=(256, 128), filters=2)
    >>> [len(part) for part in model.compute_output_shape((1, 1600, 1))]
    [26, 26]

    Reference:
        Kumar et al. 2023, https://arxiv.org/abs/2306.06546, section 3.3; Jang et al. 2021,
        https://arxiv.org/abs/2106.07889, section 2.3
    """
    waveform = keras.Input((None, channels), name="waveform")
    outputs = []
    for length in frame_lengths:
        spectrum = ComplexSpectrum(length, length // 4, name=f"spectrum_{length}")(waveform)
        features, ends = [], []
        for j, (first, after) in enumerate(_bins(length, bands)):
            cut = ((0, 0), (first, length // 2 + 1 - after))
            x = keras.layers.Cropping2D(cut, name=f"spectrum_{length}_{j}")(spectrum)
            for i, (kernel, stride) in enumerate((((3, 9), 1), ((3, 9), 2), ((3, 9), 2), ((3, 9), 2), ((3, 3), 1))):
                name = f"spectrum_{length}_{j}_{i}"
                x = _convolution(filters, kernel, (1, stride), name)(x)
                x = keras.layers.LeakyReLU(0.1, name=f"{name}_features")(x)
                features.append(x)
            ends.append(x)
        if len(ends) > 1:
            x = keras.layers.Concatenate(axis=2, name=f"spectrum_{length}_bands")(ends)
        outputs.append([*features, _logits((3, 3), f"spectrum_{length}_logits")(x)])
    return keras.Model(waveform, outputs, name="multi_resolution_discriminator")


def combined_discriminator(discriminators):
    """Combines discriminators to one with all of their parts.

    Args:
        discriminators: list of `keras.Model`s of different names, for the same signals; each returns one or several
            lists of activations.

    Returns:
        `keras.Model`, signals to one list of lists.

    Raises:
        ValueError: if there is none.

    Example:
    >>> periods = multi_period_discriminator(periods=(2, 3), filters=1)
    >>> spectra = multi_resolution_discriminator(frame_lengths=(256,), filters=2)
    >>> len(combined_discriminator([periods, spectra]).compute_output_shape((1, 1620, 1)))
    3

    Reference:
        Kumar et al. 2023, https://arxiv.org/abs/2306.06546, section 3.3
    """
    if not discriminators:
        raise ValueError("A combined discriminator needs at least one part. Received: discriminators=[]")
    signal = keras.Input(discriminators[0].input_shape[1:], name="signal")
    outputs = []
    for discriminator in discriminators:
        parts = discriminator(signal)
        # Keras returns the list of a discriminator with one part directly.
        outputs += parts if isinstance(parts[0], list | tuple) else [parts]
    return keras.Model(signal, outputs, name="combined_discriminator")


@keras.saving.register_keras_serializable(package="vqzoo")
class FoldPeriod(keras.layers.Layer):
    """Reshapes a waveform to rows of one period. Column c of row r is sample r * period + c, padded with zeros.

    Args:
        period: int, samples.

    Call arguments:
        waveform: tensor, shape (batch, samples, channels).

    Returns:
        Tensor of shape (batch, ceil(samples / period), period, channels).

    Raises:
        ValueError: if `period` is below 1.

    Example:
    >>> import numpy as np
    >>> np.asarray(FoldPeriod(2)(np.array([[[1.0], [2.0], [3.0]]])))[0, :, :, 0]
    array([[1., 2.],
           [3., 0.]], dtype=float32)
    """

    def __init__(self, period, **kwargs):
        super().__init__(**kwargs)
        if period < 1:
            raise ValueError(f"`period` is 1 or more samples. Received: period={period}")
        self.period = period

    def call(self, waveform):
        padded = keras.ops.pad(waveform, [[0, 0], [0, self.period - 1], [0, 0]])
        length = padded.shape[1]
        rows = (keras.ops.shape(padded)[1] if length is None else length) // self.period
        return keras.ops.reshape(padded[:, : rows * self.period], (-1, rows, self.period, waveform.shape[2]))

    def compute_output_shape(self, input_shape):
        batch, samples, channels = input_shape
        return batch, None if samples is None else -(-samples // self.period), self.period, channels

    def get_config(self):
        return {**super().get_config(), "period": self.period}


@keras.saving.register_keras_serializable(package="vqzoo")
class ComplexSpectrum(keras.layers.Layer):
    r"""Short-time spectra with real and imaginary parts as channels, in float32 under every dtype policy.

    $$y = \frac{X}{\sqrt{3N/8}}$$

    with X of `vqzoo.ops.stft` and N the frame length. 3N/8 is the sum of the squared window, so that the spectra of
    noise have the scale of the noise at every resolution.

    Args:
        frame_length: int, samples of a frame, even.
        hop_length: int, samples between frames, at most `frame_length`.

    Call arguments:
        waveform: tensor, shape (batch, samples, channels).

    Returns:
        float32 tensor, shape (batch, ceil(samples / hop_length), frame_length // 2 + 1, 2 * channels).

    Raises:
        ValueError: if the lengths are not valid for frames.

    Example:
    >>> ComplexSpectrum(8, 4)(keras.ops.ones((1, 10, 1))).shape
    TensorShape([1, 3, 5, 2])
    """

    def __init__(self, frame_length, hop_length, *, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.frame_length = frame_length
        self.hop_length = hop_length

    def call(self, waveform):
        parts = [
            part
            for i in range(waveform.shape[-1])
            for part in stft(waveform[:, :, i], self.frame_length, self.hop_length)
        ]
        return keras.ops.stack(parts, axis=-1) * (3.0 * self.frame_length / 8.0) ** -0.5

    def compute_output_shape(self, input_shape):
        batch, samples, channels = input_shape
        frames = None if samples is None else -(-samples // self.hop_length)
        return batch, frames, self.frame_length // 2 + 1, 2 * channels

    def get_config(self):
        return {**super().get_config(), "frame_length": self.frame_length, "hop_length": self.hop_length}


def _convolution(filters, kernel, stride, name):
    # Without weight normalisation, features would vanish from layer to layer with Glorot initialization.
    return keras.layers.Conv2D(filters, kernel, stride, "same", kernel_initializer="he_normal", name=name)


def _logits(kernel, name):
    return keras.layers.Conv2D(1, kernel, padding="same", dtype="float32", name=name)


def _bins(frame_length, bands):
    """First and last bin, exclusive, of each band."""
    count = frame_length // 2 + 1
    edges = [(int(low * count), int(high * count)) for low, high in bands]
    for (first, after), band in zip(edges, bands, strict=True):
        if not 0 <= first < after <= count:
            raise ValueError(
                f"A band is (low, high) in fractions of half the sample rate and must contain one of {count} bins. "
                f"Received: band={band}"
            )
    return edges
