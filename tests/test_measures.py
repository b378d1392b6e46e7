"""Every number that a report has is named, with its unit and direction."""

import json
import pathlib

import pytest

from vqzoo.measures import MEASURES
from vqzoo.measures import metric_label
from vqzoo.measures import metric_rows
from vqzoo.metrics.audio import evaluate as audio
from vqzoo.metrics.image import evaluate as image
from vqzoo.metrics.text import evaluate as text

COUNTED = {"images", "crops", "clips", "recordings", "sentences", "characters", "names", "clips_of_these"}


@pytest.mark.parametrize("names", [image._NAMES, audio._NAMES, text._NAMES], ids=["image", "audio", "text"])
def test_the_numbers_of_each_evaluation_are_named(names):
    assert not set(names) - set(MEASURES) - COUNTED


def test_the_labels_are_different():
    labels = [metric_label(name) for name in MEASURES]
    assert len({*labels}) == len(labels)


def test_the_metrics_of_every_shipped_preset_have_rows():
    root = pathlib.Path(__file__).parents[1] / "saved_models"
    for path in root.glob("*/metadata.json"):
        metrics = json.loads(path.read_text())["metrics"]
        rows = metric_rows(metrics)
        assert len({label for label, _ in rows}) == len(metrics) and not any("_" in label for label, _ in rows)


def test_numbers_have_the_digits_that_are_asked_for():
    assert metric_rows({"psnr": 21.123456}, digits=5) == [("PSNR dB, higher is better", "21.123")]
    assert metric_rows({"ssim": None, "mine": 3}) == [("SSIM, higher is better", "none"), ("mine", "3")]
