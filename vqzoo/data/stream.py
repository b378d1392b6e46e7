"""A Python function of the step number as a `tf.data.Dataset`."""

import atexit
import functools
import os
import threading
import time

import numpy as np
import tensorflow as tf

# Fixed, because a pipeline that TensorFlow tunes can start a call at any time, also while Python exits. More
# threads than this only wait for each other's Python lines.
_THREADS = min(8, os.cpu_count() or 1)


def step_dataset(function, spec, start=0, steps=None):
    """Makes the dataset of `function(start)`, `function(start + 1)`, ... in order.

    The function runs ahead of need on several threads, so it must be a pure function of the step.

    Args:
        function: callable that takes a step, a numpy int64, and returns a numpy array.
        spec: `tf.TensorSpec` of that array, with a static shape.
        start: int, the first step. Default 0.
        steps: int, how many. Default None, endless.

    Returns:
        `tf.data.Dataset` of tensors of `spec`, of known cardinality. An exception of the function arrives as
        `tf.errors.InvalidArgumentError` or a sibling of it, with the message in its text.

    Raises:
        ValueError: `start` is negative or `steps` is below 1.

    Example:
    >>> squares = step_dataset(lambda step: step**2, tf.TensorSpec((), tf.int64), start=3, steps=2)
    >>> [int(square) for square in squares]
    [9, 16]
    """
    if start < 0 or (steps is not None and steps < 1):
        raise ValueError(f"start must be at least 0 and steps at least 1. Received: {start=}, {steps=}")
    counter = tf.data.Dataset.counter(start)
    counter = counter if steps is None else counter.take(steps)
    call = functools.partial(_calls.run, function, spec)
    return counter.map(
        lambda step: tf.ensure_shape(tf.numpy_function(call, [step], spec.dtype), spec.shape),
        num_parallel_calls=_THREADS,
        deterministic=True,
    ).prefetch(2)


class _Calls:
    """Keeps count of the calls under way in all datasets, so that Python exits after the last of them.

    A thread of TensorFlow that asks for the interpreter while it shuts down never gets it, and the iterator that
    waits for that thread never ends: without this, a script whose iterator is still alive hangs at exit.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.running = 0
        self.ended = -float("inf")
        self.closing = False

    def run(self, function, spec, step):
        with self.lock:
            self.running += 1
        try:
            if self.closing:  # nobody is left to read it: fill the buffers quickly
                return np.zeros(spec.shape, spec.dtype.as_numpy_dtype)
            return function(step)
        finally:
            with self.lock:
                self.running -= 1
                self.ended = time.monotonic()

    def close(self, quiet=0.2, patience=10.0):
        """Waits until no call has run for `quiet` seconds: all buffers are full then."""
        self.closing = True
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and (self.running or time.monotonic() < self.ended + quiet):
            time.sleep(0.01)


_calls = _Calls()
atexit.register(_calls.close)
