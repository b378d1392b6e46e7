"""Nearest-neighbour upsampling, also combined with a convolution, for LiteRT and XLA at unknown sizes."""

import keras

from vqzoo.ops import upsample_conv
from vqzoo.ops import upsample_nearest


@keras.saving.register_keras_serializable(package="vqzoo")
class UpsampleNearest2D(keras.layers.Layer):
    """Repeats each pixel along height and width, like `keras.layers.UpSampling2D(factor)`.

    Keras's own layer followed by a convolution loses the channel dimension in LiteRT conversion when height and width
    are unknown; `tf.image.resize` has no XLA kernel on CPU. This form passes both.

    Args:
        factor: int, copies of each pixel along both axes. Defaults to 2.

    Call arguments:
        images: tensor, shape (batch, height, width, channels).

    Returns:
        Tensor of shape (batch, height * factor, width * factor, channels).

    Raises:
        ValueError: if `factor` is not a positive integer.

    Example:
    >>> UpsampleNearest2D()(keras.ops.zeros((1, 2, 3, 4))).shape
    TensorShape([1, 4, 6, 4])
    """

    def __init__(self, factor=2, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(factor, int) or factor < 1:
            raise ValueError(f"`factor` is a positive integer. Received: factor={factor!r}")
        self.factor = factor

    def call(self, images):
        return upsample_nearest(images, self.factor)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        scaled = (None if length is None else length * self.factor for length in (height, width))
        return (batch, *scaled, channels)

    def portable(self):
        """The equivalent built-in Keras layer."""
        return keras.layers.UpSampling2D(self.factor, name=self.name, dtype=self.dtype_policy)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package="vqzoo")
class UpsampleConv2D(keras.layers.Layer):
    """Nearest-neighbour upsampling by 2 and a 3x3 convolution in one, with fewer than half of the products.

    Equals `UpSampling2D(2)` followed by `Conv2D(filters, 3, padding="same")`, whose `kernel` and `bias` it holds, up to
    the rounding of sums of the kernel's rows; see `vqzoo.ops.upsample_conv`.

    Args:
        filters: int, channels of the output.
        activation: str or callable, of Keras. Defaults to none.
        kernel_initializer: Keras initializer. Defaults to "glorot_uniform", as of `Conv2D`.
        bias_initializer: Keras initializer. Defaults to "zeros".

    Call arguments:
        images: tensor, shape (batch, height, width, channels).

    Returns:
        Tensor of shape (batch, height * 2, width * 2, filters).

    Raises:
        ValueError: if `filters` is not a positive integer, or the number of channels is unknown.

    Example:
    >>> UpsampleConv2D(5)(keras.ops.zeros((1, 2, 3, 4))).shape
    TensorShape([1, 4, 6, 5])
    """

    def __init__(
        self, filters, activation=None, kernel_initializer="glorot_uniform", bias_initializer="zeros", **kwargs
    ):
        super().__init__(**kwargs)
        if not isinstance(filters, int) or filters < 1:
            raise ValueError(f"`filters` is a positive integer. Received: filters={filters!r}")
        self.filters = filters
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape):
        channels = input_shape[-1]
        if channels is None:
            raise ValueError(f"The number of channels of the input must be known. Received: input_shape={input_shape}")
        self.kernel = self.add_weight((3, 3, channels, self.filters), self.kernel_initializer, name="kernel")
        self.bias = self.add_weight((self.filters,), self.bias_initializer, name="bias")

    def call(self, images):
        return self.activation(upsample_conv(images, self.kernel) + self.bias)

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        return (batch, *(None if length is None else length * 2 for length in (height, width)), self.filters)

    def portable(self):
        """The two equivalent built-in Keras layers."""
        config = {key: value for key, value in self.get_config().items() if key != "name"}
        # The dtype policy of this layer, not the global one.
        layers = [
            keras.layers.UpSampling2D(2, dtype=self.dtype_policy),
            keras.layers.Conv2D(kernel_size=3, padding="same", **config),
        ]
        return keras.Sequential(layers, name=self.name)

    def get_config(self):
        config = {
            "filters": self.filters,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
        return {**super().get_config(), **config}
