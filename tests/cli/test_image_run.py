import dataclasses

import numpy as np
import pytest

from vqzoo.cli import ImageRun
from vqzoo.cli import image_run
from vqzoo.data import save_image
from vqzoo.data import split_images


@dataclasses.dataclass
class Config:
    out: str
    data: str = ""
    validation_data: str = ""
    validation_share: float = 0.2
    init: str = ""
    size: int = 16
    channels: int = 3
    min_scale: float = 1.0
    max_scale: float = 1.0
    max_side: int = 64
    flip: bool = False
    jitter: float = 0.0
    batch_size: int = 2
    epochs: int = 1
    steps_per_epoch: int = 1
    validation_crops: int = 8
    precision: str = "float32"
    seed: int = 0
    resume: bool = False
    checkpoint_minutes: float = 10.0


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(8):
        save_image(folder / f"{i}.png", np.random.default_rng(i).uniform(-1, 1, (20, 24, 3)))
    return folder


def test_a_bad_picture_that_validates_alone_gives_way_and_is_named(pictures, tmp_path):
    _, validation = split_images(sorted(pictures.iterdir()))
    for file in validation:
        file.write_text("no picture")
    run = ImageRun(Config(str(tmp_path / "out"), str(pictures)), "test")
    assert run.samples.shape == (8, 16, 16, 3)
    assert not set(run.validation_crops.files) & set(validation)
    for step in range(8):
        run.crops.batch(step)
    assert set(run.crops.skipped) == set(validation)


def test_a_folder_of_bad_pictures_is_told_before_tensorflow_reads_it(pictures, tmp_path):
    for file in pictures.iterdir():
        file.write_text("no picture")
    with pytest.raises(ValueError, match="None of the .* files can be read"):
        ImageRun(Config(str(tmp_path / "out"), str(pictures)), "test")


@pytest.mark.parametrize("name", ["size", "batch_size", "epochs", "steps_per_epoch", "validation_crops"])
def test_settings_of_0_are_named(name, tmp_path):
    with pytest.raises(ValueError, match=f"--{name} is 1 or more. Received: 0"):
        ImageRun(Config(str(tmp_path / "out"), **{name: 0}), "test")


def test_other_precisions_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--precision is one of float32, mixed_bfloat16, .* Received: float16"):
        ImageRun(Config(str(tmp_path / "out"), precision="float16"), "test")
    assert image_run.PRECISIONS[0] == Config.precision
