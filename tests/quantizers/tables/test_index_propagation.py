import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.quantizers import IndexPropagationQuantizer
from vqzoo.quantizers import similarity_entropy_loss

CODEBOOK = np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, -3.0]], "float32")


def quantizer(codebook=CODEBOOK, **options):
    made = IndexPropagationQuantizer(len(codebook), **options)
    made.build((None, None, np.shape(codebook)[1]))
    made.assign_codebook(codebook)
    return made


def random(n=40, size=9, d=4):
    rng = np.random.default_rng(0)
    return rng.normal(size=(1, n, d)).astype("float32"), rng.normal(size=(size, d)).astype("float32")


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def gradients(of, layer, latents):
    latents = tf.constant(latents)
    with tf.GradientTape() as tape:
        tape.watch(latents)
        value = of(layer(latents, training=True))
    found = tape.gradient(value, [latents, layer.codebook.value])
    return [None if gradient is None else tf.convert_to_tensor(gradient).numpy() for gradient in found]


def through_the_indices(z, c, arriving):
    """Gradients in latents and codes of sum(arriving * (onehot - sg(p) + p) c), by the chain rule."""
    p = softmax(z @ c.T)
    of_p = arriving @ c.T
    of_logits = p * (of_p - (p * of_p).sum(axis=1, keepdims=True))
    onehot = np.eye(len(c))[p.argmax(axis=1)]
    return of_logits @ c, onehot.T @ arriving + of_logits.T @ z


@pytest.mark.parametrize("training", [False, True])
def test_typed_out_tokens_latents_and_losses(training):
    # Products (2, 2, -9), (0.5, 4, -7.5), (-1, 0, 3): a tie goes to the first; by distance the third would be 0.
    latents = np.array([[[2.0, 1.0], [0.5, 2.0], [-1.0, 0.0]]], "float32")
    quantized = quantizer()(latents, training=training)
    assert quantized.tokens.numpy().tolist() == [[[0], [1], [2]]]
    assert quantized.latents.numpy().tolist() == [CODEBOOK.tolist()]
    # (1 + 1 + 0.25 + 4 + 9) / 6.
    assert list(quantized.losses) == ["double_quantization", "commitment", "codebook"]
    for loss in quantized.losses.values():
        assert float(loss) == pytest.approx(15.25 / 6)


def test_the_result_has_gradients_to_the_latents_and_to_every_code():
    latents, codebook = random()
    arriving = np.random.default_rng(1).normal(size=(40, 4))
    layer = quantizer(codebook)
    of_latents, of_codebook = gradients(
        lambda quantized: keras.ops.sum(quantized.latents[0] * arriving.astype("float32")), layer, latents
    )
    z, c = latents[0].astype("float64"), codebook.astype("float64")
    expected = through_the_indices(z, c, arriving)
    np.testing.assert_allclose(of_latents[0], expected[0], atol=1e-5)
    np.testing.assert_allclose(of_codebook, expected[1], atol=1e-5)
    # In training the result is that of inference, to the last bit.
    np.testing.assert_array_equal(layer(latents, training=True).latents, layer.decode(layer.encode(latents)))


def test_one_latent_vector_moves_all_codes():
    latents, codebook = random()
    of_latents, of_codebook = gradients(
        lambda quantized: keras.ops.sum(quantized.latents), quantizer(codebook), latents[:, :1]
    )
    assert (np.abs(of_codebook).max(axis=1) > 1e-6).all()


def test_each_loss_has_the_gradient_of_its_formula():
    latents, codebook = random()
    layer = quantizer(codebook)
    z, c = latents[0].astype("float64"), codebook.astype("float64")
    tokens = (z @ c.T).argmax(axis=1)
    np.testing.assert_array_equal(layer.encode(latents)[0, :, 0], tokens)
    difference = 2 * (c[tokens] - z) / z.size

    of_latents, of_codebook = gradients(lambda quantized: quantized.losses["double_quantization"], layer, latents)
    through = through_the_indices(z, c, difference)
    np.testing.assert_allclose(of_latents[0], through[0] - difference, atol=1e-6)
    np.testing.assert_allclose(of_codebook, through[1], atol=1e-6)

    of_latents, of_codebook = gradients(lambda quantized: quantized.losses["commitment"], layer, latents)
    np.testing.assert_allclose(of_latents[0], -difference, atol=1e-6)
    assert of_codebook is None

    of_latents, of_codebook = gradients(lambda quantized: quantized.losses["codebook"], layer, latents)
    assert of_latents is None
    expected = np.zeros_like(c)
    np.add.at(expected, tokens, difference)
    np.testing.assert_allclose(of_codebook, expected, atol=1e-6)


