import csv
import json
import math

import keras
import numpy as np
import pytest

from vqzoo.trainers.callbacks.logs import RunLog
from vqzoo.trainers.callbacks.logs import StopOnNonFinite
from vqzoo.trainers.callbacks.logs import read_log


def run(log, epochs, initial_epoch=0, steps=3, logs=None):
    """`fit` by hand: `epochs` is the number that the run ends at."""
    log.set_params({"epochs": epochs, "steps": steps})
    log.on_train_begin()
    for epoch in range(initial_epoch, epochs):
        log.on_epoch_begin(epoch)
        for batch in range(steps):
            log.on_train_batch_end(batch)
        log.on_epoch_end(epoch, logs(epoch) if logs else {"l1": 1.0 / (epoch + 1)})
    log.on_train_end()


def columns(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_fit_leaves_one_row_an_epoch_in_both_files(tmp_path):
    model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer="zeros")])
    model.compile(keras.optimizers.SGD(0.25), "mse")
    x, y = np.zeros((6, 2), "float32"), np.ones((6, 1), "float32")
    model.fit(x, y, 2, epochs=2, verbose=0, validation_data=(x, y), callbacks=[RunLog(tmp_path / "run")])
    rows = read_log(tmp_path / "run")
    # Each step halves the error of the bias: 1, 1/2, 1/4 in epoch 1, and 1/8 of it, squared, in validation.
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 3), (2, 6)]
    assert rows[0]["loss"] == pytest.approx((1 + 1 / 4 + 1 / 16) / 3)
    assert rows[0]["val_loss"] == pytest.approx(1 / 64)
    assert 0.0 < rows[0]["seconds"] < rows[1]["seconds"]
    assert [{name: float(value) for name, value in row.items()} for row in columns(tmp_path / "run")] == rows


def test_a_column_that_appears_later_is_empty_before(tmp_path):
    run(RunLog(tmp_path), 2, logs=lambda epoch: {"l1": 0.5} if epoch == 0 else {"l1": 0.25, "val_l1": 0.75})
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert lines[0] == "epoch,step,seconds,l1,val_l1"
    assert [row["val_l1"] for row in columns(tmp_path)] == ["", "0.75"]
    assert ["val_l1" in row for row in read_log(tmp_path)] == [False, True]


def test_a_resumed_run_keeps_the_epochs_before_and_drops_those_it_repeats(tmp_path):
    run(RunLog(tmp_path), 5)
    before = read_log(tmp_path)
    run(RunLog(tmp_path), 4, initial_epoch=2, logs=lambda epoch: {"l1": 7.0})
    rows = read_log(tmp_path)
    assert rows[:2] == before[:2]
    assert [(row["epoch"], row["step"], row["l1"]) for row in rows[2:]] == [(3, 9, 7.0), (4, 12, 7.0)]
    assert rows[2]["seconds"] >= rows[1]["seconds"]
    assert len(columns(tmp_path)) == 4


def test_the_rows_of_an_abandoned_future_are_gone_before_the_first_epoch_ends(tmp_path):
    run(RunLog(tmp_path), 5)
    log = RunLog(tmp_path)
    log.set_params({"epochs": 5, "steps": 3})
    log.on_train_begin()
    log.on_epoch_begin(2)
    assert [row["epoch"] for row in read_log(tmp_path)] == [1, 2]


def test_a_fresh_run_starts_new_files(tmp_path):
    run(RunLog(tmp_path), 5)
    log = RunLog(tmp_path)
    run(log, 1, logs=lambda epoch: {"l2": 0.5})
    assert [row["l2"] for row in read_log(tmp_path)] == [0.5]
    run(log, 2)  # the same callback in another fit
    assert [row["step"] for row in read_log(tmp_path)] == [3, 6]


def test_a_resumed_run_without_its_log_counts_the_steps_of_the_lost_epochs(tmp_path):
    run(RunLog(tmp_path), 4, initial_epoch=3)
    assert [(row["epoch"], row["step"]) for row in read_log(tmp_path)] == [(4, 12)]


def test_what_is_not_finite_is_valid_json_and_not_a_number_after(tmp_path):
    values = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 1.0}
    run(RunLog(tmp_path), 1, logs=lambda epoch: values)

    def refuse(constant):
        raise AssertionError(constant)

    stored = json.loads((tmp_path / "metrics.jsonl").read_text(), parse_constant=refuse)
    assert [stored[name] for name in "abcd"] == [None, None, None, 1.0]
    (row,) = read_log(tmp_path)
    assert [math.isnan(row[name]) for name in "abcd"] == [True, True, True, False]
    assert [columns(tmp_path)[0][name] for name in "abcd"] == ["nan", "inf", "-inf", "1.0"]


