"""Compiled functions, and values that are known now, on every backend."""

import keras


def compiled(function):
    """Compiles `function` once and reuses it for every later call.

    On TensorFlow this is a `tf.function` that relaxes shapes instead of tracing anew; the other backends run the
    function as it is, and their users compile around it (`jax.jit`, `torch.compile`).

    Args:
        function: callable of tensors.

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

    return tf.function(function, reduce_retracing=True, autograph=False)


def known_value(tensor):
    """Returns the numpy value of `tensor`, or None where it is symbolic (inside a graph or a trace).

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
