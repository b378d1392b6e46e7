import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.quantizers import CosineVectorQuantizer
from vqzoo.quantizers import EMAVectorQuantizer
from vqzoo.quantizers import GaussianQuantizer
from vqzoo.quantizers import GumbelQuantizer
from vqzoo.quantizers import LookupFreeQuantizer
from vqzoo.quantizers import ProjectedQuantizer
from vqzoo.quantizers import ResidualQuantizer
from vqzoo.quantizers import VectorQuantizer

CODEBOOK = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], "float32")


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def projected(inner=None, channels=6, latent_dim=2):
    made = ProjectedQuantizer(VectorQuantizer(3) if inner is None else inner, latent_dim)
    made.build((None, None, channels))
    if inner is None:
        made.quantizer.assign_codebook(CODEBOOK)
    weights = [random(channels, latent_dim), random(latent_dim, seed=1)]
    back = [random(*made.project_out.kernel.shape, seed=2), random(channels, seed=3)]
    made.project_in.set_weights(weights)
    made.project_out.set_weights(back)
    return made, weights, back


def test_typed_out_answers():
    layer = ProjectedQuantizer(VectorQuantizer(3), 2)
    layer.build((None, None, 3))
    layer.quantizer.assign_codebook(CODEBOOK)
    layer.project_in.set_weights([np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), np.array([0.5, 0.0])])
    layer.project_out.set_weights([np.array([[10.0, 0.0, 1.0], [0.0, 10.0, 0.0]]), np.array([0.0, 0.0, 7.0])])
    # Mapped to (0.5 + 0.75, 0) and (0.5 - 0.5, 1.5): the codes (1, 0) and (0, 2).
    quantized = layer(np.array([[[0.75, 0.0, 99.0], [-0.5, 1.5, -99.0]]], "float32"))
    assert quantized.tokens.numpy().tolist() == [[[1], [2]]]
    assert quantized.latents.numpy().tolist() == [[[10.0, 0.0, 8.0], [0.0, 20.0, 7.0]]]
    # Between the narrow vectors: (0.0625 + 0.25) / 4.
    assert {name: float(loss) for name, loss in quantized.losses.items()} == {
        "codebook": 0.078125,
        "commitment": 0.078125,
    }


INNER = {
    "cosine": lambda: CosineVectorQuantizer(16),
    "ema": lambda: EMAVectorQuantizer(16, keras.initializers.RandomNormal(stddev=2.0)),
    "gumbel": lambda: GumbelQuantizer(16, 3, seed=0),
    "gaussian": lambda: GaussianQuantizer(VectorQuantizer(16, keras.initializers.RandomNormal()), 3),
    "bits": lambda: LookupFreeQuantizer(4),
    "residual": lambda: ResidualQuantizer([VectorQuantizer(8, keras.initializers.RandomNormal()) for _ in range(3)]),
}


@pytest.mark.parametrize("name", INNER)
@pytest.mark.parametrize("grid", [(7,), (2, 3), (2, 1, 3)])
def test_it_is_the_inner_quantizer_between_two_maps(name, grid):
    layer, weights, back = projected(INNER[name](), latent_dim=4)
    latents = random(2, *grid, 6, seed=9)
    inner = layer.quantizer(latents @ weights[0] + weights[1])
    quantized = layer(latents)
    np.testing.assert_array_equal(quantized.tokens, inner.tokens)
    np.testing.assert_allclose(quantized.latents, inner.latents @ back[0] + back[1], atol=1e-5)
    assert quantized.latents.shape == latents.shape
    for key in layer.loss_names:
        assert float(quantized.losses[key]) == pytest.approx(float(inner.losses[key]), rel=1e-4, abs=1e-5)
    assert layer.loss_names == layer.quantizer.loss_names == tuple(quantized.losses)
    assert layer.codebook_sizes == layer.quantizer.codebook_sizes
    assert layer.num_codebooks == layer.quantizer.num_codebooks
    np.testing.assert_array_equal(layer.encode(latents), quantized.tokens)
    np.testing.assert_array_equal(layer.decode(quantized.tokens), quantized.latents)
    assert len(np.unique(quantized.tokens)) > 2


