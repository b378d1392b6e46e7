import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import straight_through


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_forward_result_is_the_value_to_the_last_bit(dtype):
    rng = np.random.default_rng(0)
    # From 1e-3 to 1e3 each: value - like + like would lose most digits.
    value, like = (tf.cast(rng.normal(size=1000) * 10.0 ** rng.uniform(-3, 3, 1000), dtype) for _ in range(2))
    result = straight_through(value, like)
    assert result.dtype == dtype
    np.testing.assert_array_equal(tf.cast(result, "float32"), tf.cast(value, "float32"))


def test_the_gradient_is_one_for_the_input_and_none_for_the_value():
    value, like = tf.constant([3.0, -2.0, 0.0]), tf.constant([0.1, 0.2, 0.3])
    with tf.GradientTape() as tape:
        tape.watch([value, like])
        total = keras.ops.sum(straight_through(value, like))
    of_value, of_like = tape.gradient(total, [value, like])
    assert of_value is None
    assert of_like.numpy().tolist() == [1.0, 1.0, 1.0]


def test_the_gradient_that_arrives_is_handed_on_unchanged():
    x = tf.constant([0.2, 0.7, 1.6])
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = keras.ops.sum(keras.ops.square(straight_through(keras.ops.round(x), x)))
    # d r^2 / dx = 2 r with r the rounded value.
    assert tape.gradient(total, x).numpy().tolist() == [0.0, 2.0, 4.0]
