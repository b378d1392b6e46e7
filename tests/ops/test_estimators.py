import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import rotation_trick
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


def map_of(code, latent):
    """The matrix R of the docstring in float64."""
    unit = lambda v: v / np.linalg.norm(v)  # noqa: E731
    q, e = unit(code), unit(latent)
    w = unit(q + e)
    turn = np.eye(len(code)) - 2 * np.outer(w, w) + 2 * np.outer(q, e)
    return np.linalg.norm(code) / np.linalg.norm(latent) * turn


def rotated(codes, latents, arriving, jit_compile=None):
    """The forward result, and the gradients in codes and latents when `arriving` comes back."""

    def run(codes, latents):
        with tf.GradientTape() as tape:
            tape.watch([codes, latents])
            result = rotation_trick(codes, latents)
            total = tf.reduce_sum(result * tf.constant(arriving, tf.float32))
        return result, tape.gradient(total, [codes, latents])

    run = run if jit_compile is None else tf.function(run, jit_compile=jit_compile)
    result, gradients = run(tf.constant(codes, tf.float32), tf.constant(latents, tf.float32))
    return result.numpy(), *[None if g is None else g.numpy() for g in gradients]


def random_pairs(n=200, d=5, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, d)) * 10.0 ** rng.uniform(-2, 2, (n, 1)) for _ in range(3)]


def test_rotation_typed_out():
    # e = (2, 0) onto q = (0, 3): a quarter turn and 1.5 times the length. Back, (0, 1) becomes (1.5, 0) and (1, 0)
    # becomes (0, -1.5).
    result, _, gradient = rotated([[0.0, 3.0]] * 2, [[2.0, 0.0]] * 2, [[0.0, 1.0], [1.0, 0.0]])
    assert result.tolist() == [[0.0, 3.0]] * 2
    np.testing.assert_allclose(gradient, [[1.5, 0.0], [0.0, -1.5]], atol=1e-6)


@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_rotation_is_the_code_to_the_last_bit_and_the_transposed_map_back(jit_compile):
    codes, latents, arriving = random_pairs()
    result, of_codes, of_latents = rotated(codes, latents, arriving, jit_compile)
    np.testing.assert_array_equal(result, codes.astype("float32"))
    assert of_codes is None
    maps = [map_of(code, latent) for code, latent in zip(codes, latents, strict=True)]
    for matrix, code, latent in zip(maps, codes, latents, strict=True):
        np.testing.assert_allclose(matrix @ latent, code, rtol=1e-9)  # the oracle takes e to q
    expected = np.stack([matrix.T @ g for matrix, g in zip(maps, arriving, strict=True)])
    scale = np.abs(expected).max(axis=1, keepdims=True)
    np.testing.assert_allclose(of_latents / scale, expected / scale, atol=2e-5)


def test_rotation_keeps_the_angle_between_the_gradient_and_the_vector():
    codes, latents, arriving = random_pairs()
    _, _, gradient = rotated(codes, latents, arriving)

    def cosine(a, b):
        return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)

    np.testing.assert_allclose(cosine(gradient, latents), cosine(arriving, codes), atol=1e-5)
    # straight_through keeps the gradient and so loses the angle.
    assert np.abs(cosine(arriving, latents) - cosine(arriving, codes)).max() > 0.5


def test_rotation_onto_the_vector_itself_is_straight_through():
    latents, _, arriving = random_pairs()
    result, _, gradient = rotated(latents, latents, arriving)
    np.testing.assert_array_equal(result, latents.astype("float32"))
    np.testing.assert_allclose(gradient, arriving, rtol=1e-4, atol=1e-4)


def test_rotation_of_opposite_directions_is_the_reflection_of_their_line():
    latents = np.array([[2.0, 0.0, 0.0], [1.0, 2.0, 2.0]])
    arriving = np.array([[1.0, 5.0, 7.0], [0.3, -0.2, 0.9]])
    result, _, gradient = rotated(-3.0 * latents, latents, arriving)
    np.testing.assert_array_equal(result, -3.0 * latents)
    unit = latents / np.linalg.norm(latents, axis=1, keepdims=True)
    mirrored = arriving - 2 * unit * (unit * arriving).sum(1, keepdims=True)
    np.testing.assert_allclose(gradient, 3.0 * mirrored, rtol=1e-4)


@pytest.mark.parametrize("jit_compile", [None, True])
@pytest.mark.parametrize(
    ("code", "latent"),
    [([0.0, 0.0], [0.0, 0.0]), ([1.0, 2.0], [0.0, 0.0]), ([0.0, 0.0], [1.0, 2.0]), ([1.0, 2.0], [1e-30, 0.0])],
)
def test_rotation_of_vectors_without_a_direction_stays_finite_and_small(code, latent, jit_compile):
    result, _, gradient = rotated([code], [latent], [[3.0, -4.0]], jit_compile)
    assert result.tolist() == [code]
    # Divided by the length of such a latent vector, it would be a million times as long. A code of zeros is a map to 0.
    expected = [3.0, -4.0] if np.linalg.norm(latent) < 1e-6 else [0.0, 0.0]
    np.testing.assert_allclose(gradient[0], expected, atol=1e-5)


@pytest.mark.parametrize("grid", [(), (3,), (2, 2, 3)])
def test_rotation_works_along_the_last_axis_of_any_grid(grid):
    rng = np.random.default_rng(0)
    codes, latents, arriving = (rng.normal(size=(2, *grid, 4)) for _ in range(3))
    _, _, gradient = rotated(codes, latents, arriving)
    _, _, flat = rotated(*(x.reshape(-1, 4) for x in (codes, latents, arriving)))
    np.testing.assert_allclose(gradient.reshape(-1, 4), flat, rtol=1e-6)
