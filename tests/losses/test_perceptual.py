import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.losses import PerceptualLoss

HEADS = [np.array([0.5, 0.0, 2.0, 1.0]), np.array([1.0, 3.0])]


def network(**options):
    images = keras.Input((None, None, 3), name="images")
    x = keras.layers.Conv2D(4, 3, 2, padding="same", activation="relu", name="conv_0", **options)(images)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Dropout(0.5, name="dropout")(x)
    return keras.Model(images, keras.layers.Conv2D(2, 3, name="conv_1", **options)(x), name="judge")


def images(seed, shape=(2, 9, 8, 3)):
    return np.random.default_rng(seed).uniform(-1.0, 1.0, shape).astype("float32")


def oracle(features_x, features_y, heads=None):
    """LPIPS on given features, image by image and pixel by pixel."""
    total = 0.0
    for i, (fx, fy) in enumerate(zip(features_x, features_y, strict=True)):
        of_layer = []
        for vx, vy in zip(fx.reshape(-1, fx.shape[-1]), fy.reshape(-1, fy.shape[-1]), strict=True):
            vx, vy = (v / np.sqrt((v.astype("float64") ** 2).sum() + 1e-10) for v in (vx, vy))
            of_layer.append(((1.0 if heads is None else heads[i]) * (vx - vy) ** 2).sum())
        total += np.mean(of_layer)
    return total


@pytest.mark.parametrize("heads", [None, HEADS])
@pytest.mark.parametrize("training", [None, True])
def test_equals_the_numpy_oracle(heads, training):
    judge = network()
    judge.get_layer("norm").set_weights([images(i, (4,)) + 1.5 for i in range(4)])
    names = ["conv_0", "conv_1"]
    features = keras.Model(judge.input, [judge.get_layer(name).output for name in names])
    x, y = images(0), images(1)
    expected = oracle(*([f.numpy() for f in features(signal)] for signal in (x, y)), heads)
    weights = judge.get_weights()
    # In training, too, the network neither drops nor follows the batch's statistics.
    options = {} if training is None else {"training": training}
    value = PerceptualLoss(judge, names, heads)(x, y, **options)
    assert value.dtype == "float32"
    assert expected > 0.1
    assert float(value) == pytest.approx(expected, rel=1e-5)
    for before, after in zip(weights, judge.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_one_layer_alone_and_typed_out_heads():
    pixels = keras.Input((1, 1, 2))
    loss = PerceptualLoss(keras.Model(pixels, keras.layers.ReLU(name="same")(pixels)), ["same"], [[1.0, 10.0]])
    x, y = np.array([3.0, 4.0]).reshape(1, 1, 1, 2), np.array([0.0, 2.0]).reshape(1, 1, 1, 2)
    # (0.6, 0.8) and (0, 1) apart: 0.36 + 10 * 0.04.
    assert float(loss(x, y)) == pytest.approx(0.76, rel=1e-5)
    assert float(loss(7.0 * x, y)) == pytest.approx(0.76, rel=1e-5)  # lengths do not count
    assert float(loss(x, x)) == 0.0


def test_zero_features_give_finite_gradients():
    loss = PerceptualLoss(network(kernel_initializer="zeros"), ["conv_0", "conv_1"])
    x, y = tf.constant(images(0)), tf.constant(images(1))
    with tf.GradientTape() as tape:
        tape.watch(y)
        value = loss(x, y)
    assert float(value) == 0.0
    assert np.isfinite(tape.gradient(value, y)).all()


def test_features_that_are_zero_on_one_side_give_finite_gradients():
    pixels = keras.Input((1, 1, 2))
    loss = PerceptualLoss(keras.Model(pixels, keras.layers.Activation("linear", name="same")(pixels)), ["same"])
    x, y = tf.constant([[[[3.0, 4.0]]]]), tf.zeros((1, 1, 1, 2))
    with tf.GradientTape() as tape:
        tape.watch(y)
        value = loss(x, y)
    assert float(value) == pytest.approx(1.0, rel=1e-5)
    # d/dv |u - v / sqrt(|v|^2 + eps)|^2 at v = 0 is -2 u / sqrt(eps) = -2e5 u.
    np.testing.assert_allclose(tape.gradient(value, y).numpy().ravel(), [-1.2e5, -1.6e5], rtol=1e-4)


def test_the_gradient_reaches_the_reconstruction_and_descends():
    loss = PerceptualLoss(network(), ["conv_0", "conv_1"])
    x, y = tf.constant(images(0)), tf.Variable(images(1))
    values = []
    for _ in range(5):
        with tf.GradientTape() as tape:
            value = loss(x, y)
        gradient = tape.gradient(value, y)
        y.assign_sub(0.05 * gradient / tf.norm(gradient))
        values.append(float(value))
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0]


def test_the_network_is_frozen():
    judge = network()
    assert judge.trainable_variables
    loss = PerceptualLoss(judge, ["conv_1"])
    assert not judge.trainable_variables
    assert not loss.trainable_variables


def test_comes_back_from_its_config():
    loss = PerceptualLoss(network(), ["conv_1", "conv_0"], HEADS[::-1])
    again = PerceptualLoss.from_config(loss.get_config())
    assert again.layer_names == ["conv_1", "conv_0"]
    assert again.heads == [[1.0, 3.0], [0.5, 0.0, 2.0, 1.0]]
    again.network.set_weights(loss.network.get_weights())
    x, y = images(0), images(1)
    assert float(again(x, y)) == float(loss(x, y)) > 0.0


@pytest.mark.parametrize("layers", [[], ["conv_0", "conv_9"], "conv_0"])
def test_layers_must_exist(layers):
    message = r"`layers` must name layers of the network: \['images', 'conv_0'.*Received: layers="
    with pytest.raises(ValueError, match=message):
        PerceptualLoss(network(), layers)


@pytest.mark.parametrize(
    "heads",
    [[np.ones(4)], [np.ones(4), np.ones(3)], [np.ones((4, 1)), np.ones(2)], [np.ones(4), np.array([1.0, -0.1])]],
)
def test_heads_must_fit_the_layers_and_not_be_negative(heads):
    with pytest.raises(
        ValueError, match=r"`heads` must hold non-negative arrays of \[4, 2\] numbers.*Received: shapes \["
    ):
        PerceptualLoss(network(), ["conv_0", "conv_1"], heads)
