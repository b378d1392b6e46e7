"""Vector quantization by moving averages. Each code follows the mean of its latents."""

import keras

from vqzoo.ops import masked_mean
from vqzoo.quantizers.tables.tracked import TrackedCodebookQuantizer


@keras.saving.register_keras_serializable(package="vqzoo")
class EMAVectorQuantizer(TrackedCodebookQuantizer):
    r"""Finds the nearest code, in a codebook that follows the latents by exponential moving averages.

    In each training step, with n_k the number of latents z that code k quantizes and s_k their sum, over all replicas,

    $$N_k \leftarrow \gamma N_k + (1 - \gamma) n_k, \quad S_k \leftarrow \gamma S_k + (1 - \gamma) s_k, \qquad
    c_k = S_k \Big/ \left(\frac{N_k + \epsilon}{\sum_j N_j + K \epsilon} \sum_j N_j\right)$$

    The first `kmeans_steps` training steps are k-means. The first step starts from vectors of the batch, and in step i
    the decay is i / (i + 1), at most γ, so that each step is a Lloyd iteration over all batches so far. A code whose N
    falls below `restart_below` times the mean is dead and is replaced by a vector of the batch. Both choose the same
    vectors in every replica and need no random state. In inference, and if `trainable` is False, the codebook is
    constant.

    Code k counts the latents to which it is the nearest code. With a `temperature` it counts the latents for which it
    was sampled, except in k-means. Latents that are padded or not finite are ignored.

    Args:
        codebook_size: int, number of codes K.
        initializer: Keras initializer of the codebook, used if `kmeans_steps` is 0. Defaults to uniform in
            [-1/codebook_size, 1/codebook_size].
        decay: float in (0, 1), γ, the decay of the moving averages per step. Defaults to 0.99.
        epsilon: float, ε of the Laplace smoothing, in counts. Defaults to 1e-5.
        kmeans_steps: int, number of k-means steps; 0 starts from `initializer`. Defaults to 10.
        restart_below: float, the fraction of the mean count below which a code restarts; 0 never restarts.
            Defaults to 0.05.
        **kwargs: `estimator`, `temperature`, `extra_losses`, `seed` as in `VectorQuantizer`.

    Call arguments:
        latents: float tensor, shape (batch, *grid, latent_dim).
        training: bool, whether the codebook is updated. Defaults to False.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)`: float32 (batch, *grid, latent_dim), int32 (batch, *grid, 1), and the
        losses `commitment`, the mean squared distance of the latents to their codes, and those of `extra_losses`.

    Raises:
        ValueError: if an argument is out of its range, or the last axis of the input is unknown.

    Example:
    >>> import numpy as np
    >>> quantizer = EMAVectorQuantizer(2)
    >>> latents = np.array([[[0.0], [0.1], [5.0], [5.1]]])
    >>> for _ in range(10):
    ...     quantized = quantizer(latents, training=True)
    >>> np.asarray(quantized.tokens)[0, :, 0]
    array([0, 0, 1, 1], dtype=int32)
    >>> np.asarray(quantizer.codebook)[:, 0].round(2)
    array([0.05, 5.05], dtype=float32)

    Reference:
        van den Oord et al. 2017, https://arxiv.org/abs/1711.00937, appendix A.1; restarts: Dhariwal et al. 2020,
        https://arxiv.org/abs/2005.00341, section 3.1.
    """

    own_losses = ("commitment",)

    def __init__(
        self,
        codebook_size,
        initializer=None,
        decay=0.99,
        epsilon=1e-5,
        kmeans_steps=10,
        restart_below=0.05,
        **kwargs,
    ):
        super().__init__(codebook_size, initializer, decay, kmeans_steps, restart_below, **kwargs)
        if epsilon <= 0.0:
            raise ValueError(f"`epsilon` must be positive, to keep empty codes finite. Received: epsilon={epsilon}")
        self.epsilon = epsilon

    def build(self, input_shape):
        self.codebook = self._make_codebook(input_shape, trainable=False)
        # In the order of saved weights.
        self.counts = self._add_statistic("counts", (self.codebook_size,), "ones")
        self.sums = self._add_statistic("sums", self.codebook.shape, "zeros")
        self.steps = self._add_statistic("steps", (), "zeros", "int32")

    @property
    def _tracks(self):
        return True

    def _restart_state(self):
        super()._restart_state()
        self.sums.assign(self.codebook)

    def _losses_of(self, latents, codes, mask):
        return {"commitment": masked_mean(keras.ops.square(latents - keras.ops.stop_gradient(codes)), mask)}

    def _move(self, decay, batch_sums, counts, dead, candidates, moves):
        # A code that was never used starts with one count at its value and stays there. This is not done in `build`,
        # which may run inside a graph, where assignments are lost.
        at_rest = keras.ops.expand_dims(self.counts, -1) * self.codebook
        sums = keras.ops.where(keras.ops.equal(self.steps, 0), at_rest, self.sums)
        sums = decay * sums + (1.0 - decay) * batch_sums
        sums = keras.ops.where(dead, keras.ops.expand_dims(counts, -1) * candidates, sums)
        total = keras.ops.sum(counts)
        smoothed = (counts + self.epsilon) / (total + self.codebook_size * self.epsilon) * total
        self.sums.assign(keras.ops.where(moves, sums, self.sums))
        # A code that was never used has no mean.
        known = keras.ops.logical_and(moves, keras.ops.expand_dims(counts > 0.0, -1))
        self.codebook.assign(keras.ops.where(known, sums / keras.ops.expand_dims(smoothed, -1), self.codebook))

    def get_config(self):
        config = super().get_config()
        config["epsilon"] = self.epsilon
        return config
