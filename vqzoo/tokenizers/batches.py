"""Calls compiled functions on batches of limited size, including empty ones."""

import keras


def in_batches(function, tensor, *others, batch_size):
    """Calls a function on a batch, a part of it at a time.

    Args:
        function: callable of tensors (batch, ...) -> tensor (batch, ...).
        tensor: tensor (batch, ...).
        *others: further arguments, tensors (batch, ...) or None.
        batch_size: int, examples per call; or None for all.

    Returns:
        Tensor (batch, ...).
    """
    if tensor.shape[0] == 0:  # convolutions refuse an empty batch, so one example gives the shape
        return function(keras.ops.zeros((1, *tensor.shape[1:]), tensor.dtype), *(None for _ in others))[:0]
    if batch_size is None or tensor.shape[0] <= batch_size:
        return function(tensor, *others)
    parts = []
    for first in range(0, tensor.shape[0], batch_size):
        some = slice(first, first + batch_size)
        parts.append(function(tensor[some], *(None if other is None else other[some] for other in others)))
    return keras.ops.concatenate(parts)
