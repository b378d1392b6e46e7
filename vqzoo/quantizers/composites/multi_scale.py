"""Multi-scale residual quantization: coarse grids first, and each scale quantizes the residual of the coarser ones."""

import keras
import numpy as np

from vqzoo.ops import area_matrix
from vqzoo.ops import bicubic_matrix
from vqzoo.ops import resize
from vqzoo.ops import straight_through
from vqzoo.quantizers.composites.composite import nested
from vqzoo.quantizers.composites.composite import of_width
from vqzoo.quantizers.quantizer import Quantized
from vqzoo.quantizers.quantizer import Quantizer
from vqzoo.quantizers.quantizer import known_width


@keras.saving.register_keras_serializable(package="vqzoo")
class MultiScaleResidualQuantizer(Quantizer):
    r"""Quantizes a two-dimensional grid at several scales with one shared codebook.

    $$r_k = z - \operatorname{sg}[e_{k-1}], \quad t_k = Q(\operatorname{area}_k(r_k)), \quad
    h_k = \varphi_k(\operatorname{bicubic}(c_{t_k})), \qquad \varphi(x) = (1 - \rho) x + \rho \operatorname{conv}(x)$$

    $$e_k = \sum_{j \le k} h_j, \quad
    L_\text{codebook} = \frac1S \sum_k \operatorname{mean}\,(e_k - \operatorname{sg}[z])^2, \quad
    L_\text{commitment} = \frac1S \sum_k \operatorname{mean}\,(z - \operatorname{sg}[e_k])^2$$

    with z the latents, Q the quantizer, c_t its codes, S scales, sg the stop-gradient, area_k the mean over the cells
    of scale k and conv a 3x3 convolution. The quantized latents are the last e_k. The codebook loss trains codes and
    convolutions, and the straight-through gradient goes only to the latents. The convolutions are spread evenly over
    the scales, and scale k uses the nearest one.

    The grid of the tokens is one axis with the scales one after another, each in raster order. The first scales by
    themselves decode to a coarser result.

    Args:
        quantizer: `Quantizer` shared by all scales that keeps the latents' width, such as `VectorQuantizer`. Its losses
            `codebook` and `commitment` are replaced by the ones above; others are averaged over the scales. A moving
            average takes one step for each scale. Its own `estimator` has no effect, because the gradient of the sum
            bypasses all scales. For the same reason weights before its look-up would not be trained. Put a projection
            around all scales: `ProjectedQuantizer(MultiScaleResidualQuantizer(...), 8)`.
        scales: list of (rows, columns) or ints for squares, positions, from coarse to fine. The last is the grid of
            the latents.
        num_convolutions: int, number of convolutions that the scales share. With one per scale, nothing is shared.
            Convolutions that no scale uses are not created. Defaults to 4.
        ratio: float ρ in [0, 1], fraction of the convolution's output in φ. Defaults to 0.5.

    Call arguments:
        latents: float tensor, shape (batch, rows, columns, latent_dim), rows and columns those of the last scale.
        training: bool, passed to `quantizer`. Defaults to False.
        mask: must be None, because a scale mixes all positions.

    Returns:
        `Quantized(latents, tokens, losses)`: float32 (batch, rows, columns, latent_dim), int32 (batch, positions of all
        scales, num_codebooks), and the losses `codebook`, `commitment` and further ones of `quantizer`.

    Raises:
        ValueError: if an argument is out of its range, the quantizer maps the latents or changes their width, the grid
            is not that of the last scale, or a mask is given.

    Example:
    >>> from vqzoo.quantizers import VectorQuantizer
    >>> quantizer = MultiScaleResidualQuantizer(VectorQuantizer(16), scales=(1, 2, 4))
    >>> tokens = quantizer(keras.ops.ones((1, 4, 4, 8))).tokens
    >>> tokens.shape, quantizer.decode(tokens[:, :5]).shape
    (TensorShape([1, 21, 1]), TensorShape([1, 4, 4, 8]))

    Reference:
        Tian et al. 2024, https://arxiv.org/abs/2404.02905, section 3, algorithms 1 and 2; the means of the losses over
        the scales and the positions of the shared convolutions are those of the released code.
    """

    def __init__(self, quantizer, scales, num_convolutions=4, ratio=0.5, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(quantizer, Quantizer):
            raise ValueError(f"`quantizer` is a vqzoo.quantizers.Quantizer. Received: quantizer={quantizer!r}")
        if quantizer.maps_latents:
            raise ValueError(
                "The gradient bypasses the scales, so weights before the look-up of `quantizer` would not be trained. "
                f"Received: {quantizer.name!r}, which maps the latents. Put a projection or a Gaussian head around all "
                "scales, as in ProjectedQuantizer(MultiScaleResidualQuantizer(...), latent_dim), or use a quantizer "
                "without a map, such as VectorQuantizer."
            )
        if not isinstance(num_convolutions, int) or num_convolutions < 1:
            raise ValueError(
                f"`num_convolutions` is a positive integer. Received: num_convolutions={num_convolutions!r}. "
                "Use `ratio=0` to disable them."
            )
        if not 0.0 <= ratio <= 1.0:
            raise ValueError(f"`ratio` must be in [0, 1]. Received: ratio={ratio}")
        self.quantizer = quantizer
        self.scales = _checked_scales(scales)
        self.num_convolutions = num_convolutions
        self.ratio = ratio

    def build(self, input_shape):
        self.latent_dim = known_width(input_shape)
        self._check_grid(input_shape)
        shape = (None, *self.scales[-1], self.latent_dim)
        if not self.quantizer.built:  # a loaded one is built
            self.quantizer.build((None, None, None, self.latent_dim))
        self.convolutions = [_convolution(self.latent_dim, i) for i in sorted(set(self._places()))]
        for convolution in self.convolutions:
            convolution.build(shape)
        self.keep_frozen()

    def encode(self, latents, mask=None, num_codebooks=None):
        """Finds the tokens, scale by scale.

        Args:
            latents: float tensor, shape (batch, rows, columns, latent_dim).
            mask: must be None.
            num_codebooks: int, must be all of them. Defaults to all.

        Returns:
            int32 tensor, shape (batch, positions of all scales, num_codebooks).

        Raises:
            ValueError: if the grid, the width, the dtype or the number of codebooks is wrong, or a mask is given; in
                eager calls also if values are not finite.
        """
        self.check_num_codebooks(num_codebooks)
        latents = self._checked_latents(latents, mask)
        total, tokens = 0.0, []
        for scale in range(len(self.scales)):
            found = self.quantizer.encode(self._shrink(latents - total, scale))
            tokens.append(self._flat(found))
            total = total + self._enlarge(self.quantizer.decode(found), scale)
        return keras.ops.concatenate(tokens, axis=1)

    def decode(self, tokens, num_codebooks=None):
        """Adds the codes of all scales, or of the first ones.

        Args:
            tokens: integer tensor, shape (batch, positions, num_codebooks), positions of all scales or of the first
                ones.
            num_codebooks: int, must be all of them. Defaults to all.

        Returns:
            float32 tensor, shape (batch, rows, columns, latent_dim), the grid of the last scale.

        Raises:
            ValueError: if the positions end inside a scale, or the number of codebooks is wrong; in eager calls also if
                tokens are out of range. In a graph they are clipped.
        """
        self.check_num_codebooks(num_codebooks)
        self.check_tokens(tokens)
        tokens = keras.ops.cast(tokens, "int32")
        ends = self._ends()
        scales = len(ends) if tokens.shape[1] is None else ends.index(tokens.shape[1]) + 1
        total, start = 0.0, 0
        for scale, end in enumerate(ends[:scales]):
            grid = keras.ops.reshape(tokens[:, start:end], (-1, *self.scales[scale], self.num_codebooks))
            total, start = total + self._enlarge(self.quantizer.decode(grid), scale), end
        return total

    def call(self, latents, training=False, mask=None):
        latents = self._checked_latents(latents, mask)
        fixed = keras.ops.stop_gradient
        total, tokens, losses = keras.ops.zeros_like(latents), [], []
        for scale in range(len(self.scales)):
            quantized = self.quantizer(self._shrink(latents - fixed(total), scale), training=training)
            tokens.append(self._flat(quantized.tokens))
            # The value of the call with the gradient of the look-up. The quantizer's own gradient goes to its input.
            codes = straight_through(quantized.latents, self.quantizer.decode(quantized.tokens))
            total = total + self._enlarge(codes, scale)
            own = {
                "codebook": keras.ops.mean(keras.ops.square(total - fixed(latents))),
                "commitment": keras.ops.mean(keras.ops.square(latents - fixed(total))),
            }
            losses.append({**quantized.losses, **own})
        means = {name: sum(loss[name] for loss in losses) / len(losses) for name in self.loss_names}
        return Quantized(straight_through(total, latents), keras.ops.concatenate(tokens, axis=1), means)

    def check_tokens(self, tokens):
        """Raises if `tokens` are not tokens of this quantizer or of its first scales.

        Args:
            tokens: integer array or tensor, shape (batch, positions, num_codebooks), with whole scales.

        Raises:
            ValueError: if the dtype, the shape or the range is wrong.
        """
        super().check_tokens(tokens)
        shape = tuple(np.shape(tokens)) if isinstance(tokens, list | tuple) else tuple(tokens.shape)
        if len(shape) != 3 or shape[1] not in (None, *self._ends()):
            raise ValueError(
                "Tokens of several scales must have the shape (batch, positions, num_codebooks), with the scales "
                f"{self.scales} one after another. Their positions end at {self._ends()}. Received: shape={shape}. "
                "Keep whole scales."
            )

    @property
    def codebook_sizes(self):
        return self.quantizer.codebook_sizes

    @property
    def loss_names(self):
        return tuple(dict.fromkeys(("codebook", "commitment", *self.quantizer.loss_names)))

    def inner_quantizers(self):
        """The inner quantizer."""
        return (self.quantizer,)

    def portable_encode(self, latents):
        parts = _PortableParts(self)
        latents = keras.layers.Reshape((*self.scales[-1], self.latent_dim))(latents)
        rest, tokens = latents, []
        for scale, grid in enumerate(self.scales):
            small = rest if grid == self.scales[-1] else parts.resized(rest, area_matrix, grid, f"shrink_{scale}")
            tokens.append(parts.encoder(keras.layers.Reshape((grid[0] * grid[1], self.latent_dim))(small)))
            if scale < len(self.scales) - 1:
                rest = rest - parts.enlarged(tokens[-1], scale)
        return keras.ops.concatenate(tokens, axis=1)

    def portable_decode(self, tokens):
        parts = _PortableParts(self)
        pieces = keras.ops.split(tokens, self._ends()[:-1], axis=1) if len(self.scales) > 1 else [tokens]
        codes = [parts.enlarged(piece, scale) for scale, piece in enumerate(pieces)]
        return sum(codes[1:], codes[0])

    def convolution_of(self, scale):
        """The convolution that a scale uses.

        Args:
            scale: int, index of the scale.

        Returns:
            int, index into `convolutions`.
        """
        places = self._places()
        return sorted(set(places)).index(places[scale])

    def _places(self):
        """For each scale, the index of the nearest of `num_convolutions` evenly spread convolutions."""
        count, last = self.num_convolutions, max(len(self.scales) - 1, 1)
        # The released code spreads four convolutions slightly wider than any other number. Two of its ten scales lie
        # midway between two convolutions, where rounding decides, so its arithmetic is repeated here.
        margin = 1.0 / 3.0 / count if count == 4 else 1.0 / 2.0 / count
        places = np.linspace(margin, 1.0 - margin, count)
        return [int(np.abs(places - scale / last).argmin()) for scale in range(len(self.scales))]

    def _checked_latents(self, latents, mask):
        if mask is not None:
            raise ValueError(
                "A scale mixes all positions of the grid, so padding would change the tokens of real positions. "
                f"Received: a mask of shape {tuple(mask.shape)}. Crop or resize the signals to one size, and pass no "
                "mask."
            )
        latents = self.check_latents(latents, self.made_in_build("latent_dim"))
        self._check_grid(latents.shape)
        return latents

    def _check_grid(self, shape):
        grid = tuple(shape[1:-1])
        if len(grid) != 2 or any(have not in (None, want) for have, want in zip(grid, self.scales[-1], strict=True)):
            raise ValueError(
                f"The latents must have the grid of the last scale, {self.scales[-1]}. Received: shape={tuple(shape)}. "
                "Resize the signals, or give other `scales`."
            )

    def _ends(self):
        """For each scale, the index after its last position."""
        return [int(end) for end in np.cumsum([rows * columns for rows, columns in self.scales])]

    def _shrink(self, latents, scale):
        """The means over the cells of a scale."""
        (rows, columns), (all_rows, all_columns) = self.scales[scale], self.scales[-1]
        if self.scales[scale] == self.scales[-1]:
            return latents
        return resize(latents, area_matrix(all_rows, rows), area_matrix(all_columns, columns))

    def _flat(self, tokens):
        """Tokens of one scale with the grid flattened to one axis."""
        return keras.ops.reshape(tokens, (-1, int(np.prod(tokens.shape[1:-1])), self.num_codebooks))

    def _enlarge(self, codes, scale):
        """The codes of a scale, resized to the grid of the last scale."""
        codes = of_width(self.made_in_build("latent_dim"), codes, self.quantizer)
        (rows, columns), (all_rows, all_columns) = self.scales[scale], self.scales[-1]
        if self.scales[scale] != self.scales[-1]:
            codes = resize(codes, bicubic_matrix(rows, all_rows), bicubic_matrix(columns, all_columns))
        convolved = self.convolutions[self.convolution_of(scale)](codes)
        return codes * (1.0 - self.ratio) + convolved * self.ratio

    def get_config(self):
        config = super().get_config()
        config["quantizer"] = keras.saving.serialize_keras_object(self.quantizer)
        config["scales"] = [list(scale) for scale in self.scales]
        config["num_convolutions"] = self.num_convolutions
        config["ratio"] = self.ratio
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("quantizer")), **config)


