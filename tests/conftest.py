"""What every test shares: one seed, one thread, and TensorFlow's start-up kept quiet."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# There is a worker for each core, and children of theirs: more threads only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import keras
import pytest


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)
