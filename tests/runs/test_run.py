"""What a run prints as it trains, without the training: the slow tests check that it does."""

import contextlib
from types import SimpleNamespace

import pytest

from vqzoo.runs.audio_run import AudioRun
from vqzoo.runs.image_run import ImageRun
from vqzoo.runs.prior_run import PriorRun
from vqzoo.runs.run import Run
from vqzoo.runs.text_run import TextRun
from vqzoo.trainers import Position


class Trainer:
    def __init__(self, ends=None):
        self.ends = ends

    def fit(self, *_, **__):
        if self.ends:
            raise self.ends


@pytest.fixture
def fit(monkeypatch):
    """Runs `fit` of a class of runs on so many devices."""
    monkeypatch.setattr("vqzoo.runs.run.distributed_dataset", lambda strategy, make: None)

    def call(cls, devices, trainer, chief=True, resuming=False, step=0):
        run = object.__new__(cls)
        run.config = SimpleNamespace(batch_size=8, epochs=1, steps_per_epoch=1)
        run.strategy = SimpleNamespace(num_replicas_in_sync=devices, scope=contextlib.nullcontext)
        run.chief, run.batches = chief, SimpleNamespace(dataset=print)
        start = Position(step, 0)
        run.run_folder = SimpleNamespace(start=lambda trainer: start, resuming=resuming, checkpoints=None)
        monkeypatch.setattr("vqzoo.runs.run.worker_values", lambda strategy, value: [value])
        monkeypatch.setattr(cls, "_watching", lambda self, trainer: [])
        return Run.fit(run, lambda config: trainer)  # what modalities add has tests of its own

    return call


@pytest.mark.parametrize(
    ("cls", "unit"), [(ImageRun, "images"), (AudioRun, "clips"), (TextRun, "sentences"), (PriorRun, "images")]
)
@pytest.mark.parametrize(("devices", "share"), [(2, 4), (4, 2), (1, None)])
def test_several_devices_and_their_shares_are_told(cls, unit, devices, share, fit, capsys):
    trainer = Trainer()
    assert fit(cls, devices, trainer) is trainer
    expected = "" if share is None else f"{devices} devices, {share} of the {unit} of each batch on each\n"
    assert capsys.readouterr().out == expected


def test_what_a_resumed_and_a_stopped_run_say(fit, capsys):
    with pytest.raises(SystemExit):
        fit(ImageRun, 1, Trainer(SystemExit(143)), resuming=True, step=7)
    expected = "resumed after 7 steps\nStopped, and saved. The same command with --resume goes on from here.\n"
    assert capsys.readouterr().out == expected


def test_only_the_first_worker_speaks(fit, capsys):
    with pytest.raises(SystemExit):
        fit(ImageRun, 2, Trainer(SystemExit(143)), chief=False, resuming=True)
    assert capsys.readouterr().out == ""
