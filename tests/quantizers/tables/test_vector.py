import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import nearest
from vqzoo.quantizers import VectorQuantizer

CODEBOOK = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], "float32")
LATENTS = np.array([[[0.25, 0.0], [1.0, 0.5], [0.0, 1.5]]], "float32")


def quantizer(codebook=CODEBOOK):
    made = VectorQuantizer(len(codebook))
    made.build((None, None, codebook.shape[1]))
    made.codebook.assign(codebook)
    return made


def gradients(of, layer, latents=LATENTS):
    """Gradients of `of(quantized)` in the latents and in the codebook; None where nothing flows."""
    latents = tf.constant(latents)
    with tf.GradientTape() as tape:
        tape.watch(latents)
        value = of(layer(latents, training=True))
    found = tape.gradient(value, [latents, layer.codebook.value])
    return [None if gradient is None else tf.convert_to_tensor(gradient).numpy() for gradient in found]


def test_typed_out_tokens_latents_and_losses():
    quantized = quantizer()(LATENTS)
    assert quantized.tokens.numpy().tolist() == [[[0], [1], [2]]]
    assert quantized.latents.numpy().tolist() == [CODEBOOK.tolist()]
    # Differences 0.25, 0.5 and 0.5 in three of six numbers: (0.0625 + 0.25 + 0.25) / 6.
    assert {name: float(loss) for name, loss in quantized.losses.items()} == {
        "codebook": 0.09375,
        "commitment": 0.09375,
    }
    assert quantizer().loss_names == ("codebook", "commitment")


def test_the_straight_through_gradient_reaches_the_latents_alone():
    weights = np.random.default_rng(0).normal(size=LATENTS.shape).astype("float32")
    of_latents, of_codebook = gradients(lambda quantized: keras.ops.sum(quantized.latents * weights), quantizer())
    np.testing.assert_array_equal(of_latents, weights)
    assert of_codebook is None
    of_latents, _ = gradients(lambda quantized: keras.ops.sum(quantized.latents), quantizer())
    np.testing.assert_array_equal(of_latents, np.ones_like(LATENTS))


def test_the_codebook_loss_moves_the_codes_alone():
    of_latents, of_codebook = gradients(lambda quantized: quantized.losses["codebook"], quantizer())
    assert of_latents is None
    np.testing.assert_allclose(of_codebook, 2 * (CODEBOOK - LATENTS[0]) / 6, rtol=1e-6)


def test_the_commitment_loss_moves_the_latents_alone():
    of_latents, of_codebook = gradients(lambda quantized: quantized.losses["commitment"], quantizer())
    assert of_codebook is None
    np.testing.assert_allclose(of_latents, 2 * (LATENTS - CODEBOOK) / 6, rtol=1e-6)


