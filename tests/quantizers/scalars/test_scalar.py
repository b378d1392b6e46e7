import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.quantizers import BinarySphericalQuantizer
from vqzoo.quantizers import FiniteScalarQuantizer
from vqzoo.quantizers import LookupFreeQuantizer
from vqzoo.quantizers.scalars.scalar import ScalarQuantizer

MAKERS = {
    "finite": lambda: FiniteScalarQuantizer((8, 5, 5)),
    "symmetric": lambda: FiniteScalarQuantizer((2, 3, 4), symmetric=True),
    "lookup_free": lambda: LookupFreeQuantizer(3, scale=0.3),
    "spherical": lambda: BinarySphericalQuantizer(3),
}
each = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def latents_of(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@each
def test_every_grid_is_quantized_vector_by_vector(make):
    quantizer, vectors = make(), latents_of((24, 3))
    expected = quantizer(vectors)
    assert len(np.unique(expected.tokens)) > 5
    for shape in ((24,), (2, 12), (2, 3, 4), (2, 3, 2, 2)):
        quantized = quantizer(vectors.reshape(*shape, 3))
        np.testing.assert_array_equal(quantized.tokens, expected.tokens.numpy().reshape(*shape, 1))
        np.testing.assert_array_equal(quantized.latents, expected.latents.numpy().reshape(*shape, 3))
        np.testing.assert_array_equal(quantizer.encode(vectors.reshape(*shape, 3)), quantized.tokens)
        np.testing.assert_array_equal(quantizer.decode(quantized.tokens), quantized.latents)
        for name, loss in quantized.losses.items():
            np.testing.assert_allclose(loss, expected.losses[name], rtol=1e-5)


@each
@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_same_in_a_graph_of_any_size(make, jit_compile):
    quantizer, latents = make(), latents_of((2, 3, 4, 3))
    quantizer.build((None, None, None, 3))
    spec = [tf.TensorSpec((2, 3, 4, 3) if jit_compile else (None, None, None, 3))]
    quantized = tf.function(lambda x: quantizer(x), input_signature=spec, jit_compile=jit_compile)(latents)
    np.testing.assert_array_equal(quantized.tokens, quantizer.encode(latents))
    np.testing.assert_array_equal(quantized.latents, quantizer.decode(quantized.tokens))


@each
def test_padded_positions(make):
    quantizer, latents = make(), latents_of((2, 4, 3))
    mask = np.array([[True, True, False, False], [True, False, True, True]])
    quantized = quantizer(np.where(mask[..., None], latents, np.nan), mask=mask)
    real = quantizer(latents[mask])
    np.testing.assert_array_equal(quantized.tokens[mask], real.tokens)
    np.testing.assert_array_equal(quantized.tokens[~mask], 0)
    np.testing.assert_array_equal(quantizer.encode(latents, mask), quantized.tokens)
    np.testing.assert_array_equal(quantizer.decode(quantized.tokens), quantized.latents)
    for name, loss in quantized.losses.items():
        np.testing.assert_allclose(loss, real.losses[name], rtol=1e-5)
    # A mask that comes with the tensor, as from an Embedding, does the same.
    masked = tf.constant(latents)
    keras.src.backend.set_keras_mask(masked, tf.constant(mask))
    np.testing.assert_array_equal(quantizer(masked).tokens, quantized.tokens)


@each
def test_padded_positions_give_the_losses_no_gradient(make):
    quantizer, latents = make(), tf.constant(latents_of((2, 4, 3)) / 50)
    mask = np.array([[True, True, False, False], [True, False, True, True]])
    for name in quantizer.loss_names:
        with tf.GradientTape() as tape:
            tape.watch(latents)
            loss = quantizer(latents, mask=mask).losses[name]
        gradient = tape.gradient(loss, latents).numpy()
        assert np.abs(gradient[mask]).max() > 0
        np.testing.assert_array_equal(gradient[~mask], 0.0)


@each
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_latents_of_another_precision(make, dtype):
    # Steps of bfloat16 are 2^-8: sums and products in it would round to other tokens.
    latents = tf.cast(latents_of((200, 3)), dtype)
    expected = make()(tf.cast(latents, "float32"))
    keras.config.set_dtype_policy("mixed_bfloat16" if dtype == "bfloat16" else "mixed_float16")
    try:
        quantized = make()(latents)
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(quantized.tokens, expected.tokens)
    np.testing.assert_array_equal(quantized.latents, expected.latents)
    assert quantized.latents.dtype == tf.float32
    for name, loss in quantized.losses.items():
        assert float(loss) == float(expected.losses[name])


@each
def test_the_codebook_has_the_codes_of_all_tokens(make):
    quantizer = make()
    tokens = np.arange(quantizer.codebook_size)[:, None]
    assert quantizer.codebook.shape == (quantizer.codebook_size, 3)
    assert quantizer.codebook_sizes == (quantizer.codebook_size,)
    np.testing.assert_array_equal(quantizer.codebook, quantizer.decode(tokens))
    assert len(np.unique(quantizer.codebook, axis=0)) == quantizer.codebook_size


def test_a_huge_codebook_is_computed_for_chosen_tokens_alone():
    quantizer = LookupFreeQuantizer(31)
    assert quantizer.codebook_sizes == (2**31,)
    with pytest.raises(
        ValueError, match="at most 268,435,456 values. Received: 2,147,483,648 codes of width 31. Use `decode`"
    ):
        _ = quantizer.codebook
    np.testing.assert_array_equal(quantizer.decode(np.array([[[0], [2**31 - 1]]])), [[31 * [-1.0], 31 * [1.0]]])


@each
def test_tokens_out_of_range(make):
    quantizer = make()
    size = quantizer.codebook_size
    for tokens in ([[[-1]]], [[[size]]]):
        with pytest.raises(ValueError, match=rf"Tokens of codebook 0 must be in \[0, {size}\)"):
            quantizer.decode(np.array(tokens))
    clipped = tf.function(quantizer.decode)(tf.constant([[[-1], [size]]]))
    np.testing.assert_array_equal(clipped, quantizer.decode(np.array([[[0], [size - 1]]])))


@each
def test_latents_of_another_width_are_refused(make):
    with pytest.raises(
        ValueError, match=r"one digit of the token, so there must be 3 channels. Received: input shape \(2, 5, 4\)"
    ):
        make()(latents_of((2, 5, 4)))
    for call in (make().encode, make().call):
        with pytest.raises(ValueError, match=r"latent_dim=3. Received: shape=\(2, 5, 4\)"):
            call(latents_of((2, 5, 4)))
    with pytest.raises(ValueError, match=r"Received: input shape \(None, None, None\).* 3 channels"):
        make().build((None, None, None))


@each
def test_latents_that_are_not_finite_are_refused(make):
    with pytest.raises(ValueError, match="1 of 3 values that are not, the first, nan"):
        make().encode(np.array([[0.0, np.nan, 1.0]], "float32"))


@each
def test_nothing_is_learnt_or_added_to_the_layers_losses(make):
    quantizer = make()
    quantizer(latents_of((2, 5, 3)), training=True)
    assert not quantizer.variables
    assert not quantizer.losses


@each
def test_the_portable_form_is_of_keras_alone(make, tmp_path):
    quantizer, latents = make(), latents_of((2, 5, 3))
    inputs, tokens = keras.Input((None, 3)), keras.Input((None, 1), dtype="int32")
    encoder = keras.Model(inputs, quantizer.portable_encode(inputs))
    decoder = keras.Model(tokens, quantizer.portable_decode(tokens))
    for model in (encoder, decoder):
        assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)
        model.save(tmp_path / "it.keras")
        again = keras.models.load_model(tmp_path / "it.keras")
        given = latents if model is encoder else quantizer.encode(latents)
        wanted = given if model is decoder else quantizer.encode(latents)
        np.testing.assert_array_equal(again(given), wanted if model is encoder else quantizer.decode(wanted))


def test_a_subclass_writes_the_rounding():
    with pytest.raises(NotImplementedError):
        ScalarQuantizer((3, 3), 1.0, 1.0).encode(latents_of((4, 2)))
