"""A Python function of the step as a dataset: order, cardinality, errors, and the exit of the interpreter."""

import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from vqzoo.data.stream import _Calls
from vqzoo.data.stream import step_dataset

STEP = tf.TensorSpec((2,), tf.int64)


def pair(step):
    time.sleep(0.002 * (step % 3))  # later steps often end first
    return np.array([step, step**2])


def test_steps_come_in_order_from_start_on():
    dataset = step_dataset(pair, STEP, start=5, steps=20)
    assert [element.tolist() for element in dataset.as_numpy_iterator()] == [[i, i * i] for i in range(5, 25)]
    assert (dataset.cardinality(), dataset.element_spec) == (20, STEP)


def test_endless_without_steps():
    dataset = step_dataset(pair, STEP)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    assert [int(element[0]) for element in dataset.take(4)] == [0, 1, 2, 3]


@pytest.mark.parametrize("arguments", [{"start": -1}, {"steps": 0}])
def test_start_and_steps_are_checked(arguments):
    with pytest.raises(ValueError, match="start must be at least 0 and steps at least 1. Received: start="):
        step_dataset(pair, STEP, **arguments)


def test_the_message_of_an_exception_arrives():
    def fails(step):
        raise ValueError("the reason")

    with pytest.raises(tf.errors.InvalidArgumentError, match="the reason"):
        next(iter(step_dataset(fails, STEP)))


def test_closing_waits_for_calls_and_answers_later_ones_at_once():
    calls = _Calls()
    calls.close()
    assert calls.run(pytest.fail, STEP, 3).tolist() == [0, 0]
    start = time.monotonic()
    calls.close(quiet=0.1)
    assert 0.05 < time.monotonic() - start < 1
    calls.running = 1
    calls.close(patience=0.1)  # gives up


def test_python_exits_while_an_iterator_is_alive():
    script = """
import sys
from vqzoo.data import ImageCrops, sample_images
iterator = iter(ImageCrops(sample_images(), 64, 32).dataset())
next(iterator)
print("skimage" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
