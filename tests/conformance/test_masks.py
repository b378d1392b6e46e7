"""What stands in padded positions changes nothing, for every quantizer that takes a mask."""

import pathlib
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import zoo  # noqa: E402

# A scale of it mixes all positions; it refuses a mask.
MASKLESS = {"MultiScaleResidualQuantizer"}
each = pytest.mark.parametrize(
    "entry", [entry for entry in zoo.QUANTIZERS if entry.name not in MASKLESS], ids=lambda entry: entry.name
)
MASK = np.random.default_rng(0).random(zoo.LATENTS[:-1]) < 0.6
assert all(0 < example.sum() < example.size for example in MASK)


def padded(entry, value):
    return np.where(MASK[..., None], entry.inputs(), np.float32(value)).astype("float32")


def trained(entry, latents, mask, names):
    """A new quantizer, its result in training, the gradients of a loss that a decoder might have, and its state."""
    keras.utils.set_random_seed(0)
    quantizer = entry.built()
    latents = tf.constant(latents)
    with tf.GradientTape() as tape:
        tape.watch(latents)
        quantized = quantizer(latents, training=True, mask=mask)
        # A decoder looks at all positions, also at padded ones.
        total = tf.reduce_sum(tf.sin(quantized.latents)) + sum(quantized.losses[name] for name in names)
    gradients = tape.gradient(total, [latents, *(v.value for v in quantizer.trainable_variables)])
    gradients = [None if g is None else tf.convert_to_tensor(g).numpy() for g in gradients]
    return quantized, gradients, [v.numpy().copy() for v in quantizer.variables]


@each
@pytest.mark.parametrize("padding", [-3.0, 1e30, np.nan])
def test_padding_changes_neither_tokens_nor_losses_nor_gradients_nor_state(entry, padding):
    names = entry.built().loss_names
    expected, of_expected, state = trained(entry, padded(entry, 0.0), MASK, names)
    got, of_got, got_state = trained(entry, padded(entry, padding), MASK, names)
    assert not np.any(expected.tokens.numpy()[~MASK])
    np.testing.assert_array_equal(got.tokens, expected.tokens)
    np.testing.assert_array_equal(got.latents, expected.latents)
    for name in names:
        assert np.isfinite(float(got.losses[name]))
        assert float(got.losses[name]) == float(expected.losses[name]), name
    for one, other in zip(of_got, of_expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(of_got[0][MASK]).max() > 0
    assert not np.any(of_got[0][~MASK])
    for one, other in zip(got_state, state, strict=True):
        np.testing.assert_array_equal(one, other)


@each
def test_real_positions_have_the_tokens_that_they_have_without_padding(entry):
    quantizer = entry.built()
    tokens = quantizer.encode(padded(entry, 1e30), MASK).numpy()
    np.testing.assert_array_equal(tokens[MASK], quantizer.encode(entry.inputs()).numpy()[MASK])
    assert not np.any(tokens[~MASK])
    quantized = quantizer(padded(entry, 1e30), mask=MASK)
    np.testing.assert_array_equal(quantized.tokens, tokens)
    np.testing.assert_array_equal(quantized.latents, quantizer.decode(tokens))


@each
def test_padding_alone_is_no_training(entry):
    _, gradients, state = trained(entry, entry.inputs(), np.zeros_like(MASK), entry.built().loss_names)
    keras.utils.set_random_seed(0)
    for variable, value in zip(entry.built().variables, state, strict=True):
        if "seed" not in variable.path and variable.name != "steps":
            np.testing.assert_array_equal(value, variable.numpy(), err_msg=variable.path)
    for gradient in gradients:
        assert gradient is None or not np.any(gradient)


@each
def test_a_mask_of_another_grid_is_refused(entry):
    with pytest.raises(
        ValueError, match=r"A mask must have the shape \(batch, \*grid\), here \(3, 4, 5\).*shape=\(3, 4\)"
    ):
        entry.built().encode(entry.inputs(), MASK[..., 0])
    with pytest.raises(ValueError, match=r"A mask must have the shape \(batch, \*grid\)"):
        entry.built()(entry.inputs(), mask=MASK[:, :3])
