import numpy as np
import pytest
import tensorflow as tf

from vqzoo.losses import l1_loss
from vqzoo.losses import l2_loss

ORACLES = [(l1_loss, lambda x, y: np.abs(x - y).mean()), (l2_loss, lambda x, y: ((x - y) ** 2).mean())]


def random(seed, shape=(3, 5, 7, 3)):
    return np.random.default_rng(seed).uniform(-1.0, 1.0, shape).astype("float32")


@pytest.mark.parametrize(("loss", "typed_out"), [(l1_loss, 1.5), (l2_loss, 3.5)])
def test_typed_out_answers(loss, typed_out):
    # Differences 0, 1, 2, 3.
    assert float(loss(np.array([[0.0, 1.0], [2.0, -3.0]]), np.array([[0.0, 2.0], [0.0, 0.0]]))) == typed_out
    assert float(loss(np.array([0.25]), np.array([0.25]))) == 0.0


@pytest.mark.parametrize(("loss", "oracle"), ORACLES)
@pytest.mark.parametrize("shape", [(6,), (2, 9), (3, 5, 7, 3)])
def test_equals_numpy_and_is_symmetric(loss, oracle, shape):
    x, y = random(0, shape), random(1, shape)
    value = loss(x, y)
    assert value.dtype == "float32"
    assert float(value) == pytest.approx(oracle(x.astype("float64"), y), rel=1e-5)
    assert float(loss(y, x)) == float(value)


@pytest.mark.parametrize(("loss", "oracle"), ORACLES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_summed_in_float32(loss, oracle, dtype):
    # 70,000 differences of about 1: neither their sum nor their mean survives in half precision.
    x, y = (tf.cast(random(seed, (70_000,)) + seed, dtype) for seed in (0, 1))
    value = loss(x, y)
    assert value.dtype == "float32"
    expected = oracle(*(tf.cast(z, "float64").numpy() for z in (x, y)))
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_gradients():
    x, y = tf.constant([[1.0, -2.0]]), tf.constant([[0.5, 1.0]])
    for loss, expected in ((l1_loss, [[-0.5, 0.5]]), (l2_loss, [[-0.5, 3.0]])):
        with tf.GradientTape() as tape:
            tape.watch(y)
            value = loss(x, y)
        assert tape.gradient(value, y).numpy().tolist() == expected
