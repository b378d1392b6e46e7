import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.quantizers import EMAVectorQuantizer
from vqzoo.quantizers import GaussianQuantizer
from vqzoo.quantizers import GumbelQuantizer
from vqzoo.quantizers import ProjectedQuantizer
from vqzoo.quantizers import Quantized
from vqzoo.quantizers import Quantizer
from vqzoo.quantizers import VectorQuantizer
from vqzoo.quantizers import orthogonality_loss


class Nothing(Quantizer):
    """Hands the latents on as they are, so that the sample can be seen."""

    codebook_sizes = (1,)
    loss_names = ()

    def call(self, latents, mask=None):
        return Quantized(latents, keras.ops.zeros((*latents.shape[:-1], 1), "int32"), {})


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def gaussian(inner=None, channels=5, latent_dim=3, seed=0):
    """A quantizer with random weights in both heads, and what the heads make of latents, in numpy."""
    made = GaussianQuantizer(Nothing() if inner is None else inner, latent_dim, seed=seed)
    made.build((None, None, channels))
    weights = [random(channels, latent_dim), random(latent_dim, seed=1), random(channels, latent_dim, seed=2)]
    weights += [random(latent_dim, seed=3) - 1.0]
    made.mean.set_weights(weights[:2])
    made.log_variance.set_weights(weights[2:])
    return made, lambda h: (h @ weights[0] + weights[1], h @ weights[2] + weights[3])


@pytest.mark.parametrize("quantizer", [None, "ema", keras.layers.Dense(3)])
def test_the_inner_quantizer_is_a_quantizer(quantizer):
    with pytest.raises(ValueError, match="`quantizer` is a vqzoo.quantizers.Quantizer. Received: "):
        GaussianQuantizer(quantizer, 4)


@pytest.mark.parametrize("latent_dim", [0, -1, 4.0, None])
def test_latent_dim_is_a_positive_integer(latent_dim):
    with pytest.raises(ValueError, match=f"`latent_dim` is a positive integer. Received: latent_dim={latent_dim}"):
        GaussianQuantizer(VectorQuantizer(4), latent_dim)


@pytest.mark.parametrize("training", [False, True])
def test_kl_equals_the_closed_form(training):
    layer, heads = gaussian()
    h = random(2, 7, 5, seed=9)
    mean, log_variance = heads(h.astype("float64"))
    # KL of N(mean, variance) to N(0, 1) as the definition writes it: log(1 / sigma) + (sigma^2 + mean^2) / 2 - 1 / 2.
    sigma = np.exp(log_variance / 2)
    expected = np.mean(np.log(1 / sigma) + (sigma**2 + mean**2) / 2 - 0.5)
    losses = layer(h, training=training).losses
    assert set(losses) == {"kl"}
    assert float(losses["kl"]) == pytest.approx(expected, rel=1e-5)


def test_kl_is_zero_for_a_standard_normal():
    layer, _ = gaussian()
    for head in (layer.mean, layer.log_variance):
        head.set_weights([np.zeros((5, 3)), np.zeros(3)])
    assert float(layer(random(1, 4, 5)).losses["kl"]) == 0.0


@pytest.mark.parametrize(("bias", "kept"), [(1000.0, 20.0), (-1000.0, -30.0)])
def test_the_log_variance_is_kept_where_its_exponential_is_finite(bias, kept):
    layer, _ = gaussian()
    layer.mean.set_weights([np.zeros((5, 3)), np.zeros(3)])
    layer.log_variance.set_weights([np.zeros((5, 3)), np.full(3, bias)])
    quantized = layer(random(1, 4, 5), training=True)
    assert np.isfinite(quantized.latents).all()
    assert float(quantized.losses["kl"]) == pytest.approx((np.exp(kept) - 1 - kept) / 2, rel=1e-5)


def test_a_new_head_starts_near_its_mean():
    layer = GaussianQuantizer(Nothing(), 3)
    h = random(1, 2000, 5)
    noise = layer(h, training=True).latents - layer(h).latents
    assert np.std(noise) == pytest.approx(np.exp(-2.0), rel=0.05)  # log-variance -4


