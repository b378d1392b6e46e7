"""VQ-VAE: van den Oord, Vinyals, Kavukcuoglu 2017, https://arxiv.org/abs/1711.00937.

| images | grid | codes | network | source |
|---|---|---|---|---|
| CIFAR-10 32x32x3 | 8x8 | 512 of 64 | 256 filters, stride 4, 2 blocks | section 4.1 |
| ImageNet 128x128x3 | 32x32 | 512 of 64 | 256 filters, stride 4, 2 blocks | section 4.1 |
"""

from vqzoo.networks.image import convolutional_decoder
from vqzoo.networks.image import convolutional_encoder
from vqzoo.networks.image import dense_decoder
from vqzoo.networks.image import dense_encoder
from vqzoo.quantizers import EMAVectorQuantizer
from vqzoo.tokenizers.image.tokenizer import ImageTokenizer


def image_vqvae(
    channels=3,
    filters=128,
    stride=4,
    blocks=2,
    residual_filters=None,
    latent_dim=64,
    quantizer=None,
    name="image_vqvae",
):
    """Builds the convolutional VQ-VAE for images of any size.

    Args:
        channels: int, channels of the images. Defaults to 3.
        filters: int, filters of the convolutions. Defaults to 128.
        stride: int, a power of two, side of a token in pixels. Defaults to 4.
        blocks: int, residual blocks. Defaults to 2.
        residual_filters: int, filters of the 3x3 convolutions inside the blocks. Defaults to `filters`.
        latent_dim: int, width of a latent vector. Defaults to 64.
        quantizer: `Quantizer`. Defaults to `EMAVectorQuantizer(512)`.
        name: str, name of the tokenizer. Defaults to "image_vqvae".

    Returns:
        A built `ImageTokenizer`, float32 (batch, height, width, channels) to int32 (batch, rows, columns, 1).

    Example:
    >>> image_vqvae(filters=16).codebook_sizes
    (512,)
    """
    tokenizer = ImageTokenizer(
        convolutional_encoder(latent_dim, channels, filters, stride, blocks, residual_filters),
        quantizer or EMAVectorQuantizer(512, name="quantizer"),
        convolutional_decoder(latent_dim, channels, filters, stride, blocks, residual_filters),
        name=name,
    )
    tokenizer.build((None, None, None, channels))
    return tokenizer


def image_vqvae_dense(shape=(28, 28, 1), positions=16, hidden=(512, 256), latent_dim=64, quantizer=None):
    """Builds a fully connected VQ-VAE for small images of one size.

    Args:
        shape: tuple (height, width, channels) of the images, pixels. Defaults to (28, 28, 1).
        positions: int, tokens per image. Defaults to 16.
        hidden: tuple of ints, units of the encoder's hidden layers; the decoder mirrors them. Defaults to (512, 256).
        latent_dim: int, width of a latent vector. Defaults to 64.
        quantizer: `Quantizer`. Defaults to `EMAVectorQuantizer(512)`.

    Returns:
        A built `ImageTokenizer`, float32 (batch, height, width, channels) to int32 (batch, positions, 1).

    Example:
    >>> image_vqvae_dense().encoder.output_shape
    (None, 16, 64)
    """
    tokenizer = ImageTokenizer(
        dense_encoder(latent_dim, shape, positions, hidden),
        quantizer or EMAVectorQuantizer(512, name="quantizer"),
        dense_decoder(latent_dim, shape, positions, tuple(reversed(hidden))),
        name="image_vqvae_dense",
    )
    tokenizer.build((None, *shape))
    return tokenizer
