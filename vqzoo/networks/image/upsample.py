"""Nearest-neighbour upsampling that converts to LiteRT and compiles with XLA at unknown sizes."""

import keras

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
        ValueError: if `factor` is no positive integer.

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
        """The Keras built-in layer with the same result."""
        return keras.layers.UpSampling2D(self.factor, name=self.name, dtype=self.dtype_policy)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
