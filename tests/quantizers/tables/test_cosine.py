import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import rotation_trick
from vqzoo.quantizers import CosineVectorQuantizer

CODEBOOK = np.array([[3.0, 0.0], [0.0, 0.5], [-1.0, -1.0]], "float32")  # 0, 90 and 225 degrees
LATENTS = np.array([[[4.0, 3.0], [0.03, 0.04], [-5.0, 0.0]]], "float32")


def quantizer(codebook=CODEBOOK, **options):
    made = CosineVectorQuantizer(len(codebook), **options)
    made.build((None, None, codebook.shape[1]))
    made.assign_codebook(codebook)
    return made


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def beside(vectors, gradients):
    """Gradients in the vectors from gradients in their directions."""
    directions = unit(vectors)
    along = (directions * gradients).sum(axis=-1, keepdims=True) * directions
    return (gradients - along) / np.linalg.norm(vectors, axis=-1, keepdims=True)


def gradients(of, layer, latents):
    latents = tf.constant(latents, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(latents)
        value = of(layer(latents, training=True))
    found = tape.gradient(value, [latents, layer.directions.value])
    return [None if gradient is None else tf.convert_to_tensor(gradient).numpy() for gradient in found]


def random(n=60, size=12, d=5):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) * rng.uniform(0.1, 10, (*shape[:-1], 1)) for shape in ((1, n, d), (size, d))]


def test_typed_out_tokens_latents_and_losses():
    quantized = quantizer()(LATENTS)
    assert quantized.tokens.numpy().tolist() == [[[0], [1], [2]]]
    h = 0.5**0.5
    np.testing.assert_allclose(quantized.latents, [[[1, 0], [0, 1], [-h, -h]]], rtol=1e-6)
    # Directions (0.8, 0.6), (0.6, 0.8) and (-1, 0): squared distances 0.4, 0.4 and 2 - 2 h, over six numbers.
    assert list(quantized.losses) == ["codebook", "commitment"]
    for loss in quantized.losses.values():
        assert float(loss) == pytest.approx((0.8 + 2 - 2 * h) / 6, rel=1e-5)


def test_lengths_of_latents_and_of_codes_do_not_matter():
    latents, codebook = random()
    one, other = quantizer(codebook)(latents), quantizer(unit(codebook))(1000.0 * latents)
    np.testing.assert_array_equal(one.tokens, other.tokens)
    np.testing.assert_allclose(one.latents, other.latents, atol=1e-6)
    assert float(one.losses["codebook"]) == pytest.approx(float(other.losses["codebook"]), rel=1e-5)


def test_equals_the_numpy_oracle():
    latents, codebook = random()
    layer = quantizer(codebook)
    quantized = layer(latents)
    z, c = unit(latents[0]), unit(codebook)
    tokens = (z @ c.T).argmax(axis=1)
    np.testing.assert_array_equal(quantized.tokens[0, :, 0], tokens)
    np.testing.assert_allclose(quantized.latents[0], c[tokens], atol=1e-6)
    np.testing.assert_allclose(layer.codebook, c, atol=1e-6)
    for loss in quantized.losses.values():
        assert float(loss) == pytest.approx(np.mean((z - c[tokens]) ** 2), rel=1e-5)


def test_gradients_pass_through_the_normalization_of_the_side_that_each_loss_moves():
    latents, codebook = random()
    layer = quantizer(codebook)
    tokens = layer.encode(latents).numpy()[0, :, 0]
    z, c = unit(latents[0]), unit(codebook)
    difference = 2 * (c[tokens] - z) / z.size

    of_latents, of_codebook = gradients(lambda quantized: quantized.losses["codebook"], layer, latents)
    assert of_latents is None
    expected = np.zeros_like(codebook)
    np.add.at(expected, tokens, difference)
    np.testing.assert_allclose(of_codebook, beside(codebook, expected), atol=1e-6)

    of_latents, of_codebook = gradients(lambda quantized: quantized.losses["commitment"], layer, latents)
    assert of_codebook is None
    np.testing.assert_allclose(of_latents[0], beside(latents[0], -difference), atol=1e-6)


def test_the_straight_through_gradient_passes_the_normalization_to_the_latents_alone():
    latents, codebook = random()
    arriving = np.random.default_rng(1).normal(size=latents.shape)
    of_latents, of_codebook = gradients(
        lambda quantized: keras.ops.sum(quantized.latents * arriving.astype("float32")), quantizer(codebook), latents
    )
    assert of_codebook is None
    np.testing.assert_allclose(of_latents, beside(latents, arriving), rtol=1e-4, atol=1e-5)


def test_the_rotation_estimator_sees_the_directions():
    layer = quantizer(estimator=rotation_trick)
    of_latents, _ = gradients(lambda quantized: keras.ops.sum(quantized.latents[..., 1]), layer, LATENTS[:, :1])
    # (0.8, 0.6) turns onto (1, 0) by the angle of cosine 0.8, so that the gradient (0, 1) arrives as (-0.6, 0.8), which
    # is beside (0.8, 0.6); the length 5 of the latents divides it.
    np.testing.assert_allclose(of_latents, [[[-0.12, 0.16]]], atol=1e-6)
    np.testing.assert_array_equal(layer(LATENTS).latents, layer.decode(layer.encode(LATENTS)))


