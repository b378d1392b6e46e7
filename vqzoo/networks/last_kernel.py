"""Which weights make a network's output: where the gradients of losses on the output are compared."""

import keras


def last_kernel(network):
    """The kernel of the last layer of a network.

    A network that is no Functional model declares it by a property `last_kernel`, and so may a layer. Of a Functional
    model it is that of the last layer with a matrix, in the order of its graph.

    Args:
        network: built `keras.Model` or layer.

    Returns:
        `keras.Variable`.

    Raises:
        ValueError: if the network declares none and is no Functional model, or has no matrix.

    Example:
    >>> from vqzoo.networks.image import dense_decoder
    >>> last_kernel(dense_decoder(8)).path
    'to_images/kernel'
    """
    declared = getattr(network, "last_kernel", None)
    if declared is not None:
        return declared
    if not _is_functional(network):
        raise ValueError(
            f"A network that is no Functional model declares the kernel of its last layer. Received: {network.name!r}, "
            f"a {type(network).__name__} without it. Give it a property `last_kernel`, or train with `adaptive=False`."
        )
    for layer in reversed(network.layers):
        matrices = [weight for weight in layer.weights if len(weight.shape) > 1]
        if matrices:
            declares = _is_functional(layer) or getattr(layer, "last_kernel", None) is not None
            return last_kernel(layer) if declares else matrices[-1]
    raise ValueError(
        f"The last layer of a network has a kernel. Received: {network.name!r}, of which no weight is a matrix. Train "
        "with `adaptive=False`."
    )


def _is_functional(network):
    return isinstance(network, keras.Model) and getattr(network, "inputs", None) is not None
