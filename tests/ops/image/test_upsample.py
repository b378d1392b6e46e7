import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import for_litert
from vqzoo.ops import upsample_conv

SHAPES = [(2, 3, 5, 4, 6), (1, 1, 1, 3, 1), (1, 7, 2, 1, 3), (2, 4, 4, 8, 8)]  # batch, height, width, channels, filters
FORMS = [False, True]


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def reference(images, kernel):
    """Enlarged, then convolved, in float64."""
    enlarged = np.repeat(np.repeat(images, 2, axis=1), 2, axis=2)
    return tf.nn.conv2d(tf.constant(enlarged, "float64"), tf.constant(kernel, "float64"), 1, "SAME").numpy()


def form(images, kernel, in_phases):
    if not in_phases:
        return upsample_conv(images, kernel)
    with for_litert():
        return upsample_conv(images, kernel)


@pytest.mark.parametrize("in_phases", FORMS)
def test_typed_out(in_phases):
    images = np.array([[[[1.0], [10.0]]]], "float32")  # enlarged: two rows of 1 1 10 10
    kernel = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], "float32")[:, :, None, None]
    # The window of the first pixel sees zeros above and to the left: 5 + 6 + 8 + 9.
    upper = [5 + 6 + 8 + 9, (4 + 5 + 7 + 8) + 10 * (6 + 9), (4 + 7) + 10 * (5 + 6 + 8 + 9), 10 * (4 + 5 + 7 + 8)]
    lower = [2 + 3 + 5 + 6, (1 + 2 + 4 + 5) + 10 * (3 + 6), (1 + 4) + 10 * (2 + 3 + 5 + 6), 10 * (1 + 2 + 4 + 5)]
    np.testing.assert_allclose(form(images, kernel, in_phases)[0, :, :, 0], [upper, lower], rtol=1e-6)


@pytest.mark.parametrize("in_phases", FORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_enlarging_and_convolving_borders_included(shape, in_phases):
    batch, height, width, channels, filters = shape
    images, kernel = (
        random(batch, height, width, channels),
        random(3, 3, channels, filters, seed=1) / (9 * channels) ** 0.5,
    )
    found = form(images, kernel, in_phases)
    assert found.shape == (batch, 2 * height, 2 * width, filters)
    np.testing.assert_allclose(found, reference(images, kernel), atol=2e-6)


@pytest.mark.parametrize("in_phases", FORMS)
def test_gradients_equal_those_of_enlarging_and_convolving(in_phases):
    images, kernel = tf.constant(random(2, 3, 5, 4)), tf.constant(random(3, 3, 4, 6, seed=1))
    weights, found = random(2, 6, 10, 6, seed=2), []
    plain = tf.keras.layers.UpSampling2D(2)
    for function in (lambda x, k: form(x, k, in_phases), lambda x, k: tf.nn.conv2d(plain(x), k, 1, "SAME")):
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            total = tf.reduce_sum(function(images, kernel) * weights)
        found.append(tape.gradient(total, [images, kernel]))
    for got, want in zip(*found, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("in_phases", FORMS)
@pytest.mark.parametrize("jit_compile", [False, True])
def test_sizes_that_only_the_run_knows(jit_compile, in_phases):
    kernel = random(3, 3, 3, 2, seed=1) / 27**0.5
    signature = [tf.TensorSpec((None, None, None, 3))]
    function = tf.function(lambda x: form(x, kernel, in_phases), jit_compile=jit_compile, input_signature=signature)
    for shape in ((2, 3, 5, 3), (1, 8, 1, 3)):
        np.testing.assert_allclose(function(random(*shape)), reference(random(*shape), kernel), atol=2e-6)


def test_half_precision_loses_the_rounding_of_kernel_and_result_alone():
    images, kernel = random(2, 6, 5, 16), random(3, 3, 16, 8, seed=1) / 12.0
    exact = [tf.cast(tf.cast(a, "bfloat16"), "float32").numpy() for a in (images, kernel)]
    found = upsample_conv(tf.cast(images, "bfloat16"), tf.cast(kernel, "bfloat16"))
    assert found.dtype == "bfloat16"
    np.testing.assert_allclose(tf.cast(found, "float32"), reference(*exact), atol=0.03)


# Where LiteRT's conversion is tested for whole tokenizers, equal results do not tell which form was taken.
def test_the_forms_are_the_operations_that_they_are_named_for():
    def names(in_phases):
        function = tf.function(lambda x: form(x, random(3, 3, 3, 2), in_phases))
        graph = function.get_concrete_function(tf.TensorSpec((None, None, None, 3))).graph
        return {operation.type for operation in graph.get_operations()}

    assert "Conv2DBackpropInput" in names(False)
    assert "DepthToSpace" not in names(False)
    assert "DepthToSpace" in names(True)
    assert "Conv2DBackpropInput" not in names(True)
