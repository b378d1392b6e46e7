"""Gradients inside a loss, on every backend."""

import functools
import itertools
import weakref

import keras

_numbers = itertools.count()


def custom_gradient(function):
    """A function with a custom gradient, like `keras.ops.custom_gradient`, but graphs that call it can be freed.

    TensorFlow registers the gradient of each call in a graph in a table that is never emptied. The table keeps the
    graph and its contents until the process ends. Here the graph itself holds its gradients.

    Args:
        function: callable of tensors, which returns a tensor or a tuple of them, and a callable from their gradients to
            those of the arguments. It reads variables only by its arguments.

    Returns:
        Callable of tensors.

    Example:
    >>> doubled = custom_gradient(lambda x: (2.0 * x, lambda upstream: 5.0 * upstream))
    >>> float(doubled(1.0)), float(input_gradient(doubled, keras.ops.ones(())))
    (2.0, 5.0)
    """
    if keras.backend.backend() != "tensorflow":
        return keras.ops.custom_gradient(function)
    import tensorflow as tf

    record = _tape_record()

    @functools.wraps(function)
    def call(*tensors):
        if record is None or tf.executing_eagerly():
            return tf.custom_gradient(function)(*tensors)
        return _in_graph(function, [tf.convert_to_tensor(tensor) for tensor in tensors], record)

    return call


def _in_graph(function, tensors, record):
    import tensorflow as tf

    with record.stop_recording():
        results, gradient = function(*tensors)
        several = isinstance(results, (tuple, list))
        results = list(results) if several else [results]

        def gradients(*upstream):
            made = gradient(*upstream[: len(results)])
            return [None] * len(results) + (list(made) if isinstance(made, (tuple, list)) else [made])

        # For `tf.gradients`: one operation from arguments to results, whose gradient is found by its name.
        graph = tf.compat.v1.get_default_graph()
        with graph.gradient_override_map({"IdentityN": _named(graph, gradients)}):
            outputs = tf.identity_n(results + tensors)
    # For `tf.GradientTape`.
    record.record_operation("CustomGradient", outputs, results + tensors, gradients)
    return tuple(outputs[: len(results)]) if several else outputs[0]


def _named(graph, gradients):
    """Registers a gradient in the graph, which holds it. TensorFlow's table only refers to it."""
    import tensorflow as tf

    name = f"VqzooGradient{next(_numbers)}"
    if not hasattr(graph, "vqzoo_gradients"):
        graph.vqzoo_gradients = {}
    graph.vqzoo_gradients[name] = gradients
    reference = weakref.ref(graph)
    # Exports call it without an operation.
    tf.RegisterGradient(name)(lambda _, *upstream: reference().vqzoo_gradients[name](*upstream))
    return name


@functools.cache
def _tape_record():
    """TensorFlow's module that records an operation's gradient on tapes, or None."""
    try:
        from tensorflow.python.eager import record  # not part of the public interface

        return record if callable(record.stop_recording) and callable(record.record_operation) else None
    except (ImportError, AttributeError):
        return None


def silu(x):
    """X sigmoid(x), or swish, like `keras.ops.silu`, but graphs that call it can be freed (see `custom_gradient`).

    Args:
        x: float tensor.

    Returns:
        Tensor of the same shape and dtype.

    Example:
    >>> float(silu(keras.ops.zeros(())))
    0.0
    """
    return x * keras.ops.sigmoid(x)


def input_gradient(function, x):
    """Computes the gradient of a scalar with respect to `x`. It can be differentiated again.

    Args:
        function: callable, tensor like `x` -> scalar.
        x: float tensor.

    Returns:
        Tensor of the shape of `x`.

    Raises:
        NotImplementedError: on a backend without automatic differentiation of functions.

    Example:
    >>> float(input_gradient(lambda x: keras.ops.sum(keras.ops.square(x)), keras.ops.ones(()) * 3.0))
    6.0
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        x = tf.convert_to_tensor(x)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x, unconnected_gradients="zero")
    if backend == "jax":
        import jax

        return jax.grad(function)(x)
    if backend == "torch":
        import torch

        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(function(x), x, create_graph=True)[0]
    raise NotImplementedError(f"No gradient on the backend {backend}: use tensorflow, jax or torch.")
