import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import bit_entropy
from vqzoo.ops import mean_code_entropy


def code_probabilities(logits):
    """Of all 2^bits codes, one by one: float64 (n, 2^bits)."""
    ones = 1.0 / (1.0 + np.exp(-logits.astype("float64")))
    codes = np.arange(2 ** logits.shape[-1])[:, None] >> np.arange(logits.shape[-1]) & 1
    return np.where(codes, ones[:, None], 1.0 - ones[:, None]).prod(axis=-1)


def entropy(probabilities):
    return -(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(axis=-1)


def numeric_gradient(function, x, step=1e-5):
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        gradient[i] = (function(up) - function(down)) / (2 * step)
    return gradient


def random_logits(shape, seed=0):
    return np.random.default_rng(seed).normal(scale=2.0, size=shape).astype("float32")


def value_and_gradient(function, x):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    return value.numpy(), tape.gradient(value, x).numpy()


def test_the_entropy_of_a_bit():
    # p = 3/4: 3/4 log(4/3) + 1/4 log 4.
    expected = [0.0, 0.75 * np.log(4 / 3) + 0.25 * np.log(4), np.log(2.0)]
    np.testing.assert_allclose(bit_entropy(np.array([1e4, np.log(3.0), 0.0], "float32")), expected, rtol=1e-6)
    np.testing.assert_array_equal(bit_entropy(-random_logits((99,))), bit_entropy(random_logits((99,))))
    # Far from cancelled: H(20) = 21 e^-20 and a bit.
    np.testing.assert_allclose(bit_entropy(np.float32(20.0)), 21 * np.exp(-20.0), rtol=1e-5)


@pytest.mark.parametrize("scale", [0.1, 1.0, 8.0])
def test_the_gradient_of_a_bits_entropy(scale):
    x = scale * random_logits((50,))
    value, gradient = value_and_gradient(lambda x: keras.ops.sum(bit_entropy(x)), x)
    p = 1.0 / (1.0 + np.exp(-x.astype("float64")))
    np.testing.assert_allclose(value, entropy(np.stack([p, 1 - p], -1)).sum(), rtol=1e-5)
    np.testing.assert_allclose(gradient, -x * p * (1 - p), rtol=1e-4, atol=1e-8)
    assert np.isfinite(value_and_gradient(lambda x: keras.ops.sum(bit_entropy(x)), np.zeros(2, "float32"))[1]).all()


@pytest.mark.parametrize("bits", [1, 2, 5, 6])
def test_one_group_is_exact(bits):
    logits = random_logits((7, bits))
    value, gradient = value_and_gradient(lambda x: mean_code_entropy(x, 9), logits)
    oracle = lambda x: entropy(code_probabilities(x).mean(axis=0))  # noqa: E731
    np.testing.assert_allclose(value, oracle(logits), rtol=1e-5)
    np.testing.assert_allclose(gradient, numeric_gradient(oracle, logits.astype("float64")), atol=1e-6)


def test_groups_are_summed_and_as_even_as_possible():
    logits = random_logits((30, 7))
    groups = [logits[:, :3], logits[:, 3:5], logits[:, 5:]]
    expected = sum(entropy(code_probabilities(group).mean(axis=0)) for group in groups)
    np.testing.assert_allclose(mean_code_entropy(logits, 3), expected, rtol=1e-5)
    of_bits = sum(entropy(code_probabilities(logits[:, i : i + 1]).mean(axis=0)) for i in range(7))
    np.testing.assert_allclose(mean_code_entropy(logits, 1), of_bits, rtol=1e-5)


def test_groups_are_an_upper_bound():
    # Two equal halves: their joint entropy is that of one.
    half = 100.0 * np.sign(random_logits((64, 3)))
    logits = np.concatenate([half, half], axis=1)
    exact, bound = float(mean_code_entropy(logits, 6)), float(mean_code_entropy(logits, 3))
    assert bound == pytest.approx(2 * exact, rel=1e-6)
    assert 1.5 < exact < 3 * np.log(2)


def test_even_use_of_many_codes():
    tokens = np.arange(2**12)
    logits = 400.0 * ((tokens[:, None] >> np.arange(12) & 1) * 2.0 - 1.0)
    np.testing.assert_allclose(mean_code_entropy(logits, 12), 12 * np.log(2.0), rtol=1e-6)
    np.testing.assert_allclose(mean_code_entropy(logits[:8], 12), 3 * np.log(2.0), rtol=1e-6)


@pytest.mark.parametrize("group_bits", [2, 5])
def test_padded_positions_do_not_count(group_bits):
    logits = random_logits((2, 3, 4, 5))
    mask = np.random.default_rng(1).random((2, 3, 4)) < 0.6
    padded = np.where(mask[..., None], logits, np.nan)
    value, gradient = value_and_gradient(lambda x: mean_code_entropy(x, group_bits, mask), padded)
    expected, real = value_and_gradient(lambda x: mean_code_entropy(x, group_bits), logits[mask])
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(gradient[mask], real, atol=1e-6)
    np.testing.assert_array_equal(gradient[~mask], 0.0)
    assert float(mean_code_entropy(logits, group_bits, np.zeros_like(mask))) == 0.0


# Logical devices must be made before TensorFlow starts, so in a process of its own.
TWO_REPLICAS = """
import numpy as np
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], 2 * [tf.config.LogicalDeviceConfiguration()]
)
from vqzoo.ops import mean_code_entropy

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
logits = np.random.default_rng(0).normal(size=(2, 10, 4)).astype("float32")
logits[0] += 1.0
mask = np.random.default_rng(1).random((2, 10)) < [[0.4], [0.9]]

def entropy_and_gradient(x, mask, group_bits):
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = mean_code_entropy(x, group_bits, mask)
    return value, tape.gradient(value, x)

for group_bits in (4, 2):
    @tf.function
    def run():
        def one():
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return entropy_and_gradient(tf.gather(tf.constant(logits), replica), tf.gather(mask, replica), group_bits)
        return strategy.run(one)
    values, gradients = (strategy.experimental_local_results(x) for x in run())
    value, gradient = entropy_and_gradient(tf.constant(logits), tf.constant(mask), group_bits)
    np.testing.assert_allclose([float(v) for v in values], 2 * [float(value)], rtol=1e-6)
    # A trainer averages the gradients of the replicas; that is half of each at its own positions.
    np.testing.assert_allclose(np.stack([g.numpy() for g in gradients]) / 2, gradient, atol=1e-7)
    assert np.abs(gradient).max() > 1e-3
print("good")
"""


def test_two_replicas_are_one_batch(fresh_python):
    child = fresh_python("-c", TWO_REPLICAS)
    assert child.stdout == "good\n", child.stderr[-3000:]
