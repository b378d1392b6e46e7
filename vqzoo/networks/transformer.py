"""Transformers over sequences, causal or bidirectional. Causal ones also run step by step."""

import keras

from vqzoo.networks.transformer_block import TransformerBlock
from vqzoo.networks.transformer_block import norm_of


@keras.saving.register_keras_serializable(package="vqzoo")
class Transformer(keras.layers.Layer):
    r"""A stack of `TransformerBlock`s and a final normalization.

    It takes and returns vectors. Embeddings and output projections are up to the user. A causal transformer also runs
    step by step with `empty_cache`, `prepared` and `step`.

    Args:
        depth: int, blocks.
        heads: int, a divisor of the width.
        hidden_dim: int, see `TransformerBlock`. Defaults to 8/3 of the width, rounded up to a multiple of 32.
        causal: bool, whether a position attends only to itself and earlier positions. Defaults to False.
        cross_attention: bool, whether each block attends to a context. Defaults to False.
        dropout: float, fraction of attention weights and of each branch dropped in training. Defaults to 0.
        rotary_base: float, see `rotary_angles`; None for no positions. Defaults to 10000.
        normalization: str, "rms" or "layer". Defaults to "rms".
        feed_forward: str, "swiglu" or "gelu". Defaults to "swiglu".
        use_bias: bool, whether dense layers have a bias. Defaults to False.

    Call arguments:
        inputs: float tensor (batch, length, width).
        context, mask, context_mask, segments, allowed, positions, training: as in `TransformerBlock`.

    Returns:
        Tensor like `inputs`.

    Raises:
        ValueError: as `TransformerBlock`, or if `depth` is below 1.

    Example:
    >>> transformer = Transformer(depth=2, heads=2, causal=True)
    >>> x = keras.random.normal((1, 5, 8))
    >>> whole = transformer(x)
    >>> cache = transformer.empty_cache(1, 5)
    >>> for i in range(5):
    ...     y, cache = transformer.step(x[:, i : i + 1], cache, i)
    >>> bool(keras.ops.max(keras.ops.abs(y - whole[:, 4:])) < 1e-5)
    True
    """

    def __init__(
        self,
        depth,
        heads,
        hidden_dim=None,
        causal=False,
        cross_attention=False,
        dropout=0.0,
        rotary_base=10000.0,
        normalization="rms",
        feed_forward="swiglu",
        use_bias=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if depth < 1:
            raise ValueError(f"A transformer must have at least one block. Received: depth={depth}")
        self.depth = depth
        self.heads = heads
        self.hidden_dim = hidden_dim
        self.causal = causal
        self.cross_attention = cross_attention
        self.dropout = dropout
        self.rotary_base = rotary_base
        self.normalization = normalization
        self.feed_forward = feed_forward
        self.use_bias = use_bias
        self.supports_masking = True

    def build(self, inputs_shape, context_shape=None):
        shape = tuple(inputs_shape)
        hidden_dim = self.hidden_dim or -(-8 * shape[-1] // (3 * 32)) * 32
        self.blocks = [
            TransformerBlock(
                self.heads,
                hidden_dim,
                self.causal,
                self.cross_attention,
                self.dropout,
                self.rotary_base,
                self.normalization,
                self.feed_forward,
                self.use_bias,
                output_scale=(2 * self.depth) ** -0.5,
                name=f"block_{i}",
                dtype=self.dtype_policy,
            )
            for i in range(self.depth)
        ]
        for block in self.blocks:
            block.build(shape, context_shape)
        self.norm = norm_of(self, "norm", shape)

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
        x = inputs
        for block in self.blocks:
            x = block(
                x,
                context=context,
                mask=mask,
                context_mask=context_mask,
                segments=segments,
                allowed=allowed,
                positions=positions,
                training=training,
            )
        return self.norm(x)

    def step(self, inputs, cache, index, context=None, mask=None, context_mask=None, positions=None):
        """Processes the next positions of a causal stack with a key/value cache, equivalent to `call` on all positions.

        Args:
            inputs: float tensor (batch, n, width), the positions `index` to `index + n - 1`. Padded positions may hold
                any value except NaN.
            cache: tuple of `Cache` of `empty_cache`, filled up to `index`.
            index: int or int32 scalar tensor.
            context: tuple of `Cache`, as returned by `prepared`; None without cross-attention.
            mask: bool tensor (batch, length of the cache), True where a position is real. Defaults to all.
            context_mask: bool tensor (batch, context length). Defaults to all.
            positions: int tensor (n, axes) or (batch, n, axes), coordinates. Defaults to the index.

        Returns:
            Tensor like `inputs`, and the tuple of `Cache` with the new positions.
        """
        x, kept = keras.ops.cast(inputs, self.compute_dtype), []
        for i, block in enumerate(self.blocks):
            own = None if context is None else context[i]
            x, new = block.step(x, cache[i], index, own, mask, context_mask, positions)
            kept.append(new)
        return self.norm(x), tuple(kept)

    def empty_cache(self, batch_size, length):
        """Tuple with a `Cache` of zeros for each block.

        Args:
            batch_size: int or int32 scalar tensor.
            length: int, the largest number of positions.

        Returns:
            Tuple of `Cache`.

        Raises:
            ValueError: if the stack is not causal.
        """
        return tuple(block.empty_cache(batch_size, length) for block in self.blocks)

    def prepared(self, context):
        """Keys and values of a context for each block, computed once for many steps.

        Args:
            context: float tensor (batch, context length, width); None without cross-attention.

        Returns:
            Tuple of `Cache`, or None.
        """
        if not self.cross_attention and context is None:
            return None
        return tuple(block.prepared(keras.ops.cast(context, self.compute_dtype)) for block in self.blocks)

    def compute_mask(self, inputs, previous_mask):
        """The shape of the input."""
        return previous_mask

    def compute_output_shape(self, inputs_shape, context_shape=None):
        return inputs_shape

    # === Config ===
    def get_config(self):
        names = ("depth", "heads", "hidden_dim", "causal", "cross_attention", "dropout", "rotary_base")
        names += ("normalization", "feed_forward", "use_bias")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
