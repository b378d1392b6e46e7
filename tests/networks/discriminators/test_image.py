import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.networks import group_normalization
from vqzoo.networks.discriminators import batch_norm
from vqzoo.networks.discriminators import patch_discriminator


def no_norm(channels, name):
    return keras.layers.Activation("linear", name=name)


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("depth", [0, -1])
def test_depth_is_1_or_more(depth):
    with pytest.raises(ValueError, match=f"`depth` is 1 or more strided convolutions. Received: depth={depth}"):
        patch_discriminator(depth=depth)


@pytest.mark.parametrize(("depth", "pixels"), [(1, 16), (2, 34), (3, 70)])
def test_one_logit_judges_as_many_pixels_as_published(depth, pixels):
    discriminator = patch_discriminator(1, filters=2, depth=depth, normalization=no_norm)
    for layer in discriminator.layers:  # positive weights, so that no path cancels another
        layer.set_weights([np.abs(w) + 0.1 for w in layer.get_weights()])
    images = tf.ones((1, 160, 160, 1))
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = discriminator(images)[-1]
        middle = logits[0, logits.shape[1] // 2, logits.shape[2] // 2, 0]
    seen = tape.gradient(middle, images)[0, ..., 0].numpy() != 0.0
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    assert (rows[0] > 0) and (rows[-1] < 159)
    assert (rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1) == (pixels, pixels)
    assert seen[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (13, 10), (1, 47)])
def test_sizes_of_all_outputs(height, width, channels):
    discriminator = patch_discriminator(channels, filters=4, depth=2)
    outputs = discriminator(random(2, height, width, channels))
    halves = [(-(-height // 2**i), -(-width // 2**i)) for i in (1, 2, 2, 2)]
    expected = [(2, *half, filters) for half, filters in zip(halves, (4, 8, 16, 1), strict=True)]
    assert [tuple(output.shape) for output in outputs] == expected
    assert [tuple(shape) for shape in discriminator.compute_output_shape((2, height, width, channels))] == expected


def test_filters_double_up_to_eightfold():
    discriminator = patch_discriminator(filters=4, depth=5)
    assert [discriminator.get_layer(f"conv_{i}").filters for i in range(6)] == [4, 8, 16, 32, 32, 32]


def test_parameters_of_the_published_70_pixel_discriminator():
    # pix2pix: a bias in the first and last convolution alone, scale and offset after the three between.
    convolutions = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512) + 64 + 1
    offsets = 2 * (128 + 256 + 512)
    assert patch_discriminator().count_params() == convolutions + offsets
    with_statistics = patch_discriminator(normalization=batch_norm)
    assert with_statistics.count_params() == convolutions + 2 * offsets
    assert sum(np.prod(w.shape) for w in with_statistics.trainable_weights) == convolutions + offsets


def test_weights_start_from_the_published_distributions():
    discriminator = patch_discriminator(normalization=batch_norm)
    for name in ("conv_0", "conv_1", "conv_2", "conv_3", "logits"):
        kernel = discriminator.get_layer(name).get_weights()[0]
        assert kernel.std() == pytest.approx(0.02, rel=0.1)
        assert abs(kernel.mean()) < 0.002
    gamma = discriminator.get_layer("norm_3").gamma.numpy()
    assert gamma.mean() == pytest.approx(1.0, abs=0.005)
    assert gamma.std() == pytest.approx(0.02, rel=0.2)


def test_each_step_equals_numpy():
    discriminator = patch_discriminator(2, filters=3, depth=1, normalization=no_norm)
    weights = {layer.name: layer.get_weights() for layer in discriminator.layers}
    images = 10.0 * random(1, 7, 6, 2)
    first, second, logits = (output.numpy() for output in discriminator(images))

    def conv(x, name, stride):
        return tf.nn.conv2d(x, weights[name][0], stride, "SAME").numpy() + sum(weights[name][1:])

    def leaky(x):
        return np.where(x > 0, x, 0.2 * x)

    np.testing.assert_allclose(first, leaky(conv(images, "conv_0", 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(second, leaky(conv(first, "conv_1", 1)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(logits, conv(second, "logits", 1), rtol=1e-4, atol=1e-6)
    assert (first < 0).any() and (logits < 0).any()
    assert len(weights["conv_0"]) == len(weights["logits"]) == 2
    assert len(weights["conv_1"]) == 1  # the normalization's offset would swallow a bias


def test_group_normalization_sees_one_picture_at_a_time():
    discriminator = patch_discriminator(filters=8, depth=2)
    assert [discriminator.get_layer(f"norm_{i}").groups for i in (1, 2)] == [4, 8]
    images = random(4, 16, 16, 3)
    together = discriminator(images, training=True)[-1].numpy()
    alone = np.concatenate([discriminator(images[i : i + 1], training=True)[-1] for i in range(4)])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)


def test_batch_norm_follows_the_batch_in_training_alone():
    discriminator = patch_discriminator(filters=4, depth=1, normalization=batch_norm)
    norm = discriminator.get_layer("norm_1")
    before_norm = keras.Model(discriminator.input, norm.input)
    images = 5.0 + random(4, 16, 16, 3)
    values = before_norm(images).numpy()
    discriminator(images)
    assert norm.moving_mean.numpy().tolist() == [0.0] * 8
    _, features, logits = discriminator(images, training=True)
    np.testing.assert_allclose(norm.moving_mean, 0.1 * values.mean(axis=(0, 1, 2)), rtol=1e-3, atol=1e-6)
    normalized = (values - values.mean(axis=(0, 1, 2))) / np.sqrt(values.var(axis=(0, 1, 2)) + 1e-5)
    normalized = normalized * norm.gamma.numpy()
    np.testing.assert_allclose(features, np.where(normalized > 0, normalized, 0.2 * normalized), rtol=1e-3, atol=1e-4)
    assert np.abs(logits - discriminator(images)[-1]).max() > 1e-3  # inference uses the moving statistics


@pytest.mark.parametrize("normalization", [group_normalization, batch_norm])
def test_learns_to_tell_two_kinds_of_pictures_apart(normalization):
    discriminator = patch_discriminator(1, filters=8, depth=1, normalization=normalization)
    optimizer = keras.optimizers.Adam(2e-3)
    smooth = np.ones((8, 16, 16, 1), "float32") * np.linspace(-1, 1, 8, dtype="float32")[:, None, None, None]
    rough = smooth + 0.3 * random(8, 16, 16, 1)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            real, fake = (discriminator(x, training=True)[-1] for x in (smooth, rough))
            loss = tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake))
        optimizer.apply_gradients(
            zip(tape.gradient(loss, discriminator.trainable_variables), discriminator.trainable_variables, strict=True)
        )
        return loss

    optimizer.build(discriminator.trainable_variables)
    losses = [float(step()) for _ in range(60)]
    assert losses[0] > 1.2  # near 2 log 2
    assert losses[-1] < 0.6