@pytest.mark.parametrize("grid", [(6,), (2, 3), (1, 3, 2)])
def test_grids(grid):
    latents = np.tile(LATENTS, (1, 2, 1)).reshape(1, *grid, 2)
    tokens = quantizer().encode(latents)
    assert tokens.numpy().tolist() == np.array([0, 1, 2] * 2).reshape(1, *grid, 1).tolist()
    assert quantizer().decode(tokens).shape == (1, *grid, 2)


def test_latents_of_zeros_get_token_0_and_finite_gradients():
    _, codebook = random(size=300)  # rounding would choose among 300 codes of length 1
    layer = quantizer(codebook)
    zeros = np.zeros((1, 4, 5))
    assert layer.encode(zeros).numpy().ravel().tolist() == [0] * 4
    of_latents, of_codebook = gradients(
        lambda quantized: keras.ops.sum(quantized.latents) + sum(quantized.losses.values()), layer, zeros
    )
    assert np.isfinite(of_latents).all()
    assert np.isfinite(of_codebook).all()


def test_masked_losses_are_those_of_the_real_positions_alone():
    latents, codebook = random()
    mask = np.random.default_rng(2).random((1, 60)) < 0.5
    layer = quantizer(codebook)
    masked, alone = layer(latents, mask=mask), layer(latents[mask][None])
    for name in layer.loss_names:
        assert float(masked.losses[name]) == pytest.approx(float(alone.losses[name]), rel=1e-5)
    np.testing.assert_array_equal(masked.tokens.numpy()[mask], alone.tokens[0])


def test_new_codes_are_random_directions_of_length_1():
    layer = CosineVectorQuantizer(2000)
    layer.build((None, None, 8))
    codebook = layer.codebook.numpy()
    np.testing.assert_allclose(np.linalg.norm(codebook, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(codebook.T @ codebook / 2000, np.eye(8) / 8, atol=0.02)
    np.testing.assert_allclose(codebook.mean(axis=0), 0.0, atol=0.04)
    # About length 1 already: the normalization neither damps nor amplifies the first gradients.
    np.testing.assert_allclose(np.mean(np.square(layer.directions)), 1 / 8, rtol=0.05)


def test_gradient_descent_finds_the_directions_of_clusters():
    rng = np.random.default_rng(0)
    centres = unit(rng.normal(size=(6, 4)))
    latents = (centres.repeat(40, axis=0) + 0.02 * rng.normal(size=(240, 4))) * rng.uniform(1, 9, (240, 1))
    layer = quantizer(unit(centres + 0.2 * rng.normal(size=centres.shape)))
    optimizer = keras.optimizers.SGD(5.0)
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = layer(latents[None], training=True).losses["codebook"]
        optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)
    assert (layer.codebook.numpy() * centres).sum(axis=1).min() > 0.999


def test_config_round_trip():
    layer = quantizer(estimator=rotation_trick, temperature=0.5, seed=3, name="it")
    config = layer.get_config()
    again = CosineVectorQuantizer.from_config(config)
    assert again.get_config() == config
    assert (again.codebook_size, again.estimator, again.temperature, again.seed) == (3, rotation_trick, 0.5, 3)


def test_a_code_of_zeros_is_refused():
    with pytest.raises(ValueError, match="no row may be zero. Received: 2 rows of zeros"):
        quantizer(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]))
    with pytest.raises(
        ValueError, match=r"shape \(codebook_size, latent_dim\), here \(3, 2\). Received: shape=\(2, 2\)"
    ):
        quantizer().assign_codebook(np.eye(2))


def test_the_portable_form_gives_the_same_tokens_and_codes():
    latents, codebook = random(400, 50)
    layer = quantizer(codebook)
    latents[0, :3] = 0.0
    inputs, tokens = keras.Input((None, 5)), keras.Input((None, 1), dtype="int32")
    encoder = keras.Model(inputs, layer.portable_encode(inputs))
    decoder = keras.Model(tokens, layer.portable_decode(tokens))
    expected = layer.encode(latents)
    np.testing.assert_array_equal(encoder(latents), expected)
    np.testing.assert_allclose(decoder(expected), layer.decode(expected), atol=1e-6)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_k_means_and_restarts_leave_latents_without_a_direction_out(share):
    rng = np.random.default_rng(0)
    layer = CosineVectorQuantizer(32, kmeans_steps=2, restart_below=0.5, decay=0.5)
    layer.build((None, None, 4))
    train = tf.function(lambda latents: layer(latents, training=True).tokens)
    for _ in range(6):
        latents = np.maximum(rng.normal(size=(300, 4)), 0.0)
        latents[rng.random(300) < share] = 0.0
        latents[0] = 1e-9  # too short for a direction
        train(tf.constant(latents[None], tf.float32))
        np.testing.assert_allclose(np.linalg.norm(layer.codebook, axis=1), 1.0, rtol=1e-5)
    # Nor do they count for code 0, which all of them get.
    assert int(layer.steps) == (6 if share < 1.0 else 0)
    assert layer.counts.numpy().sum() <= 32 + 200
