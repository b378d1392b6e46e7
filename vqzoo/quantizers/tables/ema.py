"""Vector quantization by moving averages: codes follow the mean of their latents."""

import keras
import numpy as np

from vqzoo.ops import masked_mean
from vqzoo.ops import replica_gather
from vqzoo.ops import replica_sum
from vqzoo.ops import spread_rows
from vqzoo.quantizers.quantizer import Quantized
from vqzoo.quantizers.tables.codebook import CodebookQuantizer


@keras.saving.register_keras_serializable(package="vqzoo")
class EMAVectorQuantizer(CodebookQuantizer):
    r"""Nearest code of a codebook that follows the latents by exponential moving averages.

    In each training step, with n_k the number of latents z whose nearest code is k and s_k their sum, over all
    replicas,

    $$N_k \leftarrow \gamma N_k + (1 - \gamma) n_k, \quad S_k \leftarrow \gamma S_k + (1 - \gamma) s_k, \qquad
    c_k = S_k \Big/ \left(\frac{N_k + \epsilon}{\sum_j N_j + K \epsilon} \sum_j N_j\right)$$

    The first `kmeans_steps` training steps are k-means: the first starts from the batch's own vectors, and in step i
    the decay is i / (i + 1), at most γ, so that each is a Lloyd iteration over all batches so far. A code whose N
    falls below `restart_below` times the mean is dead and starts again from a vector of the batch. Both choose the
    same vectors in every replica and need no random state. In inference, and where `trainable` is False, nothing moves.

    Args:
        codebook_size: int, number of codes K.
        initializer: Keras initializer of the codebook; it matters when `kmeans_steps` is 0. Defaults to uniform in
            [-1/codebook_size, 1/codebook_size].
        decay: float in (0, 1), γ, how much of the average one step keeps. Defaults to 0.99.
        epsilon: float, ε of the Laplace smoothing, in counts. Defaults to 1e-5.
        kmeans_steps: int, training steps that are k-means; 0 starts from `initializer`. Defaults to 10.
        restart_below: float, the fraction of the mean count below which a code restarts; 0 never restarts.
            Defaults to 0.05.
        **kwargs: `estimator`, `temperature`, `extra_losses`, `seed` as in `CodebookQuantizer`.

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
        super().__init__(codebook_size, initializer, **kwargs)
        if not 0.0 < decay < 1.0:
            raise ValueError(f"`decay` lies between 0 and 1. Received: decay={decay}. 0.99 follows about 100 steps.")
        if epsilon <= 0.0:
            raise ValueError(f"`epsilon` is positive: it keeps empty codes finite. Received: epsilon={epsilon}")
        if kmeans_steps < 0:
            raise ValueError(f"`kmeans_steps` is 0 or more. Received: kmeans_steps={kmeans_steps}")
        if not 0.0 <= restart_below < 1.0:
            raise ValueError(
                f"`restart_below` is a fraction of the mean count, in [0, 1). Received: restart_below={restart_below}"
            )
        self.decay = decay
        self.epsilon = epsilon
        self.kmeans_steps = kmeans_steps
        self.restart_below = restart_below

    def build(self, input_shape):
        self.codebook = self._make_codebook(input_shape, trainable=False)
        state = {"trainable": False, "autocast": False, "aggregation": "only_first_replica"}
        self.counts = self.add_weight(name="counts", shape=(self.codebook_size,), initializer="ones", **state)
        self.sums = self.add_weight(name="sums", shape=self.codebook.shape, initializer="zeros", **state)
        self.steps = self.add_weight(name="steps", shape=(), initializer="zeros", dtype="int32", **state)
        # A code that no latent has chosen yet stays where it is: one count at its place.
        self.sums.assign(self.codebook)

    def call(self, latents, training=False, mask=None):
        latents = self._compared(self.check_latents(latents, self.latent_dim, mask))
        follow = training and self.trainable
        if follow:
            vectors = keras.ops.stop_gradient(keras.ops.reshape(latents, (-1, self.latent_dim)))
            real = mask if mask is None else keras.ops.cast(keras.ops.reshape(mask, (-1,)), "bool")
            candidates = self._candidates(vectors, real)
            self._start(candidates)
        tokens = self._choose(latents, training, mask)
        codes = self._look_up(tokens)
        losses = {
            "commitment": masked_mean(keras.ops.square(latents - keras.ops.stop_gradient(codes)), mask),
            **self._extra_losses_of(latents, mask),
        }
        if follow:
            weights = keras.ops.ones_like(vectors[:, 0]) if real is None else keras.ops.cast(real, "float32")
            self._follow(vectors, weights, keras.ops.reshape(tokens, (-1,)), candidates)
        return Quantized(self.estimator(codes, latents), tokens, losses)

    def assign_codebook(self, values):
        """Replaces the codebook, and starts the moving averages there: k-means is over.

        Args:
            values: float array (codebook_size, latent_dim).

        Raises:
            ValueError: on another shape, or values that are not finite.
        """
        values = self._checked_codebook(values)
        self.codebook.assign(values)
        self.counts.assign(keras.ops.ones_like(self.counts))
        self.sums.assign(values)
        # K-means would throw away what was assigned.
        self.steps.assign(keras.ops.maximum(self.steps, self.kmeans_steps))

    def _candidates(self, vectors, real=None):
        """One vector of the batch for each code, the same in every replica."""
        offered = spread_rows(vectors, self.codebook_size, self.steps, real)
        if real is not None:
            # A replica that holds nothing but padding offers the codes as they are.
            offered = keras.ops.where(keras.ops.any(real), offered, self.codebook)
        gathered = replica_gather(offered)
        # Code k takes row k of replica k mod replicas. Spreading K of K rows once more would repeat an eighth of them,
        # and of two equal codes the second is never chosen.
        rows = np.arange(self.codebook_size, dtype="int32")
        replicas = keras.ops.shape(gathered)[0] // self.codebook_size
        return keras.ops.take(gathered, rows % replicas * self.codebook_size + rows, axis=0)

    def _start(self, candidates):
        """In the first step of k-means, replaces the initial codebook by vectors of the batch."""
        if self.kmeans_steps == 0:
            return
        first = keras.ops.equal(self.steps, 0)
        self.codebook.assign(keras.ops.where(first, candidates, self.codebook))

    def _follow(self, vectors, weights, tokens, candidates):
        """Moves counts, sums and codebook by one step; padded vectors are 0, and so are their `weights`."""
        batch_counts, batch_sums = replica_sum(
            keras.ops.segment_sum(weights, tokens, self.codebook_size),
            keras.ops.segment_sum(vectors, tokens, self.codebook_size),
        )
        step = keras.ops.cast(self.steps, "float32")
        # During k-means the average runs over all steps so far, afterwards over the last 1 / (1 - decay).
        running = keras.ops.minimum(step / (step + 1.0), self.decay)
        decay = keras.ops.where(self.steps < self.kmeans_steps, running, self.decay)
        counts = decay * self.counts + (1.0 - decay) * batch_counts
        sums = decay * self.sums + (1.0 - decay) * batch_sums
        mean_count = keras.ops.mean(counts)
        dead = keras.ops.expand_dims(counts < self.restart_below * mean_count, -1)
        counts = keras.ops.where(dead[:, 0], mean_count, counts)
        sums = keras.ops.where(dead, mean_count * candidates, sums)
        total = keras.ops.sum(counts)
        smoothed = (counts + self.epsilon) / (total + self.codebook_size * self.epsilon) * total
        # A batch of padding alone is no step.
        moves = keras.ops.sum(batch_counts) > 0.0
        self.counts.assign(keras.ops.where(moves, counts, self.counts))
        self.sums.assign(keras.ops.where(moves, sums, self.sums))
        # A code that no latent has ever chosen has no mean to go to.
        known = keras.ops.logical_and(moves, keras.ops.expand_dims(counts > 0.0, -1))
        self.codebook.assign(keras.ops.where(known, sums / keras.ops.expand_dims(smoothed, -1), self.codebook))
        self.steps.assign_add(keras.ops.cast(moves, "int32"))

    def get_config(self):
        config = super().get_config()
        config["decay"] = self.decay
        config["epsilon"] = self.epsilon
        config["kmeans_steps"] = self.kmeans_steps
        config["restart_below"] = self.restart_below
        return config
