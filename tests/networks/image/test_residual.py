import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.networks import image

SMALL = {"filters": 8, "multipliers": (1, 2), "blocks": 1, "attention": (1,)}


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def part(model, first, last):
    """The model from the input of layer `first` to the output of layer `last`, with random weights."""
    made = keras.Model(model.get_layer(first).input, model.get_layer(last).output)
    made.set_weights([random(*w.shape, seed=i) * w[..., 0].size ** -0.5 for i, w in enumerate(made.get_weights())])
    return made


def silu(x):
    return x / (1.0 + np.exp(-x))


def group_norm(x, weights):
    groups = x.shape[-1] // 4  # 32 from 128 channels up
    grouped = x.astype("float64").reshape(len(x), -1, groups, x.shape[-1] // groups)
    mean, variance = (f(grouped, axis=(1, 3), keepdims=True) for f in (np.mean, np.var))
    gamma, beta = weights
    return ((grouped - mean) / np.sqrt(variance + 1e-6)).reshape(x.shape) * gamma + beta


def conv(x, weights, strides=1):
    kernel, bias = weights
    return tf.nn.conv2d(tf.constant(x, "float64"), tf.constant(kernel, "float64"), strides, "SAME").numpy() + bias


@pytest.mark.parametrize("make", [image.residual_encoder, image.residual_decoder])
@pytest.mark.parametrize("attention", [(3,), (0, 4), (-1,)])
def test_attention_names_levels_that_exist(make, attention):
    message = r"names levels of `multipliers`, from 0 to 2. Received: attention=\(.*\), multipliers=\(1, 2, 4\)"
    with pytest.raises(ValueError, match=message):
        make(8, filters=8, attention=attention)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("multipliers", "height", "width"), [((1,), 3, 5), ((1, 2), 13, 10), ((1, 1, 2), 9, 4), ((1, 2, 2, 1), 1, 17)]
)
def test_sizes_and_channels(multipliers, height, width, channels):
    options = {"channels": channels, "filters": 4, "multipliers": multipliers, "blocks": 1, "mid_attention": False}
    encoder, decoder = image.residual_encoder(6, **options), image.residual_decoder(6, **options)
    stride = 2 ** (len(multipliers) - 1)
    grid = math.ceil(height / stride), math.ceil(width / stride)
    images = random(2, height, width, channels)
    latents = encoder(images)
    assert latents.shape == (2, *grid, 6) == encoder.compute_output_shape(images.shape)
    decoded = decoder(latents)
    size = grid[0] * stride, grid[1] * stride
    assert decoded.shape == (2, *size, channels) == decoder.compute_output_shape(latents.shape)
    assert np.isfinite(decoded).all()


def test_names_of_the_encoder():
    encoder = image.residual_encoder(5, **SMALL, z_channels=7, dropout=0.1)
    assert {layer.name for layer in encoder.layers if layer.weights} == {
        "conv_in",
        "down_0_block_0_norm1",
        "down_0_block_0_conv1",
        "down_0_block_0_norm2",
        "down_0_block_0_conv2",
        "down_0_downsample_conv",
        "down_1_block_0_norm1",
        "down_1_block_0_conv1",
        "down_1_block_0_norm2",
        "down_1_block_0_conv2",
        "down_1_block_0_nin_shortcut",
        "down_1_attn_0_norm",
        "down_1_attn_0",
        "mid_block_1_norm1",
        "mid_block_1_conv1",
        "mid_block_1_norm2",
        "mid_block_1_conv2",
        "mid_attn_1_norm",
        "mid_attn_1",
        "mid_block_2_norm1",
        "mid_block_2_conv1",
        "mid_block_2_norm2",
        "mid_block_2_conv2",
        "norm_out",
        "conv_out",
        "quant_conv",
    }
    assert [encoder.get_layer(name).filters for name in ("conv_in", "conv_out", "quant_conv")] == [8, 7, 5]


def test_names_of_the_decoder():
    decoder = image.residual_decoder(5, **SMALL, z_channels=7, dropout=0.1)
    blocks = ["mid_block_1", "mid_block_2", "up_1_block_0", "up_1_block_1", "up_0_block_0", "up_0_block_1"]
    expected = {f"{block}_{step}" for block in blocks for step in ("norm1", "conv1", "norm2", "conv2")}
    attentions = ["mid_attn_1", "up_1_attn_0", "up_1_attn_1"]
    expected |= {*attentions, *(f"{attention}_norm" for attention in attentions)}
    expected |= {"up_0_block_0_nin_shortcut", "up_1_upsample_conv"}
    expected |= {"post_quant_conv", "conv_in", "norm_out", "conv_out"}
    assert {layer.name for layer in decoder.layers if layer.weights} == expected
    assert [decoder.get_layer(name).filters for name in ("post_quant_conv", "conv_in", "conv_out")] == [7, 16, 3]


def test_parameters_of_the_published_f16_networks():
    options = {"filters": 128, "multipliers": (1, 1, 2, 2, 4), "attention": (4,), "z_channels": 256}
    quant_conv = 256 * 256 + 256
    for make, millions, tensors in ((image.residual_encoder, 29.30, 144), (image.residual_decoder, 42.45, 194)):
        model = make(256, **options)
        # taming-transformers counts the 1x1 convolution beside the quantizer to neither.
        assert round((model.count_params() - quant_conv) / 1e6, 2) == millions
        assert len(model.weights) - 2 == tensors
        keras.backend.clear_session()


