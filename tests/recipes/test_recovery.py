"""Recipes killed at any moment: nothing is lost, and the end is that of a run that nobody killed."""

import json
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import vqzoo
from vqzoo.trainers import read_log

ROOT = pathlib.Path(__file__).parents[2]
RECIPE = [sys.executable, str(ROOT / "recipes" / "image_vqgan.py"), "tiny", "--steps_per_epoch", "40", "--epochs", "3"]
RECIPE += ["--checkpoint_minutes", "0.01"]


def run(out, *arguments, prefix=()):
    return subprocess.run([*prefix, *RECIPE, "--out", str(out), *arguments], capture_output=True, text=True, cwd=ROOT)


def weights(out):
    return vqzoo.Tokenizer.from_preset(out).get_weights()


def rows(out):
    return [{name: v for name, v in row.items() if name != "seconds"} for row in read_log(out / "run")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    started = time.monotonic()
    ended = run(out)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return out, time.monotonic() - started


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_nothing(whole, tmp_path):
    expected, seconds = whole
    moments = random.Random(0)
    for _ in range(10):
        with subprocess.Popen(
            [*RECIPE, "--out", str(tmp_path), "--resume"], stdout=subprocess.DEVNULL, cwd=ROOT
        ) as run_:
            time.sleep(moments.uniform(0.2, 0.9) * seconds)
            run_.send_signal(signal.SIGKILL)
    ended = run(tmp_path, "--resume")
    assert ended.returncode == 0, ended.stderr[-3000:]
    for one, other in zip(weights(tmp_path), weights(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    assert rows(tmp_path) == rows(expected)
    vqzoo.presets.verify_preset(tmp_path)
    left = [path.name for path in tmp_path.rglob(".*") if ".tmp" in path.name]
    assert not left


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_tells_how_to_go_on(whole, number, status, tmp_path):
    expected, _ = whole
    child = subprocess.Popen([*RECIPE, "--out", str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    while not (tmp_path / "run" / "checkpoints").exists():
        assert child.poll() is None, "it ended too early"
        time.sleep(0.1)
    child.send_signal(number)
    told, _ = child.communicate(timeout=300)
    assert child.returncode == status
    assert "--resume" in told
    ended = run(tmp_path)
    assert ended.returncode == 1 and "--resume" in ended.stderr.splitlines()[-1]
    ended = run(tmp_path, "--resume")
    assert ended.returncode == 0, ended.stderr[-3000:]
    for one, other in zip(weights(tmp_path), weights(expected), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_a_full_disk_leaves_what_was_whole(whole, tmp_path):
    expected, _ = whole
    largest = max(path.stat().st_size for path in (expected / "run" / "checkpoints").iterdir())
    limit = ["prlimit", f"--fsize={largest // 2}"]  # no file may grow beyond it, as on a disk that is full
    ended = run(tmp_path, prefix=limit)
    assert ended.returncode == 1 and "could not be written" in ended.stderr, ended.stderr[-3000:]
    assert not list((tmp_path / "run" / "checkpoints").glob("*"))  # nor the folder, which was made for nothing
    ended = run(tmp_path)
    assert ended.returncode == 0, ended.stderr[-3000:]
    metrics = [json.loads((out / "metadata.json").read_text())["metrics"]["psnr"] for out in (tmp_path, expected)]
    assert metrics[0] == metrics[1]
