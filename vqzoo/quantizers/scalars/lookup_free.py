"""Lookup-free quantization: the signs of the channels are the bits of the token."""

import keras

from vqzoo.ops import bit_entropy
from vqzoo.ops import digits_to_tokens
from vqzoo.ops import masked_mean
from vqzoo.ops import masked_tokens
from vqzoo.ops import mean_code_entropy
from vqzoo.ops import straight_through
from vqzoo.quantizers.quantizer import Quantized
from vqzoo.quantizers.scalars.scalar import ScalarQuantizer


@keras.saving.register_keras_serializable(package="vqzoo")
class LookupFreeQuantizer(ScalarQuantizer):
    r"""Rounds each channel to its sign, which gives 2^latent_dim codes without a stored codebook.

    $$c = \operatorname{sign}(z)\, s, \qquad L_\text{commitment} = \operatorname{mean}\,(z - \operatorname{sg}[c])^2$$

    $$L_\text{sample} = \mathbb{E}_n H(p_n), \quad L_\text{batch} = -H(\mathbb{E}_n\, p_n), \qquad
    p_n = \operatorname{softmax}_k\left(-\lVert z_n - c_k \rVert^2 / \tau\right)$$

    with H the entropy in nats. The first makes each choice certain, and the second the use of all codes even. The
    paper's entropy penalty is their sum. γ, the factor of the second in other code, is the weight of `batch_entropy`.
    The softmax is a product over the bits. The first entropy is therefore exact at no cost, and the second exact for up
    to `entropy_group_bits` channels. For more channels it is the sum over groups of channels, an upper bound (see
    `vqzoo.ops.mean_code_entropy`).

    The first channel is the least significant bit of the token, and 0 counts as negative. `vqzoo.ops.reverse_bits`
    converts tokens of projects with the opposite order.

    Args:
        latent_dim: int from 1 to 31, channels of the latents; each is one bit.
        scale: float above 0, s. A residual quantizer halves it from level to level. Defaults to 1.
        entropy_temperature: float above 0, τ, in squared distance. Defaults to 0.01.
        entropy_group_bits: int, the maximum number of channels whose joint distribution is exact. It costs positions ×
            2^entropy_group_bits operations and positions × 2^(entropy_group_bits / 2) numbers. Defaults to 18.

    Call arguments:
        latents: float tensor, shape (batch, *grid, latent_dim).
        training: bool, has no effect.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)`: float32 (batch, *grid, latent_dim), int32 (batch, *grid, 1), and the
        losses `commitment`, `sample_entropy` and `batch_entropy`. Under a `tf.distribute` strategy the batch is the
        global batch.

    Raises:
        ValueError: if an argument is out of its range, or the number of channels of the latents is wrong.

    Example:
    >>> import numpy as np
    >>> quantized = LookupFreeQuantizer(3)(np.array([[[0.9, -0.2, 0.7], [-1.0, -1.0, 2.0]]]))
    >>> np.asarray(quantized.tokens)[0, :, 0], np.asarray(quantized.latents)[0]
    (array([5, 4], dtype=int32), array([[ 1., -1.,  1.],
           [-1., -1.,  1.]], dtype=float32))

    Reference:
        Yu et al. 2023, https://arxiv.org/abs/2310.05737, section 3.1.
    """

    def __init__(self, latent_dim, scale=1.0, entropy_temperature=0.01, entropy_group_bits=18, **kwargs):
        if not isinstance(latent_dim, int) or not 1 <= latent_dim <= 31:
            raise ValueError(
                "`latent_dim` must be an integer from 1 to 31, because each channel is one bit of an int32 token. "
                f"Received: latent_dim={latent_dim!r}. Split more channels over several codebooks."
            )
        if not scale > 0.0:
            raise ValueError(f"`scale` must be positive. Received: scale={scale}")
        if not entropy_temperature > 0.0:
            raise ValueError(
                f"`entropy_temperature` must be positive. Received: entropy_temperature={entropy_temperature}"
            )
        if not isinstance(entropy_group_bits, int) or not 1 <= entropy_group_bits <= 31:
            raise ValueError(
                "`entropy_group_bits` must be an integer from 1 to 31. The time grows with 2^entropy_group_bits. "
                f"Received: entropy_group_bits={entropy_group_bits!r}"
            )
        super().__init__((2,) * latent_dim, middle=0.5, step=2.0 * scale, **kwargs)
        self.scale = scale
        self.entropy_temperature = entropy_temperature
        self.entropy_group_bits = entropy_group_bits

    def call(self, latents, training=False, mask=None):
        latents = self.check_latents(latents, self.latent_dim, mask)
        digits = masked_tokens(self._digits(latents), mask)
        codes = self._codes(digits)
        points = self._placed(latents)
        # The difference of squared distances to the two codes: (z + s)^2 - (z - s)^2 = 4 s z.
        logits = points * (4.0 * self.scale / self.entropy_temperature)
        losses = {
            "commitment": masked_mean(keras.ops.square(points - codes), mask),
            "sample_entropy": masked_mean(keras.ops.sum(bit_entropy(logits), axis=-1), mask),
            "batch_entropy": -mean_code_entropy(logits, self.entropy_group_bits, mask),
        }
        return Quantized(straight_through(codes, points), digits_to_tokens(digits, self.levels), losses)

    @property
    def loss_names(self):
        return ("commitment", "sample_entropy", "batch_entropy")

    def _digits(self, latents):
        return keras.ops.cast(keras.ops.greater(latents, 0.0), "int32")

    def _placed(self, latents):
        """The latents in the space of the codes."""
        return latents

    def get_config(self):
        config = super().get_config()
        config["latent_dim"] = self.latent_dim
        config["scale"] = self.scale
        config["entropy_temperature"] = self.entropy_temperature
        config["entropy_group_bits"] = self.entropy_group_bits
        return config
