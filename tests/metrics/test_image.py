import pathlib

import keras
import numpy as np
import pytest
import skimage
import tensorflow as tf
from PIL import Image
from skimage import metrics

from vqzoo.metrics import psnr
from vqzoo.metrics import ssim


def photo(name):
    """A photograph of scikit-image's wheel as float32 (1, height, width, channels) in [-1, 1]."""
    pixels = np.asarray(Image.open(pathlib.Path(skimage.__file__).parent / "data" / name))
    return (np.atleast_3d(pixels)[None, ..., :3] / 127.5 - 1.0).astype("float32")


def noisy(images, scale=0.2):
    return images + np.random.default_rng(0).normal(0, scale, images.shape).astype("float32")


PHOTOS = ["astronaut.png", "chelsea.png", "coffee.png", "camera.png", "coins.png"]  # the last two are grey


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("scale", [0.01, 0.2])
def test_psnr_is_that_of_scikit_image(name, scale):
    images, changed = photo(name), noisy(photo(name), scale)
    expected = metrics.peak_signal_noise_ratio(images[0], changed[0], data_range=2.0)
    np.testing.assert_allclose(psnr(images, changed), [expected], rtol=1e-5)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("scale", [0.01, 0.2])
def test_ssim_is_that_of_scikit_image(name, scale):
    images, changed = photo(name), noisy(photo(name), scale)
    expected = metrics.structural_similarity(
        images[0].astype("float64"),
        changed[0].astype("float64"),
        data_range=2.0,
        gaussian_weights=True,
        use_sample_covariance=False,
        channel_axis=-1,
    )
    np.testing.assert_allclose(ssim(images, changed), [expected], rtol=0, atol=1e-5)


@pytest.mark.parametrize("max_value, scale", [(2.0, 1.0), (1.0, 0.5), (255.0, 127.5)])
def test_the_scale_of_the_pixels_does_not_matter(max_value, scale):
    images, changed = photo("astronaut.png")[:, :64, :80], noisy(photo("astronaut.png"))[:, :64, :80]
    np.testing.assert_allclose(
        psnr(scale * (images + 1), scale * (changed + 1), max_value), psnr(images, changed), rtol=1e-5
    )
    expected = tf.image.ssim(scale * (images + 1), scale * (changed + 1), max_val=max_value)
    np.testing.assert_allclose(
        ssim(scale * (images + 1), scale * (changed + 1), max_value), expected, rtol=0, atol=1e-5
    )


def test_typed_out_answers():
    black, grey = -np.ones((1, 16, 16, 3)), np.zeros((1, 16, 16, 3))
    np.testing.assert_allclose(psnr(black, grey), [10 * np.log10(4)], rtol=1e-6)
    # Flat pictures: the structure term is 1, the luminance term c1 / (1 + c1) with c1 = 0.0004.
    np.testing.assert_allclose(ssim(black, grey), [0.0004 / 1.0004], rtol=1e-4)


def test_each_picture_has_a_number_of_its_own():
    photos = photo("astronaut.png")
    images = np.concatenate([photos[:, :48, :64], photos[:, 100:148, 100:164], photos[:, 200:248, :64]])
    changed = images.copy()
    changed[1] = noisy(changed[1])
    assert psnr(images, changed).shape == ssim(images, changed).shape == (3,)
    assert np.isinf(psnr(images, changed)).tolist() == [True, False, True]
    np.testing.assert_allclose(ssim(images, changed), [1, ssim(images[1:2], changed[1:2])[0], 1], atol=1e-6)


def test_the_order_of_the_two_does_not_matter():
    images, changed = photo("coffee.png")[:, :64, :64], noisy(photo("coffee.png"))[:, :64, :64]
    np.testing.assert_allclose(ssim(images, changed), ssim(changed, images), atol=1e-6)
    np.testing.assert_allclose(psnr(images, changed), psnr(changed, images), rtol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_in_a_graph_of_unknown_size(jit_compile):
    images, changed = photo("astronaut.png")[:, :40, :50], noisy(photo("astronaut.png"))[:, :40, :50]
    signature = 2 * [tf.TensorSpec((None, None, None, 3), tf.float32)]

    @tf.function(input_signature=signature, jit_compile=jit_compile)
    def both(x, y):
        return psnr(x, y), ssim(x, y)

    expected = psnr(images, changed), ssim(images, changed)
    np.testing.assert_allclose(both(images, changed), expected, rtol=1e-5)


def test_half_precision_pictures_are_measured_in_float32():
    images, changed = photo("astronaut.png")[:, :40, :50], noisy(photo("astronaut.png"))[:, :40, :50]
    halves = [keras.ops.cast(x, "bfloat16") for x in (images, changed)]
    assert keras.backend.standardize_dtype(ssim(*halves).dtype) == "float32"
    floats = [keras.ops.cast(x, "float32") for x in halves]
    np.testing.assert_array_equal(psnr(*halves), psnr(*floats))
    np.testing.assert_array_equal(ssim(*halves), ssim(*floats))


@pytest.mark.parametrize("shape", [(1, 10, 40, 3), (1, 40, 10, 3), (1, 1, 1, 1)])
def test_pictures_smaller_than_the_window(shape):
    with pytest.raises(ValueError, match=r"windows of 11 x 11 pixels.*Received: images of shape .*or PSNR"):
        ssim(np.zeros(shape), np.zeros(shape))


def test_the_smallest_picture_has_one_window():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1, 1, (2, 1, 11, 11, 1))
    g = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
    w = np.outer(g, g)[None, :, :, None] / g.sum() ** 2
    mx, my = (w * x).sum(), (w * y).sum()
    vx, vy, c = (w * (x - mx) ** 2).sum(), (w * (y - my) ** 2).sum(), (w * (x - mx) * (y - my)).sum()
    expected = (2 * mx * my + 4e-4) * (2 * c + 3.6e-3) / ((mx**2 + my**2 + 4e-4) * (vx + vy + 3.6e-3))
    np.testing.assert_allclose(ssim(x, y), [expected], atol=1e-6)


@pytest.mark.parametrize("measure", [psnr, ssim])
@pytest.mark.parametrize(
    "shapes",
    [
        ((1, 16, 16, 3), (1, 16, 16, 1)),
        ((2, 16, 16, 3), (1, 16, 16, 3)),
        ((16, 16, 3), (16, 16, 3)),
        ((1, 16, 16, 3), (16, 16, 3)),
    ],
)
def test_shapes_must_be_equal(measure, shapes):
    with pytest.raises(ValueError, match="must have one shape.*Received: images of shape"):
        measure(np.zeros(shapes[0]), np.zeros(shapes[1]))