@pytest.mark.parametrize(("block", "shortcut"), [("down_0_block_0", False), ("down_1_block_0", True)])
def test_a_residual_block_equals_the_published_order_of_steps(block, shortcut):
    encoder = image.residual_encoder(5, **SMALL)
    first, last = f"{block}_norm1", f"{block}_add"
    model = part(encoder, first, last)
    x = random(2, 5, 6, 8)
    w = {name: encoder.get_layer(f"{block}_{name}").get_weights() for name in ("norm1", "conv1", "norm2", "conv2")}
    y = conv(silu(group_norm(x, w["norm1"])), w["conv1"])
    y = conv(silu(group_norm(y, w["norm2"])), w["conv2"])
    # Of the block's input, neither normalized nor activated.
    skip = conv(x, encoder.get_layer(f"{block}_nin_shortcut").get_weights()) if shortcut else x
    np.testing.assert_allclose(model(x), y + skip, rtol=1e-4, atol=1e-4)


def test_attention_equals_numpy():
    encoder = image.residual_encoder(5, **SMALL)
    model = part(encoder, "mid_attn_1_norm", "mid_attn_1_add")
    x = random(2, 3, 5, 16)
    attention = encoder.get_layer("mid_attn_1")
    y = group_norm(x, encoder.get_layer("mid_attn_1_norm").get_weights()).reshape(2, 15, 16)
    # Kernels (channels, 1 head, channels) and (1 head, channels, channels); all 15 positions see each other.
    query, key, value = (
        y @ dense.get_weights()[0].reshape(16, 16) + dense.get_weights()[1].reshape(16)
        for dense in (attention.query_dense, attention.key_dense, attention.value_dense)
    )
    scores = query @ key.transpose(0, 2, 1) * 16**-0.5
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    kernel, bias = attention.output_dense.get_weights()
    expected = x + ((weights @ value) @ kernel.reshape(16, 16) + bias).reshape(x.shape)
    np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-4)
    assert np.abs(expected - x).mean() > 0.1
    assert weights.max() > 0.2  # not all positions alike


def test_the_middle_may_do_without_attention():
    for make in (image.residual_encoder, image.residual_decoder):
        names = {layer.name for layer in make(5, filters=8, mid_attention=False).layers}
        assert not any("attn" in name for name in names)
        assert {"mid_block_1_add", "mid_block_2_add"} <= names


def test_the_ends_of_the_encoder():
    encoder = image.residual_encoder(5, **SMALL, z_channels=7)
    get = encoder.get_layer
    model = part(encoder, "norm_out", "quant_conv")
    x = random(2, 3, 5, 16)
    y = conv(silu(group_norm(x, get("norm_out").get_weights())), get("conv_out").get_weights())
    np.testing.assert_allclose(model(x), conv(y, get("quant_conv").get_weights()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(6, 8), (6, 7), (5, 8), (1, 3)])
def test_halving_begins_with_the_first_pixel_at_every_size(height, width):
    encoder = image.residual_encoder(5, **SMALL)
    down = part(encoder, "down_0_downsample_pad", "down_0_downsample_conv")
    kernel, bias = down.get_weights()
    x = random(1, height, width, 8)
    padded = np.pad(x, [(0, 0), (0, 2), (0, 2), (0, 0)])
    rows, columns = range(0, height, 2), range(0, width, 2)
    expected = [[np.tensordot(padded[0, i : i + 3, j : j + 3], kernel, 3) + bias for j in columns] for i in rows]
    np.testing.assert_allclose(down(x)[0], expected, rtol=1e-4, atol=1e-4)


def test_a_picture_without_its_last_pixels_keeps_its_latents():
    encoder = image.residual_encoder(5, filters=8, multipliers=(1, 1, 2), blocks=1, mid_attention=False)
    images = keras.ops.image.resize(random(1, 13, 13, 3), (128, 128), interpolation="bicubic")
    whole, cut = (np.asarray(encoder(images[:, :n, :n])) for n in (128, 125))
    # Away from the edges what is left is the normalization's statistics; a shift would be as large as the signal.
    difference = (whole - cut)[:, 4:-8, 4:-8]
    assert difference.std() < 0.1 * whole.std()


def test_the_ends_of_the_decoder():
    decoder = image.residual_decoder(5, **SMALL, z_channels=7)
    get = decoder.get_layer
    model = part(decoder, "post_quant_conv", "conv_in")
    x = random(2, 3, 5, 5)
    y = conv(conv(x, get("post_quant_conv").get_weights()), get("conv_in").get_weights())
    np.testing.assert_allclose(model(x), y, rtol=1e-4, atol=1e-4)
    up = part(decoder, "up_1_upsample_conv", "up_1_upsample_conv")
    x = random(2, 3, 5, 16)
    expected = conv(x.repeat(2, axis=1).repeat(2, axis=2), get("up_1_upsample_conv").get_weights())
    np.testing.assert_allclose(up(x), expected, rtol=1e-4, atol=1e-4)
    out = part(decoder, "norm_out", "conv_out")
    x = random(2, 3, 5, 8)
    y = conv(silu(group_norm(x, get("norm_out").get_weights())), get("conv_out").get_weights())
    np.testing.assert_allclose(out(x), y, rtol=1e-4, atol=1e-4)


def test_dropout_works_in_training_alone():
    encoder = image.residual_encoder(5, **SMALL, dropout=0.5)
    x = random(1, 8, 8, 3)
    np.testing.assert_array_equal(encoder(x), encoder(x, training=False))
    assert np.abs(encoder(x, training=True) - encoder(x, training=True)).max() > 1e-3