def test_what_is_not_a_number_is_left_out(tmp_path):
    run(RunLog(tmp_path), 1, logs=lambda epoch: {"l1": np.float32(0.5), "note": "x", "array": np.zeros(3)})
    (row,) = read_log(tmp_path)
    assert set(row) == {"epoch", "step", "seconds", "l1"} and row["l1"] == 0.5


def test_nothing_but_the_two_files_stays(tmp_path):
    run(RunLog(tmp_path), 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.csv", "metrics.jsonl"]


def test_a_folder_without_a_log_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no metrics.jsonl in .*callback RunLog\(folder\) writes it"):
        read_log(tmp_path)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "Expecting property name"),
        ("", "Expecting value"),
        ("[]", "it is not a row of numbers with epoch, step and seconds"),
        ("{}", "it is not a row of numbers"),
        ('{"epoch": 1, "step": 3}', "it is not a row of numbers"),
        ('{"epoch": "1", "step": 3, "seconds": 1.0}', "it is not a row of numbers"),
        ('{"epoch": 1, "step": 3, "seconds": 1.0, "loss": [1]}', "it is not a row of numbers"),
        ('{"epoch": true, "step": 3, "seconds": 1.0}', "it is not a row of numbers"),
        ('{"epoch": 1, "step": 3, "seconds": NaN}', "NaN is not a number of JSON"),
        ('{"epoch": 1, "step": 3, "seconds": 1e999}', "1e999 is beyond the range of numbers"),
        ("[" * 10**5, "nested more than 100 times"),
    ],
    ids=lambda text: text[:30],
)
def test_a_damaged_log_is_named_with_its_line(tmp_path, line, told):
    good = '{"epoch": 1, "step": 3, "seconds": 1.0, "loss": null}'
    (tmp_path / "metrics.jsonl").write_text(f"{good}\n{line}\n{good}\n")
    with pytest.raises(ValueError, match=f"Line 2 of .*metrics.jsonl' is damaged: .*{told}.* to start the log anew"):
        read_log(tmp_path)


# === StopOnNonFinite ===
def test_training_ends_at_the_first_nan_and_names_it(tmp_path):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.zeros((12, 2), "float32")
    y = np.zeros((12, 1), "float32")
    y[5] = np.nan  # in the third of six steps
    log = RunLog(tmp_path)
    with pytest.raises(FloatingPointError, match=r"loss=nan in epoch 1, step 3\. Lower the learning rate.*bfloat16"):
        model.fit(x, y, 2, shuffle=False, verbose=0, callbacks=[StopOnNonFinite(), log])
    assert read_log(tmp_path) == []


def test_all_values_that_broke_are_named_and_no_other():
    stop = StopOnNonFinite()
    stop.on_epoch_begin(4)
    stop.on_train_batch_end(0, {"l1": 1e30, "note": "nan"})
    with pytest.raises(FloatingPointError, match="produced l1=inf, l2=nan in epoch 5, step 2") as caught:
        stop.on_train_batch_end(1, {"l1": math.inf, "l2": math.nan, "perceptual": 0.5})
    assert "perceptual" not in str(caught.value) and "global_clipnorm=1.0" in str(caught.value)


def test_every_tenth_step_and_the_end_of_each_epoch_are_checked():
    stop = StopOnNonFinite(every=10)
    stop.on_epoch_begin(0)
    for batch in range(9):
        stop.on_train_batch_end(batch, {"l1": math.nan})
    with pytest.raises(FloatingPointError, match="step 10"):
        stop.on_train_batch_end(9, {"l1": math.nan})
    stop.on_epoch_begin(1)
    stop.on_train_batch_end(3, {"l1": math.nan})
    with pytest.raises(FloatingPointError, match="epoch 2, step 4"):
        stop.on_epoch_end(1, {"l1": math.nan})


def test_a_perfect_picture_in_validation_is_no_failure():
    stop = StopOnNonFinite()
    stop.on_epoch_begin(0)
    stop.on_epoch_end(0, {"l1": 0.0, "val_psnr": math.inf})


def test_a_number_of_steps_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="at least 1. Received: every=0"):
        StopOnNonFinite(every=0)
