"""The VQGAN encoder and decoder of Esser et al. 2021: residual blocks with group norm, swish and attention.

Layers are named as in the original code with `_` for `.` (`down_0_block_1_conv2`, `mid_attn_1`, `norm_out`), and the
decoder's `up_{i}` counts from high to low resolution as there, so that public checkpoints can be mapped by name.
"""

import keras

from vqzoo.networks.image.upsample import UpsampleConv2D
from vqzoo.networks.normalization import group_normalization
from vqzoo.networks.normalization import group_normalization_swish


def residual_encoder(
    latent_dim,
    channels=3,
    filters=128,
    multipliers=(1, 2, 4),
    blocks=2,
    attention=(),
    mid_attention=True,
    z_channels=None,
    dropout=0.0,
):
    """Builds the VQGAN encoder; its stride is 2 ** (len(multipliers) - 1).

    It accepts any height and width. The grid has ceil(size / stride) positions per side.

    Args:
        latent_dim: int, width of a latent vector.
        channels: int, of the images. Defaults to 3.
        filters: int, of the first convolution. Defaults to 128.
        multipliers: tuple of ints, multiples of `filters` at each resolution from high to low. Defaults to (1, 2, 4),
            f4. (1, 2, 2, 4) is f8, (1, 1, 2, 2, 4) is f16.
        blocks: int, residual blocks at each resolution. Defaults to 2.
        attention: tuple of ints, the levels whose blocks are followed by self-attention; 0 is the full resolution.
            Defaults to ().
        mid_attention: bool, whether the middle has self-attention, whose cost grows with the fourth power of the
            side of the image. Defaults to True.
        z_channels: int, channels before the last 1x1 convolution. Defaults to `latent_dim`.
        dropout: float, fraction dropped inside the blocks in training. Defaults to 0.

    Returns:
        `keras.Model`, images (batch, height, width, channels) to latents (batch, rows, columns, latent_dim).

    Raises:
        ValueError: if `attention` names a level that `multipliers` does not have.

    Example:
    >>> residual_encoder(8, filters=8).compute_output_shape((1, 64, 50, 3))
    (1, 16, 13, 8)

    Reference:
        Esser, Rombach, Ommer 2021, https://arxiv.org/abs/2012.09841, table 7.
    """
    _check_levels(attention, multipliers)
    x = images = keras.Input((None, None, channels), name="images")
    x = _conv3x3(filters, "conv_in")(x)
    for i, multiplier in enumerate(multipliers):
        for j in range(blocks):
            x = _residual_block(x, filters * multiplier, f"down_{i}_block_{j}", dropout)
            if i in attention:
                x = _attention_block(x, f"down_{i}_attn_{j}")
        if i < len(multipliers) - 1:
            x = _halve(x, filters * multiplier, f"down_{i}_downsample")
    x = _middle(x, mid_attention, dropout)
    x = group_normalization_swish(x.shape[-1], "norm_out")(x)
    x = _conv3x3(z_channels or latent_dim, "conv_out")(x)
    latents = keras.layers.Conv2D(latent_dim, 1, name="quant_conv")(x)
    return keras.Model(images, latents, name="encoder")


