"""Recipes that people have copied: the former runs of one modality each, and former names."""

import dataclasses

import numpy as np
import pytest

import vqzoo
from vqzoo.data import save_image
from vqzoo.runs import ImageRun
from vqzoo.runs import TextRun
from vqzoo.runs import TokenizerSettings
from vqzoo.runs import held_out_images
from vqzoo.runs import held_out_pictures


@dataclasses.dataclass(frozen=True)
class Config(TokenizerSettings):
    size: int = 16
    channels: int = 3
    min_scale: float = 1.0
    max_scale: float = 1.0
    max_side: int = 64
    flip: bool = False
    jitter: float = 0.0
    validation_crops: int = 4
    batch_size: int = 2
    epochs: int = 1
    steps_per_epoch: int = 1
    exports: str = "none"
    pieces: int = 300
    length: int = 16
    stride: int = 2
    validation_sentences: int = 4


def image_trainer(config):
    tokenizer = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=2)
    return trained_by(tokenizer, {"l2": vqzoo.losses.l2_loss}, (None, config.size, config.size, 3))


def text_trainer(config, pieces):
    quantizer = vqzoo.EMAVectorQuantizer(8)
    tokenizer = vqzoo.text_vqvae(pieces, stride=config.stride, filters=8, blocks=1, quantizer=quantizer)
    return trained_by(tokenizer, {"it": vqzoo.losses.PieceCrossEntropy(pieces.end)}, (None, config.length))


def trained_by(tokenizer, losses, shape):
    weights = dict.fromkeys((*losses, *tokenizer.quantizer.loss_names), 1.0)
    trainer = vqzoo.ReconstructionTrainer(tokenizer, losses, weights)
    trainer.build(shape)
    trainer.compile("sgd")
    return trainer


@pytest.fixture
def images(tmp_path):
    for i in range(4):
        save_image(tmp_path / "images" / f"{i}.png", np.random.default_rng(i).uniform(-1, 1, (20, 24, 3)))
    return tmp_path / "images"


def test_a_run_of_images_takes_the_settings_alone(images, tmp_path):
    with pytest.warns(DeprecationWarning, match='`ImageRun` is `vqzoo.runs.TokenizerRun\\(settings, "image", name\\)`'):
        run = ImageRun(Config(data=str(images), out=str(tmp_path / "out")), "mine")
    assert "psnr" in run.finish(run.fit(image_trainer))
    assert vqzoo.presets.read_metadata(tmp_path / "out")["description"].startswith(
        "Made by recipes/mine.py on 16 pixel"
    )


def test_a_run_of_text_takes_the_settings_and_the_pieces(tmp_path):
    (tmp_path / "it.txt").write_text("\n".join(f"the cat sat on mat {i}" for i in range(20)))
    with pytest.warns(DeprecationWarning, match="`TextRun` is"):
        run = TextRun(Config(data=str(tmp_path / "it.txt"), out=str(tmp_path / "out")), "mine")
    assert "piece_accuracy" in run.finish(run.fit(text_trainer))


def test_former_names_warn(images):
    config = Config(data=str(images))
    with pytest.warns(DeprecationWarning, match="`held_out_pictures` is `held_out_images`"):
        former = held_out_pictures(config, (16, 16), 3, 2)
    np.testing.assert_array_equal(former, held_out_images(config, (16, 16), 3, 2))
    with pytest.warns(DeprecationWarning, match="`vqzoo.generation.generate`"):
        assert vqzoo.uses.generate is vqzoo.generate
    with pytest.warns(DeprecationWarning, match="`vqzoo.trainers.picture_rows` is `vqzoo.plots.picture_rows` now"):
        assert vqzoo.trainers.picture_rows is vqzoo.plots.picture_rows
    with pytest.raises(AttributeError, match="module 'vqzoo' has no attribute 'use'"):
        vqzoo.use  # noqa: B018
