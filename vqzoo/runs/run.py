"""What every recipe does around its own page: data, devices, watching, the finished preset folder."""

import abc
import collections
import dataclasses
import functools
import importlib.util

import keras
import numpy as np
import rich.console
import rich.table
import tensorflow as tf

from vqzoo.data.files import counted
from vqzoo.export import LITERT_FILES
from vqzoo.export import export_preset
from vqzoo.files import user_path
from vqzoo.measures import metric_rows
from vqzoo.metrics import CodebookUsage
from vqzoo.plots import save_loss_curves
from vqzoo.plots import save_usage_histogram
from vqzoo.presets import check_folder
from vqzoo.presets import seal_preset
from vqzoo.runs.failures import failure_line
from vqzoo.runs.run_folder import RunFolder
from vqzoo.trainers import Progress
from vqzoo.trainers import RunLog
from vqzoo.trainers import StopOnNonFinite
from vqzoo.trainers import check_batch_size
from vqzoo.trainers import distributed_dataset
from vqzoo.trainers import is_chief
from vqzoo.trainers import read_log
from vqzoo.trainers import strategy_named
from vqzoo.trainers import worker_values

SAMPLES = 8  # in each picture of reconstructions
VALIDATION_BATCH = 32
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


class Run(abc.ABC):
    """One run of a recipe. A modality's class opens its data, and tells how its signals are judged and shown.

    On several workers each makes one of these, with the same config. The first alone prints and writes; the others
    read the checkpoints in `config.out` where the run is resumed, so that this is a folder that all of them share.

    Args:
        config: the recipe's settings, a `TokenizerSettings` with what the modality's class adds.
        name: str, the recipe's, for the card.
        networks: names of the settings that a preset given as `config.init` replaces. Defaults to none.

    Raises:
        ValueError: if a setting is out of its range, the data hold nothing to read, the output folder holds somebody's
            files or is in use, the run to be resumed was another, or the devices cannot share a batch equally.
    """

    unit = None
    """str, what the examples are called in the progress line."""

    files_are = None
    """str, what the files of the data are called."""

    skipped_are = None
    """str, what those are called that could not be read; None if as all files."""

    counts = ("batch_size", "epochs", "steps_per_epoch")
    """Names of the settings that are 1 or more."""

    default_data = None
    """str, what `data` is where none is given, for the card."""

    model_file = "tokenizer.keras"
    """str, what the preset holds."""

    def __init__(self, config, name, networks=()):
        self.config = config
        self.name = name
        self.networks = networks
        self.folder = user_path(config.out)
        _check_settings(config, self.counts)
        if config.deterministic:
            tf.config.experimental.enable_op_determinism()
        self.strategy = strategy_named(config.strategy)  # before TensorFlow computes anything
        check_batch_size(self.strategy, config.batch_size)
        self.chief = is_chief(self.strategy)
        check_folder(self.folder, self.model_file)  # now, not after hours
        keras.utils.set_random_seed(config.seed)
        keras.config.set_dtype_policy(config.precision)
        self.files, validation_files = self.split()
        self.ignored = self.ignored_in(self.files, validation_files)
        self.run_folder = RunFolder(self.folder / "run", config, self.data_names, writes=self.chief)
        count = self.validation_count()
        devices = self.strategy.num_replicas_in_sync
        batch = devices * max(1, min(VALIDATION_BATCH, count) // devices)
        self.batches, self.validation_batches = self.open(self.files, validation_files, batch)
        self.validation_steps = max(1, count // batch)
        self.validation = self._validation(0, 1)
        # Before TensorFlow reads it, whose message would bury the reason.
        for batches in (self.batches, self.validation_batches):
            batches.batch(0)
        self.samples = self.shown(batch)

    # === What a modality tells ===
    @abc.abstractmethod
    def split(self):
        """Two lists of files, or sources: for training and for validation."""

    @abc.abstractmethod
    def validation_count(self):
        """How many examples to validate on, an int."""

    @abc.abstractmethod
    def open(self, files, validation_files, validation_batch):
        """Two objects with `batch(step)`, `dataset(start, steps, worker, workers)` and `skipped`."""

    @abc.abstractmethod
    def evaluate(self, tokenizer):
        """Dict of numbers on `self.validation`."""

    @abc.abstractmethod
    def watcher(self, fitted):
        """The callback that shows what the model that is fitted makes as training goes on."""

    @abc.abstractmethod
    def save_samples(self, tokenizer):
        """Writes reconstructions of `self.samples` into the preset; returns the paths, relative to its folder."""

    @abc.abstractmethod
    def about(self):
        """Dict of the metadata's `description` and `signal`."""

    def ignored_in(self, files, validation_files):
        """What the folders hold besides: dict ending -> how many files."""
        counts = collections.Counter()
        for found in (files, validation_files):
            counts.update(getattr(found, "ignored", {}))
        return dict(counts)

    def shown(self, batch):
        """The held-out examples that are shown as training goes on, out of batches of so many."""
        return np.concatenate([x.numpy() for x in self.validation.take(-(-SAMPLES // batch))])[:SAMPLES]

    # === Steps ===
    def fit(self, build):
        """Trains for `epochs` epochs of `steps_per_epoch` steps, watched by a progress line, logs and reconstructions.

        Goes on from the latest checkpoint where the run is resumed.

        Args:
            build: callable, the settings -> a built and compiled `Trainer`; called in the scope of the strategy.

        Returns:
            The trainer.

        Raises:
            ValueError: if the run is resumed, and workers find different checkpoints.
        """
        with self.strategy.scope():
            trainer = build(self.config)
        start = self.run_folder.start(trainer)
        self._check_agreed(start)
        console = rich.console.Console(quiet=not self.chief)
        devices = self.strategy.num_replicas_in_sync
        if devices > 1:
            share = self.config.batch_size // devices
            console.print(f"{devices} devices, {share} of the {self.unit} of each batch on each", highlight=False)
        if self.run_folder.resuming:
            console.print(f"resumed after {start.step} steps", highlight=False)
        try:
            trainer.fit(
                distributed_dataset(self.strategy, functools.partial(self.batches.dataset, start.step, None)),
                initial_epoch=start.epoch,
                epochs=self.config.epochs,
                steps_per_epoch=self.config.steps_per_epoch,
                validation_data=distributed_dataset(self.strategy, self._validation),
                callbacks=[StopOnNonFinite(), *self._watching(trainer), self.run_folder.checkpoints],
                verbose=0,
                shuffle=False,
            )
        except SystemExit:  # a signal
            console.print("Stopped, and saved. The same command with --resume goes on from here.", highlight=False)
            raise
        return trainer

    def finish(self, trainer, marks=None):
        """Evaluates, writes the preset folder with its samples and exports, and prints what came out.

        Args:
            trainer: the trained `Trainer`; its moving average is what is evaluated and saved.
            marks: dict name -> step, drawn into the loss curves. Defaults to none.

        Returns:
            Dict of the numbers on held-out data; None on the workers that write nothing.
        """
        if not self.chief:
            self._print_skipped()  # each worker has read files of its own
            return None
        with trainer.averaged() as tokenizer:
            for part in (tokenizer.encoder, tokenizer.quantizer, tokenizer.decoder):
                part.trainable = True  # what was frozen in this run is not in the next
            tokenizer = tokenizer.in_float32()
            report = self.evaluate(tokenizer)
            tokenizer.save_to_preset(
                self.folder,
                metadata={
                    **self.about(),
                    "metrics": report,
                    "data": self.data_told,
                    "example": _example(tokenizer, self.samples[:1]),
                },
                recipe={"recipe": self.name, **self._settings()},
                seal=False,
            )
            samples = self.save_samples(tokenizer)
            self._draw(tokenizer, marks)
            try:
                forms = self.config.forms
                agreements = export_preset(tokenizer, self.folder, self.samples, forms) if forms else []
            finally:
                seal_preset(self.folder)  # also where an export failed: the tokenizer itself is whole
        self.run_folder.end()
        exports = [
            name
            for name in ("encoder.keras", "decoder.keras", "saved_model", *LITERT_FILES.values())
            if (self.folder / name).exists()
        ]
        paths = ["tokenizer.keras", *exports, *samples, "README.md", "run/curves.png", "run/usage.png"]
        self._print(report, {agreement.form: _told(agreement) for agreement in agreements}, paths)
        return report

    @property
    def data_told(self):
        """What the card says of the training data, a str."""
        return f"{len(self.files)} {self.files_are}: {self.config.data or self.default_data}"

    @property
    def skipped(self):
        """Dict path -> reason, what could not be read."""
        return {**self.batches.skipped, **self.validation_batches.skipped}

    @property
    def data_names(self):
        """List that tells the training data apart from others: a run is resumed with the same."""
        return self.files

    def _validation(self, worker, workers):
        """One worker's rows of the held-out data: the same at every epoch and every run."""
        if workers == 1 and hasattr(self, "validation"):
            return self.validation
        return self.validation_batches.dataset(0, self.validation_steps, worker, workers).cache()

    def _watching(self, trainer):
        """The callbacks that print and write."""
        if not self.chief:
            return []
        progress = Progress(self.config.batch_size, self.unit)
        watching = [progress, RunLog(self.folder / "run"), self.watcher(trainer.fitted)]
        if self.config.tensorboard:
            watching.append(keras.callbacks.TensorBoard(self.folder / "run" / "tensorboard", write_graph=False))
        return watching

    def _check_agreed(self, start):
        steps = worker_values(self.strategy, start.step)
        if len(set(steps)) > 1:
            raise ValueError(
                f"The workers would go on after different steps: {steps}. All of them read the checkpoints in --out: "
                "give them one folder that they share."
            )

    def _settings(self):
        """The settings that had an effect."""
        settings = dataclasses.asdict(self.config)
        return {k: v for k, v in settings.items() if not (self.config.init and k in self.networks)}

    def _draw(self, tokenizer, marks):
        usage = CodebookUsage(tokenizer.codebook_sizes)
        for batch in self.validation:
            usage.update_state(tokenizer.encode(batch), tokenizer.real_positions(batch))
        save_usage_histogram(self.folder / "run" / "usage.png", usage.counts_per_codebook()[0])
        save_loss_curves(self.folder / "run" / "curves.png", read_log(self.folder / "run"), marks)

    def _print(self, report, exports, paths):
        """Prints the numbers, what is told of each export, and where the files are."""
        console = rich.console.Console()
        table = rich.table.Table(title=f"{self.name} on held-out {self.unit}", show_header=False)
        for row in metric_rows(report):
            table.add_row(*row)
        for form, told in exports.items():
            table.add_row(f"export {form}", told)
        console.print(table)
        self._print_skipped()
        for path in (*paths, "run/metrics.csv"):
            console.print(f"  {self.folder / path}", soft_wrap=True, markup=False, highlight=False)

    def _print_skipped(self):
        console = rich.console.Console()
        skipped = self.skipped
        if self.ignored:
            console.print(f"ignored in the folders of the data: {counted(self.ignored)}", highlight=False)
        if skipped:
            console.print(f"{len(skipped)} {self.skipped_are or self.files_are} could not be read and were skipped:")
        for path, reason in skipped.items():
            console.print(f"  {failure_line(path, reason)}", soft_wrap=True, markup=False, highlight=False)


def _told(agreement):
    """How well an export agrees, in words."""
    if not agreement.verified:
        return "not verified: no ai-edge-litert"
    told = f"{agreement.bytes / 1e6:.2f} MB, {agreement.tokens:.2%} of tokens equal, "
    return told + f"decoded within {agreement.signal:.0e}, {agreement.quality}"


def _example(tokenizer, signal):
    """Shapes of one training example and of its tokens."""
    return {"signal": list(signal.shape[1:]), "tokens": list(tokenizer.encode(signal).shape[1:])}


def _check_settings(config, counts):
    for name in counts:
        if getattr(config, name) < 1:
            raise ValueError(f"--{name} is 1 or more. Received: {getattr(config, name)}")
    if config.precision not in PRECISIONS:
        raise ValueError(f"--precision is one of {', '.join(PRECISIONS)}. Received: {config.precision}")
    if config.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise ValueError("--tensorboard needs the package tensorboard: pip install tensorboard")
