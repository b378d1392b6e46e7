"""The base class of all quantizers."""

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
    """An attribute that `build` creates does not exist yet. `hasattr` returns False for it."""


class Quantizer(keras.layers.Layer):
    """Turns continuous latents into integer tokens, and back.

    A subclass implements `encode`, `decode`, `call`, `codebook_sizes`, `loss_names`, `portable_encode` and
    `portable_decode`. A subclass with inner quantizers also implements `inner_quantizers`, one with a trainable map of
    the latents `maps_latents`, and one whose first codebooks can be used without the others `codebook_prefixes`.
    `call(latents).latents` equals `decode(encode(latents))` in inference. Losses are returned and never added with
    `add_loss`, because replica threads share that list.

    A mask is True at real positions, as in Keras. Padded positions do not count in the losses, do not train the
    codebook, and have token 0. `trainable = False` also freezes a codebook that is not updated by gradients.

    Quantizers compute in float32 under every dtype policy, because in half precision 1 to 8 % of the nearest codes are
    wrong.

    Raises:
        ValueError: if `dtype` is not float32.
    """

    def __init__(self, *, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.supports_masking = True
        if self.compute_dtype != "float32" or self.variable_dtype != "float32":
            raise ValueError(
                "A quantizer computes in float32, because nearest codes are wrong in half precision. "
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
        """Whether weights other than the codebook, such as a projection, act on the latents before the look-up."""
        return any(quantizer.maps_latents for quantizer in self.inner_quantizers())

    def inner_quantizers(self):
        """Tuple of the quantizers that this one contains."""
        # Not a property, because Keras would save them a second time under its name.
        return ()

    def inference_form(self):
        """The quantizer with the same tokens and codes, without the parts for training only. Presets keep this form."""
        return self

    def soft_tokens(self, latents, tokens, mask=None):
        """Probabilities of the codes by their distance to the latents, with a gradient in the latents.

        Args:
            latents: float32 tensor (batch, *grid, latent_dim).
            tokens: int32 tensor (batch, *grid, num_codebooks), the tokens that `call` returned for them.
            mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

        Returns:
            List with float32 (batch, *grid, codebook_size) for each codebook, or None for one without distances.
        """
        return [None] * self.num_codebooks

    def encode(self, latents, mask=None, num_codebooks=None):
        """Latents (batch, *grid, latent_dim) to int32 tokens (batch, *grid, num_codebooks).

        Args:
            latents: float tensor, shape (batch, *grid, latent_dim).
            mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.
            num_codebooks: int, one of `codebook_prefixes`, how many codebooks to use. Defaults to all.
        """
        raise NotImplementedError

    def decode(self, tokens, num_codebooks=None):
        """Tokens (batch, *grid, num_codebooks) to float32 latents (batch, *grid, latent_dim).

        Args:
            tokens: integer tensor, shape (batch, *grid, n), n one of `codebook_prefixes`.
            num_codebooks: int, one of `codebook_prefixes`, how many codebooks to use. Defaults to all that are given.
        """
        raise NotImplementedError

    def portable_encode(self, latents):
        """`encode` as Keras built-ins: a `KerasTensor` of latents to a `KerasTensor` of tokens."""
        raise NotImplementedError

    def portable_decode(self, tokens):
        """`decode` as Keras built-ins: a `KerasTensor` of tokens to a `KerasTensor` of latents."""
        raise NotImplementedError

    def made_in_build(self, name):
        """The attribute of this name that `build` creates; raises if it does not exist yet."""
        made = getattr(self, name, None)
        if made is None:
            raise NotBuiltError(
                f"The quantizer {self.name!r} has no codebook yet, because it is built by its first call. Call it, "
                "train its tokenizer, or call `build((None, *grid, latent_dim))`."
            )
        return made

    def keep_frozen(self):
        """Freezes the inner layers that `trainable=False` did not reach; the last call of a `build` with inner layers.

        Keras passes the setting only to layers that exist when it is set. It does not reach layers that are created
        later, or any layer if it is set in the constructor.
        """
        if not self.trainable:
            self.trainable = True  # the TensorFlow backend ignores assignments without a change
            self.trainable = False

    def check_latents(self, latents, latent_dim=None, mask=None):
        """Raises if `latents` cannot be quantized. The values of a symbolic tensor are not checked.

        Args:
            latents: array or tensor, shape (batch, *grid, latent_dim).
            latent_dim: int, the required width. Defaults to any.
            mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

        Returns:
            The latents as a float32 tensor. Padded positions are 0 and have no gradient.

        Raises:
            ValueError: if the dtype, the width or the grid of the mask is wrong, or there are fewer than two axes; in
                eager calls also if values at real positions are NaN or infinite.
        """
        latents = latents if hasattr(latents, "dtype") else np.asarray(latents)
        dtype = keras.backend.standardize_dtype(latents.dtype)
        if "float" not in dtype:
            raise ValueError(
                f"Latents must be floating point. Received: dtype={dtype}. Pass tokens to `decode`, not to `encode`."
            )
        shape = tuple(latents.shape)
        if len(shape) < 2 or (latent_dim is not None and shape[-1] != latent_dim):
            width = "latent_dim" if latent_dim is None else f"latent_dim={latent_dim}"
            raise ValueError(
                f"Latents must have the shape (batch, *grid, latent_dim) with {width}. Received: shape={shape}. Give "
                "the encoder's last layer that many channels."
            )
        latents = keras.ops.cast(latents, "float32")
        if mask is not None:
            latents = keras.ops.where(keras.ops.expand_dims(self._checked_mask(mask, shape), -1), latents, 0.0)
        values = known_value(latents)
        if values is not None and not np.isfinite(values).all():
            bad = np.argwhere(~np.isfinite(values))
            raise ValueError(
                f"Latents must be finite. Received: {len(bad)} of {values.size} values that are not, the first, "
                f"{values[tuple(bad[0])]}, at {tuple(int(i) for i in bad[0])}. Look for it in the input, or lower the "
                "learning rate."
            )
        return latents

    def compute_mask(self, inputs, previous_mask):
        """The mask of the quantized latents, which is the mask of the latents."""
        return previous_mask  # Keras attaches it to the first output of `call`

    def check_num_codebooks(self, num_codebooks):
        """Raises if the first `num_codebooks` codebooks cannot be used without the others.

        Args:
            num_codebooks: int, or None for all.

        Raises:
            ValueError: if it is not one of `codebook_prefixes`.
        """
        if num_codebooks is not None and num_codebooks not in self.codebook_prefixes:
            raise ValueError(
                f"{type(self).__name__} has {self.num_codebooks} codebooks, of which the first "
                f"{list(self.codebook_prefixes)} can be used without the others. Received: {num_codebooks} codebooks. "
                "Keep one of these numbers of tokens on the last axis, which is kept even if it is 1."
            )

    def check_tokens(self, tokens):
        """Raises if `tokens` are not tokens of this quantizer. Symbolic values are not checked.

        Args:
            tokens: integer array or tensor, shape (batch, *grid, n), n one of `codebook_prefixes`.

        Raises:
            ValueError: if the dtype, the last axis or the range is wrong.
        """
        tokens = tokens if hasattr(tokens, "dtype") else np.asarray(tokens)
        dtype = dtype_name(tokens)
        if not dtype.startswith(("int", "uint")):
            raise ValueError(f"Tokens must be integers. Received: dtype={dtype}. Pass the output of `encode`.")
        shape = tuple(tokens.shape)
        all_or_none = self.codebook_prefixes == (self.num_codebooks,)
        if len(shape) < 2 or (all_or_none and shape[-1] not in (None, self.num_codebooks)):
            raise ValueError(
                f"Tokens must have the shape (batch, *grid, num_codebooks) with num_codebooks={self.num_codebooks}. "
                f"Received: shape={shape}. The last axis is kept even if it is 1: `tokens[..., None]` adds it."
            )
        self.check_num_codebooks(shape[-1])
        values = known_value(tokens)
        if values is None or values.size == 0:
            return
        for level, size in enumerate(self.codebook_sizes[: shape[-1]]):
            low, high = int(values[..., level].min()), int(values[..., level].max())
            if low < 0 or high >= size:
                raise ValueError(
                    f"Tokens of codebook {level} must be in [0, {size}). Received: values from {low} to {high}. "
                    "Were they made by another tokenizer?"
                )

    def _checked_mask(self, mask, shape):
        """The mask as a bool tensor; raises if its grid is not that of latents of this shape."""
        mask = mask if hasattr(mask, "dtype") else np.asarray(mask)
        fits = len(mask.shape) == len(shape) - 1 and all(
            None in pair or pair[0] == pair[1] for pair in zip(mask.shape, shape[:-1], strict=True)
        )
        if not fits:
            raise ValueError(
                f"A mask must have the shape (batch, *grid), here {shape[:-1]}. Received: shape={tuple(mask.shape)}. "
                "It is True where a position is real."
            )
        return keras.ops.cast(mask, "bool")


def known_width(input_shape):
    """The last axis of `input_shape`; raises if it is unknown."""
    if input_shape[-1] is None:
        raise ValueError(
            "The last axis of the latents is their width and must be known when a quantizer is built. "
            f"Received: input shape {tuple(input_shape)}. Give the encoder's last layer a fixed number of channels."
        )
    return int(input_shape[-1])


def only_first(num_codebooks):
    """The keyword argument of a part's `encode` or `decode`; none for all, which every quantizer takes."""
    return {} if num_codebooks is None else {"num_codebooks": num_codebooks}
