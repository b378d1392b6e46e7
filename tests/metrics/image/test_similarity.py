import pathlib

import keras
import numpy as np
import pytest
import skimage
import tensorflow as tf
from PIL import Image
from skimage import metrics

from vqzoo.metrics import ms_ssim
from vqzoo.metrics import ms_ssim_scales
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
    def all_three(x, y):
        return psnr(x, y), ssim(x, y), ms_ssim(x, y, scales=2)

    expected = psnr(images, changed), ssim(images, changed), ms_ssim(images, changed, scales=2)
    np.testing.assert_allclose(all_three(images, changed), expected, rtol=1e-5)


def test_half_precision_pictures_are_measured_in_float32():
    images, changed = photo("astronaut.png")[:, :40, :50], noisy(photo("astronaut.png"))[:, :40, :50]
    halves = [keras.ops.cast(x, "bfloat16") for x in (images, changed)]
    assert keras.backend.standardize_dtype(ssim(*halves).dtype) == "float32"
    floats = [keras.ops.cast(x, "float32") for x in halves]
    np.testing.assert_array_equal(psnr(*halves), psnr(*floats))
    np.testing.assert_array_equal(ssim(*halves), ssim(*floats))
    np.testing.assert_array_equal(ms_ssim(*halves, scales=2), ms_ssim(*floats, scales=2))


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


@pytest.mark.parametrize("measure", [psnr, ssim, ms_ssim])
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
    with pytest.raises(ValueError, match="must have the same shape.*Received: images of shape"):
        measure(np.zeros(shapes[0]), np.zeros(shapes[1]))


WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])  # Wang, Simoncelli and Bovik 2003, section 3.2


def tensorflow_ms_ssim(images, changed, **options):
    """`tf.image.ssim_multiscale`, channel by channel: its float32 mean over three at once is off by up to 5e-4."""
    channels = [slice(i, i + 1) for i in range(images.shape[-1])]
    values = [tf.image.ssim_multiscale(images[..., c], changed[..., c], max_val=2.0, **options) for c in channels]
    return np.mean(values, axis=0)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("scale", [0.01, 0.2, 1.0])
def test_ms_ssim_is_that_of_tensorflow(name, scale):
    images, changed = photo(name), noisy(photo(name), scale)
    expected = tensorflow_ms_ssim(images, changed)
    np.testing.assert_allclose(ms_ssim(images, changed), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(176, 200), (161, 333), (170, 163)])  # halves of odd sizes on the way
def test_five_scales_of_odd_sizes(size):
    images = photo("astronaut.png")[:, 100 : 100 + size[0], 50 : 50 + size[1]]
    expected = tensorflow_ms_ssim(images, noisy(images))
    np.testing.assert_allclose(ms_ssim(images, noisy(images)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("scales, size", [(1, 11), (2, 21), (2, 32), (3, 41), (3, 64), (4, 81), (4, 128)])
def test_small_pictures_have_fewer_scales_whose_weights_sum_to_one(scales, size):
    images = photo("chelsea.png")[:, 60 : 60 + size, 100 : 100 + size + 7]
    factors = (WEIGHTS[:scales] / WEIGHTS[:scales].sum()).tolist()
    expected = tensorflow_ms_ssim(images, noisy(images), power_factors=factors)
    np.testing.assert_allclose(ms_ssim(images, noisy(images), scales=scales), expected, rtol=0, atol=1e-5)


def test_one_scale_is_ssim():
    images = photo("coffee.png")[:, :64, :64]
    np.testing.assert_allclose(ms_ssim(images, noisy(images), scales=1), ssim(images, noisy(images)), atol=1e-6)


def test_ms_ssim_of_flat_pictures():
    black, grey = -np.ones((1, 64, 64, 3)), np.zeros((1, 64, 64, 3))
    # Contrast and structure are 1, the luminance of the coarsest scale is 0.0004 / 1.0004, its weight 0.3001 / 0.6305.
    expected = (0.0004 / 1.0004) ** (0.3001 / 0.6305)
    np.testing.assert_allclose(ms_ssim(black, grey, scales=3), [expected], rtol=1e-4)


@pytest.mark.parametrize("max_value", [1.0, 255.0])
def test_the_scale_of_the_pixels_does_not_matter_to_ms_ssim(max_value):
    images = photo("astronaut.png")[:, :64, :80]
    changed, half = noisy(images), max_value / 2
    expected = ms_ssim(images, changed, scales=3)
    np.testing.assert_allclose(ms_ssim(half * images, half * changed, max_value, scales=3), expected, rtol=1e-4)
    np.testing.assert_allclose(ms_ssim(changed, images, scales=3), expected, rtol=1e-4)


def test_negative_pictures_count_as_zero_and_do_not_touch_the_others():
    images = photo("camera.png")[:, :64, :64]
    assert ssim(images, -images)[0] < 0  # a broken power of it would be NaN
    got = ms_ssim(np.concatenate([images] * 3), np.concatenate([-images, images, noisy(images)]), scales=3)
    expected = ms_ssim(images, noisy(images), scales=3)[0]
    np.testing.assert_allclose(got, [0.0, 1.0, expected], atol=1e-6)
    assert 0.1 < expected < 0.9


@pytest.mark.parametrize("size, scales", [(10, 0), (11, 1), (20, 1), (21, 2), (40, 2), (41, 3), (80, 3), (81, 4)])
def test_the_scales_that_fit(size, scales):
    assert ms_ssim_scales(size, 1000) == ms_ssim_scales(1000, size) == scales
    if scales:
        images = photo("astronaut.png")[:, :size, :90]
        assert 0 < ms_ssim(images, noisy(images), scales=scales)[0] < 1
        with pytest.raises(ValueError, match=f"Use scales={scales}, and report the number"):
            ms_ssim(images, images, scales=scales + 1)


def test_the_most_scales_are_five():
    assert [ms_ssim_scales(size, size) for size in (160, 161, 10_000)] == [4, 5, 5]


def test_scales_that_do_not_fit():
    with pytest.raises(ValueError, match=r"5 scales need images of at least 161 pixels.*\(1, 160, 200, 3\).*scales=4"):
        ms_ssim(np.zeros((1, 160, 200, 3)), np.zeros((1, 160, 200, 3)))
    with pytest.raises(ValueError, match="3 scales need images of at least 41 pixels.*larger images, or PSNR"):
        ms_ssim(np.zeros((1, 10, 200, 3)), np.zeros((1, 10, 200, 3)), scales=3)


@pytest.mark.parametrize("scales", [0, 6, 2.5, None])
def test_scales_that_there_are_not(scales):
    with pytest.raises(ValueError, match=r"`scales` must be an int from 1 to 5. Received: scales="):
        ms_ssim(np.zeros((1, 200, 200, 3)), np.zeros((1, 200, 200, 3)), scales=scales)