def test_gradients_reach_both_maps_the_latents_and_the_codebook():
    layer, weights, back = projected()
    h = tf.constant(random(1, 8, 6, seed=9))
    arriving = random(1, 8, 6, seed=8)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(h)
        quantized = layer(h, training=True)
        total = tf.reduce_sum(quantized.latents * arriving)
        commitment, codebook = quantized.losses["commitment"], quantized.losses["codebook"]
    names = [layer.project_in.kernel.value, layer.project_out.kernel.value, h]
    codes = CODEBOOK[quantized.tokens[0, :, 0]]
    narrow = arriving[0] @ back[0].T  # straight through the inner quantizer
    expected = [h[0].numpy().T @ narrow, codes.T @ arriving[0], (narrow @ weights[0].T)[None]]
    for got, want in zip(tape.gradient(total, names), expected, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-4)

    z = h[0].numpy() @ weights[0] + weights[1]
    of_z = 2 * (z - codes) / z.size
    of_in, of_out, of_h = tape.gradient(commitment, names)
    np.testing.assert_allclose(of_in, h[0].numpy().T @ of_z, atol=1e-4)
    np.testing.assert_allclose(of_h[0], of_z @ weights[0].T, atol=1e-4)
    assert of_out is None
    assert tape.gradient(codebook, names) == [None, None, None]
    assert tape.gradient(codebook, layer.quantizer.codebook.value) is not None


def test_training_and_masks_reach_the_inner_quantizer():
    layer, weights, _ = projected(EMAVectorQuantizer(4), latent_dim=3)
    alone = EMAVectorQuantizer(4)
    alone.build((None, None, 3))
    for quantizer in (alone, layer.quantizer):
        quantizer.codebook.assign(random(4, 3, seed=5))
    latents = random(1, 50, 6)
    mask = np.random.default_rng(2).random((1, 50)) < 0.5
    layer(latents)
    assert int(layer.quantizer.steps) == 0
    layer(np.where(mask[..., None], latents, 1e30), training=True, mask=mask)
    assert int(layer.quantizer.steps) == 1
    alone((latents[mask] @ weights[0] + weights[1])[None], training=True)
    np.testing.assert_allclose(layer.quantizer.codebook, alone.codebook, atol=1e-5)
    layer.trainable = False
    layer(latents, training=True)
    assert int(layer.quantizer.steps) == 1


def test_padding_trains_no_map():
    layer, _, _ = projected()
    mask = np.array([[True, False, False]])
    with tf.GradientTape() as tape:
        quantized = layer(random(1, 3, 6), training=True, mask=mask)
        total = tf.reduce_sum(quantized.latents[:, 1:])
    assert not any(
        np.any(tf.convert_to_tensor(g)) for g in tape.gradient(total, layer.trainable_variables) if g is not None
    )
    assert quantized.tokens.numpy()[0, 1:].tolist() == [[0], [0]]


def test_config_round_trip_and_a_built_inner_quantizer():
    layer, _, _ = projected(CosineVectorQuantizer(5, temperature=0.1))
    again = ProjectedQuantizer.from_config(layer.get_config())
    assert isinstance(again.quantizer, CosineVectorQuantizer)
    assert again.quantizer.get_config() == layer.quantizer.get_config()
    assert again.latent_dim == 2
    inner = VectorQuantizer(3)
    inner.build((None, 2))
    inner.assign_codebook(CODEBOOK)
    outer = ProjectedQuantizer(inner, 2)
    outer.build((None, 6))
    np.testing.assert_array_equal(outer.quantizer.codebook, CODEBOOK)


def test_errors():
    with pytest.raises(ValueError, match="`quantizer` is a vqzoo.quantizers.Quantizer. Received: 'cosine'"):
        ProjectedQuantizer("cosine", 4)
    for latent_dim in (0, 4.0, None):
        with pytest.raises(ValueError, match=f"`latent_dim` is a positive integer. Received: latent_dim={latent_dim}"):
            ProjectedQuantizer(VectorQuantizer(4), latent_dim)
    with pytest.raises(
        ValueError, match=r"must be known when a quantizer is built. Received: input shape \(None, 3, None\)"
    ):
        ProjectedQuantizer(VectorQuantizer(4), 2).build((None, 3, None))
    with pytest.raises(ValueError, match=r"with latent_dim=6. Received: shape=\(1, 3, 2\)"):
        projected()[0].encode(np.zeros((1, 3, 2), "float32"))


@pytest.mark.parametrize("name", INNER)
def test_the_portable_form_gives_the_same_tokens_and_codes(name):
    layer, _, _ = projected(INNER[name](), latent_dim=4)
    latents, tokens = keras.Input((None, 6)), keras.Input((None, layer.num_codebooks), dtype="int32")
    encoder = keras.Model(latents, layer.portable_encode(latents))
    decoder = keras.Model(tokens, layer.portable_decode(tokens))
    h = random(2, 40, 6)
    np.testing.assert_array_equal(encoder(h), layer.encode(h))
    np.testing.assert_allclose(decoder(layer.encode(h)), layer(h).latents, atol=1e-5)
