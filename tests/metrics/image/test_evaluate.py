import json
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.metrics import FrechetDistance
from vqzoo.metrics import codebook_statistics
from vqzoo.metrics import evaluate_images
from vqzoo.metrics import frechet_distance
from vqzoo.metrics import ms_ssim
from vqzoo.metrics import psnr
from vqzoo.metrics import ssim


class Blocks:
    """Every `stride` x `stride` block becomes its mean, rounded to `levels` brightnesses."""

    def __init__(self, stride=4, levels=8):
        self.stride = stride
        self.codebook_sizes = (levels,)
        self.calls = []

    def encode(self, images):
        batch, height, width, channels = images.shape
        s = self.stride
        means = images.reshape(batch, height // s, s, width // s, s, channels).mean(axis=(2, 4, 5))
        self.calls.append(images.shape)
        return np.rint((means[..., None] + 1) / 2 * (self.codebook_sizes[0] - 1)).astype("int32")

    def decode(self, tokens, size):
        values = tokens / (self.codebook_sizes[0] - 1) * 2 - 1
        images = values.repeat(self.stride, axis=1).repeat(self.stride, axis=2).repeat(3, axis=3)
        assert images.shape[1:3] == tuple(size)
        return images


class Constant:
    """Decodes to the same values whatever comes."""

    codebook_sizes = (2,)

    def __init__(self, value):
        self.value = value

    def encode(self, images):
        return np.zeros((len(images), 1, 1, 1), "int32")

    def decode(self, tokens, size):
        return tf.fill((len(tokens), *size, 3), tf.constant(self.value, tf.float32))


def pictures(seed, shape):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def test_the_report_is_the_mean_over_all_pictures():
    batches = [pictures(0, (4, 16, 24, 3)), pictures(1, (1, 16, 24, 3))]  # the last batch weighs less
    tokenizer = Blocks()
    report = evaluate_images(tokenizer, batches)
    images = np.concatenate(batches)
    tokens = tokenizer.encode(images)
    saved = np.rint((tokenizer.decode(tokens, (16, 24)) + 1) * 127.5).astype("uint8") / 127.5 - 1
    statistics = codebook_statistics(np.bincount(tokens.ravel(), minlength=8))
    speed = report.pop("images_per_second")
    assert speed > 0
    assert report.pop("dead_codes") == statistics["dead_codes"] > 0
    assert report.pop("images") == 5
    assert report == pytest.approx(
        {
            "psnr": np.mean(psnr(images, saved)),
            "ssim": np.mean(ssim(images + 1, saved + 1)),
            "l1": np.abs(images - saved).mean(),
            "bits_per_pixel": 3 / 16,
            "usage": statistics["usage"],
            "perplexity": statistics["perplexity"],
        },
        rel=1e-5,
    )


def test_the_report_is_plain_json():
    report = evaluate_images(Blocks(), [pictures(0, (2, 16, 16, 3))])
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert {name: type(value) for name, value in report.items()} == {
        "psnr": float,
        "ssim": float,
        "l1": float,
        "bits_per_pixel": float,
        "usage": float,
        "perplexity": float,
        "dead_codes": int,
        "images_per_second": float,
        "images": int,
    }


@pytest.mark.parametrize(
    "value, saved",
    [(5.0, 1.0), (-1.2, -1.0), (0.001, 128 / 127.5 - 1), (0.5, 191 / 127.5 - 1)],
)
def test_reconstructions_are_clipped_and_rounded_to_8_bits(value, saved):
    images = np.full((1, 12, 12, 3), 0.2, "float32")
    report = evaluate_images(Constant(value), [images])
    assert report["l1"] == pytest.approx(abs(saved - 0.2), rel=1e-5)
    assert report["psnr"] == pytest.approx(10 * np.log10(4 / (saved - 0.2) ** 2), rel=1e-5)


def test_a_perfect_picture_does_not_make_the_mean_infinite():
    images = np.stack([np.ones((12, 12, 3)), np.zeros((12, 12, 3))]).astype("float32")
    report = evaluate_images(Constant(1.0), [images])
    assert report["psnr"] == pytest.approx((100 + 10 * np.log10(4)) / 2)


def test_small_pictures_have_no_ssim():
    report = evaluate_images(Blocks(), [pictures(0, (2, 8, 16, 3))])
    assert "ssim" not in report and report["psnr"] > 0
    mixed = evaluate_images(Blocks(), [pictures(0, (2, 8, 16, 3)), pictures(1, (2, 16, 16, 3))])
    assert mixed["ssim"] == evaluate_images(Blocks(), [pictures(1, (2, 16, 16, 3))])["ssim"]


def test_datasets_and_a_limit_of_batches():
    data = pictures(0, (6, 16, 16, 3))
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(2)
    assert evaluate_images(Blocks(), dataset)["images"] == 6
    assert evaluate_images(Blocks(), dataset, max_batches=2)["images"] == 4
    endless = (data for _ in iter(int, 1))
    assert evaluate_images(Blocks(), endless, max_batches=1)["images"] == 6


def test_compilation_is_not_timed():
    class SlowAtFirst(Blocks):
        def encode(self, images):
            if images.shape not in self.calls:
                time.sleep(0.5)
            return super().encode(images)

    tokenizer = SlowAtFirst()
    batches = [pictures(0, (4, 16, 16, 3)), pictures(1, (4, 16, 16, 3)), pictures(2, (1, 16, 16, 3))]
    assert evaluate_images(tokenizer, batches)["images_per_second"] > 9 / 0.5
    # Each shape is run once more, and its tokens count once.
    assert tokenizer.calls == [(4, 16, 16, 3)] * 3 + [(1, 16, 16, 3)] * 2


@pytest.mark.parametrize("batches, limit", [([], None), ([pictures(0, (1, 16, 16, 3))], 0)])
def test_nothing_to_evaluate(batches, limit):
    with pytest.raises(ValueError, match="nothing to evaluate: `batches` held no image"):
        evaluate_images(Blocks(), batches, max_batches=limit)


def test_batches_of_something_else():
    with pytest.raises(ValueError, match=r"only arrays of images, .*Received: a batch of shape \(16, 16, 3\)"):
        evaluate_images(Blocks(), [pictures(0, (16, 16, 3))])


@pytest.mark.parametrize(
    "size, name, scales",
    [
        (20, None, 0),
        (24, "ms_ssim_2_scales", 2),
        (64, "ms_ssim_3_scales", 3),
        (128, "ms_ssim_4_scales", 4),
        (164, "ms_ssim", 5),
    ],
)
def test_multi_scale_ssim_is_named_after_its_scales(size, name, scales):
    images = pictures(0, (2, size, size + 4, 3)).cumsum(axis=1) / 8  # waves rather than noise
    images = np.rint(np.clip(images, -1, 1) * 127.5 + 127.5).astype("float32") / 127.5 - 1
    tokenizer = Blocks(levels=256)
    report = evaluate_images(tokenizer, [images])
    assert [key for key in report if key.startswith("ms_ssim")] == ([name] if name else [])
    if name:
        saved = tokenizer.decode(tokenizer.encode(images), (size, size + 4))
        assert report[name] == pytest.approx(np.mean(ms_ssim(images + 1, saved + 1, scales=scales)), rel=1e-4)
        assert report[name] != pytest.approx(report["ssim"], rel=0.01)


def test_pictures_of_two_sizes_have_two_numbers_and_never_their_mean():
    small, large = pictures(0, (2, 24, 24, 3)), pictures(1, (1, 48, 48, 3))
    report = evaluate_images(Blocks(), [small, large])
    assert report["ms_ssim_2_scales"] == evaluate_images(Blocks(), [small])["ms_ssim_2_scales"]
    assert report["ms_ssim_3_scales"] == evaluate_images(Blocks(), [large])["ms_ssim_3_scales"]


def test_metrics_of_a_batch_and_of_each_picture():
    batches = [pictures(0, (3, 16, 16, 3)), pictures(1, (1, 16, 16, 3))]
    images = np.concatenate(batches)
    tokenizer = Blocks()
    saved = np.rint((tokenizer.decode(tokenizer.encode(images), (16, 16)) + 1) * 127.5) / 127.5 - 1
    of_each = np.abs(images - saved).max(axis=(1, 2, 3))
    report = evaluate_images(
        tokenizer,
        batches,
        metrics={
            "largest": lambda x, y: tf.reduce_max(tf.abs(x - y), axis=(1, 2, 3)),
            "mean_square": lambda x, y: float(np.mean((x - y) ** 2)),
        },
    )
    assert report["largest"] == pytest.approx(of_each.mean(), rel=1e-5)
    # The number of a batch counts once for each of its pictures.
    assert report["mean_square"] == pytest.approx(np.mean((images - saved) ** 2), rel=1e-5)
    assert json.loads(json.dumps(report)) == report
    plain = evaluate_images(tokenizer, batches)
    for key in plain.keys() - {"images_per_second"}:
        assert report[key] == plain[key]


def test_metrics_see_the_saved_reconstruction_beside_its_original():
    images = pictures(0, (2, 16, 16, 3))
    seen = []
    evaluate_images(Constant(5.0), [images], metrics={"seen": lambda x, y: seen.append((x, y)) or 0.0})
    ((original, reconstruction),) = seen
    np.testing.assert_array_equal(original, images)
    np.testing.assert_array_equal(reconstruction, np.ones_like(images))


def test_metrics_that_gather_begin_anew_each_time():
    batches = [pictures(0, (5, 16, 16, 3)), pictures(1, (4, 16, 16, 3))]
    network = keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D()])
    metrics = {"frechet_of_means": FrechetDistance(network), "mse": keras.metrics.MeanSquaredError()}
    reports = [evaluate_images(Blocks(), batches, metrics=metrics) for _ in range(2)]
    images = np.concatenate(batches)
    saved = np.rint((Blocks().decode(Blocks().encode(images), (16, 16)) + 1) * 127.5) / 127.5 - 1
    moments = []
    for x in (images, saved):
        features = x.mean(axis=(1, 2))
        moments += [features.mean(axis=0), np.cov(features, rowvar=False)]
    for report in reports:
        assert type(report["frechet_of_means"]) is float
        assert report["frechet_of_means"] == pytest.approx(frechet_distance(*moments), rel=1e-4)
        assert report["mse"] == pytest.approx(np.mean((images - saved) ** 2), rel=1e-5)


@pytest.mark.parametrize("name", ["psnr", "ms_ssim", "ms_ssim_3_scales", "images", "dead_codes"])
def test_metrics_with_a_name_of_the_report(name):
    with pytest.raises(ValueError, match=rf"names that the report does not use itself. Received: \['{name}'\]"):
        evaluate_images(Blocks(), [pictures(0, (1, 16, 16, 3))], metrics={name: lambda x, y: 0.0})


@pytest.mark.parametrize(
    "metric, shapes",
    [
        (lambda x, y: x - y, r"\[\(2, 16, 16, 3\)\]"),
        (lambda x, y: np.zeros(3), r"\[\(3,\)\]"),
        (lambda x, y: {"a": 0.0, "b": 0.0}, r"\[\(\), \(\)\]"),
    ],
)
def test_metrics_that_return_something_else(metric, shapes):
    with pytest.raises(ValueError, match=rf"each of its 2 images. Received: from odd, shapes {shapes}. A network"):
        evaluate_images(Blocks(), [pictures(0, (2, 16, 16, 3))], metrics={"odd": metric})
