import math

import keras
import numpy as np
import pytest

from vqzoo.networks import image


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("make", [image.convolutional_encoder, image.convolutional_decoder])
@pytest.mark.parametrize("stride", [0, 1, 3, 6, -4])
def test_the_stride_is_a_power_of_two(make, stride):
    with pytest.raises(ValueError, match=f"`stride` must be a power of two of at least 2. Received: stride={stride}"):
        make(8, stride=stride)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("stride", "height", "width"), [(2, 5, 8), (4, 13, 10), (8, 1, 17), (16, 16, 33)])
def test_sizes_and_channels(stride, height, width, channels):
    encoder = image.convolutional_encoder(6, channels, filters=4, stride=stride, blocks=1)
    decoder = image.convolutional_decoder(6, channels, filters=4, stride=stride, blocks=1)
    grid = math.ceil(height / stride), math.ceil(width / stride)
    images = random(2, height, width, channels)
    latents = encoder(images)
    assert latents.shape == (2, *grid, 6) == encoder.compute_output_shape(images.shape)
    decoded = decoder(latents)
    size = grid[0] * stride, grid[1] * stride
    assert decoded.shape == (2, *size, channels) == decoder.compute_output_shape(latents.shape)
    assert np.isfinite(decoded).all()


def test_parameters_of_the_defaults_layer_by_layer():
    blocks = 2 * ((9 * 128 + 1) * 128 + (128 + 1) * 128)
    encoder = {
        "down_0": (16 * 3 + 1) * 64,
        "down_1": (16 * 64 + 1) * 128,
        "conv_in": (9 * 128 + 1) * 128,
        "latents": (128 + 1) * 64,
    }
    decoder = {"conv_in": (9 * 64 + 1) * 128, "up_1": (9 * 128 + 1) * 64, "images": (9 * 64 + 1) * 3}
    models = image.convolutional_encoder(64), image.convolutional_decoder(64)
    for model, expected in zip(models, (encoder, decoder), strict=True):
        assert {name: model.get_layer(name).count_params() for name in expected} == expected
        assert model.count_params() == sum(expected.values()) + blocks


def test_filters_are_halved_at_half_resolution_alone():
    encoder, decoder = (f(4, filters=8, stride=8) for f in (image.convolutional_encoder, image.convolutional_decoder))
    assert [encoder.get_layer(f"down_{i}").filters for i in range(3)] == [4, 8, 8]
    assert [decoder.get_layer(f"up_{i}").filters for i in (2, 1)] == [8, 4]


# The borders see the padding and what was rolled in; only what lies inside moves along.
def test_moving_the_picture_by_one_stride_moves_the_latents_by_one_position():
    encoder = image.convolutional_encoder(5, filters=8, stride=4, blocks=1)
    images = random(1, 64, 64, 3)
    latents = encoder(images).numpy()
    moved = encoder(np.roll(images, (4, 8), axis=(1, 2))).numpy()
    np.testing.assert_allclose(moved[:, 5:-4, 6:-4], latents[:, 4:-5, 4:-6], rtol=1e-4, atol=1e-5)
    assert np.abs(moved[:, 5:-4, 6:-4] - latents[:, 5:-4, 6:-4]).max() > 0.01


def test_moving_the_latents_by_one_position_moves_the_picture_by_one_stride():
    decoder = image.convolutional_decoder(5, filters=8, stride=4, blocks=1)
    latents = random(1, 16, 16, 5)
    images = decoder(latents).numpy()
    moved = decoder(np.roll(latents, (1, 2), axis=(1, 2))).numpy()
    np.testing.assert_allclose(moved[:, 20:-16, 24:-16], images[:, 16:-20, 16:-24], rtol=1e-4, atol=1e-5)
    assert np.abs(moved[:, 20:-16, 24:-16] - images[:, 20:-16, 24:-16]).max() > 0.01


@pytest.mark.parametrize("make", [image.convolutional_encoder, image.convolutional_decoder])
def test_a_residual_block_without_weights_is_the_identity(make):
    """Blocks whose last convolution is zero leave what a network without blocks computes."""
    with_blocks, without = (make(5, filters=8, blocks=blocks) for blocks in (3, 0))
    for i in range(3):
        conv = with_blocks.get_layer(f"block_{i}_conv2")
        conv.set_weights([np.zeros(w.shape) for w in conv.get_weights()])
    for layer in without.layers:
        layer.set_weights(with_blocks.get_layer(layer.name).get_weights())
    x = random(2, 8, 8, with_blocks.input.shape[-1])
    np.testing.assert_allclose(with_blocks(x), without(x), rtol=1e-5, atol=1e-6)
    conv.set_weights([np.ones(w.shape) for w in conv.get_weights()])
    assert np.abs(with_blocks(x) - without(x)).max() > 0.1


def test_a_residual_block_is_pre_activated():
    model = image.convolutional_encoder(5, filters=8, blocks=1)
    names = ["conv_in", "block_0_conv1", "block_0_conv2", "block_0_add", "relu_out"]
    steps = keras.Model(model.input, [model.get_layer(name).output for name in names])
    x, conv1, conv2, added, out = (step.numpy() for step in steps(random(1, 16, 16, 3)))
    # In the middle of the 4x4 grid: 3x3 convolution of relu(x), relu, 1x1 convolution, plus x itself.
    (kernel1, bias1), (kernel2, bias2) = (model.get_layer(name).get_weights() for name in names[1:3])
    expected = np.einsum("hwc,hwcd->d", np.maximum(x[0, 0:3, 1:4], 0.0), kernel1) + bias1
    np.testing.assert_allclose(conv1[0, 1, 2], np.maximum(expected, 0.0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(conv2, conv1 @ kernel2[0, 0] + bias2, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(added, x + conv2, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(out, np.maximum(added, 0.0))
    assert (x < 0).any() and (added < 0).any()
