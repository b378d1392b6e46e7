"""Nearest-neighbour upsampling and a 3x3 convolution in one, without the enlarged tensor between them."""

import keras
import numpy as np

from vqzoo.ops.litert import is_for_litert

# Along one axis a window of three enlarged pixels meets each input once or twice, so that rows of the kernel add up:
# `TAPS` holds which, for the four positions of a transposed convolution's kernel of stride 2.
TAPS = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], "float32")
# The same for the pairs of inputs (i - 1, i): first those of the odd output 2i - 1, then of the even output 2i.
PAIRS = np.array([[[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]]], "float32")


def upsample_conv(images, kernel):
    r"""Repeats each pixel along height and width, then convolves with a 3x3 kernel and zeros around.

    $$y_{2i+a,\,2j+b} = \sum_{u,v=-1}^{1} K_{uv}\; x_{\lfloor (2i+a+u)/2 \rfloor,\,\lfloor (2j+b+v)/2 \rfloor}$$

    A 3x3 window of repeated pixels covers only 2x2 different ones. Rows and columns of the kernel that meet the same
    pixel are added first, so that four output pixels need 16 products instead of 36. It is computed as a transposed
    convolution of stride 2, whose gradients are plain convolutions.

    Args:
        images: float tensor, shape (batch, height, width, channels), channels known.
        kernel: float tensor, shape (3, 3, channels, filters), as of `keras.layers.Conv2D`.

    Returns:
        Tensor of shape (batch, height * 2, width * 2, filters).

    Example:
    >>> import numpy as np
    >>> blur = np.ones((3, 3, 1, 1), "float32") / 9.0
    >>> np.asarray(upsample_conv(np.ones((1, 2, 2, 1), "float32"), blur))[0, :2, :, 0].round(2)
    array([[0.44, 0.67, 0.67, 0.44],
           [0.67, 1.  , 1.  , 0.67]], dtype=float32)

    Reference:
        Shi et al. 2016, Is the deconvolution layer the same as a convolutional layer?, https://arxiv.org/abs/1609.07009
    """
    images, kernel = keras.ops.convert_to_tensor(images), keras.ops.convert_to_tensor(kernel)
    if is_for_litert():
        # Its transposed convolution of unknown sizes takes four times as long, and with int8 weights 300 times.
        return _phases(images, kernel)
    channels, filters = kernel.shape[2:]
    # Transposed first, while it is small; then one product with both axes' sums. A transposed convolution's kernel is
    # (rows, columns, filters, channels).
    rows = keras.ops.reshape(keras.ops.transpose(kernel, (0, 1, 3, 2)), (9, filters * channels))
    sums = keras.ops.cast(np.kron(TAPS, TAPS), kernel.dtype)
    folded = keras.ops.reshape(keras.ops.matmul(sums, rows), (4, 4, filters, channels))
    return keras.ops.conv_transpose(images, folded, strides=2, padding="same", data_format="channels_last")


def _phases(images, kernel):
    """The four output pixels around each corner of the inputs as four times the filters, rearranged to pixels."""
    channels, filters = kernel.shape[2:]
    pairs = keras.ops.cast(PAIRS, kernel.dtype)
    # (row and column of the pair, channels, row and column of the phase, filters)
    folded = keras.ops.einsum("atu,bsv,uvcf->tscabf", pairs, pairs, kernel)
    folded = keras.ops.reshape(folded, (2, 2, channels, 4 * filters))
    # One row and column of zeros before; "same" padding adds those behind. LiteRT cannot pad unknown sizes.
    images = keras.ops.concatenate([keras.ops.zeros_like(images[:, :1]), images], axis=1)
    images = keras.ops.concatenate([keras.ops.zeros_like(images[:, :, :1]), images], axis=2)
    x = keras.ops.conv(images, folded, strides=1, padding="same", data_format="channels_last")
    return _depth_to_space(x)[:, 1:-1, 1:-1]


def _depth_to_space(x):
    import tensorflow as tf  # one operation; a transposition of six axes would be slow in LiteRT

    return tf.nn.depth_to_space(x, 2)


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
