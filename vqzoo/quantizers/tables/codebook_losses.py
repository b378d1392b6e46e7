"""Losses on a codebook that any quantizer with one may take as `extra_losses`."""

import keras
import numpy as np

from vqzoo.ops import l2_normalize

# The similarities of 4,096 codes are 64 MB; of a larger codebook as many codes are compared, evenly spread.
MOST_CODES = 4096


@keras.saving.register_keras_serializable(package="vqzoo")
def orthogonality_loss(codebook, vectors, weights):
    r"""Pushes the directions of different codes apart: mean squared cosine between them.

    $$L = \frac{1}{K^2} \sum_{i,j} (\hat c_i \cdot \hat c_j)^2 - \frac{1}{K}$$

    Args:
        codebook: float tensor (codebook_size, latent_dim). Of more than 4,096 codes, 4,096 evenly spread ones count.
        vectors: float tensor (n, latent_dim), not used.
        weights: float tensor (n,), not used.

    Returns:
        Scalar float32, 0 where all codes are orthogonal. It moves only a codebook that is learnt by gradients.

    Example:
    >>> float(orthogonality_loss(keras.ops.eye(3), None, None))
    0.0

    Reference:
        Shin et al. 2021, https://arxiv.org/abs/2112.00384, the loss on the codebook.
    """
    size = codebook.shape[0]
    if size > MOST_CODES:
        codebook = keras.ops.take(codebook, np.linspace(0, size - 1, MOST_CODES).astype("int32"), axis=0)
        size = MOST_CODES
    directions = l2_normalize(codebook)
    similarities = keras.ops.matmul(directions, keras.ops.transpose(directions))
    return keras.ops.sum(keras.ops.square(similarities)) / size**2 - 1.0 / size


@keras.saving.register_keras_serializable(package="vqzoo")
def entropy_loss(codebook, vectors, weights):
    r"""Makes each choice certain and all choices together even.

    $$L = \mathbb{E}_n\, H(p_n) - H(\mathbb{E}_n\, p_n), \qquad
    p_n = \operatorname{softmax}_k\left(-\lVert v_n - c_k \rVert^2 / 0.01\right)$$

    with H the entropy in nats. All n × codebook_size probabilities are held at once.

    Args:
        codebook: float tensor (codebook_size, latent_dim).
        vectors: float tensor (n, latent_dim).
        weights: float tensor (n,), 0 where a vector does not count.

    Returns:
        Scalar float32, at the least -log(codebook_size).

    Example:
    >>> codes = keras.ops.eye(2)
    >>> round(float(entropy_loss(codes, codes, keras.ops.ones((2,)))), 4)
    -0.6931

    Reference:
        Chang et al. 2022, https://arxiv.org/abs/2202.04200, released code; Yu et al. 2023,
        https://arxiv.org/abs/2310.05737, equation 4.
    """
    # |v|^2 is the same for every code and softmax does not see it.
    squares = keras.ops.sum(keras.ops.square(codebook), axis=1)
    return _entropy((2.0 * keras.ops.matmul(vectors, keras.ops.transpose(codebook)) - squares) / 0.01, weights)


@keras.saving.register_keras_serializable(package="vqzoo")
def similarity_entropy_loss(codebook, vectors, weights):
    r"""The entropy loss of quantizers that take the largest dot product, such as `IndexPropagationQuantizer`.

    $$L = \mathbb{E}_n\, H(p_n) - H(\mathbb{E}_n\, p_n), \qquad p_n = \operatorname{softmax}_k(v_n \cdot c_k / 0.01)$$

    with H the entropy in nats. All n × codebook_size probabilities are held at once.

    Args:
        codebook: float tensor (codebook_size, latent_dim).
        vectors: float tensor (n, latent_dim).
        weights: float tensor (n,), 0 where a vector does not count.

    Returns:
        Scalar float32, at the least -log(codebook_size).

    Example:
    >>> codes = keras.ops.eye(2)
    >>> round(float(similarity_entropy_loss(codes, codes, keras.ops.ones((2,)))), 4)
    -0.6931

    Reference:
        Shi et al. 2024, https://arxiv.org/abs/2412.02692, section 3, and the released code.
    """
    return _entropy(keras.ops.matmul(vectors, keras.ops.transpose(codebook)) / 0.01, weights)


def _entropy(logits, weights):
    """Mean entropy of the rows' probabilities less the entropy of their mean."""
    logs = keras.ops.log_softmax(logits, axis=-1)
    shares = weights / keras.ops.maximum(keras.ops.sum(weights), 1.0)
    each = -keras.ops.sum(shares * keras.ops.sum(keras.ops.exp(logs) * logs, axis=-1))
    together = keras.ops.sum(keras.ops.expand_dims(shares, -1) * keras.ops.exp(logs), axis=0)
    return each + keras.ops.sum(together * keras.ops.log(together + 1e-12))
