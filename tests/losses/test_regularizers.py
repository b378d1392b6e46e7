import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.losses import LeCamRegularizer
from vqzoo.losses import R1Penalty


def linear(weights):
    model = keras.Sequential([keras.Input((len(weights),)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.reshape(weights, (-1, 1))])
    return model


def test_r1_of_a_linear_discriminator_is_half_its_squared_weights():
    signal = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
    assert float(R1Penalty()(None, None, signal, linear([3.0, 4.0]))) == pytest.approx(12.5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_r1_equals_finite_differences_over_all_patches_and_its_gradient_reaches_the_discriminator(jit_compile):
    keras.utils.set_random_seed(0)
    # Smooth, for the differences, and with features before its logits.
    x = pixels = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(4, 3, 2, "same", activation="tanh")(x)
    discriminator = keras.Model(pixels, [x, keras.layers.Conv2D(1, 3, padding="same")(x)])
    signal = np.random.default_rng(0).uniform(-1, 1, (2, 6, 6, 1)).astype("float32")

    def total(x):
        return keras.tree.flatten(discriminator(x.astype("float32")))[-1].numpy().sum(axis=(1, 2, 3), dtype="float64")

    squares = np.zeros(2)
    for place in np.ndindex(6, 6):
        step = np.zeros_like(signal)
        step[:, *place] = 1e-2
        squares += ((total(signal + step) - total(signal - step)) / 2e-2) ** 2
    assert squares.min() > 1e-6

    @tf.function(jit_compile=jit_compile)
    def penalty(x):
        with tf.GradientTape() as tape:
            loss = R1Penalty()(None, None, x, discriminator, training=True)
        return loss, tape.gradient(loss, discriminator.trainable_variables[0])

    loss, gradient = penalty(tf.constant(signal))
    assert float(loss) == pytest.approx(0.5 * squares.mean(), rel=1e-3)
    assert np.abs(gradient).max() > 0


def test_lecam_typed_out():
    regularizer = LeCamRegularizer(decay=0.9)
    real, fake = np.array([1.0, 3.0]), np.array([-1.0, 0.0])
    # Averages 0: mean(1, 9) + mean(1, 0).
    assert float(regularizer(real, fake, training=True)) == pytest.approx(5.5)
    # Averages 0.2 of the real and -0.05 of the fake.
    expected = (1.05**2 + 3.05**2) / 2 + (1.2**2 + 0.2**2) / 2
    assert float(regularizer(real, fake)) == pytest.approx(expected)
    assert float(regularizer(real, fake, training=True)) == pytest.approx(expected)
    assert float(regularizer.real_average) == pytest.approx(0.38)


def test_lecams_gradient_is_in_the_logits_of_both_sides():
    regularizer = LeCamRegularizer()
    regularizer.real_average.assign(2.0)
    regularizer.fake_average.assign(-1.0)
    real, fake = tf.constant([1.0, 3.0]), tf.constant([-1.0, 0.0])
    with tf.GradientTape() as tape:
        tape.watch([real, fake])
        loss = regularizer(real, fake, training=True)
    by_real, by_fake = tape.gradient(loss, [real, fake])
    np.testing.assert_allclose(by_real, [2.0, 4.0], rtol=1e-6)  # 2 (r + 1) / 2
    np.testing.assert_allclose(by_fake, [-3.0, -2.0], rtol=1e-6)  # 2 (f - 2) / 2


TWO_REPLICAS = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from vqzoo.losses import LeCamRegularizer
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    regularizer = LeCamRegularizer(decay=0.5)
logits = strategy.experimental_distribute_values_from_function(
    lambda context: tf.fill((4,), tf.cast(context.replica_id_in_sync_group, tf.float32))
)
step = tf.function(lambda x: strategy.run(lambda x: regularizer(x, -x, training=True), args=(x,)))
step(logits)
averages = [regularizer.real_average.value, regularizer.fake_average.value]
print([[float(copy) for copy in strategy.experimental_local_results(v)] for v in averages])
"""


def test_lecams_averages_are_those_of_all_replicas(fresh_python):
    child = fresh_python("-c", TWO_REPLICAS)
    assert child.stdout.strip() == "[[0.25, 0.25], [-0.25, -0.25]]", child.stderr[-3000:]


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_decay_is_a_share(decay):
    with pytest.raises(ValueError, match=r"`decay` must be in \[0, 1\)"):
        LeCamRegularizer(decay)


def test_config_round_trip():
    regularizer = LeCamRegularizer(0.7)
    assert LeCamRegularizer.from_config(regularizer.get_config()).decay == 0.7
