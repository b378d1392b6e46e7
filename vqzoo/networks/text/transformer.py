"""A transformer over chunks with a portable form."""

import keras
import numpy as np

from vqzoo.networks.attention import MASKED
from vqzoo.networks.transformer import Transformer
from vqzoo.ops import silu


@keras.saving.register_keras_serializable(package="vqzoo")
class MaskedTransformer(Transformer):
    """A `Transformer` with the padding mask as a second tensor, the only way with Keras's own layers.

    Args:
        depth, heads, hidden_dim, causal, dropout, rotary_base, normalization, feed_forward, use_bias: as in
            `Transformer`; there is no context.

    Call arguments:
        inputs: float tensor (batch, length, width), or a list of that and a float tensor (batch, length, 1), 1 where a
            position is real and 0 where it is padding.
        training: bool. Defaults to False.

    Returns:
        Tensor (batch, length, width).

    Example:
    >>> x, real = np.random.rand(1, 5, 8), np.array([[[1.0]] * 3 + [[0.0]] * 2])
    >>> transformer = MaskedTransformer(depth=1, heads=2)
    >>> bool(np.allclose(transformer([x, real])[:, :3], transformer(x[:, :3]), atol=1e-5))
    True
    """

    def build(self, inputs_shape):
        super().build(_first(inputs_shape))

    def call(self, inputs, training=False):
        if not isinstance(inputs, list | tuple):
            return super().call(inputs, training=training)
        x, real = inputs
        return super().call(x, mask=keras.ops.squeeze(keras.ops.greater(real, 0.5), -1), training=training)

    def compute_output_shape(self, inputs_shape):
        return _first(inputs_shape)

    def portable(self):
        """An equivalent model of Keras layers and operations, with the mask as an input if it is bidirectional."""
        inputs = x = keras.Input((None, self.blocks[0].project.units), name="inputs")
        real = keras.Input((None, 1), name="real")
        # 0, 1, 2, ... for an unknown number of positions.
        positions = keras.ops.cumsum(keras.ops.ones_like(x[:, :, :1], dtype="float32"), axis=1) - 1.0
        masked = not self.causal
        if self.causal:
            seen = keras.ops.greater_equal(positions, keras.ops.transpose(positions, (0, 2, 1)))
        else:
            seen = keras.ops.greater(keras.ops.transpose(real, (0, 2, 1)), 0.5)
        for block in self.blocks:
            x = keras.layers.Multiply(dtype=self.dtype_policy)([x, real]) if masked else x
            x = x + self._attention(block, x, positions, keras.ops.expand_dims(seen, 1))
            hidden = _copied(block.expand)(_copied(block.feed_forward_norm)(x))
            if block.feed_forward == "swiglu":
                gate, hidden = keras.ops.split(hidden, 2, axis=-1)
                hidden = silu(gate) * hidden
            else:
                hidden = keras.ops.gelu(hidden, approximate=True)
            x = x + _copied(block.project)(hidden)
        return keras.Model([inputs, real] if masked else inputs, _copied(self.norm)(x), name=self.name)

    def _attention(self, block, x, positions, seen):
        """`SelfAttention` for symbolic tensors of unknown length."""
        attention, heads = block.attention, self.heads
        width = block.project.units
        parts = keras.ops.split(_copied(attention.inputs_to_heads)(_copied(block.attention_norm)(x)), 3, axis=-1)
        query, key, value = (keras.layers.Reshape((-1, heads, width // heads))(part) for part in parts)
        if self.rotary_base is not None:
            frequencies = self.rotary_base ** (-np.arange(0, width // heads, 2) * (heads / width))
            angles = keras.ops.expand_dims(positions * frequencies.astype("float32"), 2)
            query, key = (_turned(part, angles) for part in (query, key))
        query, key, value = (keras.ops.transpose(part, (0, 2, 1, 3)) for part in (query, key, value))
        scores = keras.ops.matmul(query * (heads / width) ** 0.5, keras.ops.transpose(key, (0, 1, 3, 2)))
        weights = keras.ops.softmax(keras.ops.where(seen, scores, MASKED), axis=-1)
        mixed = keras.ops.transpose(keras.ops.matmul(weights, value), (0, 2, 1, 3))
        return _copied(attention.heads_to_outputs)(keras.layers.Reshape((-1, width))(mixed))


def _first(shapes):
    """The shape of the vectors, with or without that of the mask."""
    return tuple(shapes[0]) if isinstance(shapes[0], list | tuple) else tuple(shapes)


def _copied(layer):
    """An unbuilt copy of a Keras layer with a different name."""
    return type(layer).from_config({k: v for k, v in layer.get_config().items() if k != "name"})


def _turned(x, angles):
    """`rotate` for (batch, length, heads, channels)."""
    one, other = keras.ops.split(x, 2, axis=-1)
    cos, sin = keras.ops.cos(angles), keras.ops.sin(angles)
    return keras.ops.concatenate([one * cos - other * sin, other * cos + one * sin], axis=-1)
