"""The content of one picture in the style of another."""

import keras
import numpy as np

from vqzoo.generation.by_preset import generator_of
from vqzoo.generation.generator import Generator
from vqzoo.generation.parts import STYLE
from vqzoo.presets import find_preset
from vqzoo.presets import holds_prior
from vqzoo.priors.settings import checked
from vqzoo.priors.settings import checked_settings
from vqzoo.priors.settings import compatible
from vqzoo.tokenizers import Tokenizer

_EPSILON = 1e-5
_AT_ONCE = 64  # windows


def restyle(model, content, style, strength=1.0, **options):
    r"""Gives a picture the style of another one: its latents' statistics, or, of a prior, tokens that fit to it.

    Of a tokenizer the nearest codes are decoded of

    $$z = \sigma_s \frac{z_c - \mu_c}{\sigma_c} + \mu_s$$

    with the mean and the deviation of each channel over all positions. Colours, contrast and fine texture follow the
    style as far as the tokenizer's latents separate them from shapes, which stay.

    A prior of styles was trained on images, each with another crop of it. A share of the content's tokens is hidden, at
    random, and the prior makes them anew, window by window, beside tokens of the style. What stays keeps the shapes,
    and the colours with them.

    Args:
        model: `Tokenizer` of pictures, or str or path, its preset; or the preset of a prior of styles, which
            `recipes/image_generation.py --kind masked --styles` makes, or its `Generator`.
        content: float array (height, width, channels) in [-1, 1].
        style: float array of any size in [-1, 1].
        strength: float: of statistics 0 for the content's own and 1 for the style's; of a prior the share of tokens
            that are made anew. Defaults to 1.
        **options: of a prior, `seed` and as of its `generate`: `guidance`, `temperature`, `steps`, ...

    Returns:
        float32 array like `content`, in [-1, 1].

    Raises:
        ValueError: if a picture is none of the tokenizer's, the prior has learnt no styles, or the strength or an
            option is out of range.

    Example:
    >>> import vqzoo
    >>> tokenizer = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=2)
    >>> tokenizer.build((None, None, None, 3))
    >>> restyle(tokenizer, np.zeros((10, 12, 3), "float32"), np.ones((8, 8, 3), "float32")).shape
    (10, 12, 3)

    Reference:
        Huang, Belongie 2017, https://arxiv.org/abs/1703.06868, equation 8; Chang et al. 2022 (MaskGIT),
        https://arxiv.org/abs/2202.04200, for filling tokens in
    """
    strength = checked("strength", strength)
    if isinstance(model, Generator) or (not isinstance(model, Tokenizer) and holds_prior(find_preset(model))):
        generator = generator_of(model)
        tokens = _filled(generator, content, style, strength, **options)
        tokenizer = generator.tokenizer
    else:
        tokenizer = model if isinstance(model, Tokenizer) else Tokenizer.from_preset(model)
        if options:
            raise ValueError(f"A tokenizer has no sampling settings. Received: {', '.join(options)}")
        own, other = (_latents(tokenizer, picture, name) for name, picture in (("content", content), ("style", style)))
        tokens = tokenizer.quantizer.encode(own + strength * (adaptive_normalization(own, other) - own))
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


def _filled(generator, content, style, strength, seed=0, **options):
    """The content's tokens (1, rows, columns, num_codebooks), a share of which the prior has made anew."""
    prior, tokenizer = generator.prior, generator.tokenizer
    if STYLE not in prior.space.sizes or prior.grid is None or len(prior.grid) != 2:
        raise ValueError(
            f"Pictures are restyled by a prior of styles, on rows and columns. Received: one of "
            f"{', '.join(prior.space.names)}. Train it by `recipes/image_generation.py --kind masked --styles`."
        )
    pictures = (_signal(tokenizer, picture, name) for name, picture in (("content", content), ("style", style)))
    tokens, styles = (np.asarray(tokenizer.encode(picture))[0] for picture in pictures)
    asked = checked_settings(prior, {"seed": seed, **options}, ("count", "prefix", "known", "length"))
    options = {"batch_size": _AT_ONCE, **compatible(generator.sampling, asked), **asked}
    seed = options["seed"]
    rng, (rows, columns) = np.random.default_rng(seed), tokens.shape[:2]
    hidden = rng.permutation(rows * columns) < round(strength * rows * columns)
    windows, grid = _windows(np.where(hidden.reshape(rows, columns, 1), -1, tokens), prior.grid)
    prefix = prior.space.prefix(**{STYLE: _cut_out(styles, prior.grid, len(windows), rng)})
    made = np.asarray(prior.generate(prefix=prefix, known=windows, **options))
    made = made.reshape(*grid, *prior.grid, -1).swapaxes(1, 2)
    return made.reshape(1, grid[0] * prior.grid[0], grid[1] * prior.grid[1], -1)[:, :rows, :columns]


def _cut_out(tokens, size, count, rng):
    """Random windows (count, rows, columns, num_codebooks) of tokens, -1 where there are fewer."""
    missing = [(0, max(0, want - have)) for want, have in zip(size, tokens.shape, strict=False)]
    tokens = np.pad(tokens, (*missing, (0, 0)), constant_values=-1)
    room = [have - want + 1 for want, have in zip(size, tokens.shape, strict=False)]
    places = rng.integers(room, size=(count, 2))
    return np.stack([tokens[top : top + size[0], left : left + size[1]] for top, left in places])


def _windows(tokens, size):
    """Tokens in windows (count, rows, columns, num_codebooks), -1 beyond the edges, and how many stand where."""
    missing = [(0, -have % want) for want, have in zip(size, tokens.shape, strict=False)]
    tokens = np.pad(tokens, (*missing, (0, 0)), constant_values=-1)
    grid = tuple(have // want for want, have in zip(size, tokens.shape, strict=False))
    windows = tokens.reshape(grid[0], size[0], grid[1], size[1], -1).swapaxes(1, 2)
    return windows.reshape(-1, *size, tokens.shape[-1]), grid


def _latents(tokenizer, picture, name):
    signal = _signal(tokenizer, picture, name)
    return keras.ops.cast(tokenizer.encoder(signal, training=False), "float32")


def _signal(tokenizer, picture, name):
    if tokenizer.modality != "image":
        raise ValueError(f"Pictures are restyled. Received: a tokenizer of {tokenizer.modality}. Take one of images.")
    try:
        return tokenizer.checked_example(picture)
    except ValueError as error:
        raise ValueError(f"`{name}` is one picture (height, width, channels). {error}") from error
