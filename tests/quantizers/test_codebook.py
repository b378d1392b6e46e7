import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import nearest
from vqzoo.quantizers import CodebookQuantizer

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
    with pytest.raises(ValueError, match=r"Tokens of codebook 0 lie in \[0, 3\)"):
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
