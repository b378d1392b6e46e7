"""Training on several devices: strategies by name, roles of workers, and reductions over devices."""

import functools
import itertools
import json
import os

import tensorflow as tf

from vqzoo.ops import replica_gather
from vqzoo.ops import replica_mean
from vqzoo.ops import replica_sum

STRATEGIES = ("none", "mirrored", "multiworker")
_EXAMPLE = (
    """TF_CONFIG='{"cluster": {"worker": ["host0:12345", "host1:12345"]}, "task": {"type": "worker", "index": 0}}'"""
)


def strategy_named(name):
    """Creates the `tf.distribute.Strategy` under which a trainer is built and fitted.

    One global batch is split over all devices, each of which holds all weights. Gradients and codebook statistics are
    summed over them before each step. Up to rounding, the steps are those of one device with the whole batch. There are
    three exceptions. K-means and restarts of a codebook see the batch in a different order, Gumbel and Gaussian
    quantizers and dropout draw random numbers per device, and plain batch normalization normalizes the part of each
    device.

    Args:
        name: str. "none": one device. "mirrored": all GPUs of this machine, or its CPU, which is one device unless
            TensorFlow is configured to split it. "multiworker": one process on each of several machines with all of
            their GPUs. The environment variable TF_CONFIG lists all workers and the index of this one. Create it
            before TensorFlow computes anything.

    Returns:
        `tf.distribute.Strategy`. Build the trainer in its `scope()`.

    Raises:
        ValueError: if the name is unknown, or TF_CONFIG does not list the workers.

    Example:
    >>> strategy_named("mirrored").num_replicas_in_sync
    1
    """
    if name not in STRATEGIES:
        raise ValueError(f"A strategy must be one of {', '.join(STRATEGIES)}. Received: {name!r}")
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if name == "multiworker":
        _check_place(os.environ.get("TF_CONFIG", ""))
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def _check_place(text):
    """Raises an error unless `text` is a TF_CONFIG with all workers and the index of this one."""
    try:
        place = json.loads(text)
        hosts = place["cluster"][place["task"]["type"]]
        good = 0 <= int(place["task"]["index"]) < len(hosts) and place["task"]["type"] in ("chief", "worker")
    except (KeyError, TypeError, ValueError):
        good = False
    if not good:
        raise ValueError(
            f"Workers find each other by the environment variable TF_CONFIG, the same on each except for the "
            f"index. Received: {text or 'none'}. On the first of two machines: {_EXAMPLE}"
        )


def is_chief(strategy):
    """Whether this process is the chief, which writes files and prints. True without other workers.

    Args:
        strategy: `tf.distribute.Strategy`.

    Returns:
        bool.

    Example:
    >>> is_chief(strategy_named("none"))
    True
    """
    if not has_workers(strategy):
        return True
    resolver = strategy.cluster_resolver
    if resolver.task_type == "chief":
        return True
    return resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs


