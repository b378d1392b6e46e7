import keras
import numpy as np
import pytest

from vqzoo.networks.transformer_block import TransformerBlock

RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.normal(size=shape).astype("float32")


def stirred(layer, *shapes):
    layer.build(*shapes)
    for weight in layer.weights:
        weight.assign(np.asarray(weight) + 0.3 * random(*weight.shape))
    return layer


def test_a_block_is_its_branches_one_after_another():
    block = stirred(TransformerBlock(2, 12, cross_attention=True), (2, 5, 8), (2, 3, 6))
    x, context = random(2, 5, 8), random(2, 3, 6)
    norms = (block.attention_norm, block.context_norm, block.feed_forward_norm)
    one, two, three = (np.asarray(norm.scale) for norm in norms)

    def normed(y, scale):
        return y / np.sqrt(np.mean(np.square(y), -1, keepdims=True) + 1e-6) * scale

    y = x + np.asarray(block.attention(normed(x, one)))
    y = y + np.asarray(block.context_attention(normed(y, two), context))
    gate, hidden = np.split(normed(y, three) @ np.asarray(block.expand.kernel), 2, axis=-1)
    y = y + (gate / (1 + np.exp(-gate)) * hidden) @ np.asarray(block.project.kernel)
    np.testing.assert_allclose(block(x, context), y, atol=2e-5)


def test_gelu_and_layer_norm_are_gpt2s():
    block = stirred(
        TransformerBlock(
            2, 12, causal=True, rotary_base=None, normalization="layer", feed_forward="gelu", use_bias=True
        ),
        (2, 5, 8),
    )
    x = random(2, 5, 8)

    def normed(y, norm):
        mean, var = y.mean(-1, keepdims=True), y.var(-1, keepdims=True)
        return (y - mean) / np.sqrt(var + 1e-5) * np.asarray(norm.gamma) + np.asarray(norm.beta)

    y = x + np.asarray(block.attention(normed(x, block.attention_norm)))
    hidden = normed(y, block.feed_forward_norm) @ np.asarray(block.expand.kernel) + np.asarray(block.expand.bias)
    hidden = 0.5 * hidden * (1 + np.tanh(np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)))
    y = y + hidden @ np.asarray(block.project.kernel) + np.asarray(block.project.bias)
    np.testing.assert_allclose(block(x), y, atol=2e-5)
    assert len(block.weights) == 12


@pytest.mark.parametrize("padding", [5.0, np.nan])
@pytest.mark.parametrize("causal", [False, True])
def test_padding_changes_nothing(padding, causal):
    block = stirred(TransformerBlock(2, 12, causal=causal, cross_attention=True), (2, 6, 8))
    x, context = random(2, 6, 8), random(2, 4, 8)
    mask = np.array([[True] * 4 + [False] * 2, [False, True, True, False, True, True]])
    context_mask = np.array([[True] * 3 + [False], [False] * 4])
    padded = np.where(mask[..., None], x, np.float32(padding))
    context = np.where(context_mask[..., None], context, 7.0).astype("float32")
    positions = np.maximum(np.cumsum(mask, axis=1) - 1, 0)[..., None]
    result = block(padded, context, mask=mask, context_mask=context_mask, positions=positions)
    for i in range(2):
        one, seen = x[i : i + 1, mask[i]], context_mask[i : i + 1]
        if seen.any():
            alone = block(one, context[i : i + 1, seen[0]])
        else:  # without any context the branch adds nothing
            alone = block(one, context[i : i + 1], context_mask=seen)
        np.testing.assert_allclose(np.asarray(result)[i, mask[i]], alone[0], atol=1e-5)
    assert np.isfinite(result).all()


def test_packed_sentences_do_not_see_each_other():
    block = stirred(TransformerBlock(2, 12, causal=True), (2, 9, 8))
    x = random(1, 9, 8)
    segments = np.array([[0] * 4 + [1] * 5])
    packed = np.asarray(block(x, segments=segments))
    # Each starts at a position of its own here: distances alone count.
    np.testing.assert_allclose(packed[:, :4], block(x[:, :4]), atol=1e-5)
    np.testing.assert_allclose(packed[:, 4:], block(x[:, 4:]), atol=1e-5)


def test_gradients_reach_every_weight_and_no_padding():
    import tensorflow as tf

    block = stirred(TransformerBlock(2, 12, causal=True, cross_attention=True), (2, 5, 8))
    x, context = tf.constant(random(1, 5, 8)), tf.constant(random(1, 3, 8))
    mask = np.array([[True] * 3 + [False] * 2])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.boolean_mask(block(x, context, mask=mask), mask)
        total = tf.reduce_sum(tf.sin(y))
    of_x, *of_weights = tape.gradient(total, [x, *(w.value for w in block.weights)])
    assert all(np.abs(g).max() > 1e-4 for g in of_weights)
    assert (of_x.numpy()[:, 3:] == 0).all() and (np.abs(of_x.numpy()[:, :3]).max(-1) > 0).all()


def test_half_precision_is_near_float32():
    x = random(2, 6, 8)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = stirred(TransformerBlock(2, 12, causal=True), (2, 6, 8))
    finally:
        keras.config.set_dtype_policy("float32")
    full = TransformerBlock(2, 12, causal=True)
    full.build((2, 6, 8))
    full.set_weights(half.get_weights())
    assert half(x).dtype == "bfloat16"
    np.testing.assert_allclose(keras.ops.cast(half(x), "float32"), full(x), atol=0.1)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="`normalization` is rms or layer, .* normalization='batch'"):
        TransformerBlock(2, 12, normalization="batch")
    with pytest.raises(ValueError, match="`feed_forward` is swiglu or gelu. .* feed_forward='relu'"):
        TransformerBlock(2, 12, feed_forward="relu")
    with pytest.raises(ValueError, match="cross_attention=True takes a context. Received: context=None"):
        TransformerBlock(2, 12, cross_attention=True)(random(1, 2, 8))
    with pytest.raises(ValueError, match="cross_attention=False takes no context. Received: context=one"):
        TransformerBlock(2, 12)(random(1, 2, 8), random(1, 2, 8))
    block = TransformerBlock(2, 12)
    block.build((1, 2, 8))
    with pytest.raises(ValueError, match="Received: a block with causal=False. Make it with causal=True"):
        block.empty_cache(1, 4)