def test_losses_in_inference_are_those_of_training():
    latents, codebook = random()
    layer = quantizer(codebook, extra_losses={"entropy": similarity_entropy_loss})
    one, other = layer(latents), layer(latents, training=True)
    assert list(one.losses) == ["double_quantization", "commitment", "codebook", "entropy"] == list(layer.loss_names)
    for name in layer.loss_names:
        assert float(one.losses[name]) == pytest.approx(float(other.losses[name]), rel=1e-5)


def test_a_code_far_behind_the_others_comes_back():
    # No latent chooses the third code. Its gradient comes through its probability alone.
    rng = np.random.default_rng(0)
    latents = (np.array([[2.0, 2.0]]) + rng.normal(size=(300, 2))).astype("float32")[None]
    start = np.array([[2.0, 1.0], [1.0, 2.0], [0.3, 0.2]], "float32")
    layer = quantizer(start)
    assert set(np.unique(layer.encode(latents))) == {0, 1}
    with tf.GradientTape() as tape:
        loss = layer(latents, training=True).losses["double_quantization"]
    (gradient,) = tape.gradient(loss, layer.trainable_variables)
    assert np.abs(gradient[2]).max() > 1e-3


@pytest.mark.parametrize("grid", [(6,), (2, 3), (1, 3, 2)])
@pytest.mark.parametrize("training", [False, True])
def test_grids(grid, training):
    latents, codebook = random(n=12)
    flat = quantizer(codebook)(latents, training=training)
    quantized = quantizer(codebook)(latents.reshape(2, *grid, 4), training=training)
    np.testing.assert_array_equal(quantized.tokens, flat.tokens.numpy().reshape(2, *grid, 1))
    np.testing.assert_array_equal(quantized.latents, flat.latents.numpy().reshape(2, *grid, 4))


def test_masked_losses_are_those_of_the_real_positions_and_padding_trains_no_code():
    latents, codebook = random()
    mask = np.random.default_rng(2).random((1, 40)) < 0.5
    layer = quantizer(codebook, extra_losses={"entropy": similarity_entropy_loss})
    masked, alone = layer(latents, mask=mask), layer(latents[mask][None])
    for name in layer.loss_names:
        assert float(masked.losses[name]) == pytest.approx(float(alone.losses[name]), rel=1e-5)
    with tf.GradientTape() as tape:
        quantized = layer(latents, training=True, mask=mask)
        total = tf.reduce_sum(quantized.latents[tf.constant(~mask)])
    assert not any(np.any(g) for g in tape.gradient(total, layer.trainable_variables))
    assert not quantized.tokens.numpy()[~mask].any()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_graph_of_unknown_size_trains_alike(jit_compile):
    latents, codebook = random()
    layer = quantizer(codebook)

    @tf.function(jit_compile=jit_compile, input_signature=[tf.TensorSpec((None, None, 4))])
    def step(latents):
        with tf.GradientTape() as tape:
            loss = layer(latents, training=True).losses["double_quantization"]
        return tape.gradient(loss, layer.codebook.value)

    _, expected = gradients(lambda quantized: quantized.losses["double_quantization"], layer, latents)
    np.testing.assert_allclose(step(latents), expected, atol=1e-6)


def test_config_round_trip():
    layer = IndexPropagationQuantizer(6, "ones", {"entropy": similarity_entropy_loss})
    again = IndexPropagationQuantizer.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.extra_losses == {"entropy": similarity_entropy_loss}
    assert set(layer.get_config()) - {"name", "trainable", "dtype"} == {"codebook_size", "initializer", "extra_losses"}


def test_new_codes_are_standard_normal():
    layer = IndexPropagationQuantizer(500)
    layer.build((None, 100))
    assert float(keras.ops.std(layer.codebook)) == pytest.approx(1.0, abs=0.02)


def test_the_portable_form_gives_the_same_tokens_and_codes():
    latents, codebook = random(400, 50)
    layer = quantizer(codebook)
    inputs, tokens = keras.Input((None, 4)), keras.Input((None, 1), dtype="int32")
    encoder = keras.Model(inputs, layer.portable_encode(inputs))
    decoder = keras.Model(tokens, layer.portable_decode(tokens))
    expected = layer.encode(latents)
    assert len(np.unique(expected)) > 20
    np.testing.assert_array_equal(encoder(latents), expected)
    np.testing.assert_array_equal(decoder(expected), layer.decode(expected))
