"""Training data as a function of the step: the examples of a batch, and a dataset of a Python function."""

import atexit
import functools
import numbers
import os
import threading
import time

import numpy as np
import tensorflow as tf

# Fixed, because a pipeline that TensorFlow tunes can start a call at any time, also while Python exits. More
# threads would only wait for the interpreter lock.
_THREADS = min(8, os.cpu_count() or 1)
_STRETCH = 64  # batches whose examples are sorted by size


class Order:
    """The examples of each batch: one permutation of all examples per epoch, one after another.

    Several workers share a batch: worker w of W has the rows from w * batch_size / W on. If `part` assigns examples to
    workers, the rows of a worker come from a permutation of its part. All workers take the same number of rows per
    step, so that all examples are equally frequent only with parts of equal length (`equal_part`).

    Args:
        count: int, number of examples.
        batch_size: int.
        seed: int from 0 to 2**63 - 1.
        part: callable (worker, workers) -> int array of examples, or None for all. Default None.
        sizes: int array (count,). The examples of a batch then have similar sizes: each permutation is sorted by size
            in stretches of `_STRETCH` batches, and the batches are permuted again. Not together with `part`. Default
            None.

    Raises:
        ValueError: `batch_size` or `seed` is out of range.

    Example:
    >>> order = Order(3, batch_size=4, seed=0)
    >>> [(number, int(examples[position])) for number, examples, position in order.batch(0)]
    [(0, 1), (1, 2), (2, 0), (3, 0)]
    """

    def __init__(self, count, batch_size, seed, part=None, sizes=None):
        if not is_count(batch_size):
            raise ValueError(f"batch_size must be an int, at least 1. Received: batch_size={batch_size}")
        if not is_count(seed + 1) or seed >= 2**63:
            raise ValueError(f"seed must be an int from 0 to 2**63 - 1. Received: seed={seed}")
        self.count = count
        self.batch_size = batch_size
        self.seed = seed
        self._sizes = sizes
        self._part_of = part or (lambda worker, workers: None)
        self._part = functools.lru_cache(maxsize=1)(self._checked_part)
        self._permutation = functools.lru_cache(maxsize=4)(self._permuted)

    def random(self, number, stream):
        """The random generator of one example or epoch.

        Args:
            number: int.
            stream: int, a different one for each purpose; 0 is that of the permutations.

        Returns:
            `np.random.Generator`.
        """
        return np.random.Generator(np.random.Philox(key=[self.seed, number], counter=[0, 0, 0, stream]))

    def rows(self, worker=0, workers=1):
        """Number of rows of a batch per worker.

        Args:
            worker: int, from 0. Default 0.
            workers: int. Default 1.

        Returns:
            int.

        Raises:
            ValueError: `worker` is out of range, `batch_size` is not a multiple of `workers`, or the worker has no
                examples.
        """
        if not is_count(workers) or not is_count(worker + 1) or worker >= workers:
            raise ValueError(
                f"worker must be from 0 to workers - 1, and workers at least 1. Received: {worker=}, {workers=}"
            )
        if self.batch_size % workers:
            raise ValueError(
                f"batch_size must be a multiple of the number of workers, which share each batch. Received: "
                f"batch_size={self.batch_size}, {workers=}"
            )
        self._part(worker, workers)
        return self.batch_size // workers

    def batch(self, step, worker=0, workers=1):
        """The examples of one batch, or of the rows of a worker.

        Args:
            step: int, counted from 0.
            worker: int, from 0. Default 0.
            workers: int. Default 1.

        Returns:
            List of (number, examples, position): the number of the row in the endless stream, the permutation of the
            epoch, and the position of the example in it.

        Raises:
            ValueError: `step` is negative, or as `rows`.
        """
        if step < 0:
            raise ValueError(f"step counts batches from 0. Received: {step}")
        rows = self.rows(worker, workers)
        first = int(step) * self.batch_size + worker * rows
        part = self._part(worker, workers)
        if part is None:
            places = [(i, *divmod(i, self.count)) for i in range(first, first + rows)]
            return [(number, self._permutation(epoch, 0, 1), position) for number, epoch, position in places]
        places = [(first + i, *divmod(int(step) * rows + i, len(part))) for i in range(rows)]
        return [(number, self._permutation(epoch, worker, workers), position) for number, epoch, position in places]

    def _checked_part(self, worker, workers):
        part = self._part_of(worker, workers) if workers > 1 else None
        if part is not None and not len(part):
            raise ValueError(
                f"Worker {worker} of {workers} has no examples: its part is empty. Take fewer workers, or give each a "
                "part of the examples."
            )
        return part

    def _permuted(self, epoch, worker, workers):
        part = self._part(worker, workers)
        random = self.random(epoch * workers + worker, stream=0)
        order = random.permutation(self.count if part is None else len(part))
        if self._sizes is not None:
            return self._in_similar_batches(order, epoch, random)
        return order if part is None else part[order]

    def _in_similar_batches(self, order, epoch, random):
        """A permutation in which the examples of a batch have similar sizes.

        The first and the last batch of an epoch may have examples of the epochs beside it.
        """
        begun = -epoch * self.count % self.batch_size  # examples that complete the last batch of the epoch before
        whole = begun + (self.count - begun) // self.batch_size * self.batch_size
        batches = []
        for stretch in range(begun, whole, _STRETCH * self.batch_size):
            some = order[stretch : min(stretch + _STRETCH * self.batch_size, whole)]
            batches.append(some[np.argsort(self._sizes[some], kind="stable")].reshape(-1, self.batch_size))
        batches = [random.permutation(np.concatenate(batches)).ravel()] if batches else []
        return np.concatenate([order[:begun], *batches, order[max(begun, whole) :]])


