"""Losses of a codebook, for the `extra_losses` of any quantizer with a codebook."""

import keras

from vqzoo.ops import l2_normalize
from vqzoo.ops import replica_sum


@keras.saving.register_keras_serializable(package="vqzoo")
def orthogonality_loss(codebook, vectors, weights):
    r"""Mean squared cosine between different codes, which pushes their directions apart.

    $$L = \frac{1}{K^2} \sum_{i,j} (\hat c_i \cdot \hat c_j)^2 - \frac{1}{K}
    = \frac{1}{K^2} \lVert \hat C^\top \hat C \rVert_F^2 - \frac{1}{K}$$

    The second form does not need the K × K similarities, which take 1 GB for 16,384 codes.

    Args:
        codebook: float tensor (codebook_size, latent_dim).
        vectors: float tensor (n, latent_dim), not used.
        weights: float tensor (n,), not used.

    Returns:
        Scalar float32, 0 if all codes are orthogonal. It has an effect only on a codebook that is trained by gradients.

    Example:
    >>> float(orthogonality_loss(keras.ops.eye(3), None, None))
    0.0

    Reference:
        Shin et al. 2021, https://arxiv.org/abs/2112.00384, the loss on the codebook.
    """
    size = codebook.shape[0]
    directions = l2_normalize(codebook)
    products = keras.ops.matmul(keras.ops.transpose(directions), directions)
    return keras.ops.sum(keras.ops.square(products)) / size**2 - 1.0 / size


@keras.saving.register_keras_serializable(package="vqzoo")
def entropy_loss(codebook, vectors, weights):
    r"""Makes each choice certain and the use of all codes even.

    $$L = \mathbb{E}_n\, H(p_n) - H(\mathbb{E}_n\, p_n), \qquad
    p_n = \operatorname{softmax}_k\left(-\lVert v_n - c_k \rVert^2 / 0.01\right)$$

    with H the entropy in nats. The mean in the second term is over all replicas. Memory: all n × codebook_size
    probabilities.

    Args:
        codebook: float tensor (codebook_size, latent_dim).
        vectors: float tensor (n, latent_dim).
        weights: float tensor (n,), 0 for vectors that do not count.

    Returns:
        Scalar float32, at least -log(codebook_size).

    Example:
    >>> codes = keras.ops.eye(2)
    >>> round(float(entropy_loss(codes, codes, keras.ops.ones((2,)))), 4)
    -0.6931

    Reference:
        Chang et al. 2022, https://arxiv.org/abs/2202.04200, released code; Yu et al. 2023,
        https://arxiv.org/abs/2310.05737, equation 4.
    """
    # |v|^2 is the same for every code and cancels in the softmax.
    squares = keras.ops.sum(keras.ops.square(codebook), axis=1)
    return _entropy((2.0 * keras.ops.matmul(vectors, keras.ops.transpose(codebook)) - squares) / 0.01, weights)


@keras.saving.register_keras_serializable(package="vqzoo")
def similarity_entropy_loss(codebook, vectors, weights):
    r"""The entropy loss for quantizers by the largest dot product, such as `IndexPropagationQuantizer`.

    $$L = \mathbb{E}_n\, H(p_n) - H(\mathbb{E}_n\, p_n), \qquad p_n = \operatorname{softmax}_k(v_n \cdot c_k / 0.01)$$

    with H the entropy in nats. The mean in the second term is over all replicas. Memory: all n × codebook_size
    probabilities.

    Args:
        codebook: float tensor (codebook_size, latent_dim).
        vectors: float tensor (n, latent_dim).
        weights: float tensor (n,), 0 for vectors that do not count.

    Returns:
        Scalar float32, at least -log(codebook_size).

    Example:
    >>> codes = keras.ops.eye(2)
    >>> round(float(similarity_entropy_loss(codes, codes, keras.ops.ones((2,)))), 4)
    -0.6931

    Reference:
        Shi et al. 2024, https://arxiv.org/abs/2412.02692, section 3, and the released code.
    """
    return _entropy(keras.ops.matmul(vectors, keras.ops.transpose(codebook)) / 0.01, weights)


def _entropy(logits, weights):
    """Mean entropy of the rows' probabilities minus the entropy of their mean."""
    logs = keras.ops.log_softmax(logits, axis=-1)
    count = keras.ops.sum(weights)
    each = -keras.ops.sum(weights * keras.ops.sum(keras.ops.exp(logs) * logs, axis=-1)) / keras.ops.maximum(count, 1.0)
    together = keras.ops.sum(keras.ops.expand_dims(weights, -1) * keras.ops.exp(logs), axis=0)
    # As in `mean_code_entropy`. Averaged over the replicas, the gradient is that of the whole batch.
    together, count = replica_sum(together, count)
    together = together / keras.ops.maximum(count, 1.0)
    return each + keras.ops.sum(together * keras.ops.log(together + 1e-12))
