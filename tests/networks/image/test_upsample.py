import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.networks.image import UpsampleNearest2D


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("factor", [0, -2, 2.0, (2, 2), None])
def test_the_factor_is_a_positive_integer(factor):
    with pytest.raises(ValueError, match="`factor` is a positive integer. Received: factor="):
        UpsampleNearest2D(factor)


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (1, 1, 1, 1), (1, 7, 2, 3)])
def test_equals_keras_exactly(shape, factor):
    x = random(*shape)
    expected = keras.layers.UpSampling2D(factor)(x)
    layer = UpsampleNearest2D(factor)
    np.testing.assert_array_equal(layer(x), expected)
    assert layer.compute_output_shape(shape) == tuple(expected.shape)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_sizes_that_only_the_run_knows(jit_compile):
    layer = UpsampleNearest2D()
    function = tf.function(
        lambda x: layer(x), jit_compile=jit_compile, input_signature=[tf.TensorSpec((None, None, None, 3))]
    )
    for shape in ((2, 3, 5, 3), (1, 8, 1, 3)):
        x = random(*shape)
        np.testing.assert_array_equal(function(x), keras.layers.UpSampling2D()(x))


def test_unknown_sizes_stay_unknown():
    layer = UpsampleNearest2D(3)
    assert layer.compute_output_shape((None, None, 5, 4)) == (None, None, 15, 4)
    assert layer(keras.Input((None, None, 4))).shape == (None, None, None, 4)


def test_gradients_equal_those_of_keras():
    x, weights = tf.constant(random(2, 3, 5, 4)), random(2, 6, 10, 4)
    found = []
    for layer in (UpsampleNearest2D(), keras.layers.UpSampling2D()):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(layer(x) * weights)
        found.append(tape.gradient(total, x))
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)


def test_the_portable_layer_is_keras_own():
    portable = UpsampleNearest2D(3, name="up").portable()
    assert type(portable) is keras.layers.UpSampling2D
    assert portable.name == "up"
    x = random(1, 2, 3, 4)
    np.testing.assert_array_equal(portable(x), UpsampleNearest2D(3)(x))