class StepBatches:
    """Batches as a function of the step, for subclasses with `_order`, `_shape` and `_example`.

    `_order` is an `Order`, and `_shape` the shape of one example. `_example(number, examples, position)` takes an entry
    of `Order.batch` and returns a numpy array of that shape and of `_dtype`, which is float32 by default.
    """

    _dtype = tf.float32

    @property
    def skipped(self):
        """Files that could not be read so far: `{path: reason}`."""
        return {}

    def batch(self, step, worker=0, workers=1):
        """Loads one batch, or the rows of one worker.

        Args:
            step: int, counted from 0.
            worker: int, from 0, the index of the worker. Default 0.
            workers: int, number of workers that share the batch. Default 1.

        Returns:
            Numpy array of `batch_size / workers` examples, with the shape and dtype of the class. Signals are float32
            in [-1, 1], ids are int32.

        Raises:
            ValueError: `step` is negative, `worker` is out of range, `batch_size` is not a multiple of
                `workers`, or too many of the files cannot be read.
        """
        return np.stack([self._example(*place) for place in self._order.batch(step, worker, workers)])

    def dataset(self, start=0, steps=None, worker=0, workers=1):
        """Loads the batches of steps `start`, `start + 1`, ... in order, with prefetching on several threads.

        Every iteration over the dataset begins at `start` again. For training, use the endless dataset with
        `fit(steps_per_epoch=...)`, which continues where the last epoch ended.

        Args:
            start: int, the first step, which is the number of finished steps after a resume. Default 0.
            steps: int, the number of batches. Default None, endless.
            worker: int, from 0, the index of the worker. Default 0.
            workers: int, number of workers that share each batch. Default 1.

        Returns:
            `tf.data.Dataset` of the results of `batch(step, worker, workers)`. If no file can be read, it raises
            `tf.errors.InvalidArgumentError` with the message of `batch`.

        Raises:
            ValueError: `start` is negative, `steps` is below 1, `worker` is out of range, or `batch_size` is not a
                multiple of `workers`.
        """
        spec = tf.TensorSpec((self._order.rows(worker, workers), *self._shape), self._dtype)
        return step_dataset(functools.partial(self.batch, worker=worker, workers=workers), spec, start, steps)


def equal_part(count, worker, workers):
    """The range of examples of a worker: w * count / W to (w + 1) * count / W, rounded down.

    Every example is in exactly one part, and the sizes of the parts differ by at most one.

    Args:
        count: int, number of examples.
        worker: int w, from 0.
        workers: int W.

    Returns:
        Ascending int array.

    Raises:
        ValueError: There are fewer examples than workers.

    Example:
    >>> [equal_part(5, worker, 2).tolist() for worker in (0, 1)]
    [[0, 1], [2, 3, 4]]
    """
    if count < workers:
        raise ValueError(
            f"{workers} workers cannot share {count} examples, at least one each. Use fewer workers, or more examples."
        )
    return np.arange(count * worker // workers, count * (worker + 1) // workers)


def is_count(value, least=1):
    """Whether a value is an int of at least 1, or of at least `least`. True and time intervals are not."""
    # In NumPy, time intervals are integers too.
    return isinstance(value, numbers.Integral) and not isinstance(value, bool | np.timedelta64) and value >= least


def step_dataset(function, spec, start=0, steps=None):
    """Creates the dataset of `function(start)`, `function(start + 1)`, ... in order.

    The function is called ahead on several threads, so that it must be a pure function of the step.

    Args:
        function: callable that takes a step, a numpy int64, and returns a numpy array.
        spec: `tf.TensorSpec` of that array, with a static shape.
        start: int, the first step. Default 0.
        steps: int, number of steps. Default None, endless.

    Returns:
        `tf.data.Dataset` of tensors of `spec`, of known cardinality. An exception in the function is raised as
        `tf.errors.InvalidArgumentError` or a related error that contains its message.

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
    """Counts the running calls of all datasets, so that Python exits after the last of them.

    A TensorFlow thread that requests the interpreter during its shutdown never gets it, and the iterator that waits for
    the thread never ends. Without this class, a script with a live iterator hangs at exit.
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
            if self.closing:  # nothing reads it any more; fills the buffers quickly
                return np.zeros(spec.shape, spec.dtype.as_numpy_dtype)
            return function(step)
        finally:
            with self.lock:
                self.running -= 1
                self.ended = time.monotonic()

    def close(self, quiet=0.2, patience=10.0):
        """Waits until no call has run for `quiet` seconds. Then all buffers are full."""
        self.closing = True
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and (self.running or time.monotonic() < self.ended + quiet):
            time.sleep(0.01)


_calls = _Calls()
atexit.register(_calls.close)
