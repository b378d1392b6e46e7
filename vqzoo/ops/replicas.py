"""Sums and gathers over the replicas of a `tf.distribute` strategy."""

import keras


def _replica_context():
    """The context of several parallel replicas, or None."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def replica_sum(*tensors):
    """Sums each tensor over all replicas; every replica receives the same result.

    Outside a strategy, and on other backends, the tensors are returned unchanged. Call it from every replica, and never
    inside `tf.cond`, because a collective that one branch skips deadlocks.

    Args:
        *tensors: float tensors, each of the same shape on every replica.

    Returns:
        Tuple of tensors, one for each argument.

    Example:
    >>> [float(x) for x in replica_sum(keras.ops.ones(()), keras.ops.zeros(()))]
    [1.0, 0.0]
    """
    context = _replica_context()
    if context is None:
        return tensors
    import tensorflow as tf

    return tuple(context.all_reduce(tf.distribute.ReduceOp.SUM, list(tensors)))


def replica_mean(*tensors):
    """Averages each tensor over all replicas; every replica receives the same result.

    Args:
        *tensors: float tensors, each of the same shape on every replica.

    Returns:
        Tuple of tensors, one for each argument.

    Example:
    >>> [float(x) for x in replica_mean(keras.ops.ones(()), keras.ops.zeros(()))]
    [1.0, 0.0]
    """
    context = _replica_context()
    if context is None:
        return tensors
    return tuple(total / context.num_replicas_in_sync for total in replica_sum(*tensors))


def replica_gather(tensor):
    """Concatenates `tensor` over all replicas along the first axis, in the same order on every replica.

    Args:
        tensor: shape (n, ...), the same n on every replica.

    Returns:
        Tensor of shape (replicas * n, ...); `tensor` itself outside a strategy.

    Example:
    >>> replica_gather(keras.ops.ones((2, 3))).shape
    TensorShape([2, 3])
    """
    context = _replica_context()
    return tensor if context is None else context.all_gather(tensor, axis=0)
