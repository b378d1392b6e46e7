"""Binary spherical quantization: the signs of the channels, on the unit sphere."""

import keras

from vqzoo.ops import l2_normalize
from vqzoo.quantizers.scalars.lookup_free import LookupFreeQuantizer


@keras.saving.register_keras_serializable(package="vqzoo")
class BinarySphericalQuantizer(LookupFreeQuantizer):
    r"""Projects each latent vector to the unit sphere and rounds it to the nearest corner of the inscribed cube.

    $$u = z / \lVert z \rVert, \qquad c = \operatorname{sign}(u) / \sqrt{d}, \qquad
    L_\text{commitment} = \operatorname{mean}\,(u - \operatorname{sg}[c])^2$$

    with d the number of channels, and the entropy losses of `LookupFreeQuantizer` in u. With codes and latents of
    length 1 the quantization error is bounded, and the released configurations use weight 0 for the commitment loss.
    The paper's soft assignment softmax(t u·c) is that of τ = 2 / t.

    The first channel is the least significant bit of the token, and 0 counts as negative. `vqzoo.ops.reverse_bits`
    converts tokens of the paper's code, which uses the opposite order.

    Args:
        latent_dim: int d from 1 to 31, channels of the latents; each is one bit.
        entropy_temperature: float above 0, τ, in squared distance. Defaults to 1, as in the paper's code.
        entropy_group_bits: int, the maximum number of channels whose joint distribution is exact. Defaults to 9, as in
            that code.

    Call arguments:
        latents: float tensor, shape (batch, *grid, latent_dim).
        training: bool, has no effect.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)`: float32 (batch, *grid, latent_dim) of length 1, int32 (batch, *grid, 1),
        and the losses `commitment`, `sample_entropy` and `batch_entropy`.

    Raises:
        ValueError: if an argument is out of its range, or the number of channels of the latents is wrong.

    Example:
    >>> import numpy as np
    >>> quantized = BinarySphericalQuantizer(4)(np.array([[[3.0, -0.1, 2.0, 0.4]]]))
    >>> np.asarray(quantized.tokens)[0, 0], np.asarray(quantized.latents)[0, 0]
    (array([13], dtype=int32), array([ 0.5, -0.5,  0.5,  0.5], dtype=float32))

    Reference:
        Zhao, Xiong, Krähenbühl 2024, https://arxiv.org/abs/2406.07548, section 4.1.
    """

    def __init__(self, latent_dim, entropy_temperature=1.0, entropy_group_bits=9, **kwargs):
        scale = latent_dim**-0.5 if isinstance(latent_dim, int) and latent_dim > 0 else 1.0
        super().__init__(latent_dim, scale, entropy_temperature, entropy_group_bits, **kwargs)

    def _placed(self, latents):
        return l2_normalize(latents)

    def get_config(self):
        config = super().get_config()
        del config["scale"]  # follows from `latent_dim`
        return config
