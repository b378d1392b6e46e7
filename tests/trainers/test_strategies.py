"""Trainers on several devices end as on one; recipes on several devices; what belongs to strategies alone."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo
from vqzoo.trainers import check_batch_size
from vqzoo.trainers import distributed_dataset
from vqzoo.trainers import is_chief
from vqzoo.trainers import read_log
from vqzoo.trainers import strategy_named
from vqzoo.trainers import worker_values
from vqzoo.trainers.strategy import whole_batch_gradients

SCRIPT = pathlib.Path(__file__).with_name("strategies.py")
RECIPE = pathlib.Path(__file__).parents[2] / "recipes" / "image_vqvae.py"
CROPS = vqzoo.data.ImageCrops(vqzoo.data.sample_images(), 32, 2).batch(0)
# The words are for tests/runs/test_run.py: here the numbers are of interest.
SHARES = r"\b2 devices, 4 of a batch on each"
# A user has GPUs; here the processor is split, in the process that then runs the recipe.
ON_TWO_DEVICES = """
import runpy, sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, 2 * [tf.config.LogicalDeviceConfiguration()])
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def started(command):
    """One command as two workers on this machine."""
    with socket.socket() as first, socket.socket() as second:
        first.bind(("localhost", 0))
        second.bind(("localhost", 0))
        workers = [f"localhost:{s.getsockname()[1]}" for s in (first, second)]
    places = [{"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}} for index in range(2)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, *map(str, command)]
    return [subprocess.Popen(command, env={**os.environ, "TF_CONFIG": json.dumps(place)}, **pipes) for place in places]


def two_processes(*command):
    """The two children after their end, with their output and errors."""
    return [(child, *child.communicate(timeout=1200)) for child in started(command)]


def test_two_devices_train_as_one(fresh_python):
    child = fresh_python(SCRIPT, "mirrored", "adversarial")
    assert child.stdout.splitlines()[-1:] and "good" in child.stdout.splitlines()[-1], child.stderr[-3000:]


@pytest.mark.slow
def test_two_devices_train_as_one_and_resume(tmp_path):
    arguments = "mirrored", "reconstruction,adversarial", tmp_path
    child = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_train_as_one_and_resume(tmp_path):
    told = two_processes(SCRIPT, "multiworker", "reconstruction,adversarial", tmp_path)
    for child, _, errors in told:
        assert child.returncode == 0, errors[-3000:]
    digests = [out.splitlines()[-1] for _, out, _ in told]
    assert digests[0].startswith("good ") and digests[0] == digests[1]


def tokens_of(out):
    vqzoo.presets.verify_preset(out)
    return vqzoo.Tokenizer.from_preset(out).encode(CROPS).numpy()


@pytest.fixture(scope="module")
def recipe_alone(tmp_path_factory):
    out = tmp_path_factory.mktemp("alone") / "out"
    subprocess.run([sys.executable, RECIPE, "tiny", "--out", str(out)], check=True, capture_output=True)
    return read_log(out / "run")


def check_log(out, expected):
    """Only nearly equal: the recipe starts its codebook by k-means, which takes vectors of all devices in turn."""
    rows = read_log(out / "run")
    assert [row["step"] for row in rows] == [row["step"] for row in expected]
    for name in ("l2", "val_l2"):
        np.testing.assert_allclose(rows[-1][name], expected[-1][name], rtol=0.3, err_msg=name)


@pytest.mark.slow
def test_a_recipe_runs_on_two_devices(recipe_alone, tmp_path):
    command = ["-c", ON_TWO_DEVICES, RECIPE, "tiny", "--strategy", "mirrored", "--out", tmp_path]
    child = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr[-3000:]
    assert re.search(SHARES, child.stdout)
    assert tokens_of(tmp_path).shape == (2, 8, 8, 1)
    check_log(tmp_path, recipe_alone)


@pytest.mark.slow
def test_a_recipe_runs_in_two_processes(recipe_alone, tmp_path):
    told = two_processes(RECIPE, "tiny", "--strategy", "multiworker", "--out", tmp_path)
    for child, _, errors in told:
        assert child.returncode == 0, errors[-3000:]
    assert re.search(SHARES, told[0][1]) and told[1][1] == ""
    assert tokens_of(tmp_path).shape == (2, 8, 8, 1)
    check_log(tmp_path, recipe_alone)


@pytest.mark.slow
@pytest.mark.parametrize("hit", [0, 1])
def test_a_signal_to_one_worker_stops_both_after_one_step_and_saves(hit, tmp_path):
    command = RECIPE, "tiny", "--strategy", "multiworker", "--out", tmp_path, "--epochs", "4"
    children = started(command)
    while not list(tmp_path.glob("run/checkpoints/step_*")):  # the end of the first epoch
        assert all(child.poll() is None for child in children), "they ended too early"
        time.sleep(0.1)
    children[hit].send_signal(signal.SIGTERM)
    told = [child.communicate(timeout=300)[0] for child in children]
    assert [child.returncode for child in children] == [143, 143]
    assert "--resume" in told[0] and told[1] == ""
    for child, _, errors in two_processes(*command, "--resume"):
        assert child.returncode == 0, errors[-3000:]
    assert tokens_of(tmp_path).shape == (2, 8, 8, 1)
    assert [row["step"] for row in read_log(tmp_path / "run")] == [10, 20, 30, 40]


def test_unknown_strategies_are_named():
    with pytest.raises(ValueError, match="one of none, mirrored, multiworker. Received: 'mirorred'"):
        strategy_named("mirorred")


@pytest.mark.parametrize(
    "place",
    [
        None,
        "host0:1234",
        json.dumps({"cluster": {"worker": ["host0:1234"]}}),
        json.dumps({"cluster": {"worker": ["host0:1234"]}, "task": {"type": "worker", "index": 1}}),
        json.dumps({"cluster": {"ps": ["host0:1234"]}, "task": {"type": "ps", "index": 0}}),
    ],
)
def test_a_worker_without_its_place_is_told_how_to_give_it(place, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if place is not None:
        monkeypatch.setenv("TF_CONFIG", place)
    with pytest.raises(ValueError, match='by the environment variable TF_CONFIG.*Received: .*"index": 0'):
        strategy_named("multiworker")


def test_one_device_is_no_strategy_at_all():
    strategy = strategy_named("none")
    with strategy.scope():
        assert not tf.distribute.has_strategy()
    assert is_chief(strategy) and worker_values(strategy, 5) == [5]


class Worker(tf.distribute.MultiWorkerMirroredStrategy):
    """A place in a cluster, without the cluster."""

    def __init__(self, jobs, kind, index):
        self.jobs, self.task_type, self.task_id = jobs, kind, index

    cluster_resolver = property(lambda self: self)

    def cluster_spec(self):
        return self


@pytest.mark.parametrize(
    ("jobs", "kind", "index", "expected"),
    [
        (["worker"], "worker", 0, True),
        (["worker"], "worker", 1, False),
        (["chief", "worker"], "worker", 0, False),
        (["chief", "worker"], "chief", 0, True),
    ],
)
def test_the_chief_is_the_first_worker_unless_one_is_called_so(jobs, kind, index, expected):
    assert is_chief(Worker(jobs, kind, index)) is expected


class Devices:
    num_replicas_in_sync = 4


@pytest.mark.parametrize(("batch_size", "better"), [(30, 32), (1, 4), (33, 32)])
def test_a_batch_that_the_devices_cannot_share_is_refused(batch_size, better):
    with pytest.raises(ValueError, match=f"all 4 devices.*Received: batch_size={batch_size}. Take {better}, for"):
        check_batch_size(Devices(), batch_size)
    check_batch_size(Devices(), better)


def test_one_machine_makes_whole_batches():
    asked = []

    def make(worker, workers):
        asked.append((worker, workers))
        return tf.data.Dataset.range(4).batch(4)

    assert [list(batch) for batch in distributed_dataset(strategy_named("none"), make)] == [[0, 1, 2, 3]]
    assert asked == [(0, 1)]


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        ({}, [[3.0, 4.0], [0.0]]),
        ({"global_clipnorm": 1.0}, [[0.6, 0.8], [0.0]]),
        ({"clipnorm": 2.5}, [[1.5, 2.0], [0.0]]),
        ({"clipvalue": 3.5}, [[3.0, 3.5], [0.0]]),
    ],
)
@pytest.mark.parametrize("scale", [None, 8.0])
def test_what_two_devices_apply_is_the_clipped_sum(clip, expected, scale, monkeypatch):
    optimizer = keras.optimizers.SGD(1.0, **clip)
    if scale:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale)
    parts = [[1.0, 5.0], [3.0]], [[2.0, -1.0], [-3.0]]
    monkeypatch.setattr(Devices, "num_replicas_in_sync", 2)
    monkeypatch.setattr(tf.distribute, "get_strategy", Devices)
    total = [(scale or 1.0) * tf.add(*map(tf.constant, pair)) for pair in zip(*parts, strict=True)]
    monkeypatch.setattr("vqzoo.trainers.strategy.replica_sum", lambda *gradients: total)
    gradients = [*(tf.constant(part) for part in parts[0]), None]
    found = whole_batch_gradients(optimizer, gradients)
    assert found[2] is None
    if not clip and not scale:  # the optimizer itself sums
        assert found is gradients
        return
    for gradient, whole in zip(found, expected, strict=False):
        np.testing.assert_allclose(2 / (scale or 1.0) * gradient, whole, rtol=1e-6)
