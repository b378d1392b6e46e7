"""Product quantization: groups of channels, each with a quantizer of its own."""

import keras

from vqzoo.quantizers.composites.composite import CompositeQuantizer
from vqzoo.quantizers.composites.composite import nested
from vqzoo.quantizers.composites.composite import portable_parts
from vqzoo.quantizers.quantizer import Quantized
from vqzoo.quantizers.quantizer import known_width


@keras.saving.register_keras_serializable(package="vqzoo")
class GroupedQuantizer(CompositeQuantizer):
    r"""Splits the channels of the latents into equal groups and quantizes each group separately.

    $$z = [z_1, \dots, z_G], \qquad e = [Q_1(z_1), \dots, Q_G(z_G)]$$

    with z the latents and Q_g the quantizers. G codebooks of K codes have K^G combinations. Tokens are group-major: all
    of the first group, then all of the second. With `ResidualQuantizer`s as groups it is grouped residual quantization.

    Args:
        quantizers: list of `Quantizer`s, one for each group, of any kinds and sizes. Groups share a codebook if their
            entry is the same quantizer. Its moving average then takes one step for each group.

    Call arguments:
        latents: float tensor, shape (batch, *grid, channels), channels a multiple of the number of groups.
        training: bool, whether the groups learn. Defaults to False.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)`: float32 (batch, *grid, latent_dim) with the groups concatenated, int32
        (batch, *grid, num_codebooks), and the losses of the groups, each the mean over the groups that report it.

    Raises:
        ValueError: if `quantizers` is not a list of quantizers, or the channels do not split into equal groups.

    Example:
    >>> import numpy as np
    >>> from vqzoo.quantizers import VectorQuantizer
    >>> quantizer = GroupedQuantizer([VectorQuantizer(2), VectorQuantizer(2)])
    >>> quantizer.build((None, None, 2))
    >>> for group in quantizer.quantizers:
    ...     group.assign_codebook([[0.0], [1.0]])
    >>> quantized = quantizer(np.array([[[0.9, 0.2], [0.3, 0.8]]]))
    >>> np.asarray(quantized.tokens)[0], np.asarray(quantized.latents)[0]
    (array([[1, 0],
           [0, 1]], dtype=int32), array([[1., 0.],
           [0., 1.]], dtype=float32))

    Reference:
        Jégou, Douze, Schmid 2011, Product quantization for nearest neighbor search, section II-B; groups
        of residual quantizers: Yang et al. 2023, https://arxiv.org/abs/2305.02765.
    """

    def build(self, input_shape):
        groups, self.channels = len(self.quantizers), known_width(input_shape)
        if self.channels % groups:
            raise ValueError(
                f"The channels must split into equal groups. Received: {self.channels} channels for {groups} groups. "
                f"Give the encoder's last layer a multiple of {groups} channels."
            )
        self._build_quantizers((*input_shape[:-1], self.channels // groups))

    def encode(self, latents, mask=None, num_codebooks=None):
        """Finds the tokens of each group.

        Args:
            latents: float tensor, shape (batch, *grid, channels).
            mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.
            num_codebooks: int, must be all of them. Defaults to all.

        Returns:
            int32 tensor, shape (batch, *grid, num_codebooks), group-major; 0 where a position is padded.

        Raises:
            ValueError: if the width, the dtype or the number of codebooks is wrong; in eager calls also if values are
                not finite.
        """
        self.check_num_codebooks(num_codebooks)
        parts = self._split(latents, mask)
        tokens = [quantizer.encode(part, mask) for quantizer, part in zip(self.quantizers, parts, strict=True)]
        return keras.ops.concatenate(tokens, axis=-1)

    def decode(self, tokens, num_codebooks=None):
        """Decodes each group and concatenates the results.

        Args:
            tokens: integer tensor, shape (batch, *grid, num_codebooks).
            num_codebooks: int, must be all of them. Defaults to all.

        Returns:
            float32 tensor, shape (batch, *grid, latent_dim).

        Raises:
            ValueError: if the number of codebooks is wrong; in eager calls also if tokens are out of range. In a graph
                they are clipped.
        """
        self.check_num_codebooks(num_codebooks)
        self.check_tokens(tokens)
        tokens = keras.ops.cast(tokens, "int32")
        parts = [tokens[..., start:end] for start, end in self._sections()]
        codes = [quantizer.decode(part) for quantizer, part in zip(self.quantizers, parts, strict=True)]
        return keras.ops.concatenate(codes, axis=-1)

    def soft_tokens(self, latents, tokens, mask=None):
        """The soft tokens of each group."""
        parts = zip(self.quantizers, self._split(latents, mask), self._sections(), strict=True)
        return [
            x
            for quantizer, part, (start, end) in parts
            for x in quantizer.soft_tokens(part, tokens[..., start:end], mask)
        ]

    def call(self, latents, training=False, mask=None):
        parts = self._split(latents, mask)
        results = [
            quantizer(part, training=training, mask=mask)
            for quantizer, part in zip(self.quantizers, parts, strict=True)
        ]
        return Quantized(
            keras.ops.concatenate([result.latents for result in results], axis=-1),
            keras.ops.concatenate([result.tokens for result in results], axis=-1),
            self._mean_losses([result.losses for result in results]),
        )

    def portable_encode(self, latents):
        groups = len(self.quantizers)
        parts = portable_parts(latents, groups * [self.channels // groups])
        tokens = [
            nested(quantizer.portable_encode, part.shape[1:], f"encode_group_{group}")(part)
            for group, (quantizer, part) in enumerate(zip(self.quantizers, parts, strict=True))
        ]
        return keras.ops.concatenate(tokens, axis=-1)

    def portable_decode(self, tokens):
        parts = portable_parts(tokens, [quantizer.num_codebooks for quantizer in self.quantizers])
        codes = [
            nested(quantizer.portable_decode, part.shape[1:], f"decode_group_{group}", "int32")(part)
            for group, (quantizer, part) in enumerate(zip(self.quantizers, parts, strict=True))
        ]
        return keras.ops.concatenate(codes, axis=-1)

    def _split(self, latents, mask):
        """The channels of each group."""
        latents = self.check_latents(latents, self.made_in_build("channels"), mask)
        return keras.ops.split(latents, len(self.quantizers), axis=-1)
