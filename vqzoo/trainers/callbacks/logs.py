"""Training logs, and stopping at NaN."""

import csv
import io
import math
import numbers
import time

import keras

from vqzoo.files import atomic_path
from vqzoo.files import user_path
from vqzoo.jsons import json_text
from vqzoo.jsons import parse_json

_CSV = "metrics.csv"
_JSONL = "metrics.jsonl"
_COLUMNS = {"epoch", "step", "seconds"}  # columns of every row


class RunLog(keras.callbacks.Callback):
    """Writes one row per epoch, to `metrics.csv` for people and to `metrics.jsonl` for programs.

    A row holds `epoch` (the number of finished epochs, from 1), `step` (training steps so far), `seconds` (training
    time so far) and every number in the logs. A run that resumes in the same folder (`initial_epoch` above 0) keeps the
    rows of earlier epochs and drops those that it repeats. A new run starts new files. Both files are rewritten
    completely each time, so that a killed process leaves no partial row, and new columns are added to the header.

    Args:
        folder: str or path, made when missing.

    Example:
    >>> import tempfile
    >>> import numpy as np
    >>> folder = tempfile.mkdtemp()
    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.zeros((8, 2), "float32")
    >>> _ = model.fit(x, x[:, :1], batch_size=4, epochs=2, verbose=0, callbacks=[RunLog(folder)])
    >>> [(row["epoch"], row["step"], row["loss"]) for row in read_log(folder)]
    [(1, 2, 0.0), (2, 4, 0.0)]
    """

    def __init__(self, folder):
        super().__init__()
        self.folder = user_path(folder)

    def on_train_begin(self, logs=None):
        """Clears the rows of an earlier `fit`."""
        self._rows = None

    def on_epoch_begin(self, epoch, logs=None):
        """Loads the rows of a resumed run."""
        if self._rows is None:  # the first epoch shows whether the run is new
            resumed = epoch > 0 and (self.folder / _JSONL).is_file()
            self._rows = [row for row in read_log(self.folder) if row["epoch"] <= epoch] if resumed else []
            self._write()
            steps = epoch * (self.params.get("steps") or 0)  # if the earlier rows are lost
            last = self._rows[-1] if self._rows else {"step": steps, "seconds": 0.0}
            self._started = time.perf_counter() - last["seconds"]
            self._steps_before = last["step"]
        self._step = 0

    def on_train_batch_end(self, batch, logs=None):
        """Counts the step."""
        self._step = batch + 1

    def on_epoch_end(self, epoch, logs=None):
        """Writes the row."""
        self._steps_before += self._step
        seconds = round(time.perf_counter() - self._started, 3)
        values = {name: float(value) for name, value in (logs or {}).items() if isinstance(value, numbers.Real)}
        self._rows.append({"epoch": epoch + 1, "step": self._steps_before, "seconds": seconds, **values})
        self._write()

    def _write(self):
        columns = dict.fromkeys(["epoch", "step", "seconds", *(name for row in self._rows for name in row)])
        table = io.StringIO()
        writer = csv.DictWriter(table, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        lines = "".join(json_text(row) + "\n" for row in self._rows)
        for name, text in ((_CSV, table.getvalue()), (_JSONL, lines)):
            with atomic_path(self.folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8", newline="\n")


def read_log(folder):
    """Reads the log of a `RunLog`.

    Args:
        folder: str or path, the folder of the `RunLog`.

    Returns:
        List of one dict per epoch, oldest first. A value that was NaN or infinite is NaN.

    Raises:
        ValueError: if there is no log in `folder`, or it is damaged.
    """
    path = user_path(folder) / _JSONL
    if not path.is_file():
        raise ValueError(
            f"There is no {_JSONL} in {folder}. A training with the callback RunLog(folder) writes it there; "
            "recipes do so under OUT/run/."
        )
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            row = parse_json(line)
            if not isinstance(row, dict) or not all(map(_is_number, row.values())) or not _COLUMNS <= set(row):
                raise ValueError("it is not a row of numbers with epoch, step and seconds")
        except ValueError as error:
            raise ValueError(
                f"Line {number} of {str(path)!r} is damaged: {error}. Remove it, or the file to start the log anew."
            ) from error
        rows.append({name: math.nan if value is None else value for name, value in row.items()})
    return rows


def _is_number(value):
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


class StopOnNonFinite(keras.callbacks.Callback):
    """Stops training when a value in the logs is NaN or infinite, before a checkpoint of it is saved.

    Place it before the callbacks that save.

    Args:
        every: int, number of steps between checks. The end of each epoch is checked too. Defaults to 1.

    Raises:
        ValueError: if `every` is not positive.
        FloatingPointError: from `fit`, with the values, the epoch and the step.

    Example:
    >>> stop = StopOnNonFinite()
    >>> stop.on_epoch_begin(0)
    >>> stop.on_train_batch_end(0, {"l1": 0.5})
    """

    def __init__(self, every=1):
        super().__init__()
        if every < 1:
            raise ValueError(f"`every` must be a number of steps, at least 1. Received: every={every}")
        self.every = every

    def on_epoch_begin(self, epoch, logs=None):
        """Starts counting the steps of the epoch."""
        self._epoch = epoch + 1
        self._step = self._checked = 0

    def on_train_batch_end(self, batch, logs=None):
        """Checks the logs."""
        self._step = batch + 1
        if self._step - self._checked >= self.every:
            self._checked = self._step
            self._check(logs or {})

    def on_epoch_end(self, epoch, logs=None):
        """Checks the logs of training."""
        # An infinite PSNR in validation is a perfect reconstruction, not a failure.
        self._check({name: value for name, value in (logs or {}).items() if not name.startswith("val_")})

    def _check(self, logs):
        broken = {name: v for name, v in logs.items() if isinstance(v, numbers.Real) and not math.isfinite(v)}
        if broken:
            values = ", ".join(f"{name}={value}" for name, value in broken.items())
            raise FloatingPointError(
                f"Training produced {values} in epoch {self._epoch}, step {self._step}. Lower the learning rate, "
                "clip gradients with global_clipnorm=1.0 in the optimizer, or with mixed_float16 use "
                "mixed_bfloat16."
            )
