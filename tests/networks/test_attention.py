import keras
import numpy as np
import pytest

from vqzoo.networks.attention import CrossAttention
from vqzoo.networks.attention import SelfAttention
from vqzoo.networks.attention import attend
from vqzoo.networks.attention import in_a_row
from vqzoo.networks.rotary import rotary_angles
from vqzoo.networks.rotary import rotate

RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.normal(size=shape).astype("float32")


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def by_loops(query, key, value, seen):
    """Attention of (batch, heads, n, d), one query at a time, as (batch, n, heads * d)."""
    batch, heads, n, d = query.shape
    out = np.zeros((batch, n, heads, d))
    for b in range(batch):
        for h in range(heads):
            for i in range(n):
                at = np.flatnonzero(seen[b, i])
                weights = softmax(key[b, h, at] @ query[b, h, i] / np.sqrt(d))
                out[b, i, h] = weights @ value[b, h, at]
    return out.reshape(batch, n, heads * d)


def test_attend_is_the_formula():
    query, key, value = random(2, 3, 4, 6), random(2, 3, 5, 6), random(2, 3, 5, 6)
    seen = RNG.random((2, 4, 5)) < 0.6
    seen[:, :, 0] = True
    rows = [in_a_row(x) for x in (query, key, value)]
    np.testing.assert_allclose(attend(*rows, 3, seen), by_loops(query, key, value, seen), atol=1e-5)
    everywhere = np.ones_like(seen)
    np.testing.assert_allclose(attend(*rows, 3), by_loops(query, key, value, everywhere), atol=1e-5)


def test_a_query_that_may_look_nowhere_is_finite():
    keys = random(1, 3, 4)
    assert np.isfinite(attend(random(1, 2, 4), keys, keys, 1, np.zeros((1, 2, 3), bool))).all()


def test_self_attention_is_three_products_two_turns_and_one_product():
    layer = SelfAttention(2, causal=True)
    x = random(2, 5, 8)
    layer.build(x.shape)
    together, output = (np.asarray(w) for w in layer.weights)
    parts = np.split(x @ together, 3, axis=-1)
    query, key, value = (part.reshape(2, 5, 2, 4).transpose(0, 2, 1, 3) for part in parts)
    angles = rotary_angles(np.arange(5)[:, None], 4)
    query, key = (np.asarray(rotate(part, angles)) for part in (query, key))
    expected = by_loops(query, key, value, np.tril(np.ones((2, 5, 5), bool))) @ output
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


def test_without_positions_the_order_does_not_matter():
    layer = SelfAttention(2, rotary_base=None)
    x, order = random(1, 6, 8), RNG.permutation(6)
    np.testing.assert_allclose(layer(x[:, order]), np.asarray(layer(x))[:, order], atol=1e-5)


def test_allowed_is_on_top_of_the_other_masks():
    layer = SelfAttention(2, causal=True)
    x = random(2, 6, 8)
    chunks = np.arange(6) // 2
    allowed = chunks[None, :, None] >= chunks[None, None, :] + (np.arange(6)[:, None] < 0)
    np.testing.assert_allclose(layer(x, allowed=allowed), layer(x), atol=1e-6)
    own = chunks[None, :, None] == chunks[None, None, :]
    segments = np.tile(chunks, (2, 1))
    np.testing.assert_allclose(layer(x, allowed=own), layer(x, segments=segments), atol=1e-6)
    assert np.abs(layer(x, allowed=own) - np.asarray(layer(x))).max() > 1e-2


def test_cross_attention_is_the_formula_and_may_be_prepared():
    layer = CrossAttention(2, use_bias=True)
    x, context = random(2, 3, 8), random(2, 5, 6)
    layer(x, context)
    layer.set_weights([random(*w.shape) for w in layer.weights])
    (wq, bq), (wc, bc), (wo, bo) = np.split(np.array([np.asarray(w) for w in layer.weights], dtype=object), 3)
    heads = [
        part.reshape(2, -1, 2, 4).transpose(0, 2, 1, 3)
        for part in (x @ wq + bq, *np.split(context @ wc + bc, 2, axis=-1))
    ]
    mask = np.array([[True, True, False, True, False], [False, True, True, True, True]])
    expected = by_loops(*heads, np.repeat(mask[:, None], 3, axis=1)) @ wo + bo
    np.testing.assert_allclose(layer(x, context, context_mask=mask), expected, atol=1e-4)
    np.testing.assert_array_equal(layer.look(x, layer.prepared(context)), layer(x, context))


def test_an_example_without_context_adds_nothing():
    layer = CrossAttention(2)
    mask = np.array([[False] * 4, [True] * 4])
    found = np.asarray(layer(random(2, 3, 8), random(2, 4, 8), context_mask=mask))
    assert (found[0] == 0).all() and (np.abs(found[1]).max(-1) > 0).all()


def test_softmax_is_in_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        # 300 equal scores: each weight is 1/300, which sums to 1 only where the sum is not in bfloat16.
        value = keras.ops.ones((1, 300, 4), "bfloat16")
        mixed = attend(keras.ops.zeros((1, 1, 4), "bfloat16"), value, value, heads=1)
    finally:
        keras.config.set_dtype_policy("float32")
    assert mixed.dtype == value.dtype
    np.testing.assert_allclose(keras.ops.cast(mixed, "float32"), 1.0, atol=0.01)


def test_dropout_drops_in_training_alone():
    layer = SelfAttention(2, dropout=0.5)
    x = random(1, 6, 8)
    assert np.abs(np.asarray(layer(x, training=True)) - layer(x)).max() > 1e-3
    np.testing.assert_array_equal(layer(x), layer(x, training=False))


@pytest.mark.parametrize("layer", [SelfAttention(3), CrossAttention(3)])
def test_heads_that_do_not_divide_the_width_are_refused(layer):
    x = random(1, 2, 8)
    with pytest.raises(ValueError, match="`heads` must divide the width, here 8. Received: heads=3"):
        layer(x) if isinstance(layer, SelfAttention) else layer(x, x)
