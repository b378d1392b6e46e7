"""Index backpropagation: every code receives a gradient through the probabilities of the tokens."""

import keras

from vqzoo.ops import highest_scores
from vqzoo.ops import masked_gradient
from vqzoo.ops import masked_mean
from vqzoo.ops import masked_tokens
from vqzoo.ops import straight_through
from vqzoo.quantizers.quantizer import Quantized
from vqzoo.quantizers.tables.table import TableQuantizer
from vqzoo.quantizers.tables.table import portable_highest


@keras.saving.register_keras_serializable(package="vqzoo")
class IndexPropagationQuantizer(TableQuantizer):
    r"""Finds the code with the largest dot product, with gradients for all codes at once.

    $$p = \operatorname{softmax}_k(z \cdot c_k), \quad t = \arg\max_k p_k, \quad h = \operatorname{onehot}(t), \qquad
    e = (h - \operatorname{sg}[p] + p)\, c, \quad e' = h c$$

    $$L_\text{double} = \operatorname{mean}\,(e - z)^2, \quad
    L_\text{commitment} = \operatorname{mean}\,(\operatorname{sg}[e'] - z)^2, \quad
    L_\text{codebook} = \operatorname{mean}\,(e' - \operatorname{sg}[z])^2$$

    with z the latents, c the codebook and sg the stop-gradient. e equals e' in value, but its gradient reaches every
    code in proportion to p, so that large codebooks stay in use. The released code weights `double_quantization` and
    `commitment` by 1, `codebook` by 0.25, and adds 0.05 times an entropy loss: `extra_losses={"entropy":
    vqzoo.quantizers.similarity_entropy_loss}`. Training holds all n × codebook_size probabilities in memory.

    Args:
        codebook_size: int, number of codes.
        initializer: Keras initializer of the codebook. Defaults to a standard normal distribution.
        extra_losses: dict name -> callable (codebook, vectors, weights) -> scalar, as in `VectorQuantizer`. Defaults to
            none.

    Call arguments:
        latents: float tensor, shape (batch, *grid, latent_dim).
        training: bool, whether e has the gradient of p. The loss values do not depend on it. Defaults to False.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)`: float32 (batch, *grid, latent_dim), int32 (batch, *grid, 1), and the
        losses `double_quantization`, `commitment`, `codebook` and those of `extra_losses`.

    Raises:
        ValueError: if an argument is out of its range, or the last axis of the input is unknown.

    Example:
    >>> import numpy as np
    >>> quantizer = IndexPropagationQuantizer(2, initializer=keras.initializers.Identity())
    >>> np.asarray(quantizer(np.array([[[9.0, 2.0], [0.1, 0.7]]])).tokens)[0, :, 0]
    array([0, 1], dtype=int32)

    Reference:
        Shi et al. 2024, https://arxiv.org/abs/2412.02692, section 3, and the released code.
    """

    own_losses = ("double_quantization", "commitment", "codebook")

    def __init__(self, codebook_size, initializer=None, extra_losses=None, **kwargs):
        if initializer is None:
            initializer = keras.initializers.RandomNormal(stddev=1.0)
        super().__init__(codebook_size, initializer, extra_losses, **kwargs)

    def encode(self, latents, mask=None, num_codebooks=None):
        """Finds the code with the largest dot product with each latent vector.

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
        return self._choose(self.check_latents(latents, self.latent_dim, mask), mask)

    def call(self, latents, training=False, mask=None):
        latents = self.check_latents(latents, self.latent_dim, mask)
        tokens = self._choose(latents, mask)
        codes = self._look_up(tokens)
        propagated = masked_gradient(self._propagated(latents, tokens), mask) if training else codes
        fixed = keras.ops.stop_gradient
        losses = {
            "double_quantization": masked_mean(keras.ops.square(propagated - latents), mask),
            "commitment": masked_mean(keras.ops.square(fixed(codes) - latents), mask),
            "codebook": masked_mean(keras.ops.square(codes - fixed(latents)), mask),
            **self._extra_losses_of(latents, mask),
        }
        return Quantized(propagated, tokens, losses)

    def portable_encode(self, latents):
        return portable_highest(latents, keras.ops.convert_to_numpy(self.codebook).T, name="similarity")

    def _choose(self, latents, mask):
        tokens = highest_scores(keras.ops.reshape(latents, (-1, self.latent_dim)), self.codebook)
        return masked_tokens(keras.ops.reshape(tokens, (*keras.ops.shape(latents)[:-1], 1)), mask)

    def _propagated(self, latents, tokens):
        """The codes of `tokens`, with the gradient of the probabilities with respect to the latents and all codes."""
        vectors = keras.ops.reshape(latents, (-1, self.latent_dim))
        soft = keras.ops.softmax(keras.ops.matmul(vectors, keras.ops.transpose(self.codebook)), axis=-1)
        hard = keras.ops.one_hot(keras.ops.reshape(tokens, (-1,)), self.codebook_size, dtype="float32")
        codes = keras.ops.matmul(straight_through(hard, soft), self.codebook)
        return keras.ops.reshape(codes, keras.ops.shape(latents))
