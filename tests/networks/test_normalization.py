import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.networks.normalization import FastGroupNormalization
from vqzoo.networks.normalization import GroupNormalizationSwish
from vqzoo.networks.normalization import group_normalization
from vqzoo.networks.normalization import group_normalization_swish

CASES = [
    # shape, groups
    ((2, 8, 8, 4), 2),
    ((3, 5, 7, 12), 4),
    ((2, 9, 6), 1),
    ((2, 3, 4, 5, 6), 3),
    ((4, 1, 1, 8), 8),
    ((5, 8), 2),
]


def random(shape, seed=0, offset=0.0, scale=1.0):
    return (offset + scale * np.random.default_rng(seed).normal(size=shape)).astype("float32")


def both(shape, groups, **options):
    """The layer and Keras's, with the same random weights."""
    layers = []
    for kind in (FastGroupNormalization, keras.layers.GroupNormalization):
        layer = kind(groups, **options)
        layer.build(shape)
        layer.set_weights([random(weight.shape, i + 1, offset=0.5) for i, weight in enumerate(layer.weights)])
        layers.append(layer)
    return layers


@pytest.mark.parametrize(("shape", "groups"), CASES)
@pytest.mark.parametrize(("scale", "center"), [(True, True), (False, True), (True, False), (False, False)])
@pytest.mark.parametrize("offset", [0.0, 10.0])
def test_equals_keras(shape, groups, scale, center, offset):
    fast, slow = both(shape, groups, scale=scale, center=center, epsilon=1e-6 if shape[1] > 1 else 1e-3)
    x = random(shape, offset=offset)
    np.testing.assert_allclose(fast(x), slow(x), rtol=1e-5, atol=1e-5)
    assert len(fast.weights) == scale + center


def test_equals_numpy():
    x = random((2, 5, 6, 8), offset=3.0) * np.arange(1, 9, dtype="float32")  # each channel has its own mean and spread
    groups = x.astype("float64").reshape(2, 5, 6, 4, 2)
    mean, variance = (f(groups, axis=(1, 2, 4), keepdims=True) for f in (np.mean, np.var))
    expected = ((groups - mean) / np.sqrt(variance + 1e-3)).reshape(x.shape)
    np.testing.assert_allclose(FastGroupNormalization(4)(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("shape", "groups"), CASES[:-1])
@pytest.mark.parametrize("offset", [0.0, 10.0])
def test_gradients_equal_those_of_keras(shape, groups, offset):
    x, weights = tf.constant(random(shape, offset=offset)), random(shape, 9)
    found = []
    for layer in both(shape, groups):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(layer(x) * weights)
        found.append(tape.gradient(total, [x, *(v.value for v in layer.trainable_variables)]))
    for got, want in zip(*found, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=3e-5)


# Means of hundreds of deviations, as flat pictures make them: E[x^2] - E[x]^2 would have no digit left.
@pytest.mark.parametrize(("offset", "scale"), [(100.0, 0.05), (1000.0, 1.0), (50.0, 0.0)])
def test_a_mean_that_is_large_beside_the_deviation(offset, scale):
    x = random((2, 16, 16, 8), offset=offset, scale=scale)
    expected = keras.layers.GroupNormalization(4, epsilon=1e-6, dtype="float64")(x.astype("float64"))
    np.testing.assert_allclose(FastGroupNormalization(4, epsilon=1e-6)(x), expected, atol=1e-3)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("offset", "scale"), [(1.0, 1.0), (10.0, 0.1), (100.0, 0.05), (300.0, 0.0), (0.0, 300.0)])
def test_half_precision_loses_the_rounding_of_its_result_alone(dtype, offset, scale):
    x = tf.cast(random((2, 16, 16, 8), offset=offset, scale=scale), dtype)
    result = FastGroupNormalization(4, epsilon=1e-6, dtype=f"mixed_{dtype}")(x)
    assert result.dtype == dtype
    expected = keras.layers.GroupNormalization(4, epsilon=1e-6, dtype="float64")(tf.cast(x, "float64"))
    tolerance = {"float16": 2**-11, "bfloat16": 2**-8}[dtype]
    np.testing.assert_allclose(tf.cast(result, "float64"), expected, rtol=tolerance, atol=1e-3)


