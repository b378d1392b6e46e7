"""Vector quantization by gradients: a learnt codebook and a commitment loss."""

import keras

from vqzoo.ops import masked_mean
from vqzoo.quantizers.quantizer import Quantized
from vqzoo.quantizers.tables.codebook import CodebookQuantizer


@keras.saving.register_keras_serializable(package="vqzoo")
class VectorQuantizer(CodebookQuantizer):
    r"""Nearest code of a codebook that is learnt by gradient descent.

    $$e = c_t, \quad t = \arg\min_k \lVert z - c_k \rVert, \qquad
    L_\text{codebook} = \operatorname{mean}\,(\operatorname{sg}[z] - e)^2, \quad
    L_\text{commitment} = \operatorname{mean}\,(z - \operatorname{sg}[e])^2$$

    with z the latents, c the codebook, e the quantized latents and sg the stop-gradient. The codebook loss moves the
    codes to the latents, the commitment loss the latents to the codes; the paper weighs them 1 and 0.25.

    Args:
        codebook_size: int, number of codes.
        initializer: Keras initializer of the codebook. Defaults to uniform in [-1/codebook_size, 1/codebook_size].
        estimator, temperature, extra_losses, seed: as in `CodebookQuantizer`.

    Call arguments:
        latents: float tensor, shape (batch, *grid, latent_dim).
        training: bool, whether `temperature` draws the tokens. Defaults to False.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)`: float32 (batch, *grid, latent_dim), int32 (batch, *grid, 1), and the
        scalars `codebook`, `commitment` and those of `extra_losses`.

    Raises:
        ValueError: if an argument is out of its range, or the last axis of the input is unknown.

    Example:
    >>> import numpy as np
    >>> quantizer = VectorQuantizer(2, initializer=keras.initializers.Identity())
    >>> quantized = quantizer(np.array([[[0.9, 0.2], [0.0, 0.7]]]))
    >>> np.asarray(quantized.tokens)[0, :, 0], np.asarray(quantized.latents)[0]
    (array([0, 1], dtype=int32), array([[1., 0.],
           [0., 1.]], dtype=float32))

    Reference:
        van den Oord, Vinyals, Kavukcuoglu 2017, https://arxiv.org/abs/1711.00937, equations 1 to 3.
    """

    own_losses = ("codebook", "commitment")

    def call(self, latents, training=False, mask=None):
        latents = self._compared(self.check_latents(latents, self.latent_dim, mask))
        tokens = self._choose(latents, training, mask)
        codes = self._look_up(tokens)
        fixed = keras.ops.stop_gradient
        losses = {
            "codebook": masked_mean(keras.ops.square(fixed(latents) - codes), mask),
            "commitment": masked_mean(keras.ops.square(latents - fixed(codes)), mask),
            **self._extra_losses_of(latents, mask),
        }
        return Quantized(self.estimator(codes, latents), tokens, losses)
