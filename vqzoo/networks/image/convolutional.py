"""Strided convolutions and residual blocks, the VQ-VAE networks of van den Oord et al. 2017."""

import keras

from vqzoo.networks.image.upsample import UpsampleConv2D


def convolutional_encoder(latent_dim, channels=3, filters=128, stride=4, blocks=2, residual_filters=None):
    """Builds an encoder of strided 4x4 convolutions and residual blocks at the lowest resolution.

    It accepts any height and width. The grid has ceil(size / stride) positions per side.

    Args:
        latent_dim: int, width of a latent vector.
        channels: int, of the images. Defaults to 3.
        filters: int, filters of the convolutions, halved at half resolution. Defaults to 128.
        stride: int, a power of two, pixels per latent vector along each side. Defaults to 4.
        blocks: int, residual blocks. Defaults to 2.
        residual_filters: int, of the 3x3 convolutions inside the blocks. Defaults to `filters`.

    Returns:
        `keras.Model`, images (batch, height, width, channels) to latents (batch, rows, columns, latent_dim).

    Raises:
        ValueError: if `stride` is not a power of two of at least 2.

    Example:
    >>> convolutional_encoder(64).compute_output_shape((1, 64, 50, 3))
    (1, 16, 13, 64)

    Reference:
        van den Oord et al. 2017, https://arxiv.org/abs/1711.00937, section 4.1.
    """
    halvings = _halvings(stride)
    x = images = keras.Input((None, None, channels), name="images")
    for i in range(halvings):
        width = filters // 2 if i == 0 else filters
        x = keras.layers.Conv2D(width, 4, 2, "same", activation="relu", name=f"down_{i}")(x)
    x = keras.layers.Conv2D(filters, 3, padding="same", name="conv_in")(x)
    x = _residual_blocks(x, filters, blocks, residual_filters or filters)
    latents = keras.layers.Conv2D(latent_dim, 1, name="latents")(x)
    return keras.Model(images, latents, name="encoder")


def convolutional_decoder(latent_dim, channels=3, filters=128, stride=4, blocks=2, residual_filters=None):
    """Builds the counterpart of `convolutional_encoder`: residual blocks, then upsampling and 3x3 convolutions.

    The paper uses transposed convolutions, which cause checkerboard artifacts in flat areas where the same code
    repeats. Nearest-neighbour upsampling before a plain convolution maps equal codes to equal pixels.

    Args:
        latent_dim: int, width of a latent vector.
        channels: int, of the images. Defaults to 3.
        filters: int, filters of the convolutions, halved at half resolution. Defaults to 128.
        stride: int, a power of two, pixels per latent vector along each side. Defaults to 4.
        blocks: int, residual blocks. Defaults to 2.
        residual_filters: int, of the 3x3 convolutions inside the blocks. Defaults to `filters`.

    Returns:
        `keras.Model`, latents (batch, rows, columns, latent_dim) to float32 images
        (batch, rows * stride, columns * stride, channels).

    Raises:
        ValueError: if `stride` is not a power of two of at least 2.

    Example:
    >>> convolutional_decoder(64).compute_output_shape((1, 16, 13, 64))
    (1, 64, 52, 3)

    Reference:
        Odena, Dumoulin, Olah 2016, Deconvolution and Checkerboard Artifacts,
        https://distill.pub/2016/deconv-checkerboard
    """
    halvings = _halvings(stride)
    x = latents = keras.Input((None, None, latent_dim), name="latents")
    x = keras.layers.Conv2D(filters, 3, padding="same", name="conv_in")(x)
    x = _residual_blocks(x, filters, blocks, residual_filters or filters)
    for i in reversed(range(1, halvings)):
        width = filters // 2 if i == 1 else filters
        x = UpsampleConv2D(width, activation="relu", name=f"up_{i}")(x)
    images = UpsampleConv2D(channels, dtype="float32", name="images")(x)
    return keras.Model(latents, images, name="decoder")


def _halvings(stride):
    halvings = stride.bit_length() - 1
    if stride < 2 or stride != 2**halvings:
        raise ValueError(f"`stride` must be a power of two of at least 2. Received: stride={stride}")
    return halvings


def _residual_blocks(x, filters, blocks, residual_filters):
    """Pre-activation residual blocks (3x3, then 1x1 convolution), and the activation after the last."""
    for i in range(blocks):
        y = keras.layers.ReLU(name=f"block_{i}_relu1")(x)
        y = keras.layers.Conv2D(residual_filters, 3, padding="same", activation="relu", name=f"block_{i}_conv1")(y)
        y = keras.layers.Conv2D(filters, 1, name=f"block_{i}_conv2")(y)
        x = keras.layers.Add(name=f"block_{i}_add")([x, y])
    return keras.layers.ReLU(name="relu_out")(x)
