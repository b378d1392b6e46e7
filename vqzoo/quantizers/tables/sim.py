"""Vector quantization with one linear map of all codes, so that every code is trained."""

import keras

from vqzoo.quantizers.tables.codebook import CodebookQuantizer


@keras.saving.register_keras_serializable(package="vqzoo")
class SimVectorQuantizer(CodebookQuantizer):
    r"""Finds the nearest code, in a codebook that is a trainable linear map of frozen random vectors.

    $$c_k = f_k W, \qquad e = c_t, \quad t = \arg\min_k \lVert z - c_k \rVert, \qquad
    L_\text{codebook} = \operatorname{mean}\,(\operatorname{sg}[z] - e)^2, \quad
    L_\text{commitment} = \operatorname{mean}\,(z - \operatorname{sg}[e])^2$$

    with z the latents, f frozen, and W (latent_dim, latent_dim) trained, without a bias. In a codebook of independent
    rows only the chosen ones are trained, and the others become unused. Here each step changes all codes, so k-means
    and restarts are not needed.

    Args:
        codebook_size: int, number of codes.
        initializer: Keras initializer of f. Defaults to a normal distribution of variance 1 / latent_dim. W starts as
            the identity.
        **kwargs: `estimator`, `temperature`, `extra_losses`, `seed` as in `VectorQuantizer`.

    Call arguments:
        latents: float tensor, shape (batch, *grid, latent_dim).
        training: bool, whether tokens are sampled with `temperature`. Defaults to False.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)`: float32 (batch, *grid, latent_dim), int32 (batch, *grid, 1), and the
        losses `codebook`, `commitment` and those of `extra_losses`.

    Raises:
        ValueError: if an argument is out of its range, or the last axis of the input is unknown.

    Example:
    >>> import numpy as np
    >>> quantizer = SimVectorQuantizer(2, initializer=keras.initializers.Identity())
    >>> np.asarray(quantizer(np.array([[[0.9, 0.2], [0.0, 0.7]]])).tokens)[0, :, 0]
    array([0, 1], dtype=int32)
    >>> [variable.name for variable in quantizer.trainable_variables]
    ['linear_map']

    Reference:
        Zhu et al. 2024, https://arxiv.org/abs/2411.02038, section 3.
    """

    _stored = "frozen_codebook"

    def __init__(self, codebook_size, initializer=None, **kwargs):
        if initializer is None:
            # The columns are the "fan out", so the variance is 1 / latent_dim.
            initializer = keras.initializers.VarianceScaling(1.0, "fan_out", "untruncated_normal")
        super().__init__(codebook_size, initializer, **kwargs)

    def build(self, input_shape):
        self.frozen_codebook = self._make_codebook(input_shape, trainable=False)
        shape = (self.latent_dim, self.latent_dim)
        self.linear_map = self.add_weight(name="linear_map", shape=shape, initializer="identity", autocast=False)

    def assign_codebook(self, values):
        """Replaces the codebook. The values become the frozen vectors, and the map is reset to the identity.

        Args:
            values: float array (codebook_size, latent_dim).

        Raises:
            ValueError: if the shape is wrong, or values are not finite.
        """
        values = self._checked_codebook(values)
        self.frozen_codebook.assign(values)
        self.linear_map.assign(keras.ops.eye(self.latent_dim))

    @property
    def codebook(self):
        """The codes: float32 tensor (codebook_size, latent_dim)."""
        return keras.ops.matmul(self.made_in_build("frozen_codebook"), self.linear_map)

    def _look_up(self, tokens):
        # Only the selected rows are mapped.
        rows = keras.ops.take(self.frozen_codebook, keras.ops.squeeze(tokens, -1), axis=0)
        return keras.ops.matmul(rows, self.linear_map)
