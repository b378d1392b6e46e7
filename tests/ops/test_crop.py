import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import crop
from vqzoo.ops import upsample_nearest


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("size", [(3, 2), (4, 5), (1, 1), (9, 2)])
def test_crop_keeps_the_first_positions(size):
    x = random(2, 4, 5, 3)
    np.testing.assert_array_equal(crop(tf.constant(x), size), x[:, : size[0], : size[1]])


def test_crop_of_one_grid_axis_keeps_the_channels():
    x = random(2, 7, 3)
    np.testing.assert_array_equal(crop(tf.constant(x), (4,)), x[:, :4])


def test_crop_to_a_size_that_is_a_tensor():
    x = random(2, 4, 5, 3)
    any_images, any_size = tf.TensorSpec((None, None, None, 3)), tf.TensorSpec((2,), tf.int32)
    function = tf.function(lambda x, size: crop(x, (size[0], size[1])), input_signature=[any_images, any_size])
    np.testing.assert_array_equal(function(x, tf.constant([3, 2])), x[:, :3, :2])


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 5, 4), (0, 2, 2, 1)])
def test_upsampling_repeats_each_pixel(shape, factor):
    x = random(*shape)
    expected = x.repeat(factor, axis=1).repeat(factor, axis=2)
    any_images = tf.TensorSpec((None, None, None, shape[-1]))
    for options in ({}, {"input_signature": [any_images]}, {"jit_compile": True}):
        function = tf.function(lambda x: upsample_nearest(x, factor), **options)
        np.testing.assert_array_equal(function(x), expected)
    np.testing.assert_array_equal(upsample_nearest(x, factor), expected)


def test_each_pixel_receives_the_gradient_of_its_copies():
    x, weights = tf.constant(random(2, 3, 5, 4)), random(2, 6, 10, 4)
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(upsample_nearest(x) * weights)
    expected = weights.reshape(2, 3, 2, 5, 2, 4).sum(axis=(2, 4))
    np.testing.assert_allclose(tape.gradient(total, x), expected, rtol=1e-5, atol=1e-6)
