"""The contract that every quantizer keeps."""

from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from vqzoo.ops import dtype_name
from vqzoo.ops import known_value


class Quantized(NamedTuple):
    """What a quantizer's `call` returns."""

    latents: Any  # (batch, *grid, latent_dim) float32; the gradient passes to the encoder
    tokens: Any  # (batch, *grid, num_codebooks) int32
    losses: dict  # name -> scalar float32, unweighted


class NotBuiltError(ValueError, AttributeError):
    """Something was asked for that `build` makes; for `hasattr` it is not there yet."""


class Quantizer(keras.layers.Layer):
    """Turns continuous latents into integer tokens, and back.

    A subclass writes `encode`, `decode`, `call`, `codebook_sizes`, `loss_names`, `portable_encode` and
    `portable_decode`; one that holds other quantizers also `inner_quantizers`, one that learns a map of the latents
    `maps_latents`, and one whose first codebooks can be used without the others `codebook_prefixes`.
    `call(latents).latents` equals `decode(encode(latents))` in inference. Losses are returned and never added with
    `add_loss`: replica threads share that list.

    A mask tells which positions are real, as Keras passes it: padded positions do not count in the losses, train no
    codebook, and have token 0. `trainable = False` freezes a codebook also where no gradient moves it.

    Quantizers compute in float32 under every dtype policy: in half precision 1 to 8 % of the nearest codes are wrong.

    Raises:
        ValueError: if a dtype other than float32 is asked for.
    """

    def __init__(self, *, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.supports_masking = True
        if self.compute_dtype != "float32" or self.variable_dtype != "float32":
            raise ValueError(
                "A quantizer computes in float32, because nearest codes come out wrong in half precision. "
                f"Received: dtype={self.dtype_policy.name!r}. Leave `dtype` out: under a mixed policy the encoder and "
                "the decoder still run in half precision."
            )

    @property
    def codebook_sizes(self):
        """Tuple with the number of codes of each codebook."""
        raise NotImplementedError

    @property
    def num_codebooks(self):
        """Number of tokens at each position of the grid."""
        return len(self.codebook_sizes)

    @property
    def codebook_prefixes(self):
        """Tuple of the numbers n of first codebooks that can be used without the others; the last is all of them.

        For each n, `encode(latents, num_codebooks=n)` equals the first n tokens of `encode(latents)`, and `decode`
        takes them.
        """
        return (self.num_codebooks,)

    @property
    def loss_names(self):
        """Tuple with the names in `Quantized.losses`."""
        raise NotImplementedError

    @property
    def maps_latents(self):
        """Whether weights other than the codebook act on the latents before the look-up, such as a projection's."""
        return any(quantizer.maps_latents for quantizer in self.inner_quantizers())

    def inner_quantizers(self):
        """Tuple of the quantizers that this one is made of."""
        # No property: Keras would save them under its name as well.
        return ()

    def inference_form(self):
        """The quantizer that gives the same tokens and codes, without what training alone needs; presets keep that."""
        return self

    def soft_tokens(self, latents, tokens, mask=None):
        """How near each code is to what chose the tokens, as probabilities that have a gradient in the latents.

        Args:
            latents: float32 tensor (batch, *grid, latent_dim).
            tokens: int32 tensor (batch, *grid, num_codebooks), those that `call` gave for them.
            mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

        Returns:
            List with float32 (batch, *grid, codebook_size) for each codebook, or None where there is no such measure.
        """
        return [None] * self.num_codebooks

    def encode(self, latents, mask=None, num_codebooks=None):
        """Latents (batch, *grid, latent_dim) to int32 tokens (batch, *grid, num_codebooks).

        Args:
            latents: float tensor, shape (batch, *grid, latent_dim).
            mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.
            num_codebooks: int, one of `codebook_prefixes`: only the first so many. Defaults to all.
        """
        raise NotImplementedError

    def decode(self, tokens, num_codebooks=None):
        """Tokens (batch, *grid, num_codebooks) to float32 latents (batch, *grid, latent_dim).

        Args:
            tokens: integer tensor, shape (batch, *grid, n), n one of `codebook_prefixes`.
            num_codebooks: int, one of `codebook_prefixes`: use only the first so many. Defaults to all that are given.
        """
        raise NotImplementedError

    def portable_encode(self, latents):
        """`encode` as Keras built-ins: a `KerasTensor` of latents to a `KerasTensor` of tokens."""
        raise NotImplementedError

    def portable_decode(self, tokens):
        """`decode` as Keras built-ins: a `KerasTensor` of tokens to a `KerasTensor` of latents."""
        raise NotImplementedError

    def made_in_build(self, name):
        """The attribute that `build` makes under this name; raises where there is none yet."""
        made = getattr(self, name, None)
        if made is None:
            raise NotBuiltError(
                f"The quantizer {self.name!r} has no codebook yet: it is built on the first latents. Call it, train "
                "its tokenizer, or call `build((None, *grid, latent_dim))`."
            )
        return made

    def keep_frozen(self):
        """The last line of a `build` with layers inside: freezes those that `trainable=False` did not reach.

        Keras hands the setting on to the layers that exist when it is set: not to those that are made later, nor from
        the constructor.
        """
        if not self.trainable:
            self.trainable = True  # the TensorFlow backend skips assignments that change nothing
            self.trainable = False

    def check_latents(self, latents, latent_dim=None, mask=None):
        """Raises where `latents` cannot be quantized; the values of a symbolic tensor pass unseen.

        Args:
            latents: array or tensor, shape (batch, *grid, latent_dim).
            latent_dim: int, the width that it must have. Defaults to any.
            mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

        Returns:
            The latents as a float32 tensor. Padded positions are 0 and take no gradient, whatever stood there.

        Raises:
            ValueError: on another dtype or width, fewer than two axes, a mask of another grid, or, in eager calls, NaN
                or infinite values at real positions.
        """
        latents = latents if hasattr(latents, "dtype") else np.asarray(latents)
        dtype = keras.backend.standardize_dtype(latents.dtype)
        if "float" not in dtype:
            raise ValueError(
                f"Latents are floating point numbers. Received: dtype={dtype}. Tokens go to `decode`, not to `encode`."
            )
        shape = tuple(latents.shape)
        if len(shape) < 2 or (latent_dim is not None and shape[-1] != latent_dim):
            width = "latent_dim" if latent_dim is None else f"latent_dim={latent_dim}"
            raise ValueError(
                f"Latents have the shape (batch, *grid, latent_dim) with {width}. Received: shape={shape}. Give the "
                "encoder's last layer that many channels."
            )
        latents = keras.ops.cast(latents, "float32")
        if mask is not None:
            latents = keras.ops.where(keras.ops.expand_dims(self._checked_mask(mask, shape), -1), latents, 0.0)
        values = known_value(latents)
        if values is not None and not np.isfinite(values).all():
            bad = np.argwhere(~np.isfinite(values))
            raise ValueError(
                f"Latents are finite. Received: {len(bad)} of {values.size} values that are not, the first, "
                f"{values[tuple(bad[0])]}, at {tuple(int(i) for i in bad[0])}. Look for it in the input, or lower the "
                "learning rate."
            )
        return latents

    def compute_mask(self, inputs, previous_mask):
        """The mask that the quantized latents carry on: that of the latents."""
        return previous_mask  # goes to the first of what `call` returns

    def check_num_codebooks(self, num_codebooks):
        """Raises where the first `num_codebooks` codebooks cannot be used without the others.

        Args:
            num_codebooks: int, or None for all.

        Raises:
            ValueError: if it is not one of `codebook_prefixes`.
        """
        if num_codebooks is not None and num_codebooks not in self.codebook_prefixes:
            raise ValueError(
                f"{type(self).__name__} has {self.num_codebooks} codebooks, of which the first "
                f"{list(self.codebook_prefixes)} can be used without the others. Received: {num_codebooks} codebooks. "
                "Keep one of these numbers of tokens on the last axis, which stays also when it is 1."
            )

    def check_tokens(self, tokens):
        """Raises where `tokens` cannot be tokens of this quantizer; a symbolic value passes unseen.

        Args:
            tokens: integer array or tensor, shape (batch, *grid, n), n one of `codebook_prefixes`.

        Raises:
            ValueError: on another dtype, last axis or range.
        """
        tokens = tokens if hasattr(tokens, "dtype") else np.asarray(tokens)
        dtype = dtype_name(tokens)
        if not dtype.startswith(("int", "uint")):
            raise ValueError(f"Tokens are integers. Received: dtype={dtype}. Pass what `encode` returned.")
        shape = tuple(tokens.shape)
        all_or_none = self.codebook_prefixes == (self.num_codebooks,)
        if len(shape) < 2 or (all_or_none and shape[-1] not in (None, self.num_codebooks)):
            raise ValueError(
                f"Tokens have the shape (batch, *grid, num_codebooks) with num_codebooks={self.num_codebooks}. "
                f"Received: shape={shape}. The last axis stays also when it is 1: `tokens[..., None]` adds it."
            )
        self.check_num_codebooks(shape[-1])
        values = known_value(tokens)
        if values is None or values.size == 0:
            return
        for level, size in enumerate(self.codebook_sizes[: shape[-1]]):
            low, high = int(values[..., level].min()), int(values[..., level].max())
            if low < 0 or high >= size:
                raise ValueError(
                    f"Tokens of codebook {level} lie in [0, {size}). Received: values from {low} to {high}. "
                    "Were they made by another tokenizer?"
                )

    def _checked_mask(self, mask, shape):
        """The mask as a bool tensor; raises where it is not of the grid of latents of this shape."""
        mask = mask if hasattr(mask, "dtype") else np.asarray(mask)
        fits = len(mask.shape) == len(shape) - 1 and all(
            None in pair or pair[0] == pair[1] for pair in zip(mask.shape, shape[:-1], strict=True)
        )
        if not fits:
            raise ValueError(
                f"A mask has the shape (batch, *grid), here {shape[:-1]}. Received: shape={tuple(mask.shape)}. It is "
                "True where a position is real."
            )
        return keras.ops.cast(mask, "bool")


def known_width(input_shape):
    """The last axis of `input_shape`; raises where it is unknown."""
    if input_shape[-1] is None:
        raise ValueError(
            "The last axis of the latents is their width and must be known when a quantizer is built. "
            f"Received: input shape {tuple(input_shape)}. Give the encoder's last layer a fixed number of channels."
        )
    return int(input_shape[-1])


def only_first(num_codebooks):
    """The keyword argument of a part's `encode` or `decode`; none for all, which every quantizer takes."""
    return {} if num_codebooks is None else {"num_codebooks": num_codebooks}
