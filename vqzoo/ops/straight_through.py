"""Gradients through a step that has none."""

import keras


def straight_through(value, like):
    """Returns `value` in the forward pass and hands the gradient to `like` unchanged.

    The forward result equals `value` to the last bit: the added difference is an exact zero.

    Args:
        value: tensor, the result of a step without gradient.
        like: tensor of the same shape, the input of that step.

    Returns:
        Tensor equal to `value`.

    Example:
    >>> float(straight_through(keras.ops.convert_to_tensor(3.0), keras.ops.convert_to_tensor(0.1)))
    3.0

    Reference:
        Bengio, Léonard, Courville 2013, https://arxiv.org/abs/1308.3432, section 3.1.
    """
    return keras.ops.stop_gradient(value) + (like - keras.ops.stop_gradient(like))
