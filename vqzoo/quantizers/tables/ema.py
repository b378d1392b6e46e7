"""Vector quantization by moving averages: codes follow the mean of their latents."""

import keras

from vqzoo.ops import masked_mean
from vqzoo.quantizers.tables.tracked import TrackedCodebookQuantizer


@keras.saving.register_keras_serializable(package="vqzoo")
class EMAVectorQuantizer(TrackedCodebookQuantizer):
    r"""Nearest code of a codebook that follows the latents by exponential moving averages.

    In each training step, with n_k the number of latents z that code k quantizes and s_k their sum, over all replicas,

    $$N_k \leftarrow \gamma N_k + (1 - \gamma) n_k, \quad S_k \leftarrow \gamma S_k + (1 - \gamma) s_k, \qquad
    c_k = S_k \Big/ \left(\frac{N_k + \epsilon}{\sum_j N_j + K \epsilon} \sum_j N_j\right)$$

    The first `kmeans_steps` training steps are k-means: the first starts from the batch's own vectors, and in step i
    the decay is i / (i + 1), at most γ, so that each is a Lloyd iteration over all batches so far. A code whose N
    falls below `restart_below` times the mean is dead and starts again from a vector of the batch. Both choose the
    same vectors in every replica and need no random state. In inference, and where `trainable` is False, nothing moves.

    Code k quantizes the latents that it is nearest to. With a `temperature` those that drew it count instead; in
    k-means the nearest count there too. Latents that are padded or not finite count nowhere.

    Args:
        codebook_size: int, number of codes K.
        initializer: Keras initializer of the codebook; it matters when `kmeans_steps` is 0. Defaults to uniform in
            [-1/codebook_size, 1/codebook_size].
        decay: float in (0, 1), γ, how much of the average one step keeps. Defaults to 0.99.
        epsilon: float, ε of the Laplace smoothing, in counts. Defaults to 1e-5.
        kmeans_steps: int, training steps that are k-means; 0 starts from `initializer`. Defaults to 10.
        restart_below: float, the fraction of the mean count below which a code restarts; 0 never restarts.
            Defaults to 0.05.
        **kwargs: `estimator`, `temperature`, `extra_losses`, `seed` as in `VectorQuantizer`.

    Call arguments:
        latents: float tensor, shape (batch, *grid, latent_dim).
        training: bool, whether the codebook follows. Defaults to False.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)`: float32 (batch, *grid, latent_dim), int32 (batch, *grid, 1), and the
        scalars `commitment`, the mean squared distance of the latents to their codes, and those of `extra_losses`.

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
            raise ValueError(f"`epsilon` is positive: it keeps empty codes finite. Received: epsilon={epsilon}")
        self.epsilon = epsilon

    def build(self, input_shape):
        self.codebook = self._make_codebook(input_shape, trainable=False)
        # In the order in which saved weights have them.
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
        # A code that no latent has chosen yet stays where it is: one count at its place. Here and not in `build`, which
        # may run inside a graph, where what it assigns is lost.
        at_rest = keras.ops.expand_dims(self.counts, -1) * self.codebook
        sums = keras.ops.where(keras.ops.equal(self.steps, 0), at_rest, self.sums)
        sums = decay * sums + (1.0 - decay) * batch_sums
        sums = keras.ops.where(dead, keras.ops.expand_dims(counts, -1) * candidates, sums)
        total = keras.ops.sum(counts)
        smoothed = (counts + self.epsilon) / (total + self.codebook_size * self.epsilon) * total
        self.sums.assign(keras.ops.where(moves, sums, self.sums))
        # A code that no latent has ever chosen has no mean to go to.
        known = keras.ops.logical_and(moves, keras.ops.expand_dims(counts > 0.0, -1))
        self.codebook.assign(keras.ops.where(known, sums / keras.ops.expand_dims(smoothed, -1), self.codebook))

    def get_config(self):
        config = super().get_config()
        config["epsilon"] = self.epsilon
        return config
