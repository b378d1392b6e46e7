"""Codebook usage."""

import keras
import numpy as np
from keras import ops

from vqzoo.ops import replica_sum


@keras.saving.register_keras_serializable(package="vqzoo")
class CodebookUsage(keras.metrics.Metric):
    """Counts how often each code is used, and reports usage, perplexity and dead codes since the last reset.

    With the frequencies `p_k = counts_k / sum(counts)` of a codebook, its perplexity is
    `exp(-sum_k p_k log p_k)`. It is the number of equally frequent codes that would carry the same information.

    Args:
        codebook_sizes: tuple of ints, the number of codes of each codebook.
        name: str, the metric's name.

    Call arguments:
        tokens: int tensor (batch, *grid, num_codebooks). A token outside its codebook is not counted.
        mask: bool tensor (batch, *grid), True where a position is not padding. Defaults to all.

    Returns:
        A dict of float32 scalars: `usage`, the fraction of the codes that were used, and `perplexity`, both averaged
        over the codebooks, and `dead_codes`, the number of codes never used, summed over the codebooks. Before the
        first token they are 0, 1 and the number of all codes.

    Raises:
        ValueError: a codebook size is not positive, the tokens are not integers, or the tokens have a different
            number of codebooks.

    Example:
    >>> import numpy as np
    >>> metric = CodebookUsage(codebook_sizes=(4,))
    >>> metric.update_state(np.array([[[0], [0], [3], [3]]], "int32"))
    >>> {name: round(float(value), 4) for name, value in metric.result().items()}
    {'usage': 0.5, 'perplexity': 2.0, 'dead_codes': 2.0}
    """

    def __init__(self, codebook_sizes, name="codebook"):
        super().__init__(name=name)
        self.codebook_sizes = tuple(int(size) for size in codebook_sizes)
        if not self.codebook_sizes or min(self.codebook_sizes) < 1:
            raise ValueError(
                "`codebook_sizes` must hold one positive int per codebook, for instance (1024,). "
                f"Received: codebook_sizes={codebook_sizes}"
            )
        # The codebooks are concatenated in one vector. It is int64, because a float32 count stops growing at 2^24
        # (65,536 images of 256 tokens on one code), an int32 count overflows at 2^31 (8 million images), and a
        # precision policy does not change integers. Every replica holds the counts of all replicas, because Keras
        # averages the values that replicas report.
        self.counts = self.add_variable(
            shape=(sum(self.codebook_sizes),),
            initializer="zeros",
            dtype="int64",
            aggregation="only_first_replica",
            name="counts",
        )

    def update_state(self, tokens, mask=None):
        """Adds the tokens to the counts.

        Args:
            tokens: int tensor (batch, *grid, num_codebooks).
            mask: bool tensor (batch, *grid), True where a position is not padding. Padding has token 0, and would
                otherwise count as that code. Defaults to all.
        """
        tokens = ops.convert_to_tensor(tokens)
        dtype = keras.backend.standardize_dtype(tokens.dtype)
        if "int" not in dtype:
            raise ValueError(f"Tokens must be integers, as `encode` returns them. Received: dtype={dtype}")
        if tuple(tokens.shape)[-1:] != (len(self.codebook_sizes),):
            raise ValueError(
                "The last axis of the tokens must be the number of codebooks, "
                f"{len(self.codebook_sizes)} for codebook_sizes={self.codebook_sizes}. "
                f"Received: tokens of shape {tuple(tokens.shape)}"
            )
        sizes = np.array(self.codebook_sizes, "int64")
        total = int(sizes.sum())
        # On a GPU, TensorFlow computes int32 on the host and int64 on the device. Only the segment sum has a GPU
        # kernel for int32 and none for int64.
        tokens = ops.cast(tokens, "int64")
        # Without a separate bin, a token outside its codebook would count for the adjacent codebook.
        inside = ops.logical_and(tokens >= 0, tokens < sizes)
        if mask is not None:
            inside = ops.logical_and(inside, ops.expand_dims(ops.cast(mask, "bool"), -1))
        bins = ops.reshape(ops.where(inside, tokens + (np.cumsum(sizes) - sizes), total), (-1,))
        (counts,) = replica_sum(ops.segment_sum(ops.ones_like(bins, dtype="int32"), bins, num_segments=total + 1))
        self.counts.assign_add(ops.cast(counts, "int64")[:total])

    def result(self):
        """The dict described in the class docstring."""
        statistics = [_statistics(counts) for counts in self._split(ops.convert_to_tensor(self.counts))]
        usage, perplexity, dead_codes = (ops.stack(values) for values in zip(*statistics, strict=True))
        return {
            "usage": ops.mean(usage),
            "perplexity": ops.mean(perplexity),
            "dead_codes": ops.sum(dead_codes),
        }

    def counts_per_codebook(self):
        """Counts of each code, for `codebook_statistics` or a histogram.

        Returns:
            A list with one int64 array (codebook_size,) per codebook.
        """
        return self._split(ops.convert_to_numpy(self.counts))

    def _split(self, counts):
        ends = np.cumsum(self.codebook_sizes)
        return [counts[end - size : end] for size, end in zip(self.codebook_sizes, ends, strict=True)]

    def get_config(self):
        """The constructor's arguments."""
        return {"codebook_sizes": self.codebook_sizes, "name": self.name}


def codebook_statistics(counts):
    """Usage, perplexity and dead codes of one codebook, computed from the counts of its codes in numpy.

    Args:
        counts: array (codebook_size,), how often each code was used.

    Returns:
        A dict: `usage` (float, the fraction of the codes used), `perplexity` (float, see `CodebookUsage`) and
        `dead_codes` (int, the number never used).

    Raises:
        ValueError: the counts do not have exactly one axis, or are negative.

    Example:
    >>> codebook_statistics([5, 5, 0, 0])
    {'usage': 0.5, 'perplexity': 2.0, 'dead_codes': 2}
    """
    counts = np.asarray(counts, "float64")
    if counts.ndim != 1 or not counts.size or counts.min() < 0:
        raise ValueError(
            "`counts` must be one codebook's counts, an array (codebook_size,) of numbers >= 0. "
            f"Received: shape {counts.shape}, counts={counts}"
        )
    used = counts[counts > 0]
    frequencies = used / used.sum()
    perplexity = np.exp(-np.sum(frequencies * np.log(frequencies)))
    return {
        "usage": used.size / counts.size,
        "perplexity": float(perplexity),
        "dead_codes": counts.size - used.size,
    }


def _statistics(counts):
    """`codebook_statistics` in a graph: three float32 scalars from int64 counts (codebook_size,)."""
    used = ops.cast(counts > 0, "float32")
    frequencies = ops.cast(counts, "float32") / ops.cast(ops.maximum(ops.sum(counts), 1), "float32")
    # log(1) = 0 replaces log(0) where the frequency is 0, because 0 log 0 would be NaN.
    entropy = -ops.sum(frequencies * ops.log(ops.where(counts > 0, frequencies, 1.0)))
    return ops.mean(used), ops.exp(entropy), ops.sum(1.0 - used)
