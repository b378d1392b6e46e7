"""PatchGAN, a convolutional discriminator of overlapping patches."""

import keras

from vqzoo.networks.normalization import group_normalization


def batch_norm(channels, name):
    """Batch normalization as in pix2pix: scale from N(1, 0.02), statistics with momentum 0.9."""
    del channels  # each channel is its own group
    scale = keras.initializers.RandomNormal(1.0, 0.02)
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=scale, name=name)


def patch_discriminator(channels=3, filters=64, depth=3, normalization=group_normalization):
    """Builds a PatchGAN: `depth` strided 4x4 convolutions, two more without stride, LeakyReLU 0.2 between.

    The receptive field of a logit is 70x70 pixels with `depth` 3, 34x34 with 2, and 16x16 with 1.

    Args:
        channels: int, of the images. Defaults to 3.
        filters: int, of the first convolution, doubling at each further one up to eightfold. Defaults to 64.
        depth: int, strided convolutions. Defaults to 3.
        normalization: callable (channels, name) -> layer, for all but the first and last convolution. `batch_norm` or
            `vqzoo.networks.group_normalization`. Defaults to `group_normalization`.

    Returns:
        `keras.Model`, images (batch, height, width, channels) to a list: the activations after each convolution, for
        feature matching, and last the float32 logits (batch, rows, columns, 1).

    Raises:
        ValueError: if `depth` is below 1.

    Example:
    >>> [shape[1:] for shape in patch_discriminator(filters=8, depth=1).compute_output_shape((1, 32, 32, 3))]
    [(16, 16, 8), (16, 16, 16), (16, 16, 1)]

    Reference:
        Isola et al. 2017, https://arxiv.org/abs/1611.07004, appendix 6.1.2.
    """
    if depth < 1:
        raise ValueError(f"`depth` is 1 or more strided convolutions. Received: depth={depth}")
    x = images = keras.Input((None, None, channels), name="images")
    features = []
    for i in range(depth + 1):
        width = filters * min(2**i, 8)
        stride = 2 if i < depth else 1
        # The offset of the normalization makes a bias redundant.
        x = _conv4x4(width, stride, f"conv_{i}", use_bias=i == 0)(x)
        if i > 0:
            x = normalization(width, f"norm_{i}")(x)
        x = keras.layers.LeakyReLU(0.2, name=f"features_{i}")(x)
        features.append(x)
    logits = _conv4x4(1, 1, "logits", dtype="float32")(x)
    return keras.Model(images, [*features, logits], name="discriminator")


def _conv4x4(filters, stride, name, **kwargs):
    start = keras.initializers.RandomNormal(0.0, 0.02)
    return keras.layers.Conv2D(filters, 4, stride, "same", kernel_initializer=start, name=name, **kwargs)
