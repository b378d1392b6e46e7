"""Strided and upsampling convolutions over time, of any length and with masks."""

from fractions import Fraction

import keras

from vqzoo.networks.sequence.masks import real_alone


@keras.saving.register_keras_serializable(package="vqzoo")
class TimeConv1D(keras.layers.Layer):
    r"""A convolution over time whose alignment does not depend on the length of the input.

    $$y_i = b + \sum_{j=0}^{K-1} W_j\, x_{is - p + j}, \qquad p = \lfloor (K - s) / 2 \rfloor$$

    with K the kernel size, s the stride, and zeros for x beyond the ends and where a mask is False. An example that is
    padded to the length of a batch therefore has the same outputs as by itself. (Padding "same" starts elsewhere if the
    length is not a multiple of the stride.)

    Args:
        filters: int, channels of the output.
        kernel_size: int K, positions, at least `stride`.
        stride: int s, positions. Defaults to 1.

    Call arguments:
        inputs: tensor, shape (batch, positions, channels).
        mask: bool tensor (batch, positions), True where a position is real. Defaults to all.

    Returns:
        Tensor of shape (batch, ceil(positions / stride), filters).

    Raises:
        ValueError: if the kernel is shorter than the stride, or the number of channels is unknown.

    Example:
    >>> TimeConv1D(5, 4, stride=2)(keras.ops.zeros((1, 7, 3))).shape
    TensorShape([1, 4, 5])
    """

    def __init__(self, filters, kernel_size, stride=1, **kwargs):
        super().__init__(**kwargs)
        if not 0 < stride <= kernel_size:
            raise ValueError(
                "`stride` must be at least 1, and `kernel_size` at least `stride`, so that no position is skipped. "
                f"Received: kernel_size={kernel_size}, stride={stride}"
            )
        self.filters = filters
        self.kernel_size = kernel_size
        self.stride = stride

    @property
    def reach(self):
        """Number of positions on either side that influence an output, beyond its own."""
        return (self.kernel_size - self.stride + 1) // 2

    @property
    def rate(self):
        """Outputs per position."""
        return Fraction(1, self.stride)

    def build(self, input_shape):
        channels = known_channels(input_shape)
        self.kernel = self.add_weight((self.kernel_size, channels, self.filters), "glorot_uniform", name="kernel")
        self.bias = self.add_weight((self.filters,), "zeros", name="bias")

    def call(self, inputs, mask=None):
        x = real_alone(inputs, mask)
        if self.stride > 1:
            x = keras.ops.pad(x, [[0, 0], self._padding(), [0, 0]])
        padding = "same" if self.stride == 1 else "valid"
        return keras.ops.conv(x, self.kernel, self.stride, padding, data_format="channels_last") + self.bias

    def compute_mask(self, inputs, previous_mask):
        """The mask of an output is that of its first position."""
        return None if previous_mask is None else previous_mask[:, :: self.stride]

    def compute_output_shape(self, input_shape):
        batch, positions, _ = input_shape
        return batch, None if positions is None else -(-positions // self.stride), self.filters

    def portable(self):
        """The equivalent built-in Keras layers."""
        policy = {"dtype": self.dtype_policy}
        padding = "same" if self.stride == 1 else "valid"
        layers = [keras.layers.Conv1D(self.filters, self.kernel_size, self.stride, padding, **policy)]
        if self.stride > 1:
            layers.insert(0, keras.layers.ZeroPadding1D(self._padding(), **policy))
        # A model even for one layer, because the network calls it with the argument `mask`.
        return keras.Sequential(layers, name=self.name)

    def _padding(self):
        before = (self.kernel_size - self.stride) // 2
        return before, self.kernel_size - 1 - before

    # === Config ===
    def get_config(self):
        config = {"filters": self.filters, "kernel_size": self.kernel_size, "stride": self.stride}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="vqzoo")
class UpsampleConv1D(keras.layers.Layer):
    """A convolution that upsamples by `factor`, with `factor` times the filters arranged one after another.

    It is equivalent to a transposed convolution of stride `factor` and kernel `factor * kernel_size`, which is slower
    in LiteRT. Inputs are zero beyond the ends and where a mask is False.

    Args:
        filters: int, channels of the output.
        factor: int, output positions per input position.
        kernel_size: int, input positions per output, odd. Defaults to 3.

    Call arguments:
        inputs: tensor, shape (batch, positions, channels).
        mask: bool tensor (batch, positions), True where a position is real. Defaults to all.

    Returns:
        Tensor of shape (batch, positions * factor, filters).

    Raises:
        ValueError: if `factor` is below 1, `kernel_size` is even, or the number of channels is unknown.

    Example:
    >>> UpsampleConv1D(5, 2)(keras.ops.zeros((1, 7, 3))).shape
    TensorShape([1, 14, 5])

    Reference:
        Shi et al. 2016, Is the deconvolution layer the same as a convolutional layer?, https://arxiv.org/abs/1609.07009
    """

    def __init__(self, filters, factor, kernel_size=3, **kwargs):
        super().__init__(**kwargs)
        if factor < 1 or kernel_size % 2 == 0:
            raise ValueError(
                "`factor` must be at least 1, and `kernel_size` odd. Received: "
                f"factor={factor}, kernel_size={kernel_size}"
            )
        self.filters = filters
        self.factor = factor
        self.kernel_size = kernel_size

    @property
    def reach(self):
        """Number of positions on either side that influence an output, beyond its own."""
        return self.kernel_size // 2

    @property
    def rate(self):
        """Outputs per position."""
        return Fraction(self.factor)

    def build(self, input_shape):
        channels, outputs = known_channels(input_shape), self.factor * self.filters
        # Only the fan-in, because Glorot's rule would count all phases as one output.
        start = keras.initializers.VarianceScaling(1.0, "fan_in", "uniform")
        self.kernel = self.add_weight((self.kernel_size, channels, outputs), start, name="kernel")
        self.bias = self.add_weight((outputs,), "zeros", name="bias")

    def call(self, inputs, mask=None):
        x = keras.ops.conv(real_alone(inputs, mask), self.kernel, 1, "same", data_format="channels_last") + self.bias
        positions = inputs.shape[1]
        shape = (keras.ops.shape(x)[0], -1) if positions is None else (-1, positions * self.factor)
        return keras.ops.reshape(x, (*shape, self.filters))

    def compute_mask(self, inputs, previous_mask):
        """The mask of a position applies to all of its outputs."""
        return None if previous_mask is None else keras.ops.repeat(previous_mask, self.factor, axis=1)

    def compute_output_shape(self, input_shape):
        batch, positions, _ = input_shape
        return batch, None if positions is None else positions * self.factor, self.filters

    def portable(self):
        """The two equivalent built-in Keras layers."""
        policy = {"dtype": self.dtype_policy}
        layers = [
            keras.layers.Conv1D(self.factor * self.filters, self.kernel_size, padding="same", **policy),
            keras.layers.Reshape((-1, self.filters), **policy),
        ]
        return keras.Sequential(layers, name=self.name)

    # === Config ===
    def get_config(self):
        config = {"filters": self.filters, "factor": self.factor, "kernel_size": self.kernel_size}
        return {**super().get_config(), **config}


def known_channels(input_shape):
    """The last axis of `input_shape`. Raises an error if it is unknown."""
    if input_shape[-1] is None:
        raise ValueError(f"The number of channels of the input must be known. Received: input_shape={input_shape}")
    return input_shape[-1]
