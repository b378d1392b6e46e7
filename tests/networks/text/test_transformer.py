import numpy as np
import pytest

from vqzoo.networks import Transformer
from vqzoo.networks.text import MaskedTransformer

LENGTHS = np.array([[6], [11]])
REAL = (np.arange(11) < LENGTHS).astype("float32")[..., None]


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def stirred(layer, inputs):
    layer(inputs)
    layer.set_weights([w + random(*w.shape, seed=i) * 0.3 for i, w in enumerate(layer.get_weights())])
    return layer


def test_it_is_a_transformer_with_its_mask_in_a_tensor():
    x = random(2, 11, 8)
    layer, plain = MaskedTransformer(2, 2), Transformer(2, 2)
    plain(x)
    plain.set_weights(stirred(layer, [x, REAL]).get_weights())
    np.testing.assert_array_equal(layer([x, REAL]), plain(x, mask=REAL[..., 0] > 0))
    np.testing.assert_array_equal(layer(x), plain(x))
    np.testing.assert_allclose(layer([x, REAL])[0, :6], plain(x[:1, :6])[0], atol=1e-5)
    assert np.abs(layer(x)[0, :6] - layer([x, REAL])[0, :6]).max() > 0.01
    assert layer.compute_output_shape([(2, 11, 8), (2, 11, 1)]) == layer.compute_output_shape((2, 11, 8)) == (2, 11, 8)


@pytest.mark.parametrize(
    "options", [{}, {"rotary_base": None}, {"feed_forward": "gelu", "normalization": "layer", "use_bias": True}]
)
@pytest.mark.parametrize("causal", [False, True])
def test_the_portable_form_has_the_same_weights(causal, options):
    x = random(2, 11, 8)
    inputs = x if causal else [x, REAL]
    layer = stirred(MaskedTransformer(2, 2, causal=causal, **options), inputs)
    portable = layer.portable()
    portable.set_weights(layer.get_weights())
    assert all(type(part).__module__.startswith("keras.") for part in portable.layers)
    got, expected = np.asarray(portable(inputs)), np.asarray(layer(inputs))
    for i, length in enumerate(LENGTHS[:, 0]):
        np.testing.assert_allclose(got[i, :length], expected[i, :length], atol=2e-5)
