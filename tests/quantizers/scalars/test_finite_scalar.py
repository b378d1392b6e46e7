import numpy as np
import pytest
import tensorflow as tf

from vqzoo.quantizers import FiniteScalarQuantizer

LEVELS = [(8, 5, 5, 5), (3,), (2,), (2, 2, 2), (7, 6, 5, 4), (16, 3), (1000,), (65536,), (501, 4)]
each = pytest.mark.parametrize("levels", LEVELS, ids=str)
symmetric_or_not = pytest.mark.parametrize("symmetric", [False, True])


def bound(latents, levels, symmetric):
    """The bounded latents, their rounding, the step of a code and the lowest code, in float64."""
    sizes = np.array(levels, "float64")
    if symmetric:
        bounded = (np.tanh(latents) + 1) * (sizes - 1) / 2
        return bounded, np.floor(bounded + 0.5), 2 / (sizes - 1), np.full_like(sizes, -1.0)
    half = (sizes - 1) * 1.001 / 2
    offset = np.where(sizes % 2 == 1, 0.0, 0.5)
    bounded = np.tanh(latents + np.arctanh(offset / half)) * half - offset
    return bounded, np.round(bounded), 1 / (sizes // 2), np.zeros_like(sizes)


def oracle(latents, levels, symmetric=False):
    """Tokens and codes, and how far the nearest border is (in levels), in float64."""
    bounded, rounded, step, start = bound(latents.astype("float64"), levels, symmetric)
    lowest = 0 if symmetric else -(np.array(levels) // 2)
    # Beyond a thousand levels, the margin of 1.001 reaches beyond the outermost.
    rounded = np.clip(rounded, lowest, lowest + np.array(levels) - 1)
    tokens = ((rounded - lowest).astype("int64") * np.cumprod([1, *levels[:-1]])).sum(axis=-1)
    return tokens, rounded * step + start, np.abs(np.abs(bounded - rounded) - 0.5).min(axis=-1)


def middle_of(tokens, levels, symmetric):
    """Latents whose bounded value is the very code of each token."""
    sizes = np.array(levels, "float64")
    digits = tokens // np.cumprod([1, *levels[:-1]]) % levels
    if symmetric:
        return np.arctanh(np.clip(digits * 2 / (sizes - 1) - 1, -1 + 1e-9, 1 - 1e-9))
    half = (sizes - 1) * 1.001 / 2
    offset = np.where(sizes % 2 == 1, 0.0, 0.5)
    return np.arctanh((digits - sizes // 2 + offset) / half) - np.arctanh(offset / half)


def test_typed_out_tokens_and_codes():
    # Of 4 levels -1, -1/2, 0, 1/2, of 3 levels -1, 0, 1. Half: 1.5015 and 1.001; a = artanh(0.5 / 1.5015) = 0.3461.
    # tanh(0.3461) * 1.5015 - 0.5 = 0; tanh(0.8461) * 1.5015 - 0.5 = 0.534; tanh(-0.6539) * 1.5015 - 0.5 = -1.362;
    # tanh(0.54) * 1.001 = 0.494; tanh(0.56) * 1.001 = 0.508.
    latents = np.array([[[0.0, 0.0], [0.5, 0.54], [-1.0, 0.56], [-9.0, -9.0], [9.0, 9.0]]])
    quantized = FiniteScalarQuantizer((4, 3))(latents)
    assert quantized.latents.numpy().tolist() == [[[0, 0], [0.5, 0], [-0.5, 1], [-1, -1], [0.5, 1]]]
    assert quantized.tokens.numpy()[0, :, 0].tolist() == [2 + 4, 3 + 4, 1 + 8, 0, 3 + 8]
    assert quantized.losses == {}
    assert FiniteScalarQuantizer((4, 3)).loss_names == ()


def test_typed_out_symmetric_codes():
    latents = np.array([[[-0.1, 0.0, 0.0, -9.0], [0.0, 0.54, 0.9, 9.0]]])
    quantized = FiniteScalarQuantizer((2, 3, 4, 5), symmetric=True)(latents)
    # (tanh(0.9) + 1) * 1.5 = 2.57; and 0 between two levels goes up.
    expected = [[[-1, 0, 1 / 3, -1], [1, 0, 1, 1]]]
    np.testing.assert_allclose(quantized.latents, expected, rtol=1e-6)
    assert quantized.tokens.numpy()[0, :, 0].tolist() == [0 + 2 * 1 + 6 * 2 + 0, 1 + 2 * 1 + 6 * 3 + 24 * 4]


@each
@symmetric_or_not
def test_every_token_has_one_code_and_every_code_one_token(levels, symmetric):
    quantizer = FiniteScalarQuantizer(levels, symmetric)
    size = int(np.prod(levels))
    assert quantizer.codebook_sizes == (size,)
    tokens = np.arange(size)[:, None]
    codes = quantizer.decode(tokens).numpy()
    assert len(np.unique(codes, axis=0)) == size
    assert codes.min() == -1.0 and codes.max() <= 1.0
    np.testing.assert_array_equal(quantizer.encode(middle_of(tokens, levels, symmetric)), tokens)
    expected_tokens, expected_codes, _ = oracle(middle_of(tokens, levels, symmetric), levels, symmetric)
    np.testing.assert_array_equal(expected_tokens, tokens[:, 0])
    np.testing.assert_allclose(codes, expected_codes, atol=1e-6)


@each
@symmetric_or_not
def test_tokens_and_codes_equal_the_formula(levels, symmetric):
    latents = np.random.default_rng(0).normal(scale=2.0, size=(4000, len(levels))).astype("float32")
    quantized = FiniteScalarQuantizer(levels, symmetric)(latents)
    tokens, codes, distance = oracle(latents, levels, symmetric)
    sure = distance > 1e-6 * max(levels)  # float32 may fall to the other side of a border
    assert sure.mean() > 0.75
    np.testing.assert_array_equal(quantized.tokens[sure][:, 0], tokens[sure])
    np.testing.assert_allclose(quantized.latents[sure], codes[sure], atol=1e-6)


@each
@symmetric_or_not
def test_the_gradient_is_that_of_the_bound(levels, symmetric):
    rng = np.random.default_rng(0)
    latents, direction = rng.normal(size=(2, 50, len(levels))).astype("float32")
    latents = tf.constant(latents)
    with tf.GradientTape() as tape:
        tape.watch(latents)
        total = tf.reduce_sum(FiniteScalarQuantizer(levels, symmetric)(latents, training=True).latents * direction)
    difference = 1e-6
    up, down = (bound(latents.numpy().astype("float64") + d, levels, symmetric) for d in (difference, -difference))
    slope = (up[0] - down[0]) * up[2] / (2 * difference)
    np.testing.assert_allclose(tape.gradient(total, latents), slope * direction, rtol=2e-4, atol=1e-6)


@each
@symmetric_or_not
@pytest.mark.parametrize("jit_compile", [False, True])
def test_latents_far_out_stay_in_the_codebook(levels, symmetric, jit_compile):
    quantizer = FiniteScalarQuantizer(levels, symmetric)
    quantizer.build((None, len(levels)))
    latents = np.array([[-3e38], [-50.0], [50.0], [3e38], [np.nan], [np.inf]], "float32").repeat(len(levels), 1)
    tokens = tf.function(quantizer.encode, jit_compile=jit_compile)(tf.constant(latents)).numpy()[:, 0]
    last = int(np.prod(levels)) - 1
    assert tokens[[0, 1, 2, 3, 5]].tolist() == [0, 0, last, last, last]
    assert 0 <= tokens[4] <= last


def test_training_moves_the_latents_to_wanted_codes():
    quantizer = FiniteScalarQuantizer((8, 5, 5))
    wanted = quantizer.decode(np.random.default_rng(1).integers(0, 200, (1, 20, 1)))
    latents = tf.Variable(np.random.default_rng(0).normal(size=(1, 20, 3)), dtype=tf.float32)
    losses = []
    for _ in range(150):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(quantizer(latents).latents - wanted))
        latents.assign_sub(0.2 * tape.gradient(loss, latents))
        losses.append(float(loss))
    assert losses[0] > 10.0
    assert losses[-1] < 0.5


def test_a_list_of_levels_is_the_same():
    quantizer = FiniteScalarQuantizer([3, 4], symmetric=True)
    assert quantizer.levels == (3, 4)
    config = quantizer.get_config()
    assert (config["levels"], config["symmetric"]) == ([3, 4], True)
    again = FiniteScalarQuantizer.from_config(config)
    np.testing.assert_array_equal(again.codebook, quantizer.codebook)
    assert again.codebook.numpy()[1].tolist() == [0.0, -1.0]


@pytest.mark.parametrize("levels", [(), (1, 4), (4.0, 3), (65537,), ("8",)])
def test_levels_out_of_range_are_refused(levels):
    with pytest.raises(ValueError, match=r"one integer from 2 to 65,536 for each channel.*Received: levels=\("):
        FiniteScalarQuantizer(levels)


def test_more_codes_than_an_int32_are_refused():
    assert FiniteScalarQuantizer((2**16, 2**15)).codebook_sizes == (2**31,)
    with pytest.raises(ValueError, match="at most 2\\^31. Received: 4,294,967,296 codes .*Split the channels"):
        FiniteScalarQuantizer((2**16, 2**16))
