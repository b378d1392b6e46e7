import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import nearest
from vqzoo.ops import rotation_trick
from vqzoo.ops import straight_through
from vqzoo.quantizers import EMAVectorQuantizer
from vqzoo.quantizers import VectorQuantizer
from vqzoo.quantizers import entropy_loss
from vqzoo.quantizers import orthogonality_loss
from vqzoo.quantizers.tables.codebook import CodebookQuantizer

CODEBOOK = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], "float32")


def quantizer(codebook=CODEBOOK):
    made = CodebookQuantizer(len(codebook))
    made.build((None, None, codebook.shape[1]))
    made.codebook.assign(codebook)
    return made


@pytest.mark.parametrize("size", [0, -3, 2.0, "8", None])
def test_the_size_is_a_positive_integer(size):
    with pytest.raises(ValueError, match=f"`codebook_size` is a positive integer. Received: codebook_size={size!r}"):
        CodebookQuantizer(size)


def test_the_width_of_the_latents_must_be_known():
    with pytest.raises(
        ValueError, match=r"last axis.*must be known.*Received: input shape \(None, 4, None\).*fixed number"
    ):
        CodebookQuantizer(8).build((None, 4, None))


def test_the_codebook_starts_uniform_between_one_over_its_size():
    layer = CodebookQuantizer(100)
    layer.build((None, 500))
    codebook = layer.codebook.numpy()
    assert codebook.shape == (100, 500)
    assert -0.01 <= codebook.min() < -0.0099
    assert 0.0099 < codebook.max() <= 0.01
    assert abs(codebook.std() - 0.02 / 12**0.5) < 1e-4


def test_the_codebook_starts_from_the_initializer():
    layer = CodebookQuantizer(3, initializer="ones")
    layer.build((None, 2))
    assert layer.codebook.numpy().tolist() == [[1.0, 1.0]] * 3


def test_properties():
    assert quantizer().codebook_sizes == (3,)
    assert quantizer().num_codebooks == 1
    assert quantizer().latent_dim == 2


@pytest.mark.parametrize("grid", [(4,), (2, 2), (1, 2, 1, 2)])
def test_typed_out_answers_in_every_grid(grid):
    latents = np.array([[0.4, 0.1], [0.6, 0.1], [0.1, 0.9], [0.1, 1.1]], "float32").reshape(1, *grid, 2)
    tokens = quantizer().encode(latents)
    assert tokens.dtype == "int32"
    assert tokens.numpy().tolist() == np.array([0, 1, 0, 2]).reshape(1, *grid, 1).tolist()
    codes = quantizer().decode(tokens)
    assert codes.dtype == "float32"
    assert codes.numpy().tolist() == CODEBOOK[[0, 1, 0, 2]].reshape(1, *grid, 2).tolist()


@pytest.mark.parametrize(
    "make", [list, np.array, tf.constant, lambda x: np.array(x, "uint8"), lambda x: np.array(x, "int64")]
)
def test_decode_takes_every_kind_of_integers(make):
    assert quantizer().decode(make([[[2], [0]]])).numpy().tolist() == [[[0.0, 2.0], [0.0, 0.0]]]


@pytest.mark.parametrize("tokens", [[[3]], [[-1]]])
def test_decode_refuses_tokens_out_of_range(tokens):
    with pytest.raises(ValueError, match=r"Tokens of codebook 0 must be in \[0, 3\)"):
        quantizer().decode(tokens)


def test_decode_clips_tokens_in_a_graph():
    layer = quantizer()
    codes = tf.function(layer.decode)(tf.constant([[-1], [3], [2**31 - 1], [1]]))
    assert codes.numpy().tolist() == CODEBOOK[[0, 2, 2, 1]].tolist()


def test_any_batch_and_grid_in_one_graph_and_in_pieces(monkeypatch):
    monkeypatch.setattr(nearest, "DISTANCES_AT_ONCE", 12)
    layer = quantizer()
    encode = tf.function(layer.encode, input_signature=[tf.TensorSpec((None, None, None, 2))])
    for shape in ((2, 3, 4, 2), (1, 1, 1, 2), (0, 3, 3, 2)):
        latents = np.random.default_rng(0).normal(size=shape).astype("float32")
        expected = ((latents[..., None, :] - CODEBOOK) ** 2).sum(axis=-1).argmin(axis=-1)[..., None]
        np.testing.assert_array_equal(encode(latents), expected)


def test_the_portable_form_gives_the_same_tokens_and_codes():
    rng = np.random.default_rng(0)
    codebook, vectors = (rng.normal(size=(n, 3)).astype("float32") for n in (50, 400))
    layer = quantizer(codebook)
    latents, tokens = keras.Input((None, 3)), keras.Input((None, 1), dtype="int32")
    encoder = keras.Model(latents, layer.portable_encode(latents))
    decoder = keras.Model(tokens, layer.portable_decode(tokens))
    expected = layer.encode(vectors[None])
    np.testing.assert_array_equal(encoder(vectors[None]), expected)
    np.testing.assert_array_equal(decoder(expected), codebook[expected.numpy()[..., 0]])
    assert {type(part).__module__.split(".")[0] for part in encoder.layers + decoder.layers} == {"keras"}


def test_the_portable_form_tells_codes_apart_that_share_a_large_offset(tmp_path):
    rng = np.random.default_rng(0)
    codebook, vectors = (100.0 + 0.1 * rng.normal(size=(n, 3)).astype("float32") for n in (50, 400))
    layer = quantizer(codebook)
    latents = keras.Input((None, 3))
    keras.Model(latents, layer.portable_encode(latents)).save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(again(vectors[None]), layer.encode(vectors[None]))


