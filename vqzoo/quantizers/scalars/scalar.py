"""Base class of quantizers without a table, which round each channel separately."""

import keras
import numpy as np

from vqzoo.ops import digits_to_tokens
from vqzoo.ops import masked_tokens
from vqzoo.ops import tokens_to_digits
from vqzoo.quantizers.quantizer import Quantizer

# Number of values in the largest `codebook` that is computed on demand, 1 GB.
LARGEST_CODEBOOK = 2**28


class ScalarQuantizer(Quantizer):
    r"""Rounds each channel to one of its levels. The token is the number with these digits.

    $$c_i = s_i (d_i - m_i), \qquad t = \sum_i d_i \prod_{j < i} L_j$$

    with d the digits, c the code, L the levels, m the digit (or half) at 0 and s the step. The first channel is the
    least significant digit (see `vqzoo.ops.digits_to_tokens`). A subclass implements `call` and `_digits`.

    Args:
        levels: tuple of ints, the number L of levels of each channel.
        middle: float or array (latent_dim,), m.
        step: float or array (latent_dim,), s.
    """

    def __init__(self, levels, middle, step, **kwargs):
        super().__init__(**kwargs)
        self.levels = tuple(levels)
        self._middle = np.asarray(middle, "float32")
        self._step = np.asarray(step, "float32")

    def build(self, input_shape):
        if input_shape[-1] != self.latent_dim:
            raise ValueError(
                f"Each channel of the latents is one digit of the token, so there must be {self.latent_dim} channels. "
                f"Received: input shape {tuple(input_shape)}. Give the encoder's last layer {self.latent_dim} channels."
            )

    def encode(self, latents, mask=None, num_codebooks=None):
        """Rounds each channel of the latents.

        Args:
            latents: float tensor, shape (batch, *grid, latent_dim).
            mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.
            num_codebooks: int, must be all of them. Defaults to all.

        Returns:
            int32 tensor, shape (batch, *grid, 1); 0 where a position is padded.

        Raises:
            ValueError: if the width, the dtype or the number of codebooks is wrong; in eager calls also if values are
                not finite.
        """
        self.check_num_codebooks(num_codebooks)
        latents = self.check_latents(latents, self.latent_dim, mask)
        return masked_tokens(digits_to_tokens(self._digits(latents), self.levels), mask)

    def decode(self, tokens, num_codebooks=None):
        """Computes the code of each token.

        Args:
            tokens: integer tensor, shape (batch, *grid, 1).
            num_codebooks: int, must be all of them. Defaults to all.

        Returns:
            float32 tensor, shape (batch, *grid, latent_dim).

        Raises:
            ValueError: if the number of codebooks is wrong; in eager calls also if tokens are out of range. In a graph
                they are clipped.
        """
        self.check_num_codebooks(num_codebooks)
        self.check_tokens(tokens)
        tokens = keras.ops.clip(keras.ops.cast(tokens, "int32"), 0, self.codebook_size - 1)
        return self._codes(tokens_to_digits(tokens, self.levels))

    @property
    def codebook(self):
        """All codes in the order of their tokens, float32 (codebook_size, latent_dim), computed at each access.

        Raises:
            ValueError: if it would have more than 2^28 values (1 GB).
        """
        if self.codebook_size * self.latent_dim > LARGEST_CODEBOOK:
            raise ValueError(
                f"This codebook is computed at each access and must have at most {LARGEST_CODEBOOK:,} values. "
                f"Received: {self.codebook_size:,} codes of width {self.latent_dim}. Use `decode` for the codes of "
                "selected tokens."
            )
        tokens = np.arange(self.codebook_size, dtype="int32")[:, None]
        return self._codes(tokens_to_digits(tokens, self.levels))

    @property
    def codebook_size(self):
        """Number of codes: the product of the levels."""
        return int(np.prod(self.levels, dtype="int64"))

    @property
    def codebook_sizes(self):
        return (self.codebook_size,)

    @property
    def latent_dim(self):
        """Width of a latent vector: one channel for each digit."""
        return len(self.levels)

    def portable_encode(self, latents):
        return digits_to_tokens(self._digits(keras.ops.cast(latents, "float32")), self.levels)

    def portable_decode(self, tokens):
        return self._codes(tokens_to_digits(tokens, self.levels))

    def _digits(self, latents):
        """float32 (batch, *grid, latent_dim) to int32 digits of the same shape."""
        raise NotImplementedError

    def _codes(self, digits):
        # The difference comes first because it is exact. Only the product is rounded, even if a compiler fuses the two.
        return keras.ops.multiply(keras.ops.subtract(keras.ops.cast(digits, "float32"), self._middle), self._step)
