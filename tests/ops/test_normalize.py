import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import l2_normalize


def test_typed_out_answers():
    vectors = [[[3.0, 4.0], [0.0, -0.5]], [[1e-3, 0.0], [-6e4, 8e4]]]
    expected = [[[0.6, 0.8], [0.0, -1.0]], [[1.0, 0.0], [-0.6, 0.8]]]
    np.testing.assert_allclose(l2_normalize(np.array(vectors, "float32")), expected, rtol=1e-6)


def test_vectors_without_a_direction_stay_as_they_are():
    result = l2_normalize(np.array([[0.0, 0.0], [0.0, 1e-7]], "float32"))
    np.testing.assert_allclose(result, [[0.0, 0.0], [0.0, 1e-7]], rtol=1e-5)


def test_the_gradient_is_the_projection_beside_the_vector():
    rng = np.random.default_rng(0)
    v, g = (rng.normal(size=(50, 6)) for _ in range(2))
    vectors = tf.constant(v, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        total = keras.ops.sum(l2_normalize(vectors) * g.astype("float32"))
    length = np.linalg.norm(v, axis=1, keepdims=True)
    u = v / length
    np.testing.assert_allclose(
        tape.gradient(total, vectors), (g - u * (u * g).sum(1, keepdims=True)) / length, atol=1e-5
    )


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_gradient_at_zeros_is_finite(jit_compile):
    # keras.ops.normalize gives NaN here.
    @tf.function(jit_compile=jit_compile)
    def gradient(vectors):
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            total = tf.reduce_sum(l2_normalize(vectors))
        return tape.gradient(total, vectors)

    assert np.isfinite(gradient(tf.zeros((2, 3)))).all()
