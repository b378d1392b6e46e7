"""Base class of quantizers that count the use of each code, for a start by k-means and restarts of dead codes."""

import keras
import numpy as np

from vqzoo.ops import replica_gather
from vqzoo.ops import replica_sum
from vqzoo.ops import spread_rows
from vqzoo.quantizers.tables.codebook import CodebookQuantizer

# The squared distances of longer vectors overflow float32. As codes they would break those of all other codes.
LONGEST = 1e18


class TrackedCodebookQuantizer(CodebookQuantizer):
    r"""A codebook with optional initialization by k-means and optional restarts of dead codes.

    With n_k the number of latents of a training step, over all replicas, that code k quantizes,

    $$N_k \leftarrow \gamma N_k + (1 - \gamma) n_k$$

    In step i < `kmeans_steps` γ is i / (i + 1), at most `decay`, and each code moves to the mean of its latents so far,
    which is a Lloyd iteration over all batches. A code whose N falls below `restart_below` times the mean is dead and
    is replaced by a vector of the batch. Both choose the same vectors in every replica and need no random state. In
    inference, and if `trainable` is False, the codebook is constant.

    Code k counts the latents to which it is the nearest code. With a `temperature` it counts the latents for which it
    was sampled, except in k-means. Latents that are padded or not finite are ignored.

    Args:
        codebook_size: int, number of codes K.
        initializer: Keras initializer of the codebook, used if `kmeans_steps` is 0.
        decay: float in (0, 1), γ, the decay of the moving averages per step.
        kmeans_steps: int, number of k-means steps; 0 starts from `initializer`.
        restart_below: float, the fraction of the mean count below which a code restarts; 0 never restarts.
        **kwargs: as in `CodebookQuantizer`.

    Raises:
        ValueError: if an argument is out of its range, or the last axis of the input is unknown.
    """

    def __init__(self, codebook_size, initializer, decay, kmeans_steps, restart_below, **kwargs):
        super().__init__(codebook_size, initializer, **kwargs)
        if not 0.0 < decay < 1.0:
            raise ValueError(f"`decay` must be in (0, 1). Received: decay={decay}. 0.99 averages about 100 steps.")
        if kmeans_steps < 0:
            raise ValueError(f"`kmeans_steps` must be 0 or more. Received: kmeans_steps={kmeans_steps}")
        if not 0.0 <= restart_below < 1.0:
            raise ValueError(
                "`restart_below` must be a fraction of the mean count, in [0, 1). Received: "
                f"restart_below={restart_below}"
            )
        self.decay = decay
        self.kmeans_steps = kmeans_steps
        self.restart_below = restart_below

    def build(self, input_shape):
        self.codebook = self._make_codebook(input_shape, trainable=True)
        self._add_state()

    def call(self, latents, training=False, mask=None):
        latents = self._compared(self.check_latents(latents, self.latent_dim, mask))
        follow = training and self.trainable and self._tracks
        if follow:
            vectors = keras.ops.stop_gradient(keras.ops.reshape(latents, (-1, self.latent_dim)))
            counted = self._countable(vectors)
            if mask is not None:
                counted = keras.ops.logical_and(counted, keras.ops.cast(keras.ops.reshape(mask, (-1,)), "bool"))
            candidates = self._candidates(vectors, counted)
            self._start(candidates)
        quantized = self._quantized(latents, training, mask)
        if follow:
            tokens = self._followed_tokens(vectors, keras.ops.reshape(quantized.tokens, (-1,)))
            self._follow(vectors, counted, tokens, candidates)
        return quantized

    def assign_codebook(self, values):
        """Replaces the codebook, resets the statistics of its codes, and ends k-means.

        Args:
            values: float array (codebook_size, latent_dim).

        Raises:
            ValueError: if the shape is wrong, or values are not finite.
        """
        super().assign_codebook(values)
        self._restart_state()

    @property
    def _tracks(self):
        """Whether the counts are used."""
        return self.kmeans_steps > 0 or self.restart_below > 0.0

    @property
    def _table(self):
        """The variable (codebook_size, latent_dim) that k-means and restarts update."""
        return self.codebook

    def _add_state(self):
        if self._tracks:
            self.counts = self._add_statistic("counts", (self.codebook_size,), "ones")
            self.steps = self._add_statistic("steps", (), "zeros", "int32")

    def _add_statistic(self, name, shape, initializer, dtype="float32"):
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            dtype=dtype,
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )

    def _restart_state(self):
        """Resets the statistics, and ends k-means, which would overwrite an assigned codebook."""
        if self._tracks:
            self.counts.assign(keras.ops.ones_like(self.counts))
            self.steps.assign(keras.ops.maximum(self.steps, self.kmeans_steps))

    def _countable(self, vectors):
        """Which of the vectors (n, latent_dim) may update a code, bool (n,).

        In a graph this is the only check for NaN, and one NaN in the codebook would make all later distances NaN.
        """
        return keras.ops.sum(keras.ops.square(vectors), axis=-1) < LONGEST**2

    def _candidates(self, vectors, counted):
        """One vector of the batch for each code, the same in every replica."""
        offered = spread_rows(vectors, self.codebook_size, self.steps, counted)
        # A replica without real vectors uses the current codes.
        offered = keras.ops.where(keras.ops.any(counted), offered, self._table)
        gathered = replica_gather(offered)
        # Code k uses row k of replica k mod replicas. Spreading K of K rows again would repeat an eighth of them, and
        # the second of two equal codes is never chosen.
        rows = np.arange(self.codebook_size, dtype="int32")
        replicas = keras.ops.shape(gathered)[0] // self.codebook_size
        return keras.ops.take(gathered, rows % replicas * self.codebook_size + rows, axis=0)

    def _start(self, candidates):
        """Replaces the initial codebook by vectors of the batch in the first step of k-means."""
        if self.kmeans_steps > 0:
            first = keras.ops.equal(self.steps, 0)
            self._table.assign(keras.ops.where(first, candidates, self._table))

    def _followed_tokens(self, vectors, tokens):
        """The tokens to count: those of the result, but in k-means always the nearest codes."""
        if not self.temperature or not self.kmeans_steps:
            return tokens
        return keras.ops.cond(self.steps < self.kmeans_steps, lambda: self._nearest(vectors), lambda: tokens)

    def _follow(self, vectors, counted, tokens, candidates):
        """Updates counts and codebook by one step, from the vectors that are `counted`."""
        # The others are assigned to an additional code, which is dropped. Multiplied by 0, a NaN would remain.
        tokens = keras.ops.where(counted, tokens, self.codebook_size)
        batch_counts, batch_sums = replica_sum(
            keras.ops.segment_sum(keras.ops.cast(counted, "float32"), tokens, self.codebook_size + 1)[:-1],
            keras.ops.segment_sum(vectors, tokens, self.codebook_size + 1)[:-1],
        )
        step = keras.ops.cast(self.steps, "float32")
        # During k-means the average covers all steps so far, afterwards about the last 1 / (1 - decay).
        running = keras.ops.minimum(step / (step + 1.0), self.decay)
        decay = keras.ops.where(self.steps < self.kmeans_steps, running, self.decay)
        counts = decay * self.counts + (1.0 - decay) * batch_counts
        mean_count = keras.ops.mean(counts)
        dead = counts < self.restart_below * mean_count
        counts = keras.ops.where(dead, mean_count, counts)
        # A batch without counted vectors is not a step.
        moves = keras.ops.sum(batch_counts) > 0.0
        self._move(decay, batch_sums, counts, keras.ops.expand_dims(dead, -1), candidates, moves)
        self.counts.assign(keras.ops.where(moves, counts, self.counts))
        self.steps.assign_add(keras.ops.cast(moves, "int32"))

    def _move(self, decay, batch_sums, counts, dead, candidates, moves):
        """Updates the table: codes to their means during k-means, and dead codes to their candidates.

        Args:
            decay: float scalar, γ of this step.
            batch_sums: float32 (codebook_size, latent_dim), sums of this step's latents.
            counts: float32 (codebook_size,), the new N; `self.counts` is still the old one.
            dead: bool (codebook_size, 1).
            candidates: float32 (codebook_size, latent_dim).
            moves: bool scalar, False if no latent counted.
        """
        table = keras.ops.convert_to_tensor(self._table)
        if self.kmeans_steps > 0:
            # Until this step, a code was the mean of all its latents.
            sums = decay * keras.ops.expand_dims(self.counts, -1) * table + (1.0 - decay) * batch_sums
            chosen = keras.ops.expand_dims(keras.ops.logical_and(self.steps < self.kmeans_steps, counts > 0.0), -1)
            counts = keras.ops.expand_dims(keras.ops.where(counts > 0.0, counts, 1.0), -1)
            table = keras.ops.where(chosen, sums / counts, table)
        table = keras.ops.where(dead, candidates, table)
        self._table.assign(keras.ops.where(moves, table, self._table))

    def get_config(self):
        config = super().get_config()
        config["decay"] = self.decay
        config["kmeans_steps"] = self.kmeans_steps
        config["restart_below"] = self.restart_below
        return config
