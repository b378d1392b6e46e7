"""The content of one picture in the style of another."""

import keras
import numpy as np

from vqzoo.tokenizers import Tokenizer

_EPSILON = 1e-5


def restyle(tokenizer, content, style, strength=1.0):
    r"""Gives a picture the statistics of another one's latents, and decodes the nearest codes.

    $$z = \sigma_s \frac{z_c - \mu_c}{\sigma_c} + \mu_s$$

    with the mean and the deviation of each channel over all positions. Colours, contrast and fine texture follow the
    style as far as the tokenizer's latents tell them apart; shapes stay.

    Args:
        tokenizer: `Tokenizer` of pictures, or str or path, its preset.
        content: float array (height, width, channels) in [-1, 1].
        style: float array of any size in [-1, 1].
        strength: float, 0 for the content's own statistics, 1 for the style's. Defaults to 1.

    Returns:
        float32 array like `content`, in [-1, 1].

    Raises:
        ValueError: if a picture is none of the tokenizer's, or the strength is out of range.

    Example:
    >>> import vqzoo
    >>> tokenizer = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=2)
    >>> tokenizer.build((None, None, None, 3))
    >>> restyle(tokenizer, np.zeros((10, 12, 3), "float32"), np.ones((8, 8, 3), "float32")).shape
    (10, 12, 3)

    Reference:
        Huang, Belongie 2017, https://arxiv.org/abs/1703.06868, equation 8
    """
    if not 0.0 <= strength <= 1.0:
        raise ValueError(f"`strength` lies in [0, 1]. Received: strength={strength}")
    if not isinstance(tokenizer, Tokenizer):
        tokenizer = Tokenizer.from_preset(tokenizer)
    latents = [_latents(tokenizer, picture, name) for name, picture in (("content", content), ("style", style))]
    own, other = latents
    moved = adaptive_normalization(own, other)
    tokens = tokenizer.quantizer.encode(own + strength * (moved - own))
    decoded = tokenizer.decode(tokens, size=np.shape(content)[:2])
    return np.clip(keras.ops.convert_to_numpy(decoded)[0], -1.0, 1.0)


def adaptive_normalization(content, style):
    """Latents with the mean and the deviation of others, channel by channel.

    Args:
        content: float tensor (batch, *grid, channels).
        style: float tensor (batch, *other grid, channels).

    Returns:
        Tensor like `content`.

    Example:
    >>> moved = adaptive_normalization(np.array([[[0.0], [2.0]]]), np.array([[[3.0], [7.0]]]))
    >>> [round(float(x), 3) for x in moved[0, :, 0]]
    [3.0, 7.0]
    """
    means, deviations = [], []
    for latents in (content, style):
        axes = tuple(range(1, len(latents.shape) - 1))
        means.append(keras.ops.mean(latents, axis=axes, keepdims=True))
        deviations.append(keras.ops.std(latents, axis=axes, keepdims=True))
    return deviations[1] * (content - means[0]) / (deviations[0] + _EPSILON) + means[1]


def _latents(tokenizer, picture, name):
    if tokenizer.modality != "image" or np.ndim(picture) != 3:
        raise ValueError(
            f"`{name}` is a picture (height, width, channels), and the tokenizer one of pictures. Received: shape "
            f"{np.shape(picture)}, a tokenizer of {tokenizer.modality}"
        )
    signal = tokenizer.checked_signal(np.asarray(picture, "float32")[None])
    return keras.ops.cast(tokenizer.encoder(signal, training=False), "float32")
