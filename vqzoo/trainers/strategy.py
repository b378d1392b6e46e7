"""Training on several devices: strategies by name, what belongs to whom, and sums over all of them."""

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
    """Makes the `tf.distribute.Strategy` under which a trainer is built and fitted.

    One global batch is split over all devices, each of which holds all weights; gradients and the statistics of
    codebooks are summed over them before each step. The steps are therefore those of one device with the whole batch,
    up to rounding, except for what looks at single examples of the batch or draws numbers: k-means and restarts of a
    codebook see the batch in another order, Gumbel and Gaussian quantizers and dropout draw numbers for each device,
    and plain batch normalization normalizes each device's part.

    Args:
        name: str. "none": one device. "mirrored": all GPUs of this machine; without any its CPU, one device unless
            TensorFlow was told to split it. "multiworker": one process on each of several machines, all GPUs of
            each, where the environment variable TF_CONFIG names them all, and which of them this is. Make it before
            TensorFlow computes anything.

    Returns:
        `tf.distribute.Strategy`, whose `scope()` the trainer is built in.

    Raises:
        ValueError: if the name is unknown, or TF_CONFIG does not tell the workers.

    Example:
    >>> strategy_named("mirrored").num_replicas_in_sync
    1
    """
    if name not in STRATEGIES:
        raise ValueError(f"A strategy is one of {', '.join(STRATEGIES)}. Received: {name!r}")
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if name == "multiworker":
        _check_place(os.environ.get("TF_CONFIG", ""))
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def _check_place(text):
    """Raises unless `text` is a TF_CONFIG with all workers and the place of this one."""
    try:
        place = json.loads(text)
        hosts = place["cluster"][place["task"]["type"]]
        good = 0 <= int(place["task"]["index"]) < len(hosts) and place["task"]["type"] in ("chief", "worker")
    except (KeyError, TypeError, ValueError):
        good = False
    if not good:
        raise ValueError(
            f"Several workers find each other by the environment variable TF_CONFIG, the same on each but for the "
            f"index. Received: {text or 'none'}. On the first of two machines: {_EXAMPLE}"
        )


def is_chief(strategy):
    """Whether this process is the one that writes files and prints: always, unless it is a further worker.

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
    """Whether other processes train along.

    Args:
        strategy: `tf.distribute.Strategy`.

    Returns:
        bool.
    """
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def check_batch_size(strategy, batch_size):
    """Raises unless the devices can share a batch equally.

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
            f"The batch is over all {replicas} devices, each of which takes an equal part. Received: "
            f"batch_size={batch_size}. Take {max(1, round(batch_size / replicas)) * replicas}, for instance."
        )


def distributed_dataset(strategy, make):
    """A data set for `fit` of which each worker makes its own rows, so that each row is made once.

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
    """What every worker has said; to be called by all of them at the same moment.

    Args:
        strategy: `tf.distribute.Strategy`.
        value: int, this worker's.

    Returns:
        List of ints, one for each device of each worker, in the same order everywhere; `[value]` where there are no
        others.

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
        return replica_gather(tf.identity(value))  # without, it has no device inside the graph

    @tf.function
    def gathered(value):
        return strategy.experimental_local_results(strategy.run(of_replica, args=(value,)))[0]

    return gathered


def function_over_workers(trainer, step):
    """The function of `fit` or `evaluate` that takes one step on all workers: Keras 3.15's own fails there.

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
    r"""Gradients that a Keras optimizer on several devices treats as one device does those of the whole batch.

    Keras clips each device's gradients, and looks for infinities in them, before it sums them. Here they are summed
    and clipped first, and each device gets an equal share g of the result, which the optimizer's own clipping leaves
    as it is because the whole was within the bound already:

    $$g = \frac{1}{R} \operatorname{clip}\Big(\sum_{r=1}^{R} g_r\Big)$$

    Args:
        optimizer: `keras.optimizers.Optimizer`, perhaps a `LossScaleOptimizer`.
        gradients: list of tensors or None, of this device, scaled by the optimizer's loss scale.

    Returns:
        List of tensors or None; `gradients` themselves on one device, or where nothing is clipped or looked for.
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
        # Infinities stay, for the loss scale to see them.
        return [tf.where(tf.math.is_finite(g), c, g) for g, c in zip(gradients, clipped, strict=True)]
    return gradients
