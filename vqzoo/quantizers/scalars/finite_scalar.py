"""Finite scalar quantization: a few levels per channel, without a codebook and without losses."""

import keras
import numpy as np

from vqzoo.ops import digits_to_tokens
from vqzoo.ops import masked_tokens
from vqzoo.ops import straight_through
from vqzoo.quantizers.quantizer import Quantized
from vqzoo.quantizers.scalars.scalar import ScalarQuantizer

# The tanh exceeds the outermost levels by this fraction. With a negative value, as printed in the paper, two levels
# would have no shift, because it would be the artanh of more than 1.
MARGIN = 1e-3


@keras.saving.register_keras_serializable(package="vqzoo")
class FiniteScalarQuantizer(ScalarQuantizer):
    r"""Bounds each channel with a tanh and rounds it to one of its levels.

    $$b = h \tanh(z + a) - o, \qquad c = \operatorname{round}(b) \,/\, \lfloor L / 2 \rfloor$$

    with L the levels of the channel, $h = 1.001\,(L - 1) / 2$, o = 0.5 for even L and 0 for odd, and $a =
    \operatorname{artanh}(o / h)$, so that 0 stays 0. A channel with even L has one more level below 0 than above. With
    `symmetric`, the levels are evenly spaced from -1 to 1 for every L, and no level is 0 for even L:

    $$b = \tfrac{L - 1}{2} \left(\tanh(z) + 1\right), \qquad c = \tfrac{2}{L - 1} \operatorname{round}(b) - 1$$

    The rounding has a straight-through gradient, and the tanh its own. The token is the number with the levels as
    digits, the first channel being the least significant. There are no weights and no losses.

    Args:
        levels: sequence of ints from 2 to 65,536, the levels L of each channel; the latents have as many channels. The
            paper recommends (8, 6, 5) for about 2^8 codes, (8, 5, 5, 5) for 2^10, (7, 5, 5, 5, 5) for 2^12,
            (8, 8, 8, 6, 5) for 2^14 and (8, 8, 8, 5, 5, 5) for 2^16.
        symmetric: bool, see above. Channels of two levels need it for training, because otherwise their boundary is at
            z = -3.8. Defaults to False, the form of the paper.

    Call arguments:
        latents: float tensor, shape (batch, *grid, latent_dim) with latent_dim = len(levels).
        training: bool, has no effect.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)`: float32 (batch, *grid, latent_dim) in [-1, 1], int32 (batch, *grid, 1),
        and no losses.

    Raises:
        ValueError: if a level is out of its range, if there are more than 2^31 codes, or if the number of channels of
            the latents is wrong.

    Example:
    >>> import numpy as np
    >>> quantized = FiniteScalarQuantizer((4, 3))(np.array([[[-9.0, 0.1], [0.2, 9.0]]]))
    >>> np.asarray(quantized.tokens)[0, :, 0], np.asarray(quantized.latents)[0]
    (array([ 4, 10], dtype=int32), array([[-1.,  0.],
           [ 0.,  1.]], dtype=float32))

    Reference:
        Mentzer et al. 2023, https://arxiv.org/abs/2309.15505, section 3.1 and appendix A.1, which prints tan for artanh
        (a mistake: https://github.com/lucidrains/vector-quantize-pytorch/issues/94) and 0.999 for 1.001; here as in
        vector-quantize-pytorch. `symmetric`: Parker et al. 2024, https://arxiv.org/abs/2411.19842, section 3.2.
    """

    def __init__(self, levels, symmetric=False, **kwargs):
        levels = tuple(levels)
        if not levels or not all(isinstance(level, int) and 2 <= level <= 2**16 for level in levels):
            raise ValueError(
                "`levels` must have one integer from 2 to 65,536 for each channel, such as (8, 5, 5, 5). "
                f"Received: levels={levels}"
            )
        if (codes := np.prod(levels, dtype="object")) > 2**31:
            raise ValueError(
                f"Tokens are int32, so the product of `levels` must be at most 2^31. Received: {codes:,} codes of "
                f"levels={levels}. Split the channels over several codebooks."
            )
        sizes = np.array(levels, "float64")
        half, middle = (sizes - 1.0) / 2.0, (sizes - 1.0) / 2.0
        shift, offset = np.zeros_like(sizes), np.zeros_like(sizes)
        if not symmetric:
            half, middle = half * (1.0 + MARGIN), sizes // 2
            offset = np.where(sizes % 2 == 0, 0.5, 0.0)
            shift = np.arctanh(offset / half)
        step = 2.0 / (sizes - 1.0) if symmetric else 1.0 / middle
        super().__init__(levels, middle, step, **kwargs)
        self.symmetric = symmetric
        self._half = half.astype("float32")
        self._shift = shift.astype("float32")
        self._zero = (middle - offset).astype("float32")

    def call(self, latents, training=False, mask=None):
        latents = self.check_latents(latents, self.latent_dim, mask)
        bounded = self._bounded(latents)
        digits = masked_tokens(self._rounded(bounded), mask)
        codes = straight_through(self._codes(digits), keras.ops.multiply(bounded, self._half * self._step))
        return Quantized(codes, digits_to_tokens(digits, self.levels), {})

    @property
    def loss_names(self):
        return ()

    def _digits(self, latents):
        return self._rounded(self._bounded(latents))

    def _bounded(self, latents):
        return keras.ops.tanh(keras.ops.add(latents, self._shift))

    def _rounded(self, bounded):
        # Half up instead of half to even. The rounding of z = 0 is then the same for every even number of levels.
        digits = keras.ops.floor(keras.ops.add(keras.ops.multiply(bounded, self._half), self._zero + 0.5))
        # With more than a thousand levels the margin is a whole level, and NaN as an integer is undefined. (Keras does
        # not save a `clip` whose limits are arrays.)
        largest = np.array(self.levels, "int32") - 1
        return keras.ops.minimum(keras.ops.maximum(keras.ops.cast(digits, "int32"), 0), largest)

    def get_config(self):
        config = super().get_config()
        config["levels"] = list(self.levels)
        config["symmetric"] = self.symmetric
        return config
