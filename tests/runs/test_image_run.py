import dataclasses
import re

import numpy as np
import pytest

import vqzoo
from vqzoo.data import save_image
from vqzoo.data import split_images
from vqzoo.data import write_image_shards
from vqzoo.export import EXPORT_FORMS
from vqzoo.runs import TokenizerRun
from vqzoo.runs import run as run_module


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
    strategy: str = "none"
    deterministic: bool = False
    seed: int = 0
    resume: bool = False
    checkpoint_minutes: float = 10.0
    tensorboard: bool = False
    exports: str = "all"
    forms = EXPORT_FORMS


def run_of(config):
    return TokenizerRun(config, "image", "test").prepare()


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(8):
        save_image(folder / f"{i}.png", np.random.default_rng(i).uniform(-1, 1, (20, 24, 3)))
    return folder


@pytest.mark.parametrize("inside", ["", "/presets/mine"])
@pytest.mark.parametrize("name", ["data", "validation_data"])
def test_an_output_folder_inside_the_data_is_refused_before_anything_is_written(name, inside, pictures, tmp_path):
    before = sorted(pictures.iterdir())
    folder = f"{pictures}{inside}"
    with pytest.raises(ValueError) as caught:
        run_of(Config(folder, **{name: str(pictures)}))
    where = "lies in" if inside else "is"
    assert f"--out {folder} {where} the folder of --{name}, {pictures}: " in str(caught.value)
    beside = tmp_path / ("mine" if inside else "pictures_preset")
    assert str(caught.value).endswith(f"Give a folder beside it, such as --out {beside}")
    assert sorted(pictures.iterdir()) == before
    run_of(Config(str(beside), **{name: str(pictures)}))


def test_a_single_picture_that_trains_and_validates_is_told_in_a_line_and_on_the_card(pictures, tmp_path, capsys):
    run = run_of(Config(str(tmp_path / "out"), str(pictures / "0.png")))
    remark = f"{pictures / '0.png'} is the only picture: it trains and validates."
    assert capsys.readouterr().err == f"warning: {remark}\n"
    assert run.about()["data"].endswith(f". {remark}")


def test_other_endings_are_counted(pictures, tmp_path, capsys):
    for name in ("a.xyz", "b.xyz", "README"):
        (pictures / name).touch()
    run_of(Config(str(tmp_path / "out"), str(pictures)))._print_skipped()
    assert "ignored in the folders of the data: 2 .xyz, 1 no ending" in capsys.readouterr().out


def test_a_bad_picture_that_validates_alone_gives_way_and_is_named(pictures, tmp_path):
    _, validation = split_images(sorted(pictures.iterdir()))
    for file in validation:
        file.write_text("no picture")
    run = run_of(Config(str(tmp_path / "out"), str(pictures)))
    assert run.samples.shape == (8, 16, 16, 3)
    assert not set(run.validation_batches.files) & set(validation)
    for step in range(8):
        run.batches.batch(step)
    assert set(run.batches.skipped) == set(validation)


def test_a_folder_of_bad_pictures_is_told_before_tensorflow_reads_it(pictures, tmp_path):
    for file in pictures.iterdir():
        file.write_text("no picture")
    with pytest.raises(ValueError, match="None of the .* files can be read"):
        run_of(Config(str(tmp_path / "out"), str(pictures)))


@pytest.mark.parametrize("name", ["size", "batch_size", "epochs", "steps_per_epoch", "validation_crops"])
def test_settings_of_0_are_named(name, tmp_path):
    with pytest.raises(ValueError, match=f"--{name} is 1 or more. Received: 0"):
        run_of(Config(str(tmp_path / "out"), **{name: 0}))


def test_other_precisions_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--precision is one of float32, mixed_bfloat16, .* Received: float16"):
        run_of(Config(str(tmp_path / "out"), precision="float16"))
    assert run_module.PRECISIONS[0] == Config.precision


def test_other_strategies_are_refused(tmp_path):
    with pytest.raises(ValueError, match="A strategy must be one of none, mirrored, multiworker. Received: 'tpu'"):
        run_of(Config(str(tmp_path / "out"), strategy="tpu"))


