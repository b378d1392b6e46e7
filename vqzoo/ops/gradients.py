"""Gradients inside a loss, on every backend."""

import keras


def input_gradient(function, x):
    """Takes the gradient of a scalar in `x`; it can be differentiated again.

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
