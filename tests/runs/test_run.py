"""What a run prints as it trains, without the training: the slow tests check that it does."""

import contextlib
from types import SimpleNamespace

import pytest

from vqzoo.modalities import Split
from vqzoo.runs import ImagePriorData
from vqzoo.runs import PriorRun
from vqzoo.runs import TokenizerRun
from vqzoo.trainers import Position


def images(settings):
    return TokenizerRun(settings, "image", "test")


class Trainer:
    fitted = SimpleNamespace(count_params=lambda: 2000)

    def __init__(self, ends=None):
        self.ends = ends

    def fit(self, *_, **__):
        if self.ends:
            raise self.ends


@pytest.fixture
def fit(monkeypatch):
    """Runs `fit` of a class of runs on so many devices."""
    monkeypatch.setattr("vqzoo.runs.run.distributed_dataset", lambda strategy, make: None)

    def call(kind, devices, trainer, chief=True, resuming=False, step=0):
        settings = SimpleNamespace(batch_size=8, epochs=1, steps_per_epoch=1, out="out", precision="float32", init="")
        run = kind(settings)
        run.split, run.prepared = Split([], []), True
        run.strategy = SimpleNamespace(num_replicas_in_sync=devices, scope=contextlib.nullcontext)
        run.chief, run.batches = chief, SimpleNamespace(dataset=print)
        start = Position(step, 0)
        run.run_folder = SimpleNamespace(start=lambda trainer: start, resuming=resuming, checkpoints=None)
        monkeypatch.setattr("vqzoo.runs.run.worker_values", lambda strategy, value: [value])
        monkeypatch.setattr(type(run), "_watching", lambda self, trainer: [])
        monkeypatch.setattr(type(run), "check", lambda self, trainer: None)  # has tests of its own
        monkeypatch.setattr(type(run), "context", None)
        monkeypatch.setattr(type(run), "data_line", lambda self: "5 files")
        monkeypatch.setattr(type(run), "tokens_line", lambda self, trainer: "4 tokens")
        return run.fit(lambda context: trainer)

    return call


@pytest.mark.parametrize(
    ("kind", "noun"),
    [
        (images, "images"),
        (lambda settings: TokenizerRun(settings, "audio", "test"), "clips"),
        (lambda settings: TokenizerRun(settings, "text", "test"), "sentences"),
        (lambda settings: PriorRun(settings, "test", ImagePriorData(settings)), "images"),
    ],
)
@pytest.mark.parametrize(("devices", "share"), [(2, 4), (4, 2), (1, None)])
def test_several_devices_and_their_shares_are_told(kind, noun, devices, share, fit, capsys):
    trainer = Trainer()
    assert fit(kind, devices, trainer) is trainer
    where = "" if share is None else f" on {devices} devices, {share} of a batch on each"
    assert capsys.readouterr().out.splitlines() == [
        "data      5 files",
        "model     0.002 M parameters, 4 tokens",
        f"training  1 epoch of 1 step of 8 {noun}{where}, in float32",
        "results   out",
    ]


def test_what_a_resumed_and_a_stopped_run_say(fit, capsys):
    with pytest.raises(SystemExit):
        fit(images, 1, Trainer(SystemExit(143)), resuming=True, step=7)
    expected = "resumed after 7 steps\nStopped, and saved. Resume with the same command and --resume.\n"
    assert capsys.readouterr().out.endswith(expected)


def test_only_the_first_worker_speaks(fit, capsys):
    with pytest.raises(SystemExit):
        fit(images, 2, Trainer(SystemExit(143)), chief=False, resuming=True)
    assert capsys.readouterr().out == ""
