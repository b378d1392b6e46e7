"""Compiled functions and concrete values, on every backend."""

import functools

import keras


def compiled(function, xla=False, relaxed=True):
    """Compiles `function` once and reuses it for every later call.

    On TensorFlow this is a `tf.function` that relaxes shapes instead of retracing. The other backends run the function
    as it is, and users can compile around it (`jax.jit`, `torch.compile`).

    Args:
        function: callable of tensors.
        xla: bool, whether XLA compiles it for each shape, if available. Useful for loops of many small steps. Defaults
            to False.
        relaxed: bool, whether sizes that change become unknown ones inside of the function, instead of compiling it for
            each shape; not with `xla`. Defaults to True.

    Returns:
        Callable with the same arguments and results.

    Example:
    >>> double = compiled(lambda x: x + x)
    >>> float(double(keras.ops.convert_to_tensor(2.0)))
    4.0
    """
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    if not xla:
        return tf.function(function, reduce_retracing=relaxed, autograph=False)

    @functools.cache
    def by_xla():
        return tf.function(function, jit_compile=_xla() or None, autograph=False)

    @functools.wraps(function)
    def call(*args, **options):
        return by_xla()(*args, **options)

    return call


def fused(function, unknown_sizes=False):
    """Compiles `function` with XLA, which fuses its element-wise operations.

    This applies only to TensorFlow, which otherwise runs each operation separately. The other backends run the function
    as it is, and users can compile around it. Compilation for a new shape takes a tenth of a second or more. Eager
    calls, which may have any shape, therefore run the function as it is, and so do graphs of unknown sizes, such as
    exports.

    Args:
        function: callable of tensors; other arguments are given by name.
        unknown_sizes: bool, whether to compile also in graphs of unknown sizes, for gradients, which see few sizes.
            Defaults to False.

    Returns:
        Callable with the same arguments and results.

    Example:
    >>> float(fused(lambda x, power: x**power)(keras.ops.convert_to_tensor(2.0), power=3))
    8.0
    """

    @functools.wraps(function)
    def call(*tensors, **options):
        if not _xla():
            return function(*tensors, **options)
        import tensorflow as tf

        known = unknown_sizes or not any(None in tensor.shape for tensor in tensors)
        if not (known and tf.inside_function()):
            return function(*tensors, **options)
        # The graph optimizer does not enter the function, where it would fuse convolution and residual sum.
        results = by_xla()(*tensors, **options)
        return tf.nest.map_structure(lambda result: tf.ensure_shape(result, result.shape), results)

    @functools.cache
    def by_xla():
        import tensorflow as tf

        return tf.function(function, jit_compile=True, autograph=False)

    return call


@functools.cache
def _xla():
    """Whether TensorFlow has XLA, which the builds of some platforms lack."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    with tf.init_scope():
        try:
            tf.function(lambda x: x + x, jit_compile=True)(tf.ones(()))
        except (tf.errors.OpError, ValueError):
            return False
    return True


def dtype_name(array):
    """The name of an array's dtype, also for objects and strings, which tensors do not support.

    Args:
        array: array or tensor of any backend.

    Returns:
        str, such as "float32" or "object".

    Example:
    >>> dtype_name(np.array([None])), dtype_name(np.zeros(2))
    ('object', 'float64')
    """
    try:
        return keras.backend.standardize_dtype(array.dtype)
    except ValueError:
        return str(array.dtype)


def known_value(tensor):
    """Returns the numpy value of `tensor`, or None if it is symbolic (inside a graph or a trace).

    Args:
        tensor: array or tensor of any backend, or a `keras.KerasTensor`.

    Returns:
        `numpy.ndarray` or None.

    Example:
    >>> known_value([1, 2])
    array([1, 2])
    >>> known_value(keras.Input((3,))) is None
    True
    """
    if keras.backend.is_keras_tensor(tensor):
        return None
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if not tf.executing_eagerly():
            return None
    if keras.backend.backend() == "jax":
        import jax

        if isinstance(tensor, jax.core.Tracer):
            return None
    return keras.ops.convert_to_numpy(tensor)
