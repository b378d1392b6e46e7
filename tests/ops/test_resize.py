import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import area_matrix
from vqzoo.ops import bicubic_matrix
from vqzoo.ops import resize

# The scales of the published multi-scale tokenizer, and a few that are none.
SIZES = [(16, n) for n in (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)] + [(7, 3), (5, 4), (1, 1), (32, 9)]


def test_typed_out_means_of_whole_inputs():
    assert area_matrix(4, 2).tolist() == [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    # Five to three: inputs 0 to 1, 1 to 3 and 3 to 4; neighbours share one.
    np.testing.assert_allclose(
        area_matrix(5, 3), [[1 / 2, 1 / 2, 0, 0, 0], [0, 1 / 3, 1 / 3, 1 / 3, 0], [0, 0, 0, 1 / 2, 1 / 2]], rtol=1e-6
    )
    assert area_matrix(3, 1).tolist() == [[np.float32(1 / 3)] * 3]
    assert area_matrix(3, 3).tolist() == np.eye(3).tolist()


@pytest.mark.parametrize(("n_in", "n_out"), SIZES)
def test_means_equal_slices(n_in, n_out):
    values = np.random.default_rng(0).normal(size=n_in)
    expected = []
    for i in range(n_out):
        window = [v for j, v in enumerate(values) if j + 1 > i * n_in / n_out and j < (i + 1) * n_in / n_out]
        expected.append(np.mean(window))
    np.testing.assert_allclose(area_matrix(n_in, n_out) @ values, expected, atol=1e-6)


def test_typed_out_cubic_weights():
    # Twice as large: places 3/4 and 1/4 from the inputs beside them. k(1/4) = 0.8789, k(3/4) = 0.2617,
    # k(5/4) = -0.1055, k(7/4) = -0.0352 with A = -3/4.
    inner = bicubic_matrix(6, 12)[5]
    np.testing.assert_allclose(inner, [0, -0.10546875, 0.87890625, 0.26171875, -0.03515625, 0], atol=1e-7)
    # At the border the first input stands in for the missing ones.
    np.testing.assert_allclose(
        bicubic_matrix(6, 12)[0], [-0.03515625 + 0.26171875 + 0.87890625, -0.10546875, 0, 0, 0, 0], atol=1e-7
    )
    assert bicubic_matrix(1, 5).tolist() == [[1.0]] * 5
    assert bicubic_matrix(4, 4).tolist() == np.eye(4).tolist()


@pytest.mark.parametrize(("n_in", "n_out"), [pair[::-1] for pair in SIZES])
def test_cubic_interpolation_equals_keys_formula(n_in, n_out):
    """A loop over places and neighbours with the kernel as the paper writes it, in powers of the distance."""
    values, a = np.random.default_rng(1).normal(size=n_in), -0.75

    def kernel(d):
        d = abs(d)
        if d <= 1:
            return (a + 2) * d**3 - (a + 3) * d**2 + 1
        return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0

    padded = np.concatenate([[values[0]] * 3, values, [values[-1]] * 3])
    expected = []
    for i in range(n_out):
        place = (i + 0.5) * n_in / n_out - 0.5
        expected.append(sum(value * kernel(place - (j - 3)) for j, value in enumerate(padded)))
    np.testing.assert_allclose(bicubic_matrix(n_in, n_out) @ values, expected, atol=1e-6)


@pytest.mark.parametrize(("n_in", "n_out"), SIZES)
def test_a_constant_stays_constant(n_in, n_out):
    np.testing.assert_allclose(area_matrix(n_in, n_out).sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(bicubic_matrix(n_out, n_in).sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize("matrix", [area_matrix, bicubic_matrix])
@pytest.mark.parametrize(
    ("name", "sizes", "wrong"), [("n_in", (0, 1), "0"), ("n_in", (4.0, 1), "4.0"), ("n_out", (4, -1), "-1")]
)
def test_sizes_are_positive_integers(matrix, name, sizes, wrong):
    with pytest.raises(ValueError, match=f"`{name}` is a positive integer. Received: {name}={wrong}"):
        matrix(*sizes)


def test_averaging_does_not_enlarge():
    with pytest.raises(
        ValueError, match="Averaging cannot increase the number of values. Received: n_in=3, n_out=4. `bicubic_matrix`"
    ):
        area_matrix(3, 4)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_resize_is_one_matrix_for_each_axis(known, jit_compile):
    rng = np.random.default_rng(2)
    images = rng.normal(size=(2, 5, 7, 3)).astype("float32")
    rows, columns = rng.normal(size=(4, 5)).astype("float32"), rng.normal(size=(9, 7)).astype("float32")
    shape = images.shape if known else (None, None, None, 3)
    function = tf.function(
        lambda x: resize(x, rows, columns), input_signature=[tf.TensorSpec(shape)], jit_compile=jit_compile
    )
    expected = np.einsum("oh,pw,bhwc->bopc", rows, columns, images)
    np.testing.assert_allclose(function(images), expected, rtol=1e-4, atol=1e-5)
    assert function.get_concrete_function().output_shapes[1:].as_list() == [4, 9, 3]


def test_resize_refuses_another_size_while_running():
    function = tf.function(
        lambda x: resize(x, area_matrix(4, 2), area_matrix(4, 2)),
        input_signature=[tf.TensorSpec((None, None, None, 1))],
    )
    assert function(np.ones((1, 4, 4, 1), "float32")).shape == (1, 2, 2, 1)
    for shape in ((1, 2, 8, 1), (1, 8, 2, 1), (1, 8, 8, 1)):
        with pytest.raises(tf.errors.InvalidArgumentError):
            function(np.ones(shape, "float32"))


def test_the_gradient_is_the_transposed_matrices():
    rows, columns = bicubic_matrix(2, 5), area_matrix(6, 4)
    images = tf.constant(np.random.default_rng(3).normal(size=(1, 2, 6, 1)), tf.float32)
    weights = np.random.default_rng(4).normal(size=(1, 5, 4, 1)).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = keras.ops.sum(resize(images, rows, columns) * weights)
    expected = np.einsum("oh,pw,bopc->bhwc", rows, columns, weights)
    np.testing.assert_allclose(tape.gradient(total, images), expected, atol=1e-6)
