import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.networks.image import UpsampleConv2D
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


def pair(filters, shape, **options):
    """The layer, and Keras's two with the same random weights."""
    layer = UpsampleConv2D(filters, bias_initializer="random_normal", **options)
    layer.build(shape)
    plain = keras.Sequential([keras.layers.UpSampling2D(2), keras.layers.Conv2D(filters, 3, padding="same", **options)])
    plain.build(shape)
    plain.set_weights(layer.get_weights())
    return layer, plain


@pytest.mark.parametrize("filters", [0, -2, 2.0, None])
def test_the_filters_are_a_positive_integer(filters):
    with pytest.raises(ValueError, match="`filters` is a positive integer. Received: filters="):
        UpsampleConv2D(filters)


def test_the_channels_have_to_be_known():
    with pytest.raises(ValueError, match=r"channels of the input must be known. Received: input_shape=\(None, 4, 4"):
        UpsampleConv2D(3).build((None, 4, 4, None))


@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (1, 1, 1, 16), (1, 7, 2, 3)])
def test_equals_upsampling_and_convolving(shape, activation):
    layer, plain = pair(6, shape, activation=activation)
    x = random(*shape)
    np.testing.assert_allclose(layer(x), plain(x), atol=2e-6)
    assert layer.compute_output_shape(shape) == tuple(plain(x).shape) == layer(x).shape
    assert layer(keras.Input((None, None, shape[-1]))).shape == (None, None, None, 6)


def test_a_training_step_equals_that_of_upsampling_and_convolving():
    found = []
    for model in pair(6, (2, 3, 5, 4)):
        x = tf.constant(random(2, 3, 5, 4))
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(tf.square(model(x, training=True)))
        found.append(tape.gradient(total, [x, *(v.value for v in model.trainable_variables)]))
    assert len(found[0]) == 3
    for got, want in zip(*found, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_half_precision():
    layer, plain = pair(6, (2, 3, 5, 16), dtype="mixed_bfloat16")
    x = tf.cast(random(2, 3, 5, 16), "bfloat16")
    assert layer(x).dtype == "bfloat16"
    np.testing.assert_allclose(tf.cast(layer(x), "float32"), tf.cast(plain(x), "float32"), atol=0.03)


def test_the_portable_layers_are_keras_own():
    layer, _ = pair(6, (1, 2, 3, 4), activation="relu", name="up")
    portable = layer.portable()
    assert [type(inner) for inner in portable.layers] == [keras.layers.UpSampling2D, keras.layers.Conv2D]
    assert portable.name == "up"
    x = random(1, 2, 3, 4)
    portable(x)
    portable.set_weights(layer.get_weights())
    np.testing.assert_allclose(portable(x), layer(x), atol=2e-6)


def test_the_portable_layers_have_the_policy_of_the_layer_and_not_of_the_session():
    layer = UpsampleConv2D(2, dtype="float32")
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        portable = layer.portable()
    finally:
        keras.config.set_dtype_policy("float32")
    assert [inner.dtype_policy.name for inner in portable.layers] == ["float32", "float32"]
