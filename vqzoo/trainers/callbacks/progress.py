"""Training progress in one line."""

import numbers
import time
from typing import NamedTuple

import keras
from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

_LIVE_EVERY = 0.2  # seconds between updates on a terminal; five per second look smooth at no cost
_PLAIN_EVERY = 30.0  # seconds between lines inside an epoch without a terminal
_WIDE = 110  # characters; a narrower terminal gets a shorter bar


class Moment(NamedTuple):
    """A point in time of the run, to compute rates."""

    seconds: float
    step: int  # counted from the start of this `fit`
    waited: float  # seconds spent waiting for data so far


class Progress(keras.callbacks.Callback):
    """Shows the progress of training, its speed and the remaining time.

    A terminal shows one live line, updated a few times per second. A pipe or a log file gets a plain line at most every
    30 seconds. Both get a permanent line at the end of each epoch. It has the losses in the order of the model's
    `loss_names`, the speed of the epoch, the fraction of time spent waiting for data, and the remaining time of the
    run, estimated from the previous epoch with its validation. The first step is not counted, because it compiles. Pass
    `verbose=0` to `fit`, whose own progress bar would interfere.

    Args:
        batch_size: int, examples per step over all replicas.
        unit: str, the noun for the examples. Defaults to "images".
        console: `rich.console.Console` to write to. Defaults to one on the standard output.

    Raises:
        ValueError: if `batch_size` is not positive.

    Example:
    >>> import numpy as np
    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x = np.zeros((8, 2), "float32")
    >>> _ = model.fit(x, x[:, :1], batch_size=4, verbose=0, callbacks=[Progress(4)])  # doctest: +ELLIPSIS
    epoch 1/1  2 steps  loss 0 | ... images/s  waiting 0.0 %  took ... s
    """

    def __init__(self, batch_size, unit="images", console=None):
        super().__init__()
        if batch_size < 1:
            raise ValueError(
                f"`batch_size` must be the number of examples per step, at least 1. Received: {batch_size}"
            )
        self.batch_size = batch_size
        self.unit = unit
        self.console = console or Console()
        self._live = self.console.is_terminal and not self.console.is_dumb_terminal
        self._epoch = None  # counted from 1; None outside `fit`

    def on_train_begin(self, logs=None):
        """Starts the clock."""
        self._began = time.perf_counter()
        self._steps = self.params.get("steps")
        self._last = Moment(self._began, 0, 0.0)
        self._epoch_start = None
        self._compiling = True
        self._to_skip = getattr(self.model, "steps_to_skip", 0)

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the clock of the epoch."""
        self._epoch = epoch + 1
        self._step = 0
        self._steps_before = self._last.step
        self._previous_start = self._epoch_start
        self._epoch_start = self._moment()
        self._drawn = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Writes a line if it is time for one."""
        self._step = batch + 1
        self._last = self._moment()
        if self._compiling:
            # Steps that a resumed run skips take no time, and the first step after them compiles.
            self._epoch_start, self._compiling = self._last, bool(self._to_skip)
            self._to_skip = getattr(self.model, "steps_to_skip", 0)
        if self._due():
            if self._live:
                self._draw(self._losses(logs or {}))
            else:
                of_all = f"/{self._steps}" if self._steps else ""
                self._print(f"{self._step}{of_all} steps", logs or {}, self._times())

    def on_test_batch_end(self, batch, logs=None):
        """Shows that validation runs."""
        if self._epoch and self._live and self._due():
            self._draw([f"validating {batch + 1}"])

    def on_epoch_end(self, epoch, logs=None):
        """Writes the permanent line."""
        self._steps = self._steps or self._step  # the length of the dataset is known after one epoch
        if self._live:
            self._erase()
        times = self._times()
        if self._epoch == self.params["epochs"]:
            times.append(f"took {duration(time.perf_counter() - self._began)}")
        self._print(f"{self._step} steps", logs or {}, times)

    def on_train_end(self, logs=None):
        """Silences later calls of `evaluate`."""
        self._epoch = None

    # === Time ===
    def _moment(self):
        waited = getattr(self.model, "seconds_waiting", 0.0)
        return Moment(time.perf_counter(), self._steps_before + self._step, waited)

    def _due(self):
        now = time.perf_counter()
        if now - self._drawn < (_LIVE_EVERY if self._live else _PLAIN_EVERY):
            return False
        self._drawn = now
        return True

    def _times(self):
        """Speed, waiting time and remaining time, which are known from the second step on."""
        steps = self._last.step - self._epoch_start.step
        seconds = self._last.seconds - self._epoch_start.seconds
        times = []
        if steps and seconds > 0.0:
            rate = steps * self.batch_size / seconds
            times.append(f"{rate:,.0f} {self.unit}/s" if rate >= 10.0 else f"{rate:.2g} {self.unit}/s")
            if getattr(self.model, "steps_per_execution", 1) == 1:  # otherwise the wait is inside the graph
                times.append(f"waiting {100.0 * (self._last.waited - self._epoch_start.waited) / seconds:.1f} %")
        start = self._previous_start or self._epoch_start
        steps = self._last.step - start.step
        steps_left = (self.params["epochs"] - self._epoch + 1) * (self._steps or 0) - self._step
        if steps and steps_left > 0:
            times.append(f"left {duration(steps_left * (time.perf_counter() - start.seconds) / steps)}")
        return times

    # === Text ===
    def _losses(self, logs):
        order = ("loss", *getattr(self.model, "loss_names", ()))
        rank = {name: i for i, name in enumerate(order)}
        names = sorted(logs, key=lambda name: rank.get(name.removeprefix("val_"), len(order)))
        return [f"{name} {_number(logs[name])}" for name in names if isinstance(logs[name], numbers.Real)]

    def _print(self, steps, logs, times):
        losses = self._losses(logs)
        groups = [
            [f"epoch {self._epoch}/{self.params['epochs']}", steps]
            + [loss for loss in losses if not loss.startswith("val_")],
            [loss for loss in losses if loss.startswith("val_")],
            times,
        ]
        self.console.print(Text(" | ".join("  ".join(group) for group in groups if group)), soft_wrap=True)

    def _draw(self, losses):
        head = f"epoch {self._epoch}/{self.params['epochs']}  "
        steps = f"  {self._step:>{len(str(self._steps))}}/{self._steps}" if self._steps else f"  {self._step} steps"
        times = "".join(f"  {part}" for part in self._times())
        length = 24 if self.console.width >= _WIDE else 8
        done = length * self._step // self._steps if self._steps else 0
        # One column stays free, because the cursor would wrap. Losses that do not fit appear at the end of the epoch.
        room = self.console.width - 1 - len(head) - length - len(steps) - len(times)
        shown = ""
        for loss in losses:
            if len(shown) + 2 + len(loss) > room:
                break
            shown += f"  {loss}"
        block = "-" if self.console.options.ascii_only else "━"
        line = Text.assemble(
            (head, "bold"),
            (block * done, "bar.complete"),
            (block * (length - done), "bar.back"),
            (steps, "progress.download"),
            shown,
            (times, "dim"),
        )
        line.truncate(self.console.width - 1)
        self._erase()
        self.console.print(line, end="", no_wrap=True)

    def _erase(self):
        # Not rich's Live, which hides the cursor and redirects the outputs until it is stopped. A callback is not
        # notified of an exception that ends a run.
        self.console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))


def duration(seconds):
    """Writes a time span in its two largest units.

    Args:
        seconds: float, 0 or more.

    Returns:
        str.

    Example:
    >>> duration(9.6), duration(250), duration(7500), duration(100_000)
    ('10 s', '4 min 10 s', '2 h 5 min', '1 d 3 h')
    """
    seconds = round(seconds)
    for large, size, small, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            return f"{seconds // size} {large} {seconds % size // part} {small}"
    return f"{seconds} s"


def _number(value):
    """Four significant digits, without an exponent for numbers of common size."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}"
