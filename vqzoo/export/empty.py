"""Support of empty batches and grids in exported graphs, on which runtimes may end the process."""

import tensorflow as tf


def of_any_size(function, tensor):
    """Applies a function to a tensor; the result for an empty tensor is empty.

    The function never receives an empty tensor, because kernels of convolutions divide by sizes, and a division by zero
    ends the process. An empty axis is padded with one entry of zeros, and its result is removed.

    Args:
        function: callable tensor -> tensor of the same batch.
        tensor: tensor of a graph, with sizes that may be known only at run time.

    Returns:
        Tensor. Its axes are empty where those of the input are. If the ranks differ, the axis after the batch is empty
        if any axis of the input is.

    Example:
    >>> import functools
    >>> double = functools.partial(of_any_size, functools.partial(tf.tile, multiples=(1, 2)))
    >>> tf.function(double, autograph=False)(tf.zeros((0, 3))).shape
    TensorShape([0, 6])
    """
    shape = tf.shape(tensor)
    missing = tf.stack([tf.zeros_like(shape), tf.maximum(1 - shape, 0)], axis=1)
    sizes = [tf.maximum(shape[axis], 1) if size is None else max(size, 1) for axis, size in enumerate(tensor.shape)]
    # The reshape keeps the known sizes, which LiteRT's converter would lose otherwise.
    made = function(tf.reshape(tf.pad(tensor, missing), sizes))
    kept, same = tf.minimum(shape, 1), len(made.shape) == len(tensor.shape)
    if not same:
        ones = tf.ones((len(made.shape) - 2,), tf.int32)
        kept = tf.concat([kept[:1], tf.reduce_prod(kept[1:], keepdims=True), ones], axis=0)
    dynamic = [not size for size in tensor.shape] if same else [True, True, *[False] * (len(made.shape) - 2)]
    known = [None if may_be_empty else size for size, may_be_empty in zip(made.shape, dynamic, strict=True)]
    made = tf.slice(made, tf.zeros_like(kept), kept * tf.shape(made))
    made.set_shape(known)
    return made
