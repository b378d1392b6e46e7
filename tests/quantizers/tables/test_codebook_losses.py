import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.quantizers import entropy_loss
from vqzoo.quantizers import orthogonality_loss
from vqzoo.quantizers import similarity_entropy_loss

ENTROPIES = [entropy_loss, similarity_entropy_loss]


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def gradients(loss, codebook, vectors, weights):
    codebook, vectors = (tf.constant(x, tf.float32) for x in (codebook, vectors))
    with tf.GradientTape() as tape:
        tape.watch([codebook, vectors])
        value = loss(codebook, vectors, tf.constant(weights, tf.float32))
    return [None if g is None else g.numpy() for g in tape.gradient(value, [codebook, vectors])]


def differences(function, x, step=1e-5):
    """Central differences in float64."""
    found = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        found[i] = (function(up) - function(down)) / (2 * step)
    return found


def orthogonality(codebook):
    """The mean squared cosine of two codes drawn at random, less what a code has with itself."""
    unit = codebook / np.linalg.norm(codebook, axis=1, keepdims=True)
    size = len(codebook)
    return sum((unit[i] @ unit[j]) ** 2 for i in range(size) for j in range(size) if i != j) / size**2


def entropy(codebook, vectors, weights, similarity):
    if similarity:
        logits = vectors @ codebook.T / 0.01
    else:
        logits = -((vectors[:, None] - codebook) ** 2).sum(axis=-1) / 0.01
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = (p / p.sum(axis=1, keepdims=True))[weights > 0]
    h = lambda q: -np.sum(np.where(q > 0, q * np.log(np.where(q > 0, q, 1)), 0.0), axis=-1)  # noqa: E731
    return h(p).mean() - h(p.mean(axis=0))


def test_orthogonality_typed_out():
    # Cosines 0, 0.6 and 0.8 between three pairs, each of which counts twice of nine.
    codebook = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 4.0]], "float32")
    assert float(orthogonality_loss(codebook, None, None)) == pytest.approx(2 * (0.36 + 0.64) / 9, rel=1e-5)
    assert float(orthogonality_loss(np.eye(5, dtype="float32"), None, None)) == pytest.approx(0.0, abs=1e-6)
    same = np.full((4, 3), 0.7, "float32")
    assert float(orthogonality_loss(same, None, None)) == pytest.approx(0.75, rel=1e-5)  # all pairs of different codes


def test_orthogonality_equals_the_numpy_oracle_with_its_gradient():
    codebook = random(12, 5) * np.array([[0.1], [10.0]] * 6)
    found, expected = orthogonality_loss(codebook.astype("float32"), None, None), orthogonality(codebook)
    assert float(found) == pytest.approx(expected, rel=1e-4)
    of_codebook, of_vectors = gradients(orthogonality_loss, codebook, random(3, 5), np.ones(3))
    assert of_vectors is None
    np.testing.assert_allclose(of_codebook, differences(orthogonality, codebook), atol=2e-5)


def test_orthogonality_with_a_code_of_zeros_is_finite():
    codebook = random(6, 4)
    codebook[2] = 0.0
    assert np.isfinite(gradients(orthogonality_loss, codebook, random(3, 4), np.ones(3))[0]).all()


def test_orthogonality_moves_every_code_of_a_large_codebook():
    codebook = random(20_000, 4)
    gradient = gradients(orthogonality_loss, codebook, random(3, 4), np.ones(3))[0]
    assert (np.abs(gradient).max(axis=1) > 0).all()


TWO_REPLICAS = """
import sys, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from vqzoo.quantizers import entropy_loss
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
codes = tf.eye(2)
vectors = strategy.experimental_distribute_values_from_function(
    lambda context: tf.gather(codes, 4 * [context.replica_id_in_sync_group])
)
step = tf.function(lambda x: strategy.run(lambda x: entropy_loss(codes, x, tf.ones(4)), args=(x,)))
print([round(float(x), 4) for x in strategy.experimental_local_results(step(vectors))])
"""


def test_the_entropy_of_all_choices_is_that_of_all_replicas(fresh_python):
    # Each replica knows one of the two codes.
    child = fresh_python("-c", TWO_REPLICAS)
    assert child.stdout.strip() == "[-0.6931, -0.6931]", child.stderr[-3000:]


@pytest.mark.parametrize("loss", ENTROPIES)
def test_entropy_typed_out(loss):
    codes = np.eye(4, dtype="float32")
    one = np.ones(4, "float32")
    # Certain and even: 0 - log 4. All on one code: 0 - 0. Undecided between all: log 4 - log 4.
    assert float(loss(codes, codes, one)) == pytest.approx(-np.log(4), abs=1e-5)
    assert float(loss(codes, codes[[2] * 4], one)) == pytest.approx(0.0, abs=1e-5)
    assert float(loss(codes, np.zeros((4, 4), "float32"), one)) == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("loss", ENTROPIES)
def test_entropy_equals_the_numpy_oracle_with_its_gradients(loss):
    similarity = loss is similarity_entropy_loss
    # Distances and products so small that the probabilities are neither 0 nor 1.
    codebook, vectors = 0.1 * random(6, 3), 0.1 * random(20, 3, seed=1)
    weights = (np.random.default_rng(2).random(20) < 0.6).astype("float64")
    found = float(loss(*(x.astype("float32") for x in (codebook, vectors, weights))))
    assert found == pytest.approx(entropy(codebook, vectors, weights, similarity), rel=1e-4)
    of_codebook, of_vectors = gradients(loss, codebook, vectors, weights)
    expected = differences(lambda c: entropy(c, vectors, weights, similarity), codebook)
    np.testing.assert_allclose(of_codebook, expected, rtol=1e-3, atol=1e-3)
    expected = differences(lambda v: entropy(codebook, v, weights, similarity), vectors)
    np.testing.assert_allclose(of_vectors, expected, rtol=1e-3, atol=1e-3)
    assert not of_vectors[weights == 0].any()
    assert np.abs(of_vectors[weights == 1]).min(axis=0).max() > 0


@pytest.mark.parametrize("loss", ENTROPIES)
def test_entropy_of_nothing_is_finite(loss):
    value = loss(*(x.astype("float32") for x in (random(6, 3), random(20, 3), np.zeros(20))))
    assert float(value) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("loss", [orthogonality_loss, *ENTROPIES])
def test_they_are_registered(loss):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again is loss