def has_workers(strategy):
    """Whether there are other worker processes.

    Args:
        strategy: `tf.distribute.Strategy`.

    Returns:
        bool.
    """
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def check_batch_size(strategy, batch_size):
    """Raises an error unless the batch can be divided equally among the devices.

    Args:
        strategy: `tf.distribute.Strategy`.
        batch_size: int, examples of the global batch.

    Raises:
        ValueError: if the number of devices does not divide it.

    Example:
    >>> check_batch_size(strategy_named("none"), 7)
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise ValueError(
            f"The batch is divided equally among all {replicas} devices. Received: "
            f"batch_size={batch_size}. Take {max(1, round(batch_size / replicas)) * replicas}, for instance."
        )


def distributed_dataset(strategy, make):
    """A dataset for `fit`, of which each worker creates only its own rows.

    Args:
        strategy: `tf.distribute.Strategy`.
        make: callable (worker, workers) -> `tf.data.Dataset` of that worker's rows of each batch, of static shape, such
            as `functools.partial(crops.dataset, 0, None)` of `ImageCrops`.

    Returns:
        `make(0, 1)`, whose rows Keras splits over the devices of one machine; among several workers a
        `tf.distribute.DistributedDataset`.

    Example:
    >>> def make(worker, workers):
    ...     return tf.data.Dataset.range(worker, 4, workers).batch(4 // workers)
    >>> [batch.numpy().tolist() for batch in distributed_dataset(strategy_named("none"), make)]
    [[0, 1, 2, 3]]
    """
    if not has_workers(strategy):
        return make(0, 1)

    def of_worker(context):
        dataset = make(context.input_pipeline_id, context.num_input_pipelines)
        devices = context.num_replicas_in_sync // context.num_input_pipelines
        rows = tf.nest.flatten(dataset.element_spec)[0].shape[0]
        # TensorFlow gives each device of the worker one element in turn.
        return dataset if devices == 1 else dataset.rebatch(rows // devices, drop_remainder=True)

    return strategy.distribute_datasets_from_function(of_worker)


def worker_values(strategy, value):
    """Gathers a value from every worker. All of them must call it at the same step.

    Args:
        strategy: `tf.distribute.Strategy`.
        value: int, the value of this worker.

    Returns:
        List of ints, one per device of each worker, in the same order everywhere; `[value]` without other workers.

    Example:
    >>> worker_values(strategy_named("none"), 3)
    [3]
    """
    if not has_workers(strategy):
        return [value]
    return _gatherer(strategy)(tf.constant([value], tf.int64)).numpy().tolist()


@functools.lru_cache(maxsize=1)
def _gatherer(strategy):
    def of_replica(value):
        return replica_gather(tf.identity(value))  # without it, the value has no device inside the graph

    @tf.function
    def gathered(value):
        return strategy.experimental_local_results(strategy.run(of_replica, args=(value,)))[0]

    return gathered


def function_over_workers(trainer, step):
    """The function of `fit` or `evaluate` that takes one step on all workers, where that of Keras 3.15 fails.

    Args:
        trainer: compiled `keras.Model` made in the strategy's scope.
        step: its `train_step` or `test_step`.

    Returns:
        Callable, an iterator over distributed batches -> dict of scalar tensors.

    Reference:
        https://github.com/keras-team/keras/issues/20585
    """
    strategy = trainer.distribute_strategy

    def replica(data):
        logs = step(data)
        return dict(zip(logs, replica_mean(*logs.values()), strict=True))

    def one(data):
        logs = strategy.run(replica, args=(data,))
        return {name: strategy.experimental_local_results(value)[0] for name, value in logs.items()}

    if not trainer.run_eagerly:
        one = tf.function(one, reduce_retracing=True, jit_compile=trainer.jit_compile)

    def function(iterator):
        logs = one(next(iterator))
        for data in itertools.islice(iterator, trainer.steps_per_execution - 1):
            logs = one(data)
        return logs

    return function


def whole_batch_gradients(optimizer, gradients):
    r"""Gradients for which a Keras optimizer on several devices behaves as on one device with the whole batch.

    Keras clips the gradients of each device, and checks them for infinities, before it sums them. Here they are summed
    and clipped first, and each device gets an equal part g of the result. The clipping of the optimizer does not change
    it, because the sum is within the bound already:

    $$g = \frac{1}{R} \operatorname{clip}\Big(\sum_{r=1}^{R} g_r\Big)$$

    Args:
        optimizer: `keras.optimizers.Optimizer`, possibly a `LossScaleOptimizer`.
        gradients: list of tensors or None, gradients of this device, scaled by the loss scale of the optimizer.

    Returns:
        List of tensors or None; `gradients` itself on one device, or without clipping and loss scale.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
    clips = inner.clipnorm or inner.global_clipnorm or inner.clipvalue
    if replicas == 1 or not (clips or inner is not optimizer):
        return gradients
    known = [tf.convert_to_tensor(gradient) for gradient in gradients if gradient is not None]
    scale = optimizer.scale_loss(tf.ones(()))
    clipped = iter(_clipped(inner, [gradient / scale for gradient in replica_sum(*known)]))
    return [None if gradient is None else next(clipped) * (scale / replicas) for gradient in gradients]


def _clipped(optimizer, gradients):
    if optimizer.clipnorm:
        return [tf.clip_by_norm(gradient, optimizer.clipnorm) for gradient in gradients]
    if optimizer.global_clipnorm:
        return tf.clip_by_global_norm(gradients, optimizer.global_clipnorm)[0]
    if optimizer.clipvalue:
        clipped = [tf.clip_by_value(gradient, -optimizer.clipvalue, optimizer.clipvalue) for gradient in gradients]
        # Infinities are kept, because the loss scale depends on them.
        return [tf.where(tf.math.is_finite(g), c, g) for g, c in zip(gradients, clipped, strict=True)]
    return gradients