class _PortableParts:
    """The layers of a portable form that all scales share."""

    def __init__(self, source):
        self.source = source
        quantizer, width = source.quantizer, source.latent_dim
        self.encoder = nested(quantizer.portable_encode, (None, width), "encode_scale")
        self.decoder = nested(quantizer.portable_decode, (None, source.num_codebooks), "decode_scale", "int32")
        self.convolutions = [_convolution(width, i) for i in range(len(source.convolutions))]
        for copy, convolution in zip(self.convolutions, source.convolutions, strict=True):
            copy.build((None, *source.scales[-1], width))
            copy.set_weights(convolution.get_weights())

    def enlarged(self, tokens, scale):
        """Tokens (batch, positions, num_codebooks) of a scale to their contribution to the latents."""
        grid, largest, width = self.source.scales[scale], self.source.scales[-1], self.source.latent_dim
        codes = keras.layers.Reshape((*grid, width))(self.decoder(tokens))
        if grid != largest:
            codes = self.resized(codes, bicubic_matrix, largest, f"enlarge_{scale}")
        convolved = self.convolutions[self.source.convolution_of(scale)](codes)
        return codes * (1.0 - self.source.ratio) + convolved * self.source.ratio

    def resized(self, images, matrix, grid, name):
        """Multiplies height and width by a matrix each, as dense layers on the last axis."""
        for axis, size in zip(("rows", "columns"), grid, strict=True):
            # First rows are the last axis, then columns, then the channels again.
            images = keras.layers.Permute((2, 3, 1))(images)
            weights = matrix(images.shape[-1], size)
            dense = keras.layers.Dense(size, use_bias=False, dtype="float32", name=f"{name}_{axis}")
            images = dense(images)
            dense.set_weights([weights.T])
        return keras.layers.Permute((2, 3, 1))(images)


def _convolution(width, index):
    return keras.layers.Conv2D(width, 3, padding="same", dtype="float32", name=f"convolution_{index}")


def _checked_scales(scales):
    """The scales as a list of (rows, columns)."""
    pairs = [scale if isinstance(scale, list | tuple) else (scale, scale) for scale in scales]
    pairs = [tuple(pair) for pair in pairs]
    if not pairs or not all(len(pair) == 2 and all(isinstance(n, int) and n > 0 for n in pair) for pair in pairs):
        raise ValueError(
            "`scales` must be a list of positive integers or pairs (rows, columns), such as (1, 2, 3, 4). "
            f"Received: scales={scales!r}"
        )
    if any(rows > pairs[-1][0] or columns > pairs[-1][1] for rows, columns in pairs):
        raise ValueError(
            "The last of `scales` is the grid of the latents, and no other may be larger. "
            f"Received: scales={scales!r}. Order them from coarse to fine."
        )
    return pairs
