import io
import re
import types

import keras
import numpy as np
import pytest
from rich.console import Console

from vqzoo.trainers.callbacks.progress import Progress
from vqzoo.trainers.callbacks.progress import duration

ERASE = "\r\x1b[2K"


class Run:
    """A run of `fit` by hand, under a clock that only `wait` moves."""

    def __init__(self, monkeypatch, terminal=False, epochs=2, steps=5, width=130, loss_names=("l1", "commitment")):
        self.now = 100.0
        monkeypatch.setattr(
            "vqzoo.trainers.callbacks.progress.time", types.SimpleNamespace(perf_counter=lambda: self.now)
        )
        self.output = io.StringIO()
        console = Console(
            file=self.output, force_terminal=terminal, width=width, no_color=True, _environ={"TERM": "xterm"}
        )
        self.progress = Progress(8, console=console)
        self.model = types.SimpleNamespace(seconds_waiting=3.0, loss_names=loss_names)
        self.progress.set_model(self.model)
        self.progress.set_params({"epochs": epochs, "steps": steps})
        self.progress.on_train_begin()

    def wait(self, seconds, for_data=0.0):
        self.now += seconds
        self.model.seconds_waiting += for_data

    def step(self, batch, seconds, for_data=0.0, logs=None):
        self.wait(seconds, for_data)
        self.progress.on_train_batch_end(batch, logs or {"commitment": 0.25, "l1": 0.5, "loss": 0.75})

    def epoch(self, epoch, steps=5, logs=None):
        self.progress.on_epoch_begin(epoch)
        for batch in range(steps):
            self.step(batch, seconds=60.0 if epoch == batch == 0 else 2.0, for_data=0.5)
        self.progress.on_epoch_end(epoch, logs or {"loss": 1.0})

    @property
    def lines(self):
        return self.output.getvalue().splitlines()


def test_the_first_step_is_left_out_of_speed_and_time_left(monkeypatch):
    run = Run(monkeypatch)
    run.progress.on_epoch_begin(0)
    run.step(0, seconds=60.0)
    run.step(1, seconds=2.0, for_data=0.5)
    run.step(2, seconds=2.0)
    run.step(3, seconds=2.0)
    run.step(4, seconds=2.0)
    run.progress.on_epoch_end(0, {"loss": 1.0})
    # 4 steps of 8 images in 8 seconds, 0.5 s of them waiting; 5 steps of 2 seconds to come.
    assert run.lines[-1] == "epoch 1/2  5 steps  loss 1 | 4 images/s  waiting 6.2 %  left 10 s"


def test_the_time_left_counts_on_the_validation_that_comes_with_each_epoch(monkeypatch):
    run = Run(monkeypatch, epochs=4)
    run.epoch(0)
    run.wait(20.0)
    run.epoch(1)
    # From the end of step 1 to the end of epoch 2: 4 * 2 + 20 + 5 * 2 = 38 seconds for 9 steps; 10 steps are left.
    assert run.lines[-1].endswith("| 4 images/s  waiting 25.0 %  left 42 s")
    run.wait(5.0)
    run.epoch(2)
    # Epoch 1 is forgotten: from the start of epoch 2, 10 + 5 + 10 = 25 seconds for 10 steps; 5 steps are left.
    assert run.lines[-1].endswith("left 12 s")


def test_the_last_line_tells_what_the_run_took(monkeypatch):
    run = Run(monkeypatch, epochs=1)
    run.epoch(0)
    assert run.lines[-1].endswith("waiting 25.0 %  took 1 min 8 s")


def test_a_resumed_run_has_only_its_own_epochs_left(monkeypatch):
    run = Run(monkeypatch, epochs=10)
    run.epoch(7)
    assert run.lines[-1].startswith("epoch 8/10  5 steps")
    assert run.lines[-1].endswith("left 20 s")


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("per_call", [1, 5])
@pytest.mark.parametrize("skipped", [0, 5, 50, 90])
def test_the_time_left_of_a_run_that_is_resumed_is_that_of_its_own_steps(monkeypatch, skipped, per_call, terminal):
    run = Run(monkeypatch, terminal, epochs=3, steps=100)
    run.model.steps_to_skip = skipped
    run.progress.on_train_begin()
    run.progress.on_epoch_begin(1)
    steps = range(per_call - 1, 100, per_call)
    for batch in steps:
        if run.model.steps_to_skip:  # as `BaseTrainer` skips them
            run.model.steps_to_skip = max(0, run.model.steps_to_skip - per_call)
            run.step(batch, seconds=0.001)
        else:
            run.step(batch, seconds=40.0 if batch == skipped + per_call - 1 else 2.0 * per_call)
        if batch > skipped + per_call:
            left = re.findall(r"left (.*?)(?:\x1b|$)", " ".join(run.progress._times()))[-1]
            assert left == duration(2.0 * (200 - batch - 1))
            assert run.progress._times()[0] == "4 images/s"
    run.progress.on_epoch_end(1, {"loss": 1.0})
    assert "4 images/s" in run.lines[-1] and run.lines[-1].endswith("left 3 min 20 s")
    run.epoch(2, steps=50)
    assert run.lines[-1].endswith("took " + duration(run.now - 100.0))


def test_without_a_known_length_the_first_epoch_tells_it(monkeypatch):
    run = Run(monkeypatch, steps=None)
    run.progress.on_epoch_begin(0)
    for batch in range(5):
        run.step(batch, seconds=31.0 if batch == 3 else 1.0)
    assert run.lines == ["epoch 1/2  4 steps  loss 0.75  l1 0.5  commitment 0.25 | 0.73 images/s  waiting 0.0 %"]
    run.progress.on_epoch_end(0, {"loss": 1.0})
    assert run.lines[-1].endswith("left 42 s")


