"""Padding masks and word dropout of text encoders."""

import keras

from vqzoo.ops import mask_until


@keras.saving.register_keras_serializable(package="vqzoo")
class RealPieces(keras.layers.Layer):
    """Marks the pieces of each sentence up to its end-of-sequence token by 1, and padding by 0.

    Args:
        end: int, id of the end-of-sequence token.
        stride: int, pieces per chunk. A chunk has one mark, 1 if it has a piece of the sentence. Defaults to 1.

    Call arguments:
        ids: int32 tensor (batch, length).

    Returns:
        float tensor (batch, ceil(length / stride), 1).

    Example:
    >>> import numpy as np
    >>> ids = np.array([[7, 8, 9, 2, 2], [7, 2, 5, 5, 5]])  # 5 is after an end-of-sequence token, and so is padding
    >>> np.asarray(RealPieces(end=2)(ids))[..., 0]
    array([[1., 1., 1., 1., 0.],
           [1., 1., 0., 0., 0.]], dtype=float32)
    >>> np.asarray(RealPieces(end=2, stride=2)(ids))[..., 0]
    array([[1., 1., 0.],
           [1., 0., 0.]], dtype=float32)
    """

    def __init__(self, end, stride=1, **kwargs):
        super().__init__(**kwargs)
        self.end = end
        self.stride = stride

    def call(self, ids):
        real = mask_until(ids, self.end)[:, :: self.stride]
        return keras.ops.expand_dims(keras.ops.cast(real, self.compute_dtype), -1)

    def compute_output_shape(self, ids_shape):
        batch, length = ids_shape
        return batch, None if length is None else -(-length // self.stride), 1

    def portable(self):
        """An equivalent model of Keras operations."""
        ids = keras.Input((None,), dtype="int32", name="ids")
        return keras.Model(ids, self.call(ids), name=self.name)

    # === Config ===
    def get_config(self):
        return {**super().get_config(), "end": self.end, "stride": self.stride}


@keras.saving.register_keras_serializable(package="vqzoo")
class WordDropout(keras.layers.Layer):
    """Word dropout: replaces the vectors of whole pieces by zeros in training, without rescaling the others.

    An autoregressive decoder must then use the latents for hidden pieces. An encoder learns to infer a piece from its
    neighbours.

    Args:
        rate: float in [0, 1], fraction of the pieces.
        seed: int, random seed. Defaults to a random one.

    Call arguments:
        inputs: float tensor (batch, length, width).
        training: bool. Defaults to False, which hides nothing.

    Returns:
        Tensor like `inputs`.

    Raises:
        ValueError: if the rate is out of range.

    Example:
    >>> x = keras.ops.ones((1, 1000, 3))
    >>> kept = keras.ops.mean(WordDropout(0.25, seed=0)(x, training=True), axis=2)
    >>> 0.7 < float(keras.ops.mean(kept)) < 0.8, float(keras.ops.mean(WordDropout(0.25)(x)))
    (True, 1.0)

    Reference:
        Bowman et al. 2015, https://arxiv.org/abs/1511.06349, section 3.1
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"`rate` must be in [0, 1]. Received: rate={rate}")
        self.rate = rate
        self.seed = seed
        # Only if it is used, because a generator has state.
        self.generator = keras.random.SeedGenerator(seed) if rate else None

    def call(self, inputs, training=False):
        if not training or not self.rate:
            return inputs
        shape = (*keras.ops.shape(inputs)[:2], 1)
        kept = keras.random.uniform(shape, seed=self.generator) >= self.rate
        return inputs * keras.ops.cast(kept, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def portable(self):
        """The built-in Keras layer that is equivalent in inference."""
        return keras.layers.Identity(name=self.name, dtype=self.dtype_policy)

    # === Config ===
    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
