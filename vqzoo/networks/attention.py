"""Self-attention and cross-attention over sequences, with masks and a key/value cache."""

from typing import Any
from typing import NamedTuple

import keras

from vqzoo.networks.rotary import rotary_angles
from vqzoo.networks.rotary import rotate

# The score of a masked position. Its exponential is 0, and a row with all positions masked gives no NaN.
MASKED = -1e9


class Cache(NamedTuple):
    """Keys and values of earlier positions, with batch and heads in one axis.

    It has three axes instead of four, because XLA multiplies matrices with one batch axis. It would otherwise copy the
    whole cache twice in every step to merge two axes.
    """

    keys: Any  # (batch * heads, length, channels per head), rotated by their positions
    values: Any  # the same shape


class SelfAttention(keras.layers.Layer):
    r"""Multi-head self-attention.

    $$y = W_o \operatorname{concat}_h \Big(\operatorname{softmax}\big(\tfrac{1}{\sqrt{d}} R(q_h) R(k_h)^\top\big)
    v_h\Big), \quad (q, k, v) = W x$$

    with R the rotation of rotary position embeddings. The softmax is in float32.

    Args:
        heads: int, a divisor of the width.
        causal: bool, whether a position attends only to itself and earlier positions. Defaults to False.
        rotary_base: float, see `rotary_angles`; None for no positions. Defaults to 10000.
        use_bias: bool, whether the projections have a bias. Defaults to False.
        dropout: float, fraction of the attention weights dropped in training. Defaults to 0.
        output_scale: float, scale of the initial output weights. Defaults to 1.

    Call arguments:
        inputs: float tensor (batch, length, width).
        mask: bool tensor (batch, length), True where a position may be attended to. Defaults to all.
        segments: int tensor (batch, length). A position attends only to positions of its own segment. Defaults to
            one segment.
        allowed: bool tensor (batch or 1, length, length), True where a position (row) may attend to another (column),
            in addition to the other masks. Defaults to all.
        positions: int tensor (length, axes) or (batch, length, axes). Defaults to 0, 1, 2, ...
        training: bool. Defaults to False.

    Returns:
        Tensor like `inputs`.

    Raises:
        ValueError: if the heads do not divide the width.

    Reference:
        Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2
    """

    def __init__(
        self, heads, causal=False, rotary_base=10000.0, use_bias=False, dropout=0.0, output_scale=1.0, **kwargs
    ):
        super().__init__(**kwargs)
        self.heads = heads
        self.causal = causal
        self.rotary_base = rotary_base
        self.use_bias = use_bias
        self.dropout = dropout
        self.output_scale = output_scale
        self.supports_masking = True

    def build(self, input_shape):
        width = _checked_width(input_shape, self.heads)
        # One product for all three. With one position per step, reading the weights dominates the time.
        self.inputs_to_heads = _dense(self, 3 * width, "query_key_value")
        self.heads_to_outputs = _dense(self, width, "output", self.output_scale)
        self.drop = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        self.inputs_to_heads.build(input_shape)
        self.heads_to_outputs.build(input_shape)

    def call(self, inputs, mask=None, segments=None, allowed=None, positions=None, training=False):
        query, key, value = self._heads(inputs, positions, first=0)
        length = keras.ops.shape(inputs)[1]
        seen = _seen(keras.ops.arange(length), length, mask, self.causal)
        if segments is not None:
            same = keras.ops.equal(keras.ops.expand_dims(segments, 2), keras.ops.expand_dims(segments, 1))
            seen = _both(seen, same)
        mixed = attend(query, key, value, self.heads, _both(seen, allowed), self.drop, training)
        return self.heads_to_outputs(mixed)

    def step(self, inputs, cache, index, mask=None, positions=None):
        """Attention of the next positions to all positions so far, with a key/value cache.

        Args:
            inputs: float tensor (batch, n, width), the positions `index` to `index + n - 1`.
            cache: `Cache` of `empty_cache`, filled up to `index`.
            index: int or int32 scalar tensor.
            mask: bool tensor (batch, length of the cache), True where a position may be attended to. Defaults to all.
            positions: int tensor (n, axes) or (batch, n, axes), coordinates. Defaults to the index.

        Returns:
            Tensor like `inputs`, and the `Cache` with the new positions.
        """
        query, key, value = self._heads(inputs, positions, first=index)
        at = (0, index, 0)
        cache = Cache(*(keras.ops.slice_update(kept, at, new) for kept, new in zip(cache, (key, value), strict=True)))
        slots = keras.ops.arange(inputs.shape[1]) + index
        seen = _seen(slots, cache.keys.shape[1], mask, causal=True)
        return self.heads_to_outputs(attend(query, *cache, self.heads, seen)), cache

    def empty_cache(self, batch_size, length, width):
        """`Cache` of zeros for `length` positions of inputs of this width."""
        shape = (batch_size * self.heads, length, width // self.heads)
        return Cache(*(keras.ops.zeros(shape, self.compute_dtype) for _ in range(2)))

    def _heads(self, inputs, positions, first):
        """Queries, keys and values, each (batch * heads, length, channels per head)."""
        parts = keras.ops.split(self.inputs_to_heads(inputs), 3, axis=-1)
        query, key, value = (split_heads(part, self.heads) for part in parts)
        if self.rotary_base is not None:
            if positions is None:
                positions = keras.ops.expand_dims(keras.ops.arange(keras.ops.shape(inputs)[1]) + first, -1)
            angles = rotary_angles(positions, query.shape[-1], self.rotary_base)
            query, key = rotate(query, angles), rotate(key, angles)
        return tuple(in_a_row(x) for x in (query, key, value))

    # === Config ===
    def get_config(self):
        config = {name: getattr(self, name) for name in ("heads", "causal", "rotary_base", "use_bias", "dropout")}
        return {**super().get_config(), **config, "output_scale": self.output_scale}


class CrossAttention(keras.layers.Layer):
    r"""Multi-head cross-attention of a sequence to a context.

    $$y = W_o \operatorname{concat}_h \Big(\operatorname{softmax}\big(\tfrac{1}{\sqrt{d}} q_h k_h^\top\big) v_h\Big),
    \quad q = W_q x, \; (k, v) = W_c c$$

    It uses no position embeddings. A context with an order carries its positions itself, as the output of a
    `Transformer` does. If the whole context of an example is masked, the output is 0.

    Args:
        heads: int, a divisor of the width.
        use_bias: bool, whether the projections have a bias. Defaults to False.
        dropout: float, fraction of the attention weights dropped in training. Defaults to 0.
        output_scale: float, scale of the initial output weights. Defaults to 1.

    Call arguments:
        inputs: float tensor (batch, length, width).
        context: float tensor (batch, context length, any width).
        context_mask: bool tensor (batch, context length), True where it may be attended to. Defaults to all.
        training: bool. Defaults to False.

    Returns:
        Tensor like `inputs`.

    Raises:
        ValueError: if the heads do not divide the width.

    Reference:
        Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.2.3
    """

    def __init__(self, heads, use_bias=False, dropout=0.0, output_scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.heads = heads
        self.use_bias = use_bias
        self.dropout = dropout
        self.output_scale = output_scale
        self.supports_masking = True

    def build(self, inputs_shape, context_shape):
        width = _checked_width(inputs_shape, self.heads)
        self.inputs_to_query = _dense(self, width, "query")
        self.context_to_heads = _dense(self, 2 * width, "key_value")
        self.heads_to_outputs = _dense(self, width, "output", self.output_scale)
        self.drop = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        for layer, shape in (
            (self.inputs_to_query, inputs_shape),
            (self.context_to_heads, context_shape),
            (self.heads_to_outputs, inputs_shape),
        ):
            layer.build(shape)

    def call(self, inputs, context, context_mask=None, training=False):
        return self.look(inputs, self.prepared(context), context_mask, training)

    def look(self, inputs, prepared, context_mask=None, training=False):
        """`call` with the keys and values of the context, as returned by `prepared`."""
        query = in_a_row(split_heads(self.inputs_to_query(inputs), self.heads))
        seen = None if context_mask is None else keras.ops.expand_dims(context_mask, 1)
        found = attend(query, *prepared, self.heads, seen, self.drop, training)
        if context_mask is None:
            return self.heads_to_outputs(found)
        some = keras.ops.any(context_mask, axis=1)
        return self.heads_to_outputs(found * keras.ops.cast(keras.ops.reshape(some, (-1, 1, 1)), found.dtype))

    def prepared(self, context):
        """`Cache` of the keys and values of a context, computed once for many steps."""
        parts = keras.ops.split(self.context_to_heads(context), 2, axis=-1)
        return Cache(*(in_a_row(split_heads(part, self.heads)) for part in parts))

    # === Config ===
    def get_config(self):
        config = {name: getattr(self, name) for name in ("heads", "use_bias", "dropout", "output_scale")}
        return {**super().get_config(), **config}


def attend(query, key, value, heads, seen=None, drop=None, training=False):
    r"""Mixes values by the products of queries and keys, softmax(q kᵀ / sqrt(d)) v, for each head.

    Args:
        query: float tensor (batch * heads, n, d).
        key: float tensor (batch * heads, m, d).
        value: float tensor (batch * heads, m, d).
        heads: int.
        seen: bool tensor (batch or 1, n or 1, m), True where a query (row) may attend to a key. Defaults to all.
        drop: `keras.layers.Dropout` of the weights. Defaults to none.
        training: bool. Defaults to False.

    Returns:
        Tensor (batch, n, heads * d). A query without an allowed key gets an arbitrary finite mixture.

    Example:
    >>> import numpy as np
    >>> one, two = np.ones((1, 1, 2)), np.array([[[1.0, 2.0], [3.0, 4.0]]])
    >>> np.asarray(attend(one, two, two, heads=1, seen=np.array([[[True, False]]])))[0, 0]
    array([1., 2.])
    """
    query = keras.ops.convert_to_tensor(query) * (query.shape[-1] ** -0.5)
    scores = keras.ops.matmul(query, keras.ops.swapaxes(key, 1, 2))
    scores = keras.ops.cast(scores, "float32")
    if seen is not None:
        n, m = keras.ops.shape(scores)[1:]
        by_head = keras.ops.reshape(scores, (-1, heads, n, m))
        scores = keras.ops.where(keras.ops.expand_dims(seen, 1), by_head, MASKED)
        scores = keras.ops.reshape(scores, (-1, n, m))
    # Keras's softmax warns that it is always 1 for a single key.
    weights = keras.ops.ones_like(scores) if scores.shape[-1] == 1 else keras.ops.softmax(scores, axis=-1)
    weights = keras.ops.cast(weights, query.dtype)
    if drop is not None and training:
        weights = drop(weights, training=True)
    mixed = keras.ops.matmul(weights, value)
    n, d = keras.ops.shape(mixed)[1], mixed.shape[2]
    mixed = keras.ops.transpose(keras.ops.reshape(mixed, (-1, heads, n, d)), (0, 2, 1, 3))
    return keras.ops.reshape(mixed, (-1, n, heads * d))


def split_heads(x, heads):
    """(batch, length, width) to (batch, heads, length, width / heads).

    Args:
        x: float tensor.
        heads: int.

    Returns:
        Tensor.

    Example:
    >>> tuple(split_heads(keras.ops.zeros((2, 3, 8)), 4).shape)
    (2, 4, 3, 2)
    """
    parts = keras.ops.reshape(x, (-1, keras.ops.shape(x)[1], heads, x.shape[-1] // heads))
    return keras.ops.transpose(parts, (0, 2, 1, 3))


def in_a_row(x):
    """(batch, heads, length, channels) to (batch * heads, length, channels).

    Args:
        x: float tensor.

    Returns:
        Tensor.

    Example:
    >>> tuple(in_a_row(keras.ops.zeros((2, 4, 3, 2))).shape)
    (8, 3, 2)
    """
    return keras.ops.reshape(x, (-1, keras.ops.shape(x)[2], x.shape[3]))


def _seen(slots, length, mask, causal):
    """The keys that the queries at `slots` may attend to, bool (batch or 1, queries or 1, keys), or None."""
    seen = None
    if causal:
        before = keras.ops.expand_dims(keras.ops.arange(length), 0) <= keras.ops.expand_dims(slots, 1)
        seen = keras.ops.expand_dims(before, 0)
    return seen if mask is None else _both(seen, keras.ops.expand_dims(mask, 1))


def _both(one, other):
    """The logical and of two masks. None means True everywhere."""
    if one is None or other is None:
        return other if one is None else one
    return keras.ops.logical_and(one, other)


def _dense(layer, units, name, scale=1.0):
    initializer = keras.initializers.VarianceScaling(scale**2, "fan_in", "truncated_normal")
    options = {"use_bias": layer.use_bias, "kernel_initializer": initializer, "dtype": layer.dtype_policy}
    return keras.layers.Dense(units, name=name, **options)


def _checked_width(input_shape, heads):
    width = input_shape[-1]
    if width % heads:
        raise ValueError(f"`heads` must divide the width, here {width}. Received: heads={heads}")
    return width
