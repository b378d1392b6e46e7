"""Entropies of distributions over binary codes, without a table of the codes.

A softmax over all 2^bits sign vectors of one latent vector is a product of one Bernoulli distribution for each bit.
"""

import keras
import numpy as np

from vqzoo.ops.replicas import replica_sum

# The smallest probability, because log 0 is infinite.
LEAST_PROBABILITY = 1e-20
# Replaces both logits at padded positions, so that the probabilities of 1 and of 0 are both 0 in float32.
PADDED = 1e4


def bit_entropy(logits):
    r"""Entropy of each bit. The sum over the bits is the entropy of the code.

    $$H(x) = -p \log p - (1 - p) \log(1 - p), \quad p = \frac{1}{1 + e^{-x}}$$

    Args:
        logits: float tensor of any shape, x, of the bit being 1.

    Returns:
        float32 tensor of the same shape, in nats.

    Example:
    >>> round(float(bit_entropy(keras.ops.zeros(()))), 4)
    0.6931
    """
    # H is even, and log(1 + e^-x) + x / (1 + e^x) cancels nothing for x >= 0.
    size = keras.ops.abs(keras.ops.cast(logits, "float32"))
    return keras.ops.softplus(-size) + size * keras.ops.sigmoid(-size)


def mean_code_entropy(logits, group_bits, mask=None):
    r"""Entropy of the mean distribution over codes, averaged over all positions of all replicas.

    $$H\left(\mathbb{E}_n\, p_n\right) \le \sum_g H\left(\mathbb{E}_n\, p_{n,g}\right), \qquad
    p_n(b) = \prod_i p_{n,i}(b_i)$$

    The bits are split into groups g of similar size, at most `group_bits`. The result is the sum over the groups. It is
    exact for one group, and an upper bound for several, because it ignores dependencies between groups. Inside a group,
    the mean over the positions is one matrix product of the distributions of its two halves. Memory grows with
    positions × 2^(group_bits / 2), time with positions × 2^group_bits.

    Its gradient is exchanged between replicas. Averaged over them, as in a trainer, it is that of the whole batch.

    Args:
        logits: float tensor (batch, *grid, bits), of the bits being 1.
        group_bits: int, the most bits of one group.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        Scalar float32 in nats, at most bits × log 2.

    Example:
    >>> two_codes = keras.ops.convert_to_tensor([[[9.0, 9.0], [-9.0, -9.0]]])
    >>> [round(float(mean_code_entropy(two_codes, bits) / np.log(2.0)), 2) for bits in (1, 2)]
    [2.0, 1.0]

    Reference:
        Yu et al. 2023, https://arxiv.org/abs/2310.05737, section 3.1 (one group); Zhao et al. 2024,
        https://arxiv.org/abs/2406.07548, section 4.1 and released code (groups).
    """
    bits = logits.shape[-1]
    logits = keras.ops.reshape(keras.ops.cast(logits, "float32"), (-1, bits))
    real = None if mask is None else keras.ops.reshape(keras.ops.cast(mask, "bool"), (-1, 1))
    groups = np.array_split(np.arange(bits), -(-bits // group_bits))
    sums = [_sum_of_codes(logits[:, group[0] : group[-1] + 1], real) for group in groups]
    count = keras.ops.sum(keras.ops.ones_like(logits[:, 0]) if real is None else keras.ops.cast(real, "float32"))
    count, *sums = replica_sum(count, *sums)
    return sum(_entropy(one / keras.ops.maximum(count, 1.0)) for one in sums)


def _sum_of_codes(logits, real):
    """The sum over the positions of the probabilities of all codes of the group, as a matrix."""
    half = logits.shape[1] // 2
    lower, higher = (_codes_of(part, real) for part in (logits[:, :half], logits[:, half:]))
    return keras.ops.matmul(keras.ops.transpose(higher), lower)


def _codes_of(logits, real):
    """Probabilities (n, 2^bits) of all codes; 0 at padded positions."""
    bits = logits.shape[1]
    ones = (np.arange(2**bits) >> np.arange(bits)[:, None] & 1).astype("float32")
    # Sums of negative logarithms, without cancellation.
    opposites = keras.ops.concatenate([-logits, logits], axis=1)
    if real is not None:
        opposites = keras.ops.where(real, opposites, PADDED)
    return keras.ops.exp(keras.ops.matmul(-keras.ops.softplus(opposites), np.concatenate([ones, 1.0 - ones])))


def _entropy(probabilities):
    logs = keras.ops.log(keras.ops.maximum(probabilities, LEAST_PROBABILITY))
    return -keras.ops.sum(probabilities * logs)
