"""Cropping and enlarging the grid axes of channels-last tensors, with known or unknown sizes."""

import keras


def crop(tensor, size):
    """Keeps the first `size` positions of the grid axes.

    Args:
        tensor: shape (batch, *grid, channels).
        size: tuple with an int or an int tensor for each grid axis. Larger than the grid keeps all of it.

    Returns:
        Tensor of shape (batch, *size, channels).

    Example:
    >>> tuple(crop(keras.ops.zeros((1, 4, 4, 3)), (3, 2)).shape)
    (1, 3, 2, 3)
    """
    return tensor[(slice(None), *(slice(0, length) for length in size))]


def upsample_nearest(images, factor=2):
    """Repeats each pixel `factor` times along height and width.

    Written as reshape, tile, reshape with the channels literal: this form converts to LiteRT and compiles with XLA
    also where height and width are unknown.

    Args:
        images: shape (batch, height, width, channels), channels known.
        factor: int. Defaults to 2.

    Returns:
        Tensor of shape (batch, height * factor, width * factor, channels).

    Example:
    >>> import numpy as np
    >>> np.asarray(upsample_nearest(np.array([[[[1.0], [2.0]]]])))[0, :, :, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """
    images = keras.ops.convert_to_tensor(images)
    channels = images.shape[-1]
    _, height, width, _ = keras.ops.shape(images)
    # Columns: (batch * height, width, channels) -> each pixel's channels stand `factor` times side by side.
    x = keras.ops.tile(keras.ops.reshape(images, (-1, width, channels)), (1, 1, factor))
    # Rows: (batch, height, width * factor * channels) -> each row stands `factor` times below the other.
    x = keras.ops.tile(keras.ops.reshape(x, (-1, height, width * factor * channels)), (1, 1, factor))
    return keras.ops.reshape(x, (-1, height * factor, width * factor, channels))
