"""Arrays from Python: what `encode` and `decode` refuse, and what they say."""

import keras
import numpy as np
import pytest

import vqzoo

X = np.zeros((1, 8, 8, 3), "float32")
T = np.zeros((1, 2, 2, 1), "int32")

SIGNALS = {
    "nan": (np.full_like(X, np.nan), "values up to nan in magnitude. NaN and infinity come from a damaged input"),
    "infinity": (np.full_like(X, -np.inf), "values up to inf in magnitude"),
    "pixels_as_floats": (X + 200, "values up to 200 in magnitude. Pass `x / 127.5 - 1`"),
    "pixels_of_8_bits": (X.astype("uint8"), "Received: dtype=uint8, shape=.*. Pass `x / 127.5 - 1`"),
    "booleans": (X > 0, "Received: dtype=bool"),
    "complex": (X.astype("complex64"), "Received: dtype=complex64"),
    "objects": (np.full((1, 8, 8, 3), None), "A signal must be an array.*Received: object .1, 8, 8, 3."),
    "nothing": (None, "A signal must be an array.*Received: None. A file is read by .*load_image.path..None.`"),
    "a_path": (
        "photo.png",
        "A signal must be an array.*Received: 'photo.png'. There is no file 'photo.png'. Check its name",
    ),
    "channels_first": (np.zeros((1, 3, 8, 8), "float32"), r"channels last.*Received: shape=\(1, 3, 8, 8\)"),
    "four_channels": (np.zeros((1, 8, 8, 4), "float32"), r"Received: shape=\(1, 8, 8, 4\)"),
    "no_batch_axis": (X[0], "Pass `x.None.`"),
    "no_rows": (X[:, :0], r"A signal must not be empty. Received: shape=\(1, 0, 8, 3\)"),
    "several_sizes": (
        [X[0], X[0, :5]],
        "a batch must have one shape. Received: a list of 2 ndarray. Call `.tokenizer.encode.one.None.. for one",
    ),
}
TOKENS = {
    "negative": (T - 1, r"Tokens of codebook 0 must be in \[0, 16\). Received: values from -1 to -1"),
    "too_large": (T + 16, "Received: values from 16 to 16. Were they made by another tokenizer"),
    "beyond_32_bits": (T.astype("int64") + 2**40, "Received: values from 1099511627776"),
    "floats": (T * 1.0, r"Tokens must be integers. Received: dtype=float64, shape=.*. Pass `x.astype\(.int32.\)`"),
    "booleans": (T > 0, "Tokens must be integers. Received: dtype=bool"),
    "objects": (T.astype(object), "Tokens must be integers, in an array. Received: object"),
    "text": (
        "tokens.npz",
        "Tokens must be integers, in an array. Received: 'tokens.npz'. There is no file 'tokens.npz'",
    ),
    "two_codebooks": (np.zeros((1, 2, 2, 2), "int32"), r"num_codebooks=1. Received: shape=\(1, 2, 2, 2\)"),
    "no_last_axis": (np.zeros((1, 2, 2), "int32"), r"Received: shape=\(1, 2, 2\). Pass `x.*None.`"),
    "no_batch_axis": (
        T[0],
        r"Received: shape=\(2, 2, 1\). Pass `x.None.`",
    ),
    "a_row": (T[:, 0], r"a grid of \('any', 'any'\) and num_codebooks=1. Received: shape=\(1, 2, 1\)"),
    "no_rows": (T[:, :0], r"Received: shape=\(1, 0, 2, 1\)"),
}
SIZES = {
    "larger": ((9, 8), r"at most \(8, 8\) for these tokens. Received: size=\(9, 8\)"),
    "negative": ((-1, 8), r"Received: size=\(-1, 8\)"),
    "floats": ((3.5, 8), r"Received: size=\(3.5, 8\)"),
    "one_number": (8, "`size` must be .height, width. in pixels. Received: size=8"),
    "text": ("ab", "Received: size='ab'"),
    "with_channels": ((8, 8, 3), r"Received: size=\(8, 8, 3\)"),
}


@pytest.mark.parametrize("row", SIGNALS)
@pytest.mark.parametrize("tiles", [{}, {"tile_size": 8}], ids=["whole", "in_tiles"])
def test_encode_refuses(row, tiles, tokenizer):
    signal, told = SIGNALS[row]
    with pytest.raises(ValueError, match=told):
        tokenizer.encode(signal, **tiles)


@pytest.mark.parametrize("row", TOKENS)
@pytest.mark.parametrize("tiles", [{}, {"tile_size": 8}], ids=["whole", "in_tiles"])
def test_decode_refuses(row, tiles, tokenizer):
    tokens, told = TOKENS[row]
    with pytest.raises(ValueError, match=told):
        tokenizer.decode(tokens, **tiles)


@pytest.mark.parametrize("row", SIZES)
@pytest.mark.parametrize("tiles", [{}, {"tile_size": 8}], ids=["whole", "in_tiles"])
def test_decode_refuses_the_size(row, tiles, tokenizer):
    size, told = SIZES[row]
    with pytest.raises(ValueError, match=told):
        tokenizer.decode(T, size=size, **tiles)


def test_an_empty_batch_is_no_error(tokenizer):
    assert tokenizer.encode(X[:0]).shape == (0, 2, 2, 1)
    assert tokenizer.decode(T[:0], size=(7, 5)).shape == (0, 7, 5, 3)


def test_a_grid_of_one_size_is_told():
    quantizer = vqzoo.VectorQuantizer(8, name="quantizer")
    dense = vqzoo.tokenizers.image_vqvae_dense((8, 8, 1), positions=4, hidden=(8,), latent_dim=2, quantizer=quantizer)
    with pytest.raises(
        ValueError, match=r"here with a grid of \(4,\) and num_codebooks=1. Received: shape=\(1, 5, 1\)"
    ):
        dense.decode(np.zeros((1, 5, 1), "int32"))


def test_training_without_an_optimizer(tokenizer):
    weights = {"l2": 1.0, **dict.fromkeys(tokenizer.quantizer.loss_names, 0.25)}
    trainer = vqzoo.ReconstructionTrainer(tokenizer, {"l2": vqzoo.losses.l2_loss}, weights)
    with pytest.raises(ValueError, match=r"call `compile\(\)` before using the model"):
        trainer.fit(X, verbose=0)


@pytest.mark.parametrize("bad", [np.nan, 255.0])
def test_training_on_bad_values_stops_before_the_first_step(tokenizer, bad):
    before = [np.asarray(weight) for weight in tokenizer.weights]
    weights = {"l2": 1.0, **dict.fromkeys(tokenizer.quantizer.loss_names, 0.25)}
    trainer = vqzoo.ReconstructionTrainer(tokenizer, {"l2": vqzoo.losses.l2_loss}, weights)
    trainer.compile(keras.optimizers.Adam(1e-3))
    with pytest.raises(ValueError, match="values up to (nan|255) in magnitude"):
        trainer.fit(X + bad, verbose=0)
    for weight, same in zip(tokenizer.weights, before, strict=True):
        np.testing.assert_array_equal(weight, same)