def residual_decoder(
    latent_dim,
    channels=3,
    filters=128,
    multipliers=(1, 2, 4),
    blocks=2,
    attention=(),
    mid_attention=True,
    z_channels=None,
    dropout=0.0,
):
    """Builds the VQGAN decoder, with one more residual block at each resolution than the encoder.

    Args:
        latent_dim: int, width of a latent vector.
        channels: int, of the images. Defaults to 3.
        filters: int, of the last convolution's input. Defaults to 128.
        multipliers: tuple of ints, multiples of `filters` at each resolution from high to low. Defaults to (1, 2, 4),
            f4.
        blocks: int, the encoder's residual blocks at each resolution. Defaults to 2.
        attention: tuple of ints, the levels whose blocks are followed by self-attention. Defaults to ().
        mid_attention: bool, whether the middle has self-attention. Defaults to True.
        z_channels: int, channels after the first 1x1 convolution. Defaults to `latent_dim`.
        dropout: float, fraction dropped inside the blocks in training. Defaults to 0.

    Returns:
        `keras.Model`, latents (batch, rows, columns, latent_dim) to float32 images
        (batch, rows * stride, columns * stride, channels).

    Raises:
        ValueError: if `attention` names a level that `multipliers` does not have.

    Example:
    >>> residual_decoder(8, filters=8).compute_output_shape((1, 16, 13, 8))
    (1, 64, 52, 3)
    """
    _check_levels(attention, multipliers)
    x = latents = keras.Input((None, None, latent_dim), name="latents")
    x = keras.layers.Conv2D(z_channels or latent_dim, 1, name="post_quant_conv")(x)
    x = _conv3x3(filters * multipliers[-1], "conv_in")(x)
    x = _middle(x, mid_attention, dropout)
    for i in reversed(range(len(multipliers))):
        for j in range(blocks + 1):
            x = _residual_block(x, filters * multipliers[i], f"up_{i}_block_{j}", dropout)
            if i in attention:
                x = _attention_block(x, f"up_{i}_attn_{j}")
        if i > 0:
            x = UpsampleConv2D(filters * multipliers[i], name=f"up_{i}_upsample_conv")(x)
    x = group_normalization_swish(x.shape[-1], "norm_out", dtype="float32")(x)  # as what follows
    images = keras.layers.Conv2D(channels, 3, padding="same", dtype="float32", name="conv_out")(x)
    return keras.Model(latents, images, name="decoder")


def _check_levels(attention, multipliers):
    if not all(0 <= level < len(multipliers) for level in attention):
        raise ValueError(
            f"`attention` names levels of `multipliers`, from 0 to {len(multipliers) - 1}. "
            f"Received: attention={tuple(attention)}, multipliers={tuple(multipliers)}"
        )


def _conv3x3(filters, name):
    return keras.layers.Conv2D(filters, 3, padding="same", name=name)


def _halve(x, filters, name):
    """A strided 3x3 convolution at every second position, starting with the first.

    Padding "same" starts one pixel earlier for odd sizes. A network trained on even sizes would then process images of
    odd sizes with a shift.
    """
    x = keras.layers.ZeroPadding2D(((0, 2), (0, 2)), name=f"{name}_pad")(x)  # 1 is enough for even sizes
    return keras.layers.Conv2D(filters, 3, 2, "valid", name=f"{name}_conv")(x)


def _residual_block(x, filters, name, dropout):
    y = group_normalization_swish(x.shape[-1], f"{name}_norm1")(x)
    y = _conv3x3(filters, f"{name}_conv1")(y)
    y = group_normalization_swish(filters, f"{name}_norm2")(y)
    if dropout:
        y = keras.layers.Dropout(dropout, name=f"{name}_dropout")(y)
    y = _conv3x3(filters, f"{name}_conv2")(y)
    if x.shape[-1] != filters:
        x = keras.layers.Conv2D(filters, 1, name=f"{name}_nin_shortcut")(x)
    return keras.layers.Add(name=f"{name}_add")([x, y])


def _attention_block(x, name):
    """Single-head self-attention over all positions, with a residual connection."""
    y = group_normalization(x.shape[-1], f"{name}_norm")(x)
    attend = keras.layers.MultiHeadAttention(1, x.shape[-1], attention_axes=(1, 2), name=name)
    return keras.layers.Add(name=f"{name}_add")([x, attend(y, y)])


def _middle(x, attention, dropout):
    x = _residual_block(x, x.shape[-1], "mid_block_1", dropout)
    if attention:
        x = _attention_block(x, "mid_attn_1")
    return _residual_block(x, x.shape[-1], "mid_block_2", dropout)
