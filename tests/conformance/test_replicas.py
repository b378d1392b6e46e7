"""Several replicas train a quantizer as one device does with the whole batch."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).with_name("replicas.py")


@pytest.mark.slow
def test_two_replicas_train_every_quantizer_as_one_device(fresh_python):
    child = fresh_python(SCRIPT, "mirrored")
    assert child.stdout.startswith("good "), child.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_train_every_quantizer_as_one_device():
    with socket.socket() as first, socket.socket() as second:
        first.bind(("localhost", 0))
        second.bind(("localhost", 0))
        workers = [f"localhost:{s.getsockname()[1]}" for s in (first, second)]
    children = []
    for index in range(2):
        place = json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
        children.append(
            subprocess.Popen(
                [sys.executable, SCRIPT, "workers"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "TF_CONFIG": place},
            )
        )
    told = []
    for child in children:
        out, errors = child.communicate(timeout=1200)
        assert out.startswith("good "), errors[-3000:]
        told.append(out)
    assert told[0] == told[1]