CLASSES = pytest.mark.parametrize("cls", [VectorQuantizer, EMAVectorQuantizer])


def made(cls, codebook=CODEBOOK, **options):
    if cls is EMAVectorQuantizer:
        options = {"kmeans_steps": 0, "restart_below": 0.0, **options}
    layer = cls(len(codebook), **options)
    layer.build((None, None, codebook.shape[1]))
    layer.assign_codebook(codebook)
    return layer


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_the_estimator_is_a_callable():
    with pytest.raises(
        ValueError, match="`estimator` must be a callable .* vqzoo.ops.rotation_trick. Received: estimator='st'"
    ):
        VectorQuantizer(4, estimator="st")


@pytest.mark.parametrize("temperature", [-0.1, float("nan"), keras.optimizers.schedules.CosineDecay(1.0, 10)])
def test_the_temperature_is_a_number_and_not_negative(temperature):
    with pytest.raises(ValueError, match="`temperature` is a number, 0 or more. Received: .* is for GumbelQuantizer"):
        VectorQuantizer(4, temperature=temperature)


@CLASSES
def test_the_estimator_makes_the_gradient_and_not_the_result(cls):
    codebook, latents, arriving = random(9, 4), tf.constant(random(2, 10, 4, seed=1)), random(2, 10, 4, seed=2)
    found = {}
    for estimator in (straight_through, rotation_trick):
        layer = made(cls, codebook, estimator=estimator)
        with tf.GradientTape() as tape:
            tape.watch(latents)
            quantized = layer(latents)
            total = tf.reduce_sum(quantized.latents * arriving)
        np.testing.assert_array_equal(quantized.latents, codebook[quantized.tokens.numpy()[..., 0]])
        found[estimator] = tape.gradient(total, latents).numpy()
    np.testing.assert_array_equal(found[straight_through], arriving)
    codes = codebook[quantized.tokens.numpy()[..., 0]]
    with tf.GradientTape() as tape:
        tape.watch(latents)
        total = tf.reduce_sum(rotation_trick(codes, latents) * arriving)
    np.testing.assert_allclose(found[rotation_trick], tape.gradient(total, latents), rtol=1e-5, atol=1e-6)
    assert np.abs(found[rotation_trick] - arriving).max() > 0.5


@CLASSES
def test_a_temperature_draws_tokens_in_training_alone(cls):
    layer = made(cls, temperature=2.0, seed=1)
    latents = np.tile(np.array([0.4, 0.5], "float32"), (1, 20_000, 1))
    # Squared distances 0.41, 0.61 and 2.41.
    expected = np.exp(-np.array([0.41, 0.61, 2.41]) / 2.0)
    quantized = layer(latents, training=True)
    shares = np.bincount(quantized.tokens.numpy().ravel(), minlength=3) / 20_000
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.015)
    np.testing.assert_array_equal(quantized.latents, CODEBOOK[quantized.tokens.numpy()[..., 0]])
    drawn = CODEBOOK[quantized.tokens.numpy()[0, :, 0]]
    commitment = float(quantized.losses["commitment"])
    assert commitment == pytest.approx(np.mean((latents[0] - drawn) ** 2), rel=1e-4)
    layer.assign_codebook(CODEBOOK)
    for tokens in (layer(latents).tokens, layer.encode(latents), layer(latents, training=False).tokens):
        assert not tokens.numpy().any()
    again = made(cls, temperature=2.0, seed=1)(latents, training=True).tokens
    np.testing.assert_array_equal(again, quantized.tokens)


def test_without_a_temperature_there_is_no_random_state():
    assert [v.name for v in made(VectorQuantizer).variables] == ["codebook"]
    assert sorted(v.name for v in made(VectorQuantizer, temperature=0.1).variables) == [
        "codebook",
        "seed_generator_state",
    ]


def test_the_moving_average_follows_the_drawn_tokens():
    layer = made(EMAVectorQuantizer, temperature=2.0, seed=1, decay=0.5)
    latents = random(1, 100, 2)
    tokens = layer(latents, training=True).tokens.numpy().ravel()
    assert (tokens != made(VectorQuantizer).encode(latents).numpy().ravel()).any()
    np.testing.assert_allclose(layer.counts, 0.5 + 0.5 * np.bincount(tokens, minlength=3), rtol=1e-5)


@CLASSES
def test_config_round_trip(cls):
    layer = cls(
        5,
        keras.initializers.RandomNormal(seed=3),
        estimator=rotation_trick,
        temperature=0.25,
        extra_losses={"entropy": entropy_loss, "orthogonality": orthogonality_loss},
        seed=7,
    )
    config = layer.get_config()
    again = cls.from_config(config)
    assert again.get_config() == config
    assert again.estimator is rotation_trick
    assert again.extra_losses == {"entropy": entropy_loss, "orthogonality": orthogonality_loss}
    assert (again.temperature, again.seed) == (0.25, 7)
    for one in (layer, again):
        one.build((None, 4))
    np.testing.assert_array_equal(layer.codebook, again.codebook)
    assert cls.from_config(cls(5).get_config()).estimator is straight_through


@CLASSES
def test_a_keras_file_keeps_estimator_and_extra_losses(cls, tmp_path):
    inputs = keras.Input((None, 2))
    layer = made(cls, estimator=rotation_trick, extra_losses={"entropy": entropy_loss}, name="it")
    keras.Model(inputs, layer(inputs)).save(tmp_path / "it.keras")
    again = keras.models.load_model(tmp_path / "it.keras").get_layer("it")
    assert again.estimator is rotation_trick
    latents = random(1, 30, 2)
    assert float(again(latents).losses["entropy"]) == float(layer(latents).losses["entropy"])
