import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import mask_until
from vqzoo.ops import masked_gradient
from vqzoo.ops import masked_mean
from vqzoo.ops import masked_tokens

MASK = np.array([[True, False, True], [False, False, True]])


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint16"])
def test_a_row_is_real_up_to_its_first_end(dtype):
    ids = np.random.default_rng(0).integers(0, 6, (200, 9)).astype(dtype)
    for row, mask in zip(ids, np.asarray(mask_until(ids, 3)), strict=True):
        length = list(row).index(3) + 1 if 3 in row else 9
        np.testing.assert_array_equal(mask, np.arange(9) < length)


def test_mean_of_everything_without_a_mask():
    assert float(masked_mean(np.array([[1.0, 2.0], [3.0, 6.0]], "float32"))) == 3.0


def test_typed_out_mean_of_the_real_positions():
    values = np.array([[1.0, 50.0, 2.0], [60.0, 70.0, 6.0]], "float32")
    assert float(masked_mean(values, MASK)) == 3.0
    # With channels, a position counts by the mean of its channels: (2, 3 and 7) / 3.
    channels = np.stack([values, values + 2.0 * MASK], axis=-1)
    assert float(masked_mean(channels, MASK)) == 4.0


@pytest.mark.parametrize("grid", [(), (5,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("channels", [(), (6,)])
def test_equals_numpys_mean_of_the_real_positions(grid, channels):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(7, *grid, *channels)).astype("float32")
    mask = rng.random((7, *grid)) < 0.4
    assert 0 < mask.sum() < mask.size
    assert float(masked_mean(values, mask)) == pytest.approx(values[mask].mean(), rel=1e-5)


@pytest.mark.parametrize("padding", [1e30, np.inf, np.nan])
def test_what_stands_in_padded_positions_does_not_matter(padding):
    values = np.where(MASK[..., None], 3.0, padding).astype("float32")
    assert float(masked_mean(values, MASK)) == 3.0


@pytest.mark.parametrize("dtype", ["bool", "int32", "float32"])
def test_every_dtype_of_a_mask(dtype):
    assert float(masked_mean(np.array([[1.0, 9.0, 3.0], [9.0, 9.0, 5.0]], "float32"), MASK.astype(dtype))) == 3.0
    assert masked_tokens(np.full((2, 3, 1), 7, "int32"), MASK.astype(dtype)).numpy().sum() == 21


def test_half_precision_is_averaged_in_float32():
    # 4,000 times 60 is beyond float16.
    mean = masked_mean(tf.fill((1, 4000), tf.constant(60.0, "float16")), np.ones((1, 4000), bool))
    assert mean.dtype == "float32"
    assert float(mean) == 60.0


def test_no_real_position_gives_zero_and_not_nan():
    assert float(masked_mean(np.full((2, 3), np.nan, "float32"), np.zeros((2, 3), bool))) == 0.0


def test_the_gradient_reaches_real_positions_alone():
    values = tf.constant(np.random.default_rng(0).normal(size=(2, 3, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(values)
        mean = masked_mean(tf.square(values), MASK)
    expected = np.where(MASK[..., None], 2 * values / (3 * 4), 0.0)
    np.testing.assert_allclose(tape.gradient(mean, values), expected, rtol=1e-6)


def test_tokens_of_padded_positions_are_0_in_every_codebook():
    tokens = np.arange(1, 13, dtype="int32").reshape(2, 3, 2)
    masked = masked_tokens(tokens, MASK)
    assert masked.dtype == "int32"
    assert masked.numpy().tolist() == [[[1, 2], [0, 0], [5, 6]], [[0, 0], [0, 0], [11, 12]]]
    assert masked_tokens(tokens) is tokens


def test_masked_gradient_is_the_identity_with_a_gradient_at_real_positions():
    values = tf.constant(np.random.default_rng(0).normal(size=(2, 3, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = masked_gradient(values, MASK)
        total = keras.ops.sum(result * result)
    np.testing.assert_array_equal(result, values)
    np.testing.assert_allclose(tape.gradient(total, values), np.where(MASK[..., None], 2 * values, 0.0), rtol=1e-6)
    assert masked_gradient(values) is values


@pytest.mark.parametrize("jit_compile", [False, True])
def test_unknown_shapes_in_a_graph(jit_compile):
    signature = [tf.TensorSpec((None, None, 2)), tf.TensorSpec((None, None), tf.bool)]

    @tf.function(jit_compile=jit_compile, input_signature=signature)
    def function(values, mask):
        return masked_mean(values, mask), masked_gradient(values, mask), masked_tokens(tf.cast(values, "int32"), mask)

    values = np.arange(12, dtype="float32").reshape(2, 3, 2)
    mean, same, tokens = function(values, MASK)
    assert float(mean) == values[MASK].mean()
    np.testing.assert_array_equal(same, values)
    np.testing.assert_array_equal(tokens, values * MASK[..., None])


@pytest.mark.parametrize("shape", [(0, 4), (0, 4, 3)])
def test_the_mean_of_an_empty_batch_is_zero_and_not_nan(shape):
    function = tf.function(masked_mean, input_signature=[tf.TensorSpec((None, *shape[1:]))])
    values = tf.zeros(shape)
    with tf.GradientTape() as tape:
        tape.watch(values)
        mean = masked_mean(values)
    assert float(mean) == float(function(values)) == float(masked_mean(values, np.zeros(shape[:2], bool))) == 0.0
    assert tape.gradient(mean, values).shape == shape
    assert float(function(tf.fill((2, *shape[1:]), 3.0))) == 3.0
