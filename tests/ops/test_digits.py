import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import digits_to_tokens
from vqzoo.ops import reverse_bits
from vqzoo.ops import tokens_to_digits


def test_typed_out_answers():
    # Place values 1, 8, 40 and 200.
    digits = np.array([[[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [3, 2, 4, 1], [7, 4, 4, 4]]], "int32")
    tokens = [0, 1, 8, 3 + 2 * 8 + 4 * 40 + 200, 999]
    found = digits_to_tokens(digits, (8, 5, 5, 5))
    assert found.dtype == tf.int32
    assert found.numpy()[0, :, 0].tolist() == tokens
    np.testing.assert_array_equal(tokens_to_digits(found, (8, 5, 5, 5)), digits)


def test_the_first_channel_is_the_least_significant_bit():
    assert digits_to_tokens(np.array([[1, 0, 0], [0, 0, 1], [1, 1, 0]]), (2, 2, 2)).numpy()[:, 0].tolist() == [1, 4, 3]


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("levels", [(2,) * 31, (65536, 32768), (46340, 46341), (3,) * 19, (2**30,)])
def test_large_tokens_lose_no_digit(levels, jit_compile):
    rng = np.random.default_rng(0)
    size = int(np.prod(levels, dtype="int64"))
    assert 2**24 < size <= 2**31
    tokens = np.concatenate([rng.integers(0, size, 1000), [0, 1, 2**24, 2**24 + 1, size - 2, size - 1]])[:, None]
    digits = np.empty((len(tokens), len(levels)), "int64")
    rest = tokens[:, 0].copy()
    for i, level in enumerate(levels):
        digits[:, i], rest = rest % level, rest // level

    @tf.function(jit_compile=jit_compile)
    def split(tokens):
        return tokens_to_digits(tokens, levels)

    @tf.function(jit_compile=jit_compile)
    def join(digits):
        return digits_to_tokens(digits, levels)

    np.testing.assert_array_equal(split(tokens.astype("int32")), digits)
    np.testing.assert_array_equal(join(digits.astype("int32")), tokens)


def test_reversed_bits():
    assert reverse_bits(np.array([[0, 1], [6, 8]]), 4).numpy().tolist() == [[0, 8], [6, 1]]
    for bits in (1, 7, 18, 31):
        tokens = np.random.default_rng(0).integers(0, 2**bits, (3, 50), dtype="int64")
        expected = [[int(f"{token:0{bits}b}"[::-1], 2) for token in row] for row in tokens]
        found = reverse_bits(tokens, bits)
        assert found.dtype == tf.int32
        assert found.numpy().tolist() == expected
        np.testing.assert_array_equal(reverse_bits(found, bits), tokens)


def test_bits_that_cannot_be_reversed_are_refused():
    for bits in (0, 32, 2.0):
        with pytest.raises(ValueError, match=f"`bits` is an integer from 1 to 31.*Received: bits={bits}"):
            reverse_bits(np.array([0]), bits)
    for tokens, values in (([3, 16], "from 3 to 16"), ([-1, 2], "from -1 to 2")):
        with pytest.raises(ValueError, match=rf"4 bits lie in \[0, 16\). Received: values {values}.*number of bits"):
            reverse_bits(np.array(tokens), 4)
