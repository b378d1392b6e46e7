"""A Python function of the step as a dataset: order, cardinality, errors, and the exit of the interpreter."""

import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from vqzoo.data.stream import Order
from vqzoo.data.stream import _Calls
from vqzoo.data.stream import equal_part
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


def examples(order, steps, *workers):
    rows = [row for step in steps for row in order.batch(step, *workers)]
    return [int(one[position]) for _, one, position in rows], [number for number, _, _ in rows]


def test_every_example_comes_once_an_epoch_and_workers_share_the_batch():
    order = Order(10, batch_size=4, seed=3)
    chosen, numbers = examples(order, range(5))
    assert numbers == list(range(20))
    assert sorted(chosen[:10]) == sorted(chosen[10:]) == list(range(10)) and chosen[:10] != chosen[10:]
    shared = [sum((examples(order, [step], worker, 2)[0] for worker in (0, 1)), []) for step in range(5)]
    assert sum(shared, []) == chosen
    assert examples(Order(10, 4, seed=4), range(5))[0] != chosen


def test_workers_with_parts_of_their_own_have_numbers_of_their_own():
    order = Order(9, 4, 0, part=lambda worker, workers: np.arange(worker, 9, workers))
    even, odd = (examples(order, range(10), worker, 2) for worker in (0, 1))
    assert sorted(even[0][:5]) == sorted(even[0][5:10]) == [0, 2, 4, 6, 8]
    assert sorted(odd[0][:4]) == sorted(odd[0][16:]) == [1, 3, 5, 7]
    assert sorted(even[1] + odd[1]) == list(range(40))
    assert sorted(examples(order, range(9))[0][:9]) == list(range(9))  # one worker has all


@pytest.mark.parametrize(("count", "workers"), [(2, 2), (9, 2), (9, 4), (11, 3), (1000, 7)])
def test_equal_parts_share_out_all_examples(count, workers):
    parts = [equal_part(count, worker, workers).tolist() for worker in range(workers)]
    assert sum(parts, []) == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_workers_without_examples_are_refused():
    with pytest.raises(ValueError, match="4 workers cannot share 3 examples, at least one each. Use fewer workers"):
        equal_part(3, 3, 4)
    order = Order(3, 4, 0, part=lambda worker, workers: np.arange(3 * (1 - worker)))
    assert order.rows(0, 2) == 2
    with pytest.raises(ValueError, match="Worker 1 of 2 has no examples: its part is empty. Take fewer workers"):
        order.rows(1, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((9, 0, 0), "batch_size must be an int, at least 1. Received: batch_size=0"),
        ((9, 4, -1), r"seed must be an int from 0 to 2\*\*63 - 1. Received: seed=-1"),
    ],
)
def test_the_order_is_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        Order(*arguments)
    with pytest.raises(ValueError, match="step counts batches from 0. Received: -1"):
        Order(9, 4, 0).batch(-1)
