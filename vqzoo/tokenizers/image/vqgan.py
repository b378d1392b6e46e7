"""VQGAN: Esser, Rombach, Ommer 2021, https://arxiv.org/abs/2012.09841.

| name | multipliers | attention levels | codes | parameters |
|---|---|---|---|---|
| f16 (taming ImageNet) | 1 1 2 2 4 | 4 | 1,024 or 16,384 of 256 | 72 or 76 M |
| f8 (LDM) | 1 2 2 4 | 3 | 16,384 of 4 | 68 M |
| f4 (LDM) | 1 2 4 | none | 8,192 of 3 | 55 M |

All have 128 filters and 2 blocks at each resolution.
"""

from vqzoo.networks.image import residual_decoder
from vqzoo.networks.image import residual_encoder
from vqzoo.quantizers import VectorQuantizer
from vqzoo.tokenizers.image.tokenizer import ImageTokenizer


def image_vqgan(
    channels=3,
    filters=128,
    multipliers=(1, 1, 2, 2, 4),
    blocks=2,
    attention=(4,),
    mid_attention=True,
    latent_dim=256,
    z_channels=None,
    quantizer=None,
):
    """Builds the tokenizer of a VQGAN for images of any size. The discriminator belongs to the trainer.

    Args:
        channels: int, channels of the images. Defaults to 3.
        filters: int, filters of the first convolution. Defaults to 128.
        multipliers: tuple of ints, multiples of `filters` at each resolution from high to low. The side of a token is 2
            ** (len - 1) pixels. Defaults to (1, 1, 2, 2, 4), f16.
        blocks: int, residual blocks at each resolution. Defaults to 2.
        attention: tuple of ints, levels with self-attention. Defaults to (4,).
        mid_attention: bool, whether the middle block has self-attention. Defaults to True.
        latent_dim: int, width of a latent vector. Defaults to 256.
        z_channels: int, channels before the quantizer's 1x1 convolution. Defaults to `latent_dim`.
        quantizer: `Quantizer`. Defaults to `VectorQuantizer(1024)`.

    Returns:
        A built `ImageTokenizer`, float32 (batch, height, width, channels) to int32 (batch, rows, columns, 1).

    Example:
    >>> image_vqgan(filters=8, multipliers=(1, 2), attention=(), latent_dim=4).codebook_sizes
    (1024,)
    """
    network = {
        "channels": channels,
        "filters": filters,
        "multipliers": multipliers,
        "blocks": blocks,
        "attention": attention,
        "mid_attention": mid_attention,
        "z_channels": z_channels,
    }
    tokenizer = ImageTokenizer(
        residual_encoder(latent_dim, **network),
        quantizer or VectorQuantizer(1024, name="quantizer"),
        residual_decoder(latent_dim, **network),
        name="image_vqgan",
    )
    tokenizer.build((None, None, None, channels))
    return tokenizer