ANY_IMAGES = tf.TensorSpec((None, None, None, 8))


@pytest.mark.parametrize("options", [{}, {"jit_compile": True}, {"input_signature": [ANY_IMAGES]}])
def test_the_same_in_a_graph_of_any_size(options):
    layer, slow = both((None, None, None, 8), 4)
    function = tf.function(lambda x: layer(x), **options)
    for shape in ((1, 3, 4, 8), (2, 5, 1, 8)):
        x = random(shape)
        np.testing.assert_allclose(function(x), slow(x), rtol=1e-5, atol=1e-5)


def test_groups_must_divide_the_channels():
    with pytest.raises(ValueError, match="multiple"):
        FastGroupNormalization(3).build((None, 4, 4, 8))


def test_the_portable_layer_is_keras_own_with_the_same_config_and_result():
    fast, _ = both((None, 4, 4, 8), 4, epsilon=1e-6, name="norm_out")
    portable = fast.portable()
    assert type(portable) is keras.layers.GroupNormalization
    assert portable.name == "norm_out"
    portable.build((None, 4, 4, 8))
    portable.set_weights(fast.get_weights())
    x = random((2, 4, 4, 8), scale=0.01)  # small, so that epsilon counts
    np.testing.assert_allclose(portable(x), fast(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "groups"),
    [(1, 1), (3, 1), (7, 1), (8, 2), (10, 2), (12, 3), (48, 12), (64, 16), (96, 24), (100, 25), (128, 32), (512, 32)],
)
def test_groups_are_32_or_have_four_channels_at_the_least(channels, groups):
    layer = group_normalization(channels, "norm_out")
    assert (layer.groups, layer.epsilon, layer.name) == (groups, 1e-6, "norm_out")
    layer.build((None, 4, 4, channels))


def test_a_group_of_several_channels_keeps_what_tells_them_apart():
    x = np.ones((1, 4, 4, 8), "float32") * np.arange(8, dtype="float32")  # flat, each channel of another brightness
    # Two groups, 0 1 2 3 and 4 5 6 7, of variance 1.25 each.
    expected = np.array([-1.5, -0.5, 0.5, 1.5] * 2) / 1.25**0.5
    np.testing.assert_allclose(group_normalization(8, "norm")(x)[0, 2, 3], expected, rtol=1e-5)


def test_another_axis_is_told():
    with pytest.raises(ValueError, match=r"normalises the last axis. Received: axis=1"):
        FastGroupNormalization(2, axis=1).build((None, 4, 5, 6))


# === Followed by swish ===


def swish_of_keras(x, layer, dtype="float64"):
    """Keras's layer with the same weights in float64, then its swish."""
    slow = keras.layers.GroupNormalization(layer.groups, epsilon=layer.epsilon, scale=layer.scale, center=layer.center)
    slow = keras.layers.GroupNormalization.from_config({**slow.get_config(), "dtype": dtype})
    slow.build(x.shape)
    slow.set_weights(layer.get_weights())
    return keras.ops.silu(slow(tf.cast(x, dtype))), slow


def swish_layer(shape, groups, **options):
    layer = GroupNormalizationSwish(groups, **options)
    layer.build(shape)
    layer.set_weights([random(weight.shape, i + 1, offset=0.5) for i, weight in enumerate(layer.weights)])
    return layer


@pytest.mark.parametrize(("shape", "groups"), CASES)
@pytest.mark.parametrize(("scale", "center"), [(True, True), (False, True), (True, False), (False, False)])
def test_swish_equals_keras(shape, groups, scale, center):
    layer = swish_layer(shape, groups, scale=scale, center=center)
    x = random(shape, offset=3.0)
    np.testing.assert_allclose(layer(x), swish_of_keras(x, layer)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("shape", "groups"), CASES)