def test_samples_have_the_mean_and_the_variance_of_the_heads():
    layer, heads = gaussian()
    h = random(1, 1, 5, seed=9).repeat(20_000, axis=1)
    mean, log_variance = (x[0, 0] for x in heads(h))
    samples = layer(h, training=True).latents.numpy()[0]
    sigma = np.exp(log_variance / 2)
    np.testing.assert_allclose(samples.mean(axis=0), mean, atol=5 * sigma.max() / 20_000**0.5)
    np.testing.assert_allclose(samples.std(axis=0), sigma, rtol=0.03)
    # Independent from channel to channel and from one position to the next.
    noise = (samples - mean) / sigma
    assert np.abs(np.corrcoef(noise.T) - np.eye(3)).max() < 0.04
    assert abs((noise[1:] * noise[:-1]).mean()) < 0.03


def test_training_samples_anew_and_inference_takes_the_mean():
    layer, heads = gaussian()
    h = random(1, 4, 5)
    first, second = (layer(h, training=True).latents.numpy() for _ in range(2))
    assert (first != second).all()
    np.testing.assert_allclose(layer(h).latents, heads(h)[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(layer(h).latents, layer(h, training=False).latents)


def test_the_seed_decides_the_noise():
    h = random(1, 4, 5)
    same, again, other = (gaussian(seed=seed)[0](h, training=True).latents.numpy() for seed in (7, 7, 8))
    np.testing.assert_array_equal(same, again)
    assert (same != other).all()


def test_inference_equals_the_inner_quantizer_on_the_mean():
    inner = VectorQuantizer(20, initializer=keras.initializers.RandomNormal(stddev=2.0))
    layer, heads = gaussian(inner)
    h = random(2, 6, 5)
    outer, expected = layer(h), inner(heads(h)[0])
    np.testing.assert_array_equal(outer.tokens, expected.tokens)
    np.testing.assert_array_equal(outer.latents, expected.latents)
    assert set(outer.losses) == {"codebook", "commitment", "kl"} == set(layer.loss_names)
    assert float(outer.losses["commitment"]) == pytest.approx(float(expected.losses["commitment"]), rel=1e-5)
    np.testing.assert_array_equal(layer.encode(h), expected.tokens)
    np.testing.assert_array_equal(layer.decode(expected.tokens), expected.latents)
    assert len(np.unique(expected.tokens)) > 3
    assert layer.codebook_sizes == (20,)


def test_training_reaches_the_inner_quantizer():
    inner = EMAVectorQuantizer(4)
    layer, _ = gaussian(inner)
    before = inner.codebook.numpy()
    layer(random(1, 50, 5))
    np.testing.assert_array_equal(inner.codebook, before)
    layer(random(1, 50, 5), training=True)
    assert (inner.codebook.numpy() != before).all()
    assert int(inner.steps) == 1


def test_gradients_reach_both_heads_and_are_those_of_the_reparametrization():
    layer, heads = gaussian()
    h = random(1, 6, 5)
    weights = random(1, 6, 3, seed=4)
    with tf.GradientTape() as tape:
        z = layer(h, training=True).latents
        total = tf.reduce_sum(z * weights)
    of_mean, _, of_log_variance, of_bias = tape.gradient(total, layer.trainable_variables)
    # dz/dmean = 1, dz/dlog_variance = sigma * noise / 2 = (z - mean) / 2.
    half = weights * (z.numpy() - heads(h)[0]) / 2
    np.testing.assert_allclose(of_mean, h[0].T @ weights[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(of_log_variance, h[0].T @ half[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(of_bias, half[0].sum(axis=0), rtol=1e-4, atol=1e-5)


def test_gradients_reach_both_heads_through_a_codebook():
    layer, _ = gaussian(VectorQuantizer(20, initializer=keras.initializers.RandomNormal()))
    h = tf.constant(random(1, 6, 5))
    with tf.GradientTape() as tape:
        tape.watch(h)
        total = tf.reduce_sum(layer(h, training=True).latents)
    kernels = [layer.mean.kernel.value, layer.log_variance.kernel.value]
    of_mean, of_log_variance, of_h = tape.gradient(total, [*kernels, h])
    np.testing.assert_allclose(of_mean, np.tile(h.numpy()[0].sum(axis=0)[:, None], 3), rtol=1e-4, atol=1e-5)
    assert (of_log_variance.numpy() != 0).all()
    assert (of_h.numpy() != 0).all()


def test_the_portable_form_gives_the_same_tokens_and_codes():
    inner = VectorQuantizer(20, initializer=keras.initializers.RandomNormal(stddev=2.0))
    layer, _ = gaussian(inner)
    latents, tokens = keras.Input((None, 5)), keras.Input((None, 1), dtype="int32")
    encoder = keras.Model(latents, layer.portable_encode(latents))
    decoder = keras.Model(tokens, layer.portable_decode(tokens))
    h = random(2, 40, 5)
    np.testing.assert_array_equal(encoder(h), layer.encode(h))
    np.testing.assert_array_equal(decoder(layer.encode(h)), layer(h).latents)


def test_masked_kl_and_losses_are_those_of_the_real_positions_alone():
    inner = VectorQuantizer(20, initializer=keras.initializers.RandomNormal(stddev=2.0))
    layer, _ = gaussian(inner)
    h, mask = random(1, 40, 5), np.random.default_rng(1).random((1, 40)) < 0.5
    masked, alone = layer(np.where(mask[..., None], h, 1e30), mask=mask), layer(h[mask][None])
    for name in layer.loss_names:
        assert float(masked.losses[name]) == pytest.approx(float(alone.losses[name]), rel=1e-5)
    np.testing.assert_array_equal(masked.tokens.numpy()[mask], alone.tokens[0])
    assert not masked.tokens.numpy()[~mask].any()
    np.testing.assert_array_equal(layer.encode(h, mask), masked.tokens)


def test_padding_trains_neither_the_heads_nor_the_inner_codebook():
    inner = EMAVectorQuantizer(4, kmeans_steps=0)
    layer, heads = gaussian(inner)
    h, mask = random(1, 60, 5), np.random.default_rng(1).random((1, 60)) < 0.5
    h[~mask] = 1e30
    with tf.GradientTape() as tape:
        quantized = layer(h, training=True, mask=mask)
        total = quantized.losses["kl"]
    of_mean = tape.gradient(total, layer.mean.kernel.value)
    mean = heads(h[mask].astype("float64"))[0]
    np.testing.assert_allclose(of_mean, h[mask].T @ mean / mean.size, rtol=1e-4, atol=1e-5)
    assert float(keras.ops.sum(inner.counts)) == pytest.approx(0.99 * 4 + 0.01 * mask.sum(), rel=1e-4)
    assert np.abs(inner.codebook).max() < 10.0


def test_not_trainable_freezes_the_inner_codebook():
    inner = EMAVectorQuantizer(4)
    layer, _ = gaussian(inner)
    layer.trainable = False
    before = inner.codebook.numpy()
    layer(random(1, 50, 5), training=True)
    np.testing.assert_array_equal(inner.codebook, before)
    assert int(inner.steps) == 0


def test_latents_of_another_width_are_refused():
    layer, _ = gaussian()
    for call in (layer, layer.encode):
        with pytest.raises(ValueError, match=r"with latent_dim=5. Received: shape=\(1, 4, 3\)"):
            call(random(1, 4, 3))


def test_config_round_trip():
    layer = GaussianQuantizer(VectorQuantizer(20, temperature=0.5), 3, seed=4)
    again = GaussianQuantizer.from_config(layer.get_config())
    assert again.quantizer.get_config() == layer.quantizer.get_config()
    assert (again.latent_dim, again.seed) == (3, 4)


@pytest.mark.parametrize(
    ("inner", "names"),
    [
        (lambda: GumbelQuantizer(4, 3, name="drawn"), r"\('kl',\)"),
        (lambda: ProjectedQuantizer(GumbelQuantizer(4, 3), 2, name="drawn"), r"\('kl',\)"),
        (
            lambda: EMAVectorQuantizer(4, extra_losses={"kl": orthogonality_loss}, name="drawn"),
            r"\('commitment', 'kl'\)",
        ),
    ],
)
def test_another_loss_named_kl_is_refused(inner, names):
    message = f"adds the loss `kl`, .*Received: 'drawn' with the losses {names}. Use a GumbelQuantizer without the head"
    with pytest.raises(ValueError, match=message):
        GaussianQuantizer(inner(), 5)


def test_the_width_of_the_latents_is_known_when_built():
    with pytest.raises(
        ValueError, match=r"must be known when a quantizer is built. Received: input shape \(None, 3, None"
    ):
        GaussianQuantizer(VectorQuantizer(4), 2).build((None, 3, None))


def test_a_config_may_be_used_twice():
    config = GaussianQuantizer(VectorQuantizer(20), 3).get_config()
    assert [GaussianQuantizer.from_config(config).quantizer.codebook_size for _ in range(2)] == [20, 20]
