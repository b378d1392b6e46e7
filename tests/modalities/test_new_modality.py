"""A modality of somebody else: notes as (pitch, step, duration), through the same runs and verbs, without an edit."""

import csv
import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo
from vqzoo import modalities
from vqzoo.cli.main import main
from vqzoo.data.files import listed_files
from vqzoo.data.stream import Order
from vqzoo.data.stream import StepBatches
from vqzoo.files import atomic_path
from vqzoo.modalities import Evaluation
from vqzoo.modalities import Modality
from vqzoo.modalities import Split
from vqzoo.networks import Transformer
from vqzoo.runs import PriorRun
from vqzoo.runs import RunSettings
from vqzoo.runs import SignalPriorData
from vqzoo.runs import TokenizerRun
from vqzoo.runs import TokenizerSettings
from vqzoo.trainers.callbacks.samples import Samples

LARGEST = np.array([127.0, 63.0, 63.0])  # of a pitch, a step, a duration


@keras.saving.register_keras_serializable(package="test")
class NoteTokenizer(vqzoo.Tokenizer):
    """Notes (batch, events, 3) in [-1, 1] to a token each."""

    modality = "notes"

    def signal_codec(self, size):
        return NoteSignal(self)


class NoteSignal:
    """What a person writes for notes, and what comes out."""

    axes, size, has_size = 2, None, False

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def encode(self, notes):
        return np.asarray(self.tokenizer.encode(notes[None]))[0]

    def decode(self, tokens, batch_size=None):
        kept = [row[(row >= 0).all(axis=-1)] for row in tokens]
        return [np.asarray(self.tokenizer.decode(row[None]))[0] if len(row) else np.zeros((0, 3)) for row in kept]

    def grid(self, length=None):
        return (length,)

    def about(self):
        return {}

    def describe(self):
        return {}


class NoteWindows(StepBatches):
    """Batches of random windows of notes, each a pure function of its step."""

    _dtype = tf.float32
    skipped = {}

    def __init__(self, files, events, batch_size, load, seed):
        self.rows = [load(file) for file in files]
        self.events, self.batch_size, self.seed = events, batch_size, seed
        self._order = Order(len(self.rows), batch_size, seed)

    @property
    def _shape(self):
        return (self.events, 3)

    def _example(self, number, order, position):
        row = self.rows[int(order[position])]
        start = int(self._order.random(number, stream=1).integers(len(row) - self.events + 1))
        return row[start : start + self.events]


class NoteModality(Modality):
    """Notes in comma-separated tables of three integers."""

    name, noun, files_noun, suffix, at_once, counts = "notes", "note sequences", "tables", ".csv", 2**16, ("events",)
    sample_files = ("samples.json",)

    def find(self, path):
        return listed_files(path, (".csv",), "table of notes", "give another folder", "give another folder")

    def load(self, tokenizer, path):
        rows = np.loadtxt(path, delimiter=",", dtype="float32", ndmin=2)
        if rows.shape[1] != 3:
            raise ValueError(f"{path} has {rows.shape[1]} columns instead of 3.")
        return (2.0 * rows / LARGEST - 1.0).astype("float32")

    def save(self, tokenizer, path, signal):
        rows = np.rint((np.clip(signal, -1.0, 1.0) + 1.0) / 2.0 * LARGEST).astype(int)
        with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
            csv.writer(file).writerows(rows.tolist())

    def encode(self, tokenizer, signals):
        return np.asarray(tokenizer.encode(np.stack(signals)))

    def decode(self, tokenizer, tokens, size):
        self.check_grid(tokenizer, tokens, size, 2**20)
        return np.asarray(tokenizer.decode(tokens[None]))[0]

    def compare(self, tokenizer, signal, reconstruction):
        return {"error": float(np.abs(signal - reconstruction).mean())}

    def examples(self, tokenizer):
        return np.random.default_rng(0).uniform(-1, 1, (2, 16, 3)).astype("float32")

    def split(self, settings):
        files = self.find(settings.data)
        return Split(files[1:], files[:1], dict(files.ignored))

    def datasets(self, settings, split, validation_batch):
        def made(files, batch_size):
            return NoteWindows(files, settings.events, batch_size, lambda file: self.load(None, file), settings.seed)

        return made(split.train, settings.batch_size), made(split.validation, validation_batch)

    def validation_count(self, settings, split):
        return 8

    def evaluate(self, tokenizer, split, batches):
        errors = [np.abs(x - tokenizer(x).signal).mean() for x in batches]
        return {"error": float(np.mean(errors))}

    def evaluate_sample(self, tokenizer, path, size, scale, count, seed):
        return self.evaluate_whole(tokenizer, path)

    def evaluate_whole(self, tokenizer, path):
        files = self.find(path)
        signals = [self.load(tokenizer, file) for file in files]
        again = [np.asarray(tokenizer.decode(tokenizer.encode(x[None])))[0] for x in signals]
        error = np.mean([np.abs(x - y).mean() for x, y in zip(signals, again, strict=True)])
        return Evaluation({"error": float(error)}, f"{len(files)} tables", len(files), {}, files.ignored)

    def save_samples(self, tokenizer, folder, samples):
        (folder / "samples.json").write_text(json.dumps(np.asarray(tokenizer(samples).signal).tolist()))

    def watcher(self, tokenizer, folder, samples):
        class Notes(Samples):
            def write(watcher, path):
                path.mkdir(parents=True, exist_ok=True)
                self.save_samples(watcher.tokenizer, path, watcher.signals)

        return Notes(folder / "notes", tokenizer, samples)

    def describe(self, settings, split):
        return {"description": "notes.", "signal": {"channels": 3}, "data": f"{len(split.train)} tables"}