@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1.0), (10.0, 1.0), (100.0, 0.5)])
def test_swish_gradients_equal_those_of_keras_in_float64(shape, groups, offset, scale):
    layer = swish_layer(shape, groups, epsilon=1e-3)
    x, weights = tf.constant(random(shape, offset=offset, scale=scale)), random(shape, 9)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(layer(x) * weights)
    found = tape.gradient(total, [x, layer.gamma.value, layer.beta.value])
    wide = tf.cast(x, "float64")
    with tf.GradientTape() as tape:
        tape.watch(wide)
        outputs, slow = swish_of_keras(wide, layer)
        total = tf.reduce_sum(outputs * weights)
    expected = tape.gradient(total, [wide, slow.gamma.value, slow.beta.value])
    for got, want in zip(found, expected, strict=True):
        # x has 24 bits, of which the mean takes some.
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=3e-5 + 2e-6 * offset / scale)


def test_swish_of_a_mean_that_is_large_beside_the_deviation():
    x = random((2, 16, 16, 8), offset=100.0, scale=0.05)
    layer = swish_layer(x.shape, 4, epsilon=1e-6)
    np.testing.assert_allclose(layer(x), swish_of_keras(x, layer)[0], atol=2e-3)


def test_swish_in_half_precision_loses_the_rounding_of_its_result_alone():
    x = tf.cast(random((2, 16, 16, 8), offset=10.0), "bfloat16")
    layer = swish_layer(x.shape, 4, epsilon=1e-6, dtype="mixed_bfloat16")
    weights = tf.cast(random(x.shape, 9), "bfloat16")
    with tf.GradientTape() as tape:
        tape.watch(x)
        result = layer(x)
        total = tf.reduce_sum(tf.cast(result, "float32") * tf.cast(weights, "float32"))
    gradient = tape.gradient(total, x)
    assert result.dtype == gradient.dtype == "bfloat16"
    wide = tf.cast(x, "float64")
    with tf.GradientTape() as tape:
        tape.watch(wide)
        expected, _ = swish_of_keras(wide, layer)
        total = tf.reduce_sum(expected * tf.cast(weights, "float64"))
    np.testing.assert_allclose(tf.cast(result, "float64"), expected, rtol=2**-8, atol=1e-3)
    np.testing.assert_allclose(tf.cast(gradient, "float64"), tape.gradient(total, wide), rtol=2**-8, atol=2e-3)


@pytest.mark.parametrize("options", [{}, {"jit_compile": True}, {"input_signature": [ANY_IMAGES]}])
def test_swish_and_its_gradient_in_a_graph_of_any_size(options):
    layer = swish_layer((None, None, None, 8), 4)

    @tf.function(**options)
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            total = tf.reduce_sum(y**2)
        return y, *tape.gradient(total, [x, layer.gamma.value, layer.beta.value])

    for shape in ((1, 3, 4, 8), (2, 5, 1, 8)):
        x = tf.constant(random(shape))
        with tf.GradientTape() as tape:
            tape.watch(x)
            expected, slow = swish_of_keras(x, layer, "float32")
            total = tf.reduce_sum(expected**2)
        expected = expected, *tape.gradient(total, [x, slow.gamma.value, slow.beta.value])
        for got, want in zip(step(x), expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_gradients_of_gradients_equal_those_of_keras():
    layer = swish_layer((2, 3, 4, 8), 4, epsilon=1e-3)
    x, found = tf.constant(random((2, 3, 4, 8))), []
    for function in (layer, lambda x: swish_of_keras(x, layer, "float32")[0]):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                total = tf.reduce_sum(function(x) ** 2)
            penalty = tf.reduce_sum(tf.square(inner.gradient(total, x)))
        found.append(outer.gradient(penalty, x))
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-3)


def test_the_portable_layers_are_keras_own_with_the_same_result():
    layer = swish_layer((None, 4, 4, 8), 4, epsilon=1e-6, name="norm_out")
    portable = layer.portable()
    assert [type(inner) for inner in portable.layers] == [keras.layers.GroupNormalization, keras.layers.Activation]
    assert portable.name == "norm_out"
    x = random((2, 4, 4, 8), scale=0.01)  # small, so that epsilon counts
    portable(x)
    portable.set_weights(layer.get_weights())
    np.testing.assert_allclose(portable(x), layer(x), rtol=1e-5, atol=1e-5)


def test_both_kinds_have_the_same_groups():
    one, other = (make(48, "norm_out") for make in (group_normalization, group_normalization_swish))
    assert type(other) is GroupNormalizationSwish
    assert one.get_config() == other.get_config()
