import dataclasses
import types

import numpy as np
import pytest

from vqzoo.data import sample_audio
from vqzoo.data import save_audio
from vqzoo.data.audio import files
from vqzoo.export import EXPORT_FORMS
from vqzoo.runs import TokenizerRun

RATE = 8000


@dataclasses.dataclass
class Config:
    out: str
    data: str = ""
    validation_data: str = ""
    validation_share: float = 0.3
    init: str = ""
    sample_rate: int = RATE
    channels: int = 1
    seconds: float = 0.25
    normalize: str = ""
    gain: tuple = ()
    noise: tuple = ()
    polarity: bool = False
    batch_size: int = 2
    epochs: int = 1
    steps_per_epoch: int = 1
    validation_clips: int = 8
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
    return TokenizerRun(config, "audio", "test").prepare()


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    for i in range(6):
        signal = np.random.default_rng(i).uniform(-0.1, 0.1, (RATE, 1)).astype("float32")
        save_audio(folder / f"{i}.wav", signal, RATE)
    return folder


def test_other_endings_are_counted(recordings, tmp_path, capsys):
    (recordings / "a.xyz").touch()
    run_of(Config(str(tmp_path / "out"), str(recordings)))._print_skipped()
    assert "ignored in the folders of the data: 1 .xyz" in capsys.readouterr().out


def test_clips_of_the_folder_are_split_by_file_and_changed_in_training_alone(recordings, tmp_path):
    run = run_of(Config(str(tmp_path / "out"), str(recordings), normalize="peak", gain=(-20.0, -20.0)))
    assert run.samples.shape == (8, 2000, 1)
    assert set(run.batches.files).isdisjoint(run.validation_batches.files)
    assert len(run.batches.files) + len(run.validation_batches.files) == 6
    peaks = [np.abs(batch).max(axis=(1, 2)) for batch in (run.batches.batch(0), run.samples)]
    np.testing.assert_allclose(20 * np.log10(peaks[0]), -21.0, atol=0.1)
    np.testing.assert_allclose(20 * np.log10(peaks[1]), -20.0, atol=0.1)  # as recorded
    about = run.about()
    assert about["signal"] == {"range": [-1.0, 1.0], "channels": 1, "sample_rate": RATE}
    assert "clips of 0.25 s" in about["description"]


def test_without_data_and_without_recordings_it_says_what_it_trains_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(files, "_from_wheel", lambda: [])
    run_of(Config(str(tmp_path / "out")))
    assert capsys.readouterr().err == f"{files.SYNTHETIC} Give --data to train on recordings.\n"


def test_without_data_the_last_sample_validates(tmp_path):
    run = run_of(Config(str(tmp_path / "out")))
    assert [*run.batches.files, *run.validation_batches.files] == sample_audio()
    assert run.validation_batches.files == sample_audio()[-1:]
    assert sample_audio()[0].name in run.about()["data"]


def test_settings_out_of_range(recordings, tmp_path):
    with pytest.raises(ValueError, match="--validation_clips is 1 or more. Received: 0"):
        run_of(Config(str(tmp_path / "out"), str(recordings), validation_clips=0))
    with pytest.raises(ValueError, match="--sample_rate is 1 or more. Received: 0"):
        run_of(Config(str(tmp_path / "out"), str(recordings), sample_rate=0))
    with pytest.raises(ValueError, match="no/such"):
        run_of(Config(str(tmp_path / "out"), "no/such"))
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_preset_of_another_rate_is_refused(recordings, tmp_path):
    run = run_of(Config(str(tmp_path / "out"), str(recordings), init="speech"))
    trainer = types.SimpleNamespace(tokenizer=types.SimpleNamespace(sample_rate=24000))
    with pytest.raises(ValueError, match="'speech' expects 24000 Hz. Received: --sample_rate 8000"):
        run.fit(lambda context: trainer)
