import numpy as np
import pytest
import tensorflow as tf

from vqzoo.quantizers import BinarySphericalQuantizer


def entropy(probabilities):
    return -(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(axis=-1)


def oracle(latents, temperature=1.0, tokens=None):
    """Tokens, codes and losses from the table of all codes, in float64; the codes of `tokens`, where given."""
    bits = latents.shape[-1]
    corners = (2.0 * (np.arange(2**bits)[:, None] >> np.arange(bits) & 1) - 1.0) / np.sqrt(bits)
    vectors = latents.reshape(-1, bits).astype("float64")
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarities = vectors @ corners.T
    tokens = similarities.argmax(axis=1) if tokens is None else tokens
    # The paper's soft assignment, its inverse temperature being 2 / temperature.
    probabilities = np.exp(similarities * 2 / temperature)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    losses = {
        "commitment": ((vectors - corners[tokens]) ** 2).mean(),
        "sample_entropy": entropy(probabilities).mean(),
        "batch_entropy": -entropy(probabilities.mean(axis=0)),
    }
    return tokens, corners[tokens], losses


def random_latents(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_typed_out_tokens_codes_and_losses():
    latents = np.array([[[3.0, -4.0, 0.0, 0.0], [-0.6, 0.8, 0.0, 1e-9]]], "float32")
    quantized = BinarySphericalQuantizer(4)(latents)
    assert quantized.latents.numpy().tolist() == [[[0.5, -0.5, -0.5, -0.5], [-0.5, 0.5, -0.5, 0.5]]]
    assert quantized.tokens.numpy()[0, :, 0].tolist() == [1, 2 + 8]
    # On the sphere both are (0.6, 0.8, 0, 0) but for the signs: differences 0.1, 0.3, 0.5, 0.5.
    assert float(quantized.losses["commitment"]) == pytest.approx((0.01 + 0.09 + 0.25 + 0.25) / 4)
    assert BinarySphericalQuantizer(4).loss_names == ("commitment", "sample_entropy", "batch_entropy")


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_equals_the_table_of_all_codes(temperature):
    latents = 7.0 * random_latents((2, 9, 5))
    quantized = BinarySphericalQuantizer(5, temperature)(latents)
    tokens, codes, losses = oracle(latents, temperature)
    np.testing.assert_array_equal(quantized.tokens.numpy().ravel(), tokens)
    np.testing.assert_allclose(quantized.latents.numpy().reshape(-1, 5), codes, rtol=1e-6)
    for name, value in losses.items():
        np.testing.assert_allclose(quantized.losses[name], value, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", ["commitment", "sample_entropy", "batch_entropy", "latents"])
def test_gradients_pass_the_sphere(name):
    latents, direction = random_latents((1, 6, 4)), random_latents((1, 6, 4), seed=1)
    tokens = oracle(latents)[0]

    def of(x):
        if name == "latents":  # straight through: as if the latents on the sphere were the codes
            return (x / np.linalg.norm(x, axis=-1, keepdims=True) * direction).sum()
        return oracle(x, 0.3, tokens)[2][name]

    expected, step = np.empty(latents.shape), 1e-6
    for i in np.ndindex(latents.shape):
        up, down = latents.astype("float64"), latents.astype("float64")
        up[i] += step
        down[i] -= step
        expected[i] = (of(up) - of(down)) / (2 * step)
    latents = tf.constant(latents)
    with tf.GradientTape() as tape:
        tape.watch(latents)
        quantized = BinarySphericalQuantizer(4, 0.3)(latents, training=True)
        value = tf.reduce_sum(quantized.latents * direction) if name == "latents" else quantized.losses[name]
    gradient = tape.gradient(value, latents).numpy()
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-6)
    # No gradient along the vector itself: its length does not count.
    np.testing.assert_allclose((gradient * latents.numpy()).sum(axis=-1), 0.0, atol=2e-6)


def test_the_length_of_the_latents_does_not_count():
    latents = random_latents((1, 20, 6))
    one, other = (BinarySphericalQuantizer(6)(scale * latents) for scale in (1.0, 1000.0))
    np.testing.assert_array_equal(one.tokens, other.tokens)
    for name in one.losses:
        np.testing.assert_allclose(one.losses[name], other.losses[name], rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(one.latents, axis=-1), 1.0, rtol=1e-6)


def test_zeros_and_tiny_latents_give_finite_gradients():
    latents = tf.constant([[[0.0, 0.0, 0.0], [1e-30, -1e-30, 0.0]]])
    with tf.GradientTape() as tape:
        tape.watch(latents)
        quantized = BinarySphericalQuantizer(3)(latents)
        total = tf.reduce_sum(quantized.latents) + sum(quantized.losses.values())
    assert quantized.tokens.numpy()[0, :, 0].tolist() == [0, 1]
    assert np.isfinite(tape.gradient(total, latents)).all()


def test_groups_of_nine_bits_unless_told_otherwise():
    latents = random_latents((1, 50, 10))
    latents[..., 5:] = latents[..., :5]
    grouped, exact = BinarySphericalQuantizer(10, 0.05), BinarySphericalQuantizer(10, 0.05, 10)
    found, expected = grouped(latents).losses["batch_entropy"], exact(latents).losses["batch_entropy"]
    np.testing.assert_allclose(expected, oracle(latents, 0.05)[2]["batch_entropy"], rtol=1e-4)
    # Two groups of five bits that are the same.
    assert float(found) < 1.2 * float(expected)


def test_config_is_the_constructor():
    config = BinarySphericalQuantizer(5, 0.1, 4, name="it").get_config()
    assert config == {
        **{"name": "it", "trainable": True, "dtype": config["dtype"]},
        **{"latent_dim": 5, "entropy_temperature": 0.1, "entropy_group_bits": 4},
    }
    latents = random_latents((2, 8, 5))
    again = BinarySphericalQuantizer.from_config(config)(latents)
    for name, loss in BinarySphericalQuantizer(5, 0.1, 4)(latents).losses.items():
        assert float(again.losses[name]) == float(loss)


@pytest.mark.parametrize("latent_dim", [0, -4, 32, 4.0, None])
def test_a_width_out_of_range_is_refused(latent_dim):
    with pytest.raises(ValueError, match=f"integer from 1 to 31.*latent_dim={latent_dim}"):
        BinarySphericalQuantizer(latent_dim)
