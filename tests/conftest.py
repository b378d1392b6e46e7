"""What every test shares: one seed, one thread, TensorFlow's start-up kept quiet, and the marker `environment`."""

import importlib.util
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# There is a worker for each core, and children of theirs: more threads only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import keras
import pytest


def pytest_runtest_setup(item):
    """Skips a test whose environment is not here. `.ci/slow` makes them all, and fails where one is missing."""
    for mark in item.iter_markers("environment"):
        name, *packages = mark.args
        missing = [package for package in packages if importlib.util.find_spec(package) is None]
        if name == "peers" and not os.environ.get("VQZOO_PEERS_PYTHON"):
            missing.append("$VQZOO_PEERS_PYTHON")
        if missing:
            pytest.skip(f"needs the environment {name} of .ci/slow: no {', '.join(missing)}")


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)