def test_codes_that_no_latent_chose_get_no_gradient():
    _, of_codebook = gradients(lambda quantized: quantized.losses["codebook"], quantizer(), LATENTS[:, :1].repeat(4, 1))
    np.testing.assert_allclose(of_codebook, [[2 * 4 * -0.25 / 8, 0.0], [0.0, 0.0], [0.0, 0.0]])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_gradients_through_a_graph_that_searches_in_pieces(jit_compile, monkeypatch):
    rng = np.random.default_rng(0)
    codebook, latents = (rng.normal(size=shape).astype("float32") for shape in ((16, 4), (1, 50, 4)))

    def of(quantized):
        losses = quantized.losses
        return losses["codebook"] + 0.25 * losses["commitment"] + keras.ops.sum(quantized.latents**2)

    layer = quantizer(codebook)
    expected = gradients(of, layer, latents)
    monkeypatch.setattr(nearest, "DISTANCES_AT_ONCE", 16 * 7)

    @tf.function(jit_compile=jit_compile)
    def step(latents):
        with tf.GradientTape() as tape:
            tape.watch(latents)
            value = of(layer(latents))
        return [tf.convert_to_tensor(gradient) for gradient in tape.gradient(value, [latents, layer.codebook.value])]

    for got, want in zip(step(tf.constant(latents)), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_gradient_descent_on_the_codebook_loss_is_k_means():
    centres = 4.0 * np.array(list(itertools.product((-1, 1), repeat=3)))
    noise = 0.1 * np.random.default_rng(0).normal(size=(256, 3))
    latents = tf.constant((centres.repeat(32, axis=0) + noise)[None], tf.float32)
    layer = quantizer(latents.numpy()[0, ::32] + 1.0)  # near its own cluster each
    losses = []
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = layer(latents, training=True).losses["codebook"]
        (gradient,) = tape.gradient(loss, layer.trainable_variables)
        # d loss / d c_k = 2 n_k / (256 * 3) (c_k - mean of its latents); 0.3 of the way to that mean.
        layer.codebook.assign_sub(0.3 * 3 * 256 / (2 * 32) * tf.convert_to_tensor(gradient))
        losses.append(float(loss))
    assert losses[0] > 0.5
    assert losses[-1] == pytest.approx(0.01, rel=0.1)  # the noise
    means = latents.numpy().reshape(8, 32, 3).mean(axis=1)
    np.testing.assert_allclose(layer.codebook, means, atol=1e-3)


def test_training_the_encoder_brings_latents_to_their_codes():
    layer = quantizer()
    latents = tf.Variable(LATENTS)
    distances = []
    for _ in range(20):
        with tf.GradientTape() as tape:
            loss = layer(latents).losses["commitment"]
        latents.assign_sub(tape.gradient(loss, latents))
        distances.append(float(loss))
    assert distances[0] == 0.09375
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-4
    np.testing.assert_array_equal(layer.codebook, CODEBOOK)


def test_only_the_codebook_is_trainable_and_nothing_is_added_to_the_layers_losses():
    layer = quantizer()
    layer(LATENTS, training=True)
    assert [variable.path.split("/")[-1] for variable in layer.trainable_variables] == ["codebook"]
    assert not layer.non_trainable_variables
    assert not layer.losses


def test_masked_losses_are_those_of_the_real_positions_alone():
    # Of the three positions with squared distances 0.0625, 0.25 and 0.25 over two numbers each, the first and the last.
    mask = np.array([[True, False, True]])
    for latents in (LATENTS, np.where(mask[..., None], LATENTS, np.float32(1e30))):
        quantized = quantizer()(latents, mask=mask)
        assert quantized.tokens.numpy().tolist() == [[[0], [0], [2]]]
        assert {name: float(loss) for name, loss in quantized.losses.items()} == {
            "codebook": 0.3125 / 4,
            "commitment": 0.3125 / 4,
        }


def test_masked_gradients_are_those_of_the_real_positions_alone():
    mask = np.array([[True, False, True]])
    latents, layer = tf.constant(np.where(mask[..., None], LATENTS, np.float32(1e30))), quantizer()
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(latents)
        quantized = layer(latents, training=True, mask=mask)
        total = tf.reduce_sum(quantized.latents)
        codebook, commitment = quantized.losses["codebook"], quantized.losses["commitment"]
    expected = 2 * (CODEBOOK - LATENTS[0]) / 4 * mask[0][:, None]
    np.testing.assert_allclose(tf.convert_to_tensor(tape.gradient(codebook, layer.codebook.value)), expected, rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(commitment, latents)[0], -expected, rtol=1e-6)
    np.testing.assert_array_equal(tape.gradient(total, latents), np.repeat(mask[..., None], 2, axis=-1))


def functional(inputs, latents):
    """A Functional model of latents that carry a Keras mask, and a layer that shows the mask of what comes out."""
    made = VectorQuantizer(3, name="quantizer")
    quantized = made(latents)
    made.assign_codebook(CODEBOOK)
    return keras.Model(inputs, [quantized.tokens, quantized.losses["commitment"], ShowMask()(quantized.latents)])


class ShowMask(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def call(self, inputs, mask=None):
        return mask


def test_a_masking_layer_before_it_is_heeded():
    inputs = keras.Input((None, 2))
    model = functional(inputs, keras.layers.Masking(mask_value=9.0)(inputs))
    latents = LATENTS.copy()
    latents[0, 1] = 9.0
    tokens, commitment, mask = model(latents)
    assert tokens.numpy().tolist() == [[[0], [0], [2]]]
    assert float(commitment) == 0.3125 / 4
    assert mask.numpy().tolist() == [[True, False, True]]


def test_the_mask_of_an_embedding_of_padded_integers_is_heeded():
    inputs = keras.Input((None,), dtype="int32")
    embedding = keras.layers.Embedding(4, 2, mask_zero=True)
    model = functional(inputs, embedding(inputs))
    embedding.set_weights([np.concatenate([np.full((1, 2), 50.0), LATENTS[0]])])
    tokens, commitment, mask = model(np.array([[1, 3, 0, 0], [0, 0, 0, 0]]))
    assert tokens.numpy().tolist() == [[[0], [2], [0], [0]], [[0]] * 4]
    assert float(commitment) == 0.3125 / 4
    assert mask.numpy().tolist() == [[True, True, False, False], [False] * 4]


def test_a_given_mask_wins_over_the_one_that_the_latents_carry():
    latents = keras.layers.Masking(mask_value=9.0)(tf.constant(LATENTS))
    assert quantizer()(latents, mask=np.array([[False, True, False]])).tokens.numpy().tolist() == [[[0], [1], [0]]]


def test_not_trainable_means_that_no_gradient_step_moves_it():
    layer = quantizer()
    layer.trainable = False
    assert not layer.trainable_variables
    assert float(layer(LATENTS, training=True).losses["codebook"]) == 0.09375


@pytest.mark.parametrize("jit_compile", [None, False, True])
@pytest.mark.parametrize("options", [{}, {"kmeans_steps": 2, "restart_below": 0.3}])
def test_an_empty_batch_moves_nothing_and_its_losses_are_zero(jit_compile, options):
    layer = VectorQuantizer(3, **options)
    layer.build((None, None, 2))

    def train(latents):
        with tf.GradientTape() as tape:
            quantized = layer(latents, training=True)
            total = sum(quantized.losses.values()) + tf.reduce_sum(quantized.latents)
        return quantized.tokens, quantized.losses, tape.gradient(total, layer.codebook.value)

    if jit_compile is not None:
        train = tf.function(train, jit_compile=jit_compile, input_signature=[tf.TensorSpec((None, 4, 2))])
    for _ in range(3):
        before = [v.numpy().copy() for v in layer.variables]
        tokens, losses, gradient = train(tf.zeros((0, 4, 2)))
        assert tokens.shape == (0, 4, 1)
        assert {name: float(loss) for name, loss in losses.items()} == {"codebook": 0.0, "commitment": 0.0}
        assert not np.any(tf.convert_to_tensor(gradient))
        for variable, value in zip(layer.variables, before, strict=True):
            np.testing.assert_array_equal(variable, value)
        train(tf.constant(np.random.default_rng(0).normal(size=(5, 4, 2)), tf.float32))


def test_latents_that_are_not_finite_restart_no_code_and_start_no_k_means():
    layer = VectorQuantizer(16, kmeans_steps=2, restart_below=0.5)
    layer.build((None, None, 2))
    train = tf.function(lambda latents: layer(latents, training=True).tokens)
    rng = np.random.default_rng(0)
    for _ in range(5):
        latents = rng.normal(size=(100, 2))
        latents[rng.random(100) < 0.5, 0] = rng.choice([np.nan, np.inf, -np.inf, 1e30])
        train(tf.constant(latents[None], tf.float32))
        assert np.abs(layer.codebook).max() < 10.0
        assert np.isfinite(layer.counts).all()
    assert int(layer.steps) == 5
