"""Checkpoints, also inside an epoch, and exact resume."""

import contextlib
import math
import os
import shutil
import signal
import threading
import time
import zipfile
from typing import NamedTuple

import keras
import numpy as np

from vqzoo.files import atomic_path
from vqzoo.files import user_path
from vqzoo.jsons import json_text
from vqzoo.jsons import parse_json
from vqzoo.trainers.strategy import is_chief
from vqzoo.trainers.strategy import worker_values

_STEP, _BEST, _SUFFIX = "step_", "best_", ".npz"
_POSITION = "position"
_COUNTS = ("step", "epoch", "step_in_epoch")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_DUE = 1  # distinct from signal numbers, which are larger


class Position(NamedTuple):
    """The position of a run."""

    step: int  # training steps taken over all epochs; the dataset continues with this batch
    epoch: int  # number of finished epochs


class Checkpoints(keras.callbacks.Callback):
    """Saves and restores the complete state of a trainer.

    The state consists of all variables and the position in the data. Variables are the weights and their moving
    average, codebooks and their statistics, random generators, optimizers, and the sums of the epoch's logs. A resumed
    run takes the same steps as an uninterrupted one. If the batch is a function of the step, as in `ImageCrops`, the
    final weights on a CPU are bit-identical.

    SIGTERM and Ctrl-C (SIGINT) let the running step finish, save, and exit with 143 and 130. A second one exits at
    once. Make this the last callback, so that the logs are written before the checkpoint.

    Under `MultiWorkerMirroredStrategy` every worker has this callback, with a folder that all of them can read. Only
    the first one writes. They synchronise at the end of each step, so that a signal to any of them stops all after the
    same step with a checkpoint.

    Args:
        folder: str or path, made when missing.
        every_seconds: float, seconds of training between checkpoints inside an epoch. Each epoch also ends with one.
            Defaults to 600.
        every_steps: int, steps between checkpoints, instead of `every_seconds`. Defaults to None.
        keep: int, number of latest checkpoints to keep. Defaults to 2.
        monitor: str, a value of the logs. The checkpoint of the epoch with its lowest value is kept too. Defaults to
            "val_loss".

    Raises:
        ValueError: if an argument is out of range.
        OSError: from `fit`, if a checkpoint cannot be written; earlier ones remain.

    Example:
    >>> import tempfile
    >>> import vqzoo
    >>> tokenizer = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=2)
    >>> trainer = vqzoo.ReconstructionTrainer(tokenizer, {"l2": vqzoo.losses.l2_loss}, {"l2": 1.0, "commitment": 0.25})
    >>> trainer.build((None, 8, 8, 3))
    >>> trainer.compile(keras.optimizers.Adam(1e-3))
    >>> checkpoints = Checkpoints(tempfile.mkdtemp())
    >>> _ = trainer.fit(np.zeros((6, 8, 8, 3), "float32"), batch_size=2, verbose=0, callbacks=[checkpoints])
    >>> checkpoints.restore(trainer)
    Position(step=3, epoch=1)
    """

    def __init__(self, folder, every_seconds=600.0, every_steps=None, keep=2, monitor="val_loss"):
        super().__init__()
        if keep < 1 or every_seconds <= 0.0 or (every_steps is not None and every_steps < 1):
            raise ValueError(
                "`keep` and `every_steps` must be at least 1, `every_seconds` above 0. Received: "
                f"keep={keep}, every_steps={every_steps}, every_seconds={every_seconds}"
            )
        self.folder = user_path(folder)
        self.every_seconds = every_seconds
        self.every_steps = every_steps
        self.keep = keep
        self.monitor = monitor
        self._position = {"step": 0, "epoch": 0, "step_in_epoch": 0, "best": None}
        self._metrics_state = None  # of the resumed epoch
        self._saved_here = False
        self._signal = None
        self._handlers = {}

    # === Restoring ===
    def latest(self):
        """Path of the newest checkpoint, or None."""
        found = sorted(self.folder.glob(f"{_STEP}*{_SUFFIX}"))
        return found[-1] if found else None

    def forget(self):
        """Deletes the checkpoints of an earlier run, and no other files of the folder."""
        for start in (_STEP, _BEST):
            _remove_but(self.folder.glob(f"{start}*{_SUFFIX}"), [])

    def restore(self, trainer):
        """Restores the newest checkpoint into a trainer.

        Args:
            trainer: built and compiled `Trainer` with the settings of the run.

        Returns:
            `Position`. Continue with `fit(data from batch number step on, initial_epoch=epoch, epochs=...,
            steps_per_epoch=..., callbacks=[..., this])`. The first epoch continues where it stopped.

        Raises:
            ValueError: if there is no checkpoint, or it is damaged or from a trainer with other settings.
        """
        path = self.latest()
        if path is None:
            raise ValueError(f"There is no checkpoint in {str(self.folder)!r}: nothing can be resumed from there.")
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                state = {name: arrays[name] for name in arrays.files}
            position = parse_json(str(state.pop(_POSITION)))
            if not isinstance(position, dict) or not all(type(position.get(name)) is int for name in _COUNTS):
                raise ValueError(f"its position is {position!r:.80}")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"The checkpoint {str(path)!r} is damaged: {error}. Delete it to use the one before."
            ) from error
        variables = _variables(trainer)
        _check_same(path, state, variables)
        for name, variable in variables.items():
            variable.assign(state[name])
        self._metrics_state = [(v, state[name]) for name, v in variables.items() if name.startswith("metrics/")]
        self._position = position
        trainer.steps_to_skip = position["step_in_epoch"]
        return Position(position["step"], position["epoch"])

    # === Callback ===
    def on_train_begin(self, logs=None):
        """Starts the clock, and installs signal handlers if possible."""
        if self._metrics_state is None:
            found = self.latest()
            if found is not None and not self._saved_here:
                raise ValueError(
                    f"{str(self.folder)!r} holds checkpoints of another run, the latest {found.name}. `restore` it "
                    "first to resume it, or give another folder."
                )
            self._position = {"step": 0, "epoch": 0, "step_in_epoch": 0, "best": None}
        self._saved = time.monotonic()
        self._saved_step = self._position["step"]
        self._signal = None
        if threading.current_thread() is threading.main_thread():  # Python allows signal handlers only there
            self._handlers = {number: signal.signal(number, self._noted) for number in _SIGNALS}

    def on_epoch_begin(self, epoch, logs=None):
        """Restores the sums of the logs, which Keras has just reset."""
        if self._metrics_state is not None:
            for variable, value in self._metrics_state:
                variable.assign(value)
            self._metrics_state = None
        self._position["epoch"] = epoch
        self._first = self._position["step"] - self._position["step_in_epoch"]

    def on_train_batch_end(self, batch, logs=None):
        """Saves if it is time or a signal was received."""
        if self.model.steps_to_skip:
            return
        self._position["step_in_epoch"] = batch + 1
        self._position["step"] = self._first + batch + 1
        number = self._agreed(self._signal or (_DUE if self._due() else 0))
        if number:
            self._save()
        if number > _DUE:
            self._leave(number)

    def on_epoch_end(self, epoch, logs=None):
        """Saves, and keeps the best checkpoint."""
        self._position.update(epoch=epoch + 1, step_in_epoch=0)
        value = (logs or {}).get(self.monitor)
        best = self._position["best"]
        better = value is not None and math.isfinite(value) and (best is None or value < best)
        if better:
            self._position["best"] = float(value)
        path = self._save()
        if better and self._writes():
            kept = self.folder / path.name.replace(_STEP, _BEST)
            with atomic_path(kept) as temporary:
                shutil.copyfile(path, temporary)
            _remove_but(self.folder.glob(f"{_BEST}*{_SUFFIX}"), [kept])
        number = self._agreed(self._signal or 0)
        if number:
            self._leave(number)

    def on_train_end(self, logs=None):
        """Restores the signal handlers."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    # === Saving ===
    def _due(self):
        if self.every_steps is not None:
            return self._position["step"] - self._saved_step >= self.every_steps
        return time.monotonic() - self._saved >= self.every_seconds

    def _agreed(self, number):
        """The maximum over all workers."""
        return max(worker_values(self.model.distribute_strategy, number))

    def _writes(self):
        return is_chief(self.model.distribute_strategy)

    def _save(self):
        path = self.folder / f"{_STEP}{self._position['step']:010d}{_SUFFIX}"
        # On all workers, because reading a metric sums over them.
        arrays = {name: keras.ops.convert_to_numpy(variable) for name, variable in _variables(self.model).items()}
        if self._writes():
            self._write(path, arrays)
        self._saved_here = True
        self._saved, self._saved_step = time.monotonic(), self._position["step"]
        return path

    def _write(self, path, arrays):
        try:
            with atomic_path(path) as temporary:
                np.savez(temporary, **arrays, **{_POSITION: np.array(json_text(self._position))})
        except OSError as error:
            raise OSError(
                f"The checkpoint {str(path)!r} could not be written: {error}. The earlier ones are intact. Free disk "
                "space and resume the run."
            ) from error
        _remove_but(
            self.folder.glob(f"{_STEP}*{_SUFFIX}"), sorted(self.folder.glob(f"{_STEP}*{_SUFFIX}"))[-self.keep :]
        )

    def _noted(self, number, frame):
        self._signal = number
        for each, handler in self._handlers.items():
            signal.signal(each, handler)  # a second signal exits at once

    def _leave(self, number):
        self.on_train_end()
        raise SystemExit(128 + number)


def _variables(trainer):
    """Name -> variable, for all variables of a step. The names are numbers, because paths repeat in some models."""
    groups = {
        "weights": trainer.variables,
        **{f"optimizers/{name}": optimizer.variables for name, optimizer in trainer.optimizers.items()},
        "metrics": trainer.metrics_variables,
    }
    return {f"{group}/{i:05d}": v for group, variables in groups.items() for i, v in enumerate(variables)}


def _check_same(path, state, variables):
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    other = {name: array.shape for name, array in state.items()}
    if shapes != other:
        name = next(n for n in sorted({*shapes, *other}) if shapes.get(n) != other.get(n))
        found = variables[name].path if name in variables else "no such variable"
        raise ValueError(
            f"The checkpoint {str(path)!r} is from a trainer with other settings: {name} has the shape "
            f"{other.get(name)}, here it is {found} with {shapes.get(name)}. Resume with the settings of the run."
        )


def _remove_but(paths, kept):
    for path in paths:
        if path not in kept:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
