"""Empty batches and empty grids in exported graphs, whose run times may end the process on them."""

import tensorflow as tf


def of_any_size(function, tensor):
    """What a function makes of a tensor; of an empty one, an empty result.

    The function itself never sees an empty tensor: kernels of convolutions divide by sizes, and a division by zero ends
    the process. An axis without entries gets one of zeros, and what is made of it is cut off again.

    Args:
        function: callable tensor -> tensor of the same batch.
        tensor: tensor of a graph, some of whose sizes only the run time knows.

    Returns:
        Tensor. Its axes are empty where the input's are; where the two have other numbers of axes, the first behind the
        batch is, if any of the input's are.

    Example:
    >>> import functools
    >>> double = functools.partial(of_any_size, functools.partial(tf.tile, multiples=(1, 2)))
    >>> tf.function(double, autograph=False)(tf.zeros((0, 3))).shape
    TensorShape([0, 6])
    """
    shape = tf.shape(tensor)
    missing = tf.stack([tf.zeros_like(shape), tf.maximum(1 - shape, 0)], axis=1)
    sizes = [tf.maximum(shape[axis], 1) if size is None else max(size, 1) for axis, size in enumerate(tensor.shape)]
    # The reshape changes nothing. It keeps the sizes that are known, which LiteRT's converter forgets at the other.
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
