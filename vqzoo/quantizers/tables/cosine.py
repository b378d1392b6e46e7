"""Vector quantization by direction: codes and latents of length 1."""

import keras

from vqzoo.ops import highest_scores
from vqzoo.ops import known_value
from vqzoo.ops import l2_normalize
from vqzoo.quantizers.tables.table import portable_highest
from vqzoo.quantizers.tables.vector import VectorQuantizer


@keras.saving.register_keras_serializable(package="vqzoo")
class CosineVectorQuantizer(VectorQuantizer):
    r"""Finds the code with the largest cosine, in a codebook that is trained by gradient descent.

    $$\hat z = z / \lVert z \rVert, \quad c_k = w_k / \lVert w_k \rVert, \qquad
    e = c_t, \quad t = \arg\max_k \hat z \cdot c_k = \arg\min_k \lVert \hat z - c_k \rVert$$

    $$L_\text{codebook} = \operatorname{mean}\,(\operatorname{sg}[\hat z] - e)^2, \quad
    L_\text{commitment} = \operatorname{mean}\,(\hat z - \operatorname{sg}[e])^2$$

    with z the latents and w the weights; gradients pass through both normalizations. Latents of zeros have no direction
    and get token 0. It is meant for narrow latents of 8 to 32 channels. Put a `ProjectedQuantizer` around it if the
    latents of the encoder are wider.

    Args:
        codebook_size: int, number of codes.
        initializer: Keras initializer of w. Defaults to a normal distribution of variance 1 / latent_dim, which gives
            random directions.
        **kwargs: `decay`, `kmeans_steps`, `restart_below`, `estimator`, `temperature`, `extra_losses`, `seed` as in
            `VectorQuantizer`. They are applied to ẑ and c.

    Call arguments:
        latents: float tensor, shape (batch, *grid, latent_dim).
        training: bool, whether tokens are sampled with `temperature`, and k-means and restarts are applied. Defaults to
            False.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)`: float32 (batch, *grid, latent_dim) of length 1, int32 (batch, *grid, 1),
        and the losses `codebook`, `commitment` and those of `extra_losses`.

    Raises:
        ValueError: if an argument is out of its range, or the last axis of the input is unknown.

    Example:
    >>> import numpy as np
    >>> quantizer = CosineVectorQuantizer(2, initializer=keras.initializers.Identity())
    >>> quantized = quantizer(np.array([[[9.0, 2.0], [0.1, 0.7]]]))
    >>> np.asarray(quantized.tokens)[0, :, 0], np.asarray(quantized.latents)[0]
    (array([0, 1], dtype=int32), array([[1., 0.],
           [0., 1.]], dtype=float32))

    Reference:
        Yu et al. 2021, https://arxiv.org/abs/2110.04627, section 3.2; Sun et al. 2024,
        https://arxiv.org/abs/2406.06525, section 2.1.
    """

    _stored = "directions"

    def __init__(self, codebook_size, initializer=None, **kwargs):
        if initializer is None:
            # The columns are the "fan out", so the variance is 1 / latent_dim and the length about 1.
            initializer = keras.initializers.VarianceScaling(1.0, "fan_out", "untruncated_normal")
        super().__init__(codebook_size, initializer, **kwargs)

    def build(self, input_shape):
        self.directions = self._make_codebook(input_shape, trainable=True)
        self._add_state()

    def assign_codebook(self, values):
        """Replaces the codebook. Only the direction of each row counts.

        Args:
            values: float array (codebook_size, latent_dim).

        Raises:
            ValueError: if the shape is wrong, values are not finite, or a row is zero.
        """
        values = self._checked_codebook(values)
        known = known_value(values)
        if known is not None and not known.any(axis=-1).all():
            raise ValueError(
                f"A code is a direction, so no row may be zero. Received: {int((~known.any(axis=-1)).sum())} "
                "rows of zeros."
            )
        self.directions.assign(values)
        self._restart_state()

    def portable_encode(self, latents):
        return portable_highest(self._compared(latents), keras.ops.convert_to_numpy(self.codebook).T, name="cosine")

    @property
    def codebook(self):
        """The codes: float32 tensor (codebook_size, latent_dim), rows of length 1."""
        return l2_normalize(self.made_in_build("directions"))

    @property
    def _table(self):
        # K-means stores the mean of unit vectors, which has the direction of their sum.
        return self.directions

    def _compared(self, latents):
        return l2_normalize(latents)

    def _countable(self, vectors):
        # Vectors that l2_normalize cannot scale to length 1, such as zeros, give no direction for a code.
        return keras.ops.sum(keras.ops.square(vectors), axis=-1) > 0.5

    def _nearest(self, vectors):
        # Not by distance, because a latent vector of zeros is equally far from all codes, and rounding would decide.
        # Here it gets token 0, in every export.
        return highest_scores(vectors, self.codebook)

    def _look_up(self, tokens):
        return l2_normalize(keras.ops.take(self.directions, keras.ops.squeeze(tokens, -1), axis=0))
