import json
import time

import numpy as np
import pytest
import tensorflow as tf

from vqzoo.metrics import codebook_statistics
from vqzoo.metrics import evaluate_images
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
            "ssim": np.mean(ssim(images, saved)),
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
    with pytest.raises(ValueError, match="nothing to evaluate: `batches` held no picture"):
        evaluate_images(Blocks(), batches, max_batches=limit)


def test_batches_of_something_else():
    with pytest.raises(ValueError, match=r"pictures alone, .*Received: a batch of shape \(16, 16, 3\)"):
        evaluate_images(Blocks(), [pictures(0, (16, 16, 3))])
