"""Residual blocks over sequences: one-dimensional ConvNeXt blocks and self-attention."""

import keras

from vqzoo.networks.sequence.masks import real_alone

EPSILON = 1e-6  # of the normalizations, as in Vocos


@keras.saving.register_keras_serializable(package="vqzoo")
class ConvNeXtBlock1D(keras.layers.Layer):
    r"""A ConvNeXt block over time: a depthwise convolution, then two dense layers at each position.

    $$y = x + \gamma \odot W_2 \operatorname{GELU}(W_1 \operatorname{LayerNorm}(\text{depthwise}(x)))$$

    with γ learned for each channel, and the exact GELU. Inputs are zero beyond the ends and where a mask is False.

    Args:
        expansion: int, width of the hidden layer divided by the channels. Defaults to 3.
        kernel_size: int, positions of the depthwise convolution, odd. Defaults to 7.
        scale: float, initial γ. Defaults to 0.125, one over the number of blocks of Vocos.
        causal: bool, whether a position depends only on itself and the `kernel_size - 1` positions before it.
            Defaults to False, a centred kernel.

    Call arguments:
        inputs: tensor, shape (batch, positions, channels).
        mask: bool tensor (batch, positions), True where a position is real. Defaults to all.

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: if `kernel_size` is even and the block is not causal.

    Example:
    >>> x = keras.random.normal((1, 9, 4))
    >>> bool(keras.ops.all(ConvNeXtBlock1D(scale=0.0)(x) == x))
    True

    Reference:
        Siuzdak 2023, https://arxiv.org/abs/2306.00814, section 3.2; Liu et al. 2022, https://arxiv.org/abs/2201.03545
    """

    def __init__(self, expansion=3, kernel_size=7, scale=0.125, causal=False, **kwargs):
        super().__init__(**kwargs)
        if kernel_size % 2 == 0 and not causal:
            raise ValueError(
                f"`kernel_size` must be odd unless the block is causal. Received: kernel_size={kernel_size}"
            )
        self.expansion = expansion
        self.kernel_size = kernel_size
        self.scale = scale
        self.causal = causal

    @property
    def reach(self):
        """Number of positions on either side that influence an output, beyond its own."""
        return self.kernel_size - 1 if self.causal else self.kernel_size // 2

    def build(self, input_shape):
        # The order in the portable form.
        self.parts = self._parts(input_shape[-1])
        for part in self.parts[:3]:
            part.build(input_shape)
        wide = (*input_shape[:-1], input_shape[-1] * self.expansion)
        self.parts[3].build(wide)
        self.parts[4].build(input_shape)

    def call(self, inputs, mask=None):
        x = real_alone(inputs, mask)
        if self.causal:
            x = keras.ops.pad(x, [[0, 0], [self.kernel_size - 1, 0], [0, 0]])
        *parts, scale = self.parts
        for part in parts:
            x = part(x)
        # The matrix product of the layer, because LiteRT cannot run its einsum at unknown lengths.
        return inputs + x * keras.ops.cast(scale.kernel, x.dtype)

    def compute_mask(self, inputs, previous_mask):
        """The shape of the input."""
        return previous_mask

    def compute_output_shape(self, input_shape):
        return input_shape

    def portable(self):
        """An equivalent model of built-in Keras layers."""
        width = self.parts[3].units
        x = inputs = keras.Input((None, width), name="inputs")
        if self.causal:
            x = keras.layers.ZeroPadding1D((self.kernel_size - 1, 0), dtype=self.dtype_policy)(x)
        for part in self._parts(width):
            x = part(x)
        return keras.Model(inputs, keras.layers.Add(dtype=self.dtype_policy)([inputs, x]), name=self.name)

    def _parts(self, width):
        policy, layers = {"dtype": self.dtype_policy}, keras.layers
        scale = keras.initializers.Constant(self.scale)
        padding = "valid" if self.causal else "same"
        return [
            layers.DepthwiseConv1D(self.kernel_size, padding=padding, name="depthwise", **policy),
            layers.LayerNormalization(epsilon=EPSILON, name="norm", **policy),
            layers.Dense(self.expansion * width, activation="gelu", name="expand", **policy),
            layers.Dense(width, name="project", **policy),
            layers.EinsumDense("btc,c->btc", (None, width), kernel_initializer=scale, name="scale", **policy),
        ]

    # === Config ===
    def get_config(self):
        config = {"expansion": self.expansion, "kernel_size": self.kernel_size, "scale": self.scale}
        return {**super().get_config(), **config, "causal": self.causal}


@keras.saving.register_keras_serializable(package="vqzoo")
class SelfAttentionBlock1D(keras.layers.Layer):
    r"""Self-attention over all positions of a signal of any length.

    $$y = x + \operatorname{Attention}(\operatorname{LayerNorm}(x))$$

    It has no position embeddings. Preceding convolutions distinguish neighbours, and lengths that did not occur in
    training work as well. Positions where a mask is False are not attended to.

    Args:
        heads: int, a divisor of the channels. Defaults to 4.

    Call arguments:
        inputs: tensor, shape (batch, positions, channels).
        mask: bool tensor (batch, positions), True where a position is real. Defaults to all.

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: if the heads do not divide the channels.

    Example:
    >>> SelfAttentionBlock1D(2)(keras.ops.zeros((1, 9, 4))).shape
    TensorShape([1, 9, 4])

    Reference:
        Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2
    """

    reach = None  # all positions

    def __init__(self, heads=4, **kwargs):
        super().__init__(**kwargs)
        self.heads = heads

    def build(self, input_shape):
        if input_shape[-1] % self.heads:
            raise ValueError(f"`heads` must divide the channels, here {input_shape[-1]}. Received: heads={self.heads}")
        self.norm, self.attention = self._parts(input_shape[-1])
        self.norm.build(input_shape)
        self.attention.build(input_shape, input_shape)

    def call(self, inputs, mask=None):
        x = self.norm(inputs)
        seen = None if mask is None else keras.ops.expand_dims(mask, 1)  # (batch, 1, positions)
        return inputs + self.attention(x, x, attention_mask=seen)

    def compute_mask(self, inputs, previous_mask):
        """The shape of the input."""
        return previous_mask

    def compute_output_shape(self, input_shape):
        return input_shape

    def portable(self):
        """An equivalent model of built-in Keras layers."""
        width = self.norm.gamma.shape[0]
        inputs = keras.Input((None, width), name="inputs")
        norm, attention = self._parts(width)
        x = norm(inputs)
        return keras.Model(inputs, keras.layers.Add(dtype=self.dtype_policy)([inputs, attention(x, x)]), name=self.name)

    def _parts(self, width):
        policy = {"dtype": self.dtype_policy}
        return (
            keras.layers.LayerNormalization(epsilon=EPSILON, name="norm", **policy),
            keras.layers.MultiHeadAttention(self.heads, width // self.heads, name="attention", **policy),
        )

    # === Config ===
    def get_config(self):
        return {**super().get_config(), "heads": self.heads}