def test_a_batch_that_the_devices_cannot_share_is_refused(tmp_path, monkeypatch):
    class Devices:
        num_replicas_in_sync = 3

    monkeypatch.setattr(run_module, "strategy_named", lambda name: Devices())
    with pytest.raises(ValueError, match="among all 3 devices.*Received: batch_size=2"):
        run_of(Config(str(tmp_path / "out")))


@pytest.mark.parametrize("deterministic", [True, False])
def test_determinism_is_asked_for_first_of_all(deterministic, pictures, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("tensorflow.config.experimental.enable_op_determinism", lambda: asked.append("determinism"))
    monkeypatch.setattr(run_module, "is_chief", lambda strategy: asked.append("strategy") or True)
    run_of(Config(str(tmp_path / "out"), str(pictures), deterministic=deterministic))
    assert asked == ["determinism", "strategy"][not deterministic :]


def test_further_workers_write_nothing(pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_module, "is_chief", lambda strategy: False)
    out = tmp_path / "out"
    run = run_of(Config(str(out), str(pictures)))
    trainer = run.fit(trainer_of)
    assert int(trainer.steps.numpy()) == 1
    assert run.finish(trainer) is None
    run.run_folder.end()
    assert [path for path in out.rglob("*") if path.is_file()] == list(out.glob("run/checkpoints/*.npz"))
    assert capsys.readouterr().out == ""


def test_workers_that_see_other_checkpoints_are_told(pictures, tmp_path, monkeypatch):
    run = run_of(Config(str(tmp_path / "out"), str(pictures)))
    monkeypatch.setattr(run_module, "worker_values", lambda strategy, value: [20, value])
    with pytest.raises(ValueError, match=r"resume after different steps: \[20, 0\].*one folder that they share"):
        run.fit(trainer_of)


def trainer_of(context):
    config = context.settings
    tokenizer = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=2)
    weights = {"l2": 1.0, **dict.fromkeys(tokenizer.quantizer.loss_names, 1.0)}
    trainer = vqzoo.ReconstructionTrainer(tokenizer, {"l2": vqzoo.losses.l2_loss}, weights)
    trainer.build((None, config.size, config.size, config.channels))
    trainer.compile("sgd")
    return trainer


def test_what_a_run_starts_from_is_measured_and_stands_beside_the_result(pictures, tmp_path, capsys):
    run = run_of(Config(str(tmp_path / "out"), str(pictures)))
    trainer = trainer_of(run.context)
    run.measure_before(trainer)
    assert run.before is None  # nothing but random weights
    run._print({"psnr": 21.25}, {"litert": "fine"}, [])
    assert "before" not in capsys.readouterr().out
    run.settings.init = "a preset"
    run.measure_before(trainer)
    expected = run.modality.evaluate(trainer.tokenizer, run.split, run.validation)
    assert run.before["psnr"] == expected["psnr"]
    run._print({"psnr": 21.25}, {"litert": "fine"}, [], {"psnr": 20.5, "usage": 0.5})
    told = capsys.readouterr().out
    assert re.search(r"before.*after", told) and re.search(r"PSNR .*20.5.*21.25", told) and "usage" not in told


def test_shards_are_noticed_and_split_as_their_files(pictures, tmp_path):
    files = [(path, path.name) for path in sorted(pictures.iterdir())]
    write_image_shards(files, tmp_path / "shards", shard_bytes=3_000)
    of_files = run_of(Config(str(tmp_path / "a"), str(pictures)))
    of_shards = run_of(Config(str(tmp_path / "b"), str(tmp_path / "shards")))
    np.testing.assert_array_equal(of_shards.samples, of_files.samples)
    np.testing.assert_array_equal(of_shards.batches.batch(3), of_files.batches.batch(3))
    given = run_of(Config(str(tmp_path / "c"), str(tmp_path / "shards"), str(pictures)))
    assert len(given.split.train) == 8
    (tmp_path / "shards" / "manifest.json").unlink()
    with pytest.raises(ValueError, match="the run that wrote its shards did not finish. Repeat its command"):
        run_of(Config(str(tmp_path / "d"), str(tmp_path / "shards")))