def test_losses_come_in_the_order_of_the_model_and_validation_behind_them(monkeypatch):
    logs = {"commitment": 0.012345678, "l1": 12345.678, "loss": 1e-9, "note": "x", "usage": 1.0, "val_l1": 2.5}
    logs |= {"val_loss": float("nan")}
    run = Run(monkeypatch)
    run.epoch(0, logs=logs)
    losses = "loss 1e-09  l1 12346  commitment 0.01235  usage 1 | val_loss nan  val_l1 2.5"
    assert run.lines[-1].startswith(f"epoch 1/2  5 steps  {losses} | ")


def test_a_log_file_gets_a_line_every_thirty_seconds_and_no_control_codes(monkeypatch):
    run = Run(monkeypatch, steps=50)
    run.progress.on_epoch_begin(0)
    for batch in range(40):
        run.step(batch, seconds=2.0)
    assert [re.match(r"epoch 1/2  (\d+)/50 steps  loss 0.75  l1 0.5 ", line)[1] for line in run.lines] == ["15", "30"]
    assert "\x1b" not in run.output.getvalue()


def test_long_lines_of_a_log_file_are_not_wrapped(monkeypatch):
    run = Run(monkeypatch, width=40)
    run.epoch(0, logs={f"a_long_name_{i}": 0.5 for i in range(20)})
    assert len([line for line in run.lines if line.startswith("epoch")]) == len(run.lines)


def test_a_terminal_gets_one_line_drawn_anew_and_few_times_a_second(monkeypatch):
    run = Run(monkeypatch, terminal=True, steps=100)
    run.progress.on_epoch_begin(0)
    for batch in range(50):
        run.step(batch, seconds=1 / 16)
    drawn = run.output.getvalue().split(ERASE)[1:]
    assert len(drawn) == 12  # one in four steps: a quarter of a second
    text = re.sub(r"\x1b\[[0-9;]*m", "", drawn[-1])
    assert re.match(r"epoch 1/2  ━{24}   48/100  loss 0.75  l1 0.5  commitment 0.25  128 images/s", text)
    assert text.endswith("left 10 s") and "\n" not in run.output.getvalue()


@pytest.mark.parametrize("width", [20, 60, 80, 100])
def test_the_live_line_never_wraps(monkeypatch, width):
    run = Run(monkeypatch, terminal=True, width=width)
    run.progress.on_epoch_begin(0)
    for batch in range(5):
        run.step(batch, seconds=1.0)
    texts = [re.sub(r"\x1b\[[0-9;]*m", "", text) for text in run.output.getvalue().split(ERASE)[1:]]
    assert len(texts) == 5 and max(map(len, texts)) < width
    assert ("loss 0.75" in texts[-1]) == (width >= 80)


def test_a_terminal_keeps_the_line_at_the_end_of_the_epoch(monkeypatch):
    run = Run(monkeypatch, terminal=True)
    run.epoch(0)
    last = run.output.getvalue().split(ERASE)[-1]
    assert last == "epoch 1/2  5 steps  loss 1 | 4 images/s  waiting 25.0 %  left 10 s\n"


def test_the_live_line_tells_of_validation_and_evaluate_alone_is_silent(monkeypatch):
    run = Run(monkeypatch, terminal=True)
    run.epoch(0)
    run.progress.on_epoch_begin(1)
    run.step(0, seconds=1.0)
    run.wait(1.0)
    run.progress.on_test_batch_end(6)
    assert "validating 7" in run.output.getvalue().split(ERASE)[-1]
    run.progress.on_train_end()
    before = run.output.getvalue()
    run.wait(1.0)
    run.progress.on_test_batch_end(0)
    assert run.output.getvalue() == before


def test_an_ascii_terminal_gets_an_ascii_bar(monkeypatch):
    run = Run(monkeypatch, terminal=True)
    run.progress.console = Console(
        file=io.TextIOWrapper(io.BytesIO(), encoding="ascii"), force_terminal=True, width=130, no_color=True
    )
    run.progress.on_epoch_begin(0)
    run.step(0, seconds=1.0)
    file = run.progress.console.file
    file.seek(0)
    assert "-" * 24 in re.sub(r"\x1b\[[0-9;]*m", "", file.read())


def test_fit_writes_its_epochs_to_the_standard_output(capsys):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.zeros((8, 2), "float32")
    model.fit(x, x[:, :1], 4, epochs=2, verbose=0, validation_data=(x, x[:, :1]), callbacks=[Progress(4, "rows")])
    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(r"[\d.,]+ (rows/s|s$)", r"N \1", line) for line in lines] == [
        "epoch 1/2  2 steps  loss 0 | val_loss 0 | N rows/s  waiting 0.0 %  left N s",
        "epoch 2/2  2 steps  loss 0 | val_loss 0 | N rows/s  waiting 0.0 %  took N s",
    ]


@pytest.mark.parametrize("batch_size", [0, -4])
def test_a_batch_size_that_is_not_positive_is_refused(batch_size):
    with pytest.raises(ValueError, match=f"at least 1. Received: {batch_size}"):
        Progress(batch_size)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599.6, "1 h 0 min"), (86399, "23 h 59 min"), (9e4, "1 d 1 h")],
)
def test_a_duration_has_two_units_at_most(seconds, text):
    assert duration(seconds) == text
