"""Residual quantization: each quantizer quantizes the residual of the previous ones."""

import keras

from vqzoo.quantizers.composites.composite import CompositeQuantizer
from vqzoo.quantizers.composites.composite import nested
from vqzoo.quantizers.composites.composite import of_width
from vqzoo.quantizers.composites.composite import portable_parts
from vqzoo.quantizers.quantizer import Quantized
from vqzoo.quantizers.quantizer import known_width
from vqzoo.quantizers.quantizer import only_first


@keras.saving.register_keras_serializable(package="vqzoo")
class ResidualQuantizer(CompositeQuantizer):
    r"""Quantizes the latents, then the residual, then the residual of that, and so on.

    $$r_1 = z, \quad e_n = Q_n(r_n), \quad r_{n+1} = r_n - \operatorname{sg}[e_n], \qquad e = \sum_{n=1}^N e_n$$

    with z the latents, Q_n the quantizers, e the quantized latents and sg the stop-gradient. Without it, the losses of
    the levels after the first would give the encoder no gradient. Tokens are ordered from the coarsest level to the
    finest, and the first ones by themselves decode to a coarser result.

    The gradient of e is the mean of the gradients of the levels' own estimators. With straight-through levels the
    latents receive it unchanged, and parameters inside a level are weighted as its losses are.

    With `dropout`, a training step uses only the first n levels for some examples, with n uniform in 1 to N. For such
    an example the other levels do not contribute to e, to the losses or to moving averages. Their tokens are still
    those of `encode`.

    Args:
        quantizers: list of `Quantizer`s, one for each level, of any kinds and sizes that keep the width of the latents.
            Levels share a codebook if their entry is the same quantizer. Its moving average then takes one step for
            each level.
        dropout: float in [0, 1], fraction of the training examples that use only the first levels. Defaults to 0.
        seed: int, seed of the dropout. Defaults to a random one.

    Call arguments:
        latents: float tensor, shape (batch, *grid, latent_dim).
        training: bool, whether levels are trained and dropped. Defaults to False.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)`: float32 (batch, *grid, latent_dim), int32 (batch, *grid, num_codebooks),
        and the losses of the levels, each the mean over the levels that report it.

    Raises:
        ValueError: if an argument is out of its range, or a level changes the width of the latents.

    Example:
    >>> from vqzoo.quantizers import VectorQuantizer
    >>> quantizer = ResidualQuantizer([VectorQuantizer(2), VectorQuantizer(2)])
    >>> quantizer.build((None, None, 1))
    >>> quantizer.quantizers[0].assign_codebook([[0.0], [10.0]])
    >>> quantizer.quantizers[1].assign_codebook([[-1.0], [1.0]])
    >>> tokens = quantizer.encode(np.array([[[8.8], [0.7]]]))
    >>> np.asarray(tokens)[0], np.asarray(quantizer.decode(tokens))[0, :, 0]
    (array([[1, 0],
           [0, 1]], dtype=int32), array([9., 1.], dtype=float32))
    >>> np.asarray(quantizer.decode(tokens, num_codebooks=1))[0, :, 0]
    array([10.,  0.], dtype=float32)

    Reference:
        Zeghidour et al. 2021, https://arxiv.org/abs/2107.03312, algorithm 1 and section III-C (dropout); one shared
        codebook: Lee et al. 2022, https://arxiv.org/abs/2203.01941, section 3.1.
    """

    def __init__(self, quantizers, dropout=0.0, seed=None, **kwargs):
        super().__init__(quantizers, **kwargs)
        if not 0.0 <= dropout <= 1.0:
            raise ValueError(f"`dropout` must be in [0, 1]. Received: dropout={dropout}")
        self.dropout = dropout
        self.seed = seed
        # Created only if it is used, because a generator is state.
        self.generator = keras.random.SeedGenerator(seed) if dropout else None

    @property
    def codebook_prefixes(self):
        """All counts that end with a whole level or at a prefix of one."""
        return tuple(
            start + count
            for quantizer, (start, _) in zip(self.quantizers, self._sections(), strict=True)
            for count in quantizer.codebook_prefixes
        )

    def build(self, input_shape):
        self.latent_dim = known_width(input_shape)
        self._build_quantizers(input_shape)

    def encode(self, latents, mask=None, num_codebooks=None):
        """Finds the tokens, level by level.

        Args:
            latents: float tensor, shape (batch, *grid, latent_dim).
            mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.
            num_codebooks: int, one of `codebook_prefixes`, how many codebooks to use. Defaults to all.

        Returns:
            int32 tensor, shape (batch, *grid, num_codebooks); 0 where a position is padded.

        Raises:
            ValueError: if the width or the dtype is wrong, or the first `num_codebooks` codebooks cannot be used
                without the others; in eager calls also if values are not finite.
        """
        residual = self.check_latents(latents, self.made_in_build("latent_dim"), mask)
        tokens = []
        for quantizer, count in self._first(num_codebooks):
            tokens.append(quantizer.encode(residual, mask, **only_first(count)))
            residual = residual - of_width(self.latent_dim, quantizer.decode(tokens[-1]), quantizer)
        return keras.ops.concatenate(tokens, axis=-1)

    def decode(self, tokens, num_codebooks=None):
        """Adds the codes of all levels, or of the first ones.

        Args:
            tokens: integer tensor, shape (batch, *grid, num_codebooks), or only the first of the last axis.
            num_codebooks: int, one of `codebook_prefixes`, how many codebooks to use. Defaults to all that are given.

        Returns:
            float32 tensor, shape (batch, *grid, latent_dim).

        Raises:
            ValueError: if the first `num_codebooks` codebooks cannot be used without the others; in eager calls also if
                tokens are out of range. In a graph they are clipped.
        """
        self.check_tokens(tokens)
        tokens = keras.ops.cast(tokens, "int32")
        given = tokens.shape[-1] if num_codebooks is None else num_codebooks
        total, start = 0.0, 0
        for quantizer, count in self._first(given):
            end = start + (count or quantizer.num_codebooks)
            total, start = total + quantizer.decode(tokens[..., start:end]), end
        return total

    def call(self, latents, training=False, mask=None):
        latents = self.check_latents(latents, self.latent_dim, mask)
        levels = self._levels_kept(latents) if training and self.dropout else None
        residual, total, tokens, losses = latents, 0.0, [], []
        for level, quantizer in enumerate(self.quantizers):
            if levels is None or level == 0:  # every example uses the first level
                quantized = quantizer(residual, training=training, mask=mask)
                added = codes = quantized.latents
            else:
                kept = levels > level
                quantized, codes = _partly(quantizer, residual, training, mask, kept)
                added = keras.ops.where(kept, quantized.latents, 0.0)
            total = total + added
            residual = residual - keras.ops.stop_gradient(of_width(self.latent_dim, codes, quantizer))
            tokens.append(quantized.tokens)
            losses.append(quantized.losses)
        count = len(self.quantizers) if levels is None else keras.ops.cast(levels, "float32")
        fixed = keras.ops.stop_gradient(total)
        return Quantized(
            fixed + (total - fixed) / count, keras.ops.concatenate(tokens, axis=-1), self._mean_losses(losses)
        )

    def soft_tokens(self, latents, tokens, mask=None):
        """The soft tokens of each level, of the residual of the previous levels."""
        residual, found = latents, []
        for quantizer, (start, end) in zip(self.quantizers, self._sections(), strict=True):
            own = tokens[..., start:end]
            found += quantizer.soft_tokens(residual, own, mask)
            residual = residual - keras.ops.stop_gradient(quantizer.decode(own))
        return found

    def portable_encode(self, latents):
        residual, tokens = latents, []
        for level, quantizer in enumerate(self.quantizers):
            encoder = nested(quantizer.portable_encode, residual.shape[1:], f"encode_level_{level}")
            tokens.append(encoder(residual))
            if level < len(self.quantizers) - 1:
                shape = tokens[-1].shape[1:]
                decoder = nested(quantizer.portable_decode, shape, f"decode_level_{level}", "int32")
                residual = residual - decoder(tokens[-1])
        return keras.ops.concatenate(tokens, axis=-1)

    def portable_decode(self, tokens):
        parts = portable_parts(tokens, [quantizer.num_codebooks for quantizer in self.quantizers])
        codes = [
            nested(quantizer.portable_decode, part.shape[1:], f"decode_level_{level}", "int32")(part)
            for level, (quantizer, part) in enumerate(zip(self.quantizers, parts, strict=True))
        ]
        return sum(codes[1:], codes[0])

    def _first(self, num_codebooks):
        """The levels of the first `num_codebooks` tokens, each with its own `num_codebooks`; None means all."""
        self.check_num_codebooks(num_codebooks)
        if num_codebooks is None:
            return [(quantizer, None) for quantizer in self.quantizers]
        return [
            (quantizer, None if end <= num_codebooks else num_codebooks - start)
            for quantizer, (start, end) in zip(self.quantizers, self._sections(), strict=True)
            if start < num_codebooks
        ]

    def _levels_kept(self, latents):
        """The number of levels of each example in this step, int32 (batch, 1, ..., 1), of the rank of the latents."""
        drawn = keras.random.uniform((keras.ops.shape(latents)[0],), seed=self.generator)
        # A number below `dropout`, rescaled to [0, 1), also selects n.
        count = len(self.quantizers)
        kept = keras.ops.cast(drawn / self.dropout * count, "int32") + 1
        kept = keras.ops.where(drawn < self.dropout, keras.ops.minimum(kept, count), count)
        return keras.ops.reshape(kept, (-1, *(1 for _ in latents.shape[1:])))

    def get_config(self):
        config = super().get_config()
        config["dropout"] = self.dropout
        config["seed"] = self.seed
        return config


def _partly(quantizer, residual, training, mask, kept):
    """Calls a level, trained only on the examples that use it; returns its result, and codes for all examples."""
    real = keras.ops.cast(keras.ops.ones_like(residual[..., 0]) if mask is None else mask, "bool")
    quantized = quantizer(residual, training=training, mask=keras.ops.logical_and(real, kept[..., 0]))
    found = quantizer.encode(residual, mask)
    tokens = keras.ops.where(kept, quantized.tokens, found)
    codes = keras.ops.where(kept, quantized.latents, quantizer.decode(found))
    return quantized._replace(tokens=tokens), codes
