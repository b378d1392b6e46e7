"""A transformer block: pre-norm, rotary positions, gated feed-forward layers and optional cross-attention."""

import keras

from vqzoo.networks.attention import CrossAttention
from vqzoo.networks.attention import SelfAttention
from vqzoo.networks.sequence.masks import real_alone
from vqzoo.ops import silu

EPSILON = {"rms": 1e-6, "layer": 1e-5}  # of the normalizations, as in Llama and GPT-2
FEED_FORWARDS = ("swiglu", "gelu")


@keras.saving.register_keras_serializable(package="vqzoo")
class TransformerBlock(keras.layers.Layer):
    r"""Self-attention, optional cross-attention and a feed-forward network, each with a residual connection.

    $$x \leftarrow x + \operatorname{SelfAttention}(\operatorname{Norm}(x)), \quad
    x \leftarrow x + \operatorname{CrossAttention}(\operatorname{Norm}(x), c), \quad
    x \leftarrow x + W_2 \, (\operatorname{swish}(W_g n) \odot W_1 n), \; n = \operatorname{Norm}(x)$$

    Norms and softmax are in float32 under every dtype policy. Values where a mask is False do not affect others.

    Args:
        heads: int, a divisor of the width.
        hidden_dim: int, width between the two dense layers. The gate is a third dense layer, so that 8/3 of the width
            has the same number of weights as 4 times the width without a gate.
        causal: bool, whether a position attends only to itself and earlier positions. Defaults to False.
        cross_attention: bool, whether there is a context. Defaults to False.
        dropout: float, fraction of attention weights and of each branch dropped in training. Defaults to 0.
        rotary_base: float, see `rotary_angles`; None for no positions. Defaults to 10000.
        normalization: str, "rms" or "layer" (with a bias). Defaults to "rms".
        feed_forward: str, "swiglu", or "gelu" without a gate. Defaults to "swiglu".
        use_bias: bool, whether dense layers have a bias. Defaults to False.
        output_scale: float, scale of the initial last weights of each branch, 1 / sqrt(2 n) in a stack of n blocks,
            which keeps the variance of the sum. Defaults to 1.

    Call arguments:
        inputs: float tensor (batch, length, width).
        context: float tensor (batch, context length, any width), if `cross_attention`.
        mask: bool tensor (batch, length), True where a position is real. Defaults to all.
        context_mask: bool tensor (batch, context length). Defaults to all.
        segments: int tensor (batch, length). A position attends only to positions of its own segment. Defaults to
            one segment.
        allowed: bool tensor (batch or 1, length, length), True where a position (row) may attend to another (column),
            in addition to the other masks. Defaults to all.
        positions: int tensor (length, axes) or (batch, length, axes), coordinates. Defaults to 0, 1, 2, ...
        training: bool. Defaults to False.

    Returns:
        Tensor like `inputs`.

    Raises:
        ValueError: if the heads do not divide the width, a name is not one of those above, or a context is missing or
            not expected.

    Example:
    >>> block = TransformerBlock(heads=2, hidden_dim=16, causal=True)
    >>> x = keras.random.normal((1, 5, 8))
    >>> bool(keras.ops.max(keras.ops.abs(block(x)[:, :3] - block(x[:, :3]))) < 1e-5)
    True

    Reference:
        Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, figure 1; norms before: Xiong et al. 2020,
        https://arxiv.org/abs/2002.04745; RMS: Zhang, Sennrich 2019, https://arxiv.org/abs/1910.07467; the gate:
        Shazeer 2020, https://arxiv.org/abs/2002.05202, equation 6; output_scale: Radford et al. 2019 (GPT-2), 2.3
    """

    def __init__(
        self,
        heads,
        hidden_dim,
        causal=False,
        cross_attention=False,
        dropout=0.0,
        rotary_base=10000.0,
        normalization="rms",
        feed_forward="swiglu",
        use_bias=False,
        output_scale=1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if normalization not in EPSILON or feed_forward not in FEED_FORWARDS:
            raise ValueError(
                f"`normalization` is {' or '.join(EPSILON)}, `feed_forward` is {' or '.join(FEED_FORWARDS)}. Received: "
                f"normalization={normalization!r}, feed_forward={feed_forward!r}"
            )
        self.heads = heads
        self.hidden_dim = hidden_dim
        self.causal = causal
        self.cross_attention = cross_attention
        self.dropout = dropout
        self.rotary_base = rotary_base
        self.normalization = normalization
        self.feed_forward = feed_forward
        self.use_bias = use_bias
        self.output_scale = output_scale
        self.supports_masking = True

    def build(self, inputs_shape, context_shape=None):
        shape = tuple(inputs_shape)
        common = {"use_bias": self.use_bias, "dropout": self.dropout, "output_scale": self.output_scale}
        common["dtype"] = self.dtype_policy
        self.attention_norm = norm_of(self, "attention_norm", shape)
        self.attention = SelfAttention(self.heads, self.causal, self.rotary_base, name="attention", **common)
        self.attention.build(shape)
        if self.cross_attention:
            self.context_norm = norm_of(self, "context_norm", shape)
            self.context_attention = CrossAttention(self.heads, name="context_attention", **common)
            self.context_attention.build(shape, shape if context_shape is None else tuple(context_shape))
        self.feed_forward_norm = norm_of(self, "feed_forward_norm", shape)
        gate = 2 if self.feed_forward == "swiglu" else 1
        self.expand = self._dense(gate * self.hidden_dim, "expand")
        self.project = self._dense(shape[-1], "project", self.output_scale)
        self.drop = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        self.expand.build(shape)
        self.project.build((*shape[:-1], self.hidden_dim))

    def call(
        self,
        inputs,
        context=None,
        mask=None,
        context_mask=None,
        segments=None,
        allowed=None,
        positions=None,
        training=False,
    ):
        self._check_context(context)
        x = real_alone(inputs, mask)
        attended = self.attention(
            self.attention_norm(x),
            mask=mask,
            segments=segments,
            allowed=allowed,
            positions=positions,
            training=training,
        )
        x = x + self.drop(attended, training=training)
        if self.cross_attention:
            found = self.context_attention(self.context_norm(x), context, context_mask=context_mask, training=training)
            x = x + self.drop(found, training=training)
        return self._fed_forward(x, training)

    def step(self, inputs, cache, index, context=None, mask=None, context_mask=None, positions=None):
        """Processes the next positions of a causal block with a key/value cache, equivalent to `call` on all positions.

        Args:
            inputs: float tensor (batch, n, width), the positions `index` to `index + n - 1`.
            cache: `Cache` of `empty_cache`, filled up to `index`.
            index: int or int32 scalar tensor.
            context: `Cache`, as returned by `prepared`; None without cross-attention.
            mask: bool tensor (batch, length of the cache), True where a position is real. Defaults to all.
            context_mask: bool tensor (batch, context length). Defaults to all.
            positions: int tensor (n, axes) or (batch, n, axes), coordinates. Defaults to the index.

        Returns:
            Tensor like `inputs`, and the `Cache` with the new positions.
        """
        self._check_context(context)
        attended, cache = self.attention.step(self.attention_norm(inputs), cache, index, mask, positions)
        x = inputs + attended
        if self.cross_attention:
            x = x + self.context_attention.look(self.context_norm(x), context, context_mask)
        return self._fed_forward(x, False), cache

    def empty_cache(self, batch_size, length):
        """`Cache` of zeros for `length` positions. Raises ValueError if the block is not causal."""
        if not self.causal:
            raise ValueError(
                "Only a causal block has a key/value cache. Received: a block with causal=False. Make it with "
                "causal=True."
            )
        return self.attention.empty_cache(batch_size, length, self.project.units)

    def prepared(self, context):
        """`Cache` of the keys and values of the context, computed once for many steps; None without cross-attention."""
        self._check_context(context)
        return self.context_attention.prepared(context) if self.cross_attention else None

    def compute_mask(self, inputs, previous_mask):
        """The shape of the input."""
        return previous_mask

    def compute_output_shape(self, inputs_shape, context_shape=None):
        return inputs_shape

    def _fed_forward(self, x, training):
        """The feed-forward branch."""
        hidden = self.expand(self.feed_forward_norm(x))
        if self.feed_forward == "swiglu":
            gate, hidden = keras.ops.split(hidden, 2, axis=-1)
            hidden = silu(gate) * hidden
        else:
            hidden = keras.ops.gelu(hidden, approximate=True)  # as in GPT-2
        return x + self.drop(self.project(hidden), training=training)

    def _check_context(self, context):
        if (context is None) == self.cross_attention:
            raise ValueError(
                f"A block with cross_attention={self.cross_attention} takes {'a' if self.cross_attention else 'no'} "
                f"context. Received: context={'None' if context is None else 'one'}. Pass `context=`, or change "
                "`cross_attention`."
            )

    def _dense(self, units, name, scale=1.0):
        initializer = keras.initializers.VarianceScaling(scale**2, "fan_in", "truncated_normal")
        options = {"use_bias": self.use_bias, "kernel_initializer": initializer, "dtype": self.dtype_policy}
        return keras.layers.Dense(units, name=name, **options)

    # === Config ===
    def get_config(self):
        names = ("heads", "hidden_dim", "causal", "cross_attention", "dropout", "rotary_base", "normalization")
        names += ("feed_forward", "use_bias", "output_scale")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def norm_of(layer, name, shape):
    """The built normalization layer of a block or a stack."""
    kinds = {"rms": keras.layers.RMSNormalization, "layer": keras.layers.LayerNormalization}
    norm = kinds[layer.normalization](epsilon=EPSILON[layer.normalization], name=name, dtype=layer.dtype_policy)
    norm.supports_masking = True  # Keras's RMS norm does not declare it, but passes masks unchanged
    norm.build(shape)
    return norm
