"""What every training run does around its recipe: devices, data, watching, the finished preset folder."""

import abc
import contextlib
import functools
import importlib.util
import math
import shlex
import sys
import types
import warnings

import keras
import rich.console
import rich.table
import tensorflow as tf

from vqzoo.data.files import amount
from vqzoo.data.files import counted
from vqzoo.files import shown_path
from vqzoo.files import user_path
from vqzoo.measures import metric_rows
from vqzoo.presets import check_folder
from vqzoo.runs.failures import failure_line
from vqzoo.runs.run_folder import RunFolder
from vqzoo.trainers import Progress
from vqzoo.trainers import RunLog
from vqzoo.trainers import StopOnNonFinite
from vqzoo.trainers import check_batch_size
from vqzoo.trainers import distributed_dataset
from vqzoo.trainers import is_chief
from vqzoo.trainers import strategy_named
from vqzoo.trainers import worker_values

VALIDATION_BATCH = 32
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
COUNTS = ("batch_size", "epochs", "steps_per_epoch")
"""Names of the settings of every run that are 1 or more."""


class Run(abc.ABC):
    """One run of a recipe. Use `TokenizerRun` or `PriorRun`; this one holds what they share.

    The constructor only stores. `prepare` takes the devices, the output folder and the data; `fit` trains, and `finish`
    writes the preset. On several workers each makes one of these, with the same settings. Only the first prints and
    writes; the others read the checkpoints in `settings.out` where the run is resumed, so that this is a folder that
    all of them share.

    Args:
        settings: the recipe's settings, a dataclass such as `RunSettings`.
        name: str, the recipe's, for the card.
    """

    model_file = None
    """str, the model's file in the preset."""

    def __init__(self, settings, name):
        self.settings = settings
        self.name = name
        self.folder = user_path(settings.out)
        self.prepared = False
        self.split = None  # `vqzoo.modalities.Split`, once prepared
        self.remarks = []  # on the data, for the card

    # === What kinds of runs add ===
    @property
    @abc.abstractmethod
    def noun(self):
        """What the examples are called in the progress line, a str."""

    @property
    @abc.abstractmethod
    def counts(self):
        """Tuple of str, the settings that are 1 or more."""

    @abc.abstractmethod
    def read(self):
        """Reads what is trained on: `vqzoo.modalities.Split`."""

    @property
    @abc.abstractmethod
    def data_names(self):
        """List that identifies the training data. A run is resumed with the same."""

    @abc.abstractmethod
    def validation_count(self):
        """How many examples to validate on, an int."""

    @abc.abstractmethod
    def open(self, validation_batch):
        """Two objects with `batch(step)`, `dataset(start, steps, worker, workers)` and `skipped`."""

    @abc.abstractmethod
    def shown(self, batch):
        """Held-out examples that are shown during training, taken from batches of this size."""

    @abc.abstractmethod
    def watcher(self, fitted):
        """The callback that shows what the model makes during training."""

    @abc.abstractmethod
    def data_line(self):
        """How much there is to train and to validate on, a str."""

    @abc.abstractmethod
    def tokens_line(self, trainer):
        """How many tokens an example has, of which codebooks, and how many bits that is, a str."""

    def check(self, trainer):  # noqa: B027
        """Raises ValueError where what `build` returned does not fit the data. Called before training."""

    @property
    def context(self):
        """What a recipe's `build` takes: an object with `settings`, and what it needs to know of the data."""
        return types.SimpleNamespace(settings=self.settings, **self.split.context)

    # === Steps ===
    def prepare(self):
        """Takes the devices, the output folder and the data. `fit` calls it if needed.

        Returns:
            The run itself.

        Raises:
            ValueError: if a setting is out of its range, the data hold nothing to read, the output folder lies in
                them, holds other files or is in use, the run to be resumed was another, or the devices cannot share a
                batch equally.
        """
        if self.prepared:
            return self
        settings = self.settings
        _check_settings(settings, self.counts)
        _check_apart(self.folder, settings)
        if settings.deterministic:
            tf.config.experimental.enable_op_determinism()
        self.strategy = strategy_named(settings.strategy)  # before TensorFlow computes anything
        check_batch_size(self.strategy, settings.batch_size)
        self.chief = is_chief(self.strategy)
        check_folder(self.folder, self.model_file)  # now, not after hours
        keras.utils.set_random_seed(settings.seed)
        keras.config.set_dtype_policy(settings.precision)
        with _remarks(self.chief) as self.remarks:
            self.split = self.read()
        self.run_folder = RunFolder(self.folder / "run", settings, self.data_names, writes=self.chief)
        count = self.validation_count()
        devices = self.strategy.num_replicas_in_sync
        batch = devices * max(1, min(VALIDATION_BATCH, count) // devices)
        self.batches, self.validation_batches = self.open(batch)
        self.validation_steps = max(1, count // batch)
        self.validation = None
        self.validation = self._validation(0, 1)
        # Before TensorFlow reads it, whose message would bury the reason.
        for batches in (self.batches, self.validation_batches):
            batches.batch(0)
        self.samples = self.shown(batch)
        self.prepared = True  # not before: what failed is tried again as a whole
        return self

    def fit(self, build):
        """Trains for `epochs` epochs of `steps_per_epoch` steps, watched by a progress line, logs and samples.

        Continues from the latest checkpoint where the run is resumed.

        Args:
            build: callable, the run's `context` -> a built and compiled trainer; called in the scope of the strategy.

        Returns:
            The trainer.

        Raises:
            ValueError: as `prepare`; or the run is resumed, and workers find different checkpoints.
        """
        self.prepare()
        with self.strategy.scope():
            trainer = build(self.context)
        self.check(trainer)
        self.announce(trainer)
        if self.chief:
            self.measure_before(trainer)
        return self._trained(trainer)

    def measure_before(self, trainer):  # noqa: B027
        """Measures what the run starts from, for the table at its end. Called by the first worker, before training.

        Args:
            trainer: what `build` returned.
        """

    def announce(self, trainer):
        """Prints what was found and is about to be trained: data, model, devices, and where results go.

        Args:
            trainer: what `build` returned.
        """
        if not self.chief:
            return
        settings, devices = self.settings, self.strategy.num_replicas_in_sync
        epochs, steps = amount(settings.epochs, "epochs"), amount(settings.steps_per_epoch, "steps")
        steps = f"{epochs} of {steps} of {amount(settings.batch_size, self.noun)}"
        where = f" on {devices} devices, {settings.batch_size // devices} of a batch on each" if devices > 1 else ""
        lines = {
            "data": self.data_line(),
            "model": f"{trainer.fitted.count_params() / 1e6:.3g} M parameters, {self.tokens_line(trainer)}",
            "training": f"{steps}{where}, in {settings.precision}",
            "results": str(self.folder),
        }
        console = rich.console.Console()
        for name, line in lines.items():
            console.print(f"{name:9s} {line}", highlight=False, markup=False, soft_wrap=True)

    def _trained(self, trainer):
        start = self.run_folder.start(trainer)
        self._check_agreed(start)
        console = rich.console.Console(quiet=not self.chief)
        if self.run_folder.resuming:
            console.print(f"resumed after {amount(start.step, 'steps')}", highlight=False)
        try:
            trainer.fit(
                distributed_dataset(self.strategy, functools.partial(self.batches.dataset, start.step, None)),
                initial_epoch=start.epoch,
                epochs=self.settings.epochs,
                steps_per_epoch=self.settings.steps_per_epoch,
                validation_data=distributed_dataset(self.strategy, self._validation),
                callbacks=[StopOnNonFinite(), *self._watching(trainer), self.run_folder.checkpoints],
                verbose=0,
                shuffle=False,
            )
        except SystemExit:  # a signal
            console.print("Stopped, and saved. Resume with the same command and --resume.", highlight=False)
            raise
        return trainer

    def with_remarks(self, about):
        """What the card says, with what was remarked on the data.

        Args:
            about: dict with `data`, a str.

        Returns:
            The dict with a longer `data`.
        """
        return {**about, "data": " ".join([f"{about['data']}.", *self.remarks])} if self.remarks else about

    @property
    def skipped(self):
        """Dict path -> reason, what could not be read."""
        return {**self.batches.skipped, **self.validation_batches.skipped, **self.split.skipped}

    @property
    def files_noun(self):
        """What the files that could not be read are called, a str."""
        return "files"

    def _validation(self, worker, workers):
        """One worker's rows of the held-out data: the same at every epoch and every run."""
        if workers == 1 and self.validation is not None:
            return self.validation
        return self.validation_batches.dataset(0, self.validation_steps, worker, workers).cache()

    def _watching(self, trainer):
        """The callbacks that print and write."""
        if not self.chief:
            return []
        progress = Progress(self.settings.batch_size, self.noun)
        watching = [progress, RunLog(self.folder / "run"), self.watcher(trainer.fitted)]
        if self.settings.tensorboard:
            watching.append(keras.callbacks.TensorBoard(self.folder / "run" / "tensorboard", write_graph=False))
        return watching

    def _check_agreed(self, start):
        steps = worker_values(self.strategy, start.step)
        if len(set(steps)) > 1:
            raise ValueError(
                f"The workers would resume after different steps: {steps}. All of them read the checkpoints in --out: "
                "give them one folder that they share."
            )

    def _print(self, report, exports, paths, before=None):
        """Prints the numbers, with those of what the run started from; the agreement of each export; and the files."""
        console = rich.console.Console()
        title = f"{self.name} on held-out {self.noun}"
        columns = ("", "before", "after") if before else ("", "")
        table = rich.table.Table(*columns, title=title, show_header=bool(before))
        earlier = dict(metric_rows(before or {}))
        for label, value in metric_rows(report):
            table.add_row(label, *([earlier.get(label, "")] if before else []), value)
        for form, line in exports.items():
            table.add_row(f"export {form}", *([""] if before else []), line)
        console.print(table)
        self._print_skipped()
        for path in (*paths, "run/metrics.csv"):
            console.print(f"  {self.folder / path}", soft_wrap=True, markup=False, highlight=False)

    def _print_skipped(self):
        console = rich.console.Console()
        skipped = self.skipped
        if self.split.ignored:
            console.print(f"ignored in the folders of the data: {counted(self.split.ignored)}", highlight=False)
        if skipped:
            console.print(f"skipped {amount(len(skipped), self.files_noun)} that could not be read:", highlight=False)
        for path, reason in skipped.items():
            console.print(f"  {failure_line(path, reason)}", soft_wrap=True, markup=False, highlight=False)


def _check_settings(settings, counts):
    for name in counts:
        if getattr(settings, name) < 1:
            raise ValueError(f"--{name} is 1 or more. Received: {getattr(settings, name)}")
    if settings.precision not in PRECISIONS:
        raise ValueError(f"--precision is one of {', '.join(PRECISIONS)}. Received: {settings.precision}")
    if settings.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise ValueError("--tensorboard needs the package tensorboard: pip install tensorboard")


@contextlib.contextmanager
def _remarks(aloud):
    """Prints a warning about the data in one line, without the source that Python shows; gives the list of them."""
    remarks = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield remarks
    for warning in caught:
        if warning.category is not UserWarning:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        elif str(warning.message) not in remarks:
            remarks.append(str(warning.message))
    for remark in remarks if aloud else ():
        print(f"warning: {shown_path(remark)}", file=sys.stderr)


def _check_apart(folder, settings):
    """Raises ValueError where the output folder lies in a folder of data: the next run would train on what is there."""
    for name in ("data", "validation_data"):
        data = getattr(settings, name, "")
        place = data and user_path(data)
        if not place or not place.is_dir():
            continue
        place, out = place.resolve(), folder.resolve()
        if place == out or place in out.parents:
            other = place.parent / (f"{out.name}_preset" if place == out else out.name)
            raise ValueError(
                f"--out {shown_path(folder)} {'is' if place == out else 'lies in'} the folder of --{name}, "
                f"{shown_path(data)}: the next run would take its images and texts for data. Give a folder beside it, "
                f"such as --out {shlex.quote(str(other))}"
            )


def example_line(noun, grid, codebook_sizes):
    """How many tokens an example has, and how many bits that is.

    Args:
        noun: str, what examples are called, in the plural.
        grid: tuple of int, of the tokens of one example.
        codebook_sizes: tuple of int.

    Returns:
        str.

    Example:
    >>> example_line("images", (16, 16), (1024,))
    'images are 16 x 16 tokens of 1,024 codes (2,560 bits)'
    >>> example_line("clips", (50,), (256, 256))
    'clips are 50 x 2 tokens of 256 codes (800 bits)'
    """
    shape = [*grid, *([len(codebook_sizes)] if len(codebook_sizes) > 1 else [])]
    bits = math.prod(grid) * sum(math.log2(size) for size in codebook_sizes)
    codes = " and ".join(f"{size:,}" for size in dict.fromkeys(codebook_sizes))
    return f"{noun} are {' x '.join(map(str, shape))} tokens of {codes} codes ({bits:,.0f} bits)"
