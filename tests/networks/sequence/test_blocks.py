import math

import numpy as np
import pytest

from vqzoo.networks.sequence import ConvNeXtBlock1D
from vqzoo.networks.sequence import SelfAttentionBlock1D


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def normalized(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)


def stirred(layer, x):
    layer(x)
    rng = np.random.default_rng(1)
    layer.set_weights([w + rng.normal(size=w.shape) * 0.3 for w in layer.get_weights()])
    return layer


def test_a_convnext_block_by_hand():
    x = random(2, 9, 4)
    layer = stirred(ConvNeXtBlock1D(expansion=2, kernel_size=3), x)
    depth, bias, gamma, beta, w1, b1, w2, b2, scale = layer.get_weights()
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    y = sum(padded[:, k : k + 9] * depth[k, :, 0] for k in range(3)) + bias
    y = (normalized(y) * gamma + beta) @ w1 + b1
    y = 0.5 * y * (1 + np.vectorize(math.erf)(y / math.sqrt(2)))
    np.testing.assert_allclose(layer(x), x + scale * (y @ w2 + b2), rtol=1e-4, atol=1e-5)


def test_a_causal_block_by_hand():
    x = random(2, 9, 4)
    layer = stirred(ConvNeXtBlock1D(expansion=2, kernel_size=4, causal=True), x)
    depth, bias, gamma, beta, w1, b1, w2, b2, scale = layer.get_weights()
    padded = np.pad(x, ((0, 0), (3, 0), (0, 0)))
    y = sum(padded[:, k : k + 9] * depth[k, :, 0] for k in range(4)) + bias
    y = (normalized(y) * gamma + beta) @ w1 + b1
    y = 0.5 * y * (1 + np.vectorize(math.erf)(y / math.sqrt(2)))
    np.testing.assert_allclose(layer(x), x + scale * (y @ w2 + b2), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer(x[:, :5]), layer(x)[:, :5], atol=1e-6)
    assert (layer.reach, ConvNeXtBlock1D().reach) == (3, 3)


def test_self_attention_by_hand():
    x = random(2, 5, 4)
    layer = stirred(SelfAttentionBlock1D(2), x)
    gamma, beta, wq, bq, wk, bk, wv, bv, wo, bo = layer.get_weights()
    y = normalized(x) * gamma + beta
    q, k, v = (np.einsum("btc,chd->bhtd", y, w) + b[None, :, None] for w, b in ((wq, bq), (wk, bk), (wv, bv)))
    scores = np.exp(np.einsum("bhtd,bhsd->bhts", q, k) / math.sqrt(2))
    attended = np.einsum("bhts,bhsd->bthd", scores / scores.sum(-1, keepdims=True), v)
    np.testing.assert_allclose(layer(x), x + np.einsum("bthd,hdc->btc", attended, wo) + bo, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [ConvNeXtBlock1D, lambda: SelfAttentionBlock1D(2)])
def test_a_padded_item_has_what_it_has_alone(make):
    x = random(2, 12, 4)
    mask = np.arange(12) < np.array([[7], [12]])
    layer = stirred(make(), x)
    y = layer(np.where(mask[..., None], x, 1e3).astype("float32"), mask=mask).numpy()
    np.testing.assert_allclose(y[0, :7], layer(x[:1, :7])[0], atol=1e-5)
    np.testing.assert_array_equal(y[1], layer(x)[1])
    assert np.abs(layer(x)[0, :7] - y[0, :7]).max() > 0.01
    np.testing.assert_array_equal(layer.compute_mask(x, mask), mask)


@pytest.mark.parametrize(
    "make", [ConvNeXtBlock1D, lambda: ConvNeXtBlock1D(causal=True), lambda: SelfAttentionBlock1D(2)]
)
def test_the_portable_form_has_the_same_weights(make):
    x = random(2, 12, 4)
    layer = stirred(make(), x)
    portable = layer.portable()
    portable.set_weights(layer.get_weights())
    assert all(type(part).__module__.startswith("keras.") for part in portable.layers)
    np.testing.assert_allclose(portable(x), layer(x), atol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match="`kernel_size` must be odd.*kernel_size=4"):
        ConvNeXtBlock1D(kernel_size=4)
    with pytest.raises(ValueError, match="`heads` must divide the channels, here 4.*heads=3"):
        SelfAttentionBlock1D(3).build((None, None, 4))