@dataclasses.dataclass(frozen=True)
class Config(TokenizerSettings):
    events: int = 16
    batch_size: int = 4
    epochs: int = 2
    steps_per_epoch: int = 5


@dataclasses.dataclass(frozen=True)
class PriorConfig(RunSettings):
    tokenizer: str = ""
    tokens: str = ""
    classes: bool = True
    length: int = 16
    batch_size: int = 4
    epochs: int = 1
    steps_per_epoch: int = 4
    validation_examples: int = 4


def build(context):
    size = context.settings.events
    inputs = keras.Input((None, 3))
    latents = keras.layers.Dense(4, name="latents")(keras.layers.Dense(16, "tanh")(inputs))
    encoder = keras.Model(inputs, latents)
    codes = keras.Input((None, 4))
    decoder = keras.Model(codes, keras.layers.Dense(3)(keras.layers.Dense(16, "tanh")(codes)))
    tokenizer = NoteTokenizer(encoder, vqzoo.EMAVectorQuantizer(32), decoder)
    weights = {"l2": 1.0, **dict.fromkeys(tokenizer.quantizer.loss_names, 1.0)}
    trainer = vqzoo.ReconstructionTrainer(tokenizer, {"l2": vqzoo.losses.l2_loss}, weights)
    trainer.build((None, size, 3))
    trainer.compile(keras.optimizers.Adam(1e-2))
    return trainer


def build_prior(context):
    causal = Transformer(1, 2, causal=True)
    prior = vqzoo.AutoregressivePrior(context.space, causal, context.target, 8, context.grid, seed=0)
    trainer = vqzoo.PriorTrainer(prior)
    trainer.build((None, context.length, 1))
    trainer.compile(keras.optimizers.Adam(1e-2))
    return trainer


@pytest.fixture
def notes(tmp_path, monkeypatch):
    monkeypatch.setattr(modalities, "MODALITIES", (*modalities.MODALITIES, NoteModality()))
    rng = np.random.default_rng(0)
    for kind in ("slow", "fast"):
        (tmp_path / "notes" / kind).mkdir(parents=True)
        for i in range(3):
            rows = rng.integers(0, LARGEST + 1, (20 + i, 3))
            np.savetxt(tmp_path / "notes" / kind / f"{i}{kind}.csv", rows, "%d", delimiter=",")
    return tmp_path / "notes"


def test_a_new_modality_takes_the_same_runs_and_verbs(notes, tmp_path, capsys):
    out = tmp_path / "tokenizer"
    run = TokenizerRun(Config(data=str(notes), out=str(out)), "notes", "notes")
    report = run.finish(run.fit(build))
    assert set(report) == {"error"}
    files = vqzoo.presets.verify_preset(out)["files"]
    assert {"samples.json", "saved_model/saved_model.pb", "tokenizer.tflite", "encoder.keras"} <= set(files)
    assert (out / "run" / "notes" / "epoch_0002" / "samples.json").exists()
    # The verbs.
    assert main(["encode", str(out), str(notes), "--out", str(tmp_path / "tokens")]) == 0
    assert main(["decode", str(tmp_path / "tokens"), "--out", str(tmp_path / "again")]) == 0
    tables = sorted((tmp_path / "again").rglob("*.csv"))
    assert len(tables) == 6 and np.loadtxt(tables[0], delimiter=",").shape == (20, 3)
    assert main(["reconstruct", str(out), str(notes), "--out", str(tmp_path / "same")]) == 0
    assert [path.read_text() for path in sorted((tmp_path / "same").rglob("*.csv"))] == [p.read_text() for p in tables]
    assert main(["encode", str(out), str(notes), "--out", str(tmp_path / "shards"), "--shards"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(out), str(notes), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == 6
    assert main(["verify", str(out)]) == 0
    # A prior over its tokens, from files and from shards.
    for name, data in (("files", {"data": str(notes)}), ("shards", {"tokens": str(tmp_path / "shards")})):
        config = PriorConfig(tokenizer=str(out), out=str(tmp_path / f"prior-{name}"), **data)
        run = PriorRun(config, "notes", SignalPriorData(config), {"temperature": 0.9})
        report = run.finish(run.fit(build_prior))
        assert 0.0 < report["bits_per_token"] < 8.0 and run.data.conditions[0].known == ("fast", "slow")
        assert len(list((tmp_path / f"prior-{name}" / "samples").glob("*.csv"))) == 8
    made = vqzoo.generate(tmp_path / "prior-shards", 3, "slow", seed=1)
    assert len(made) == 3 and all(notes.shape[1] == 3 for notes in made)
