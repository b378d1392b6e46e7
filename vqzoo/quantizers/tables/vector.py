"""Vector quantization by gradients, with a codebook loss and a commitment loss."""

import keras

from vqzoo.quantizers.tables.tracked import TrackedCodebookQuantizer


@keras.saving.register_keras_serializable(package="vqzoo")
class VectorQuantizer(TrackedCodebookQuantizer):
    r"""Finds the nearest code, in a codebook that is trained by gradient descent.

    $$e = c_t, \quad t = \arg\min_k \lVert z - c_k \rVert, \qquad
    L_\text{codebook} = \operatorname{mean}\,(\operatorname{sg}[z] - e)^2, \quad
    L_\text{commitment} = \operatorname{mean}\,(z - \operatorname{sg}[e])^2$$

    with z the latents, c the codebook, e the quantized latents and sg the stop-gradient. The codebook loss moves the
    codes to the latents, and the commitment loss moves the latents to the codes. The paper weights them by 1 and 0.25.
    Codes that are never chosen are not trained. `kmeans_steps` and `restart_below`, which are not in the paper, bring
    them into use: `VectorQuantizer(1024, kmeans_steps=10, restart_below=0.05)`.

    Args:
        codebook_size: int, number of codes.
        initializer: Keras initializer of the codebook, used if `kmeans_steps` is 0. Defaults to uniform in
            [-1/codebook_size, 1/codebook_size].
        decay: float in (0, 1), decay per step of the average counts of the codes, for the next two arguments. Defaults
            to 0.99.
        kmeans_steps: int, number of training steps that also apply k-means. Defaults to 0, which starts from
            `initializer`.
        restart_below: float, the fraction of the mean count below which a code restarts from a vector of the batch.
            Defaults to 0, which never restarts.
        **kwargs: `estimator`, callable (codes, latents) -> codes with a gradient in the latents, by default
            `vqzoo.ops.straight_through`; `vqzoo.ops.rotation_trick` is another. `temperature`, float, in squared
            distance: above 0, training samples each token with the probabilities softmax(-distance² / temperature)
            instead of using the nearest code. `extra_losses`, dict name -> callable (codebook, vectors, weights) ->
            scalar, with the codebook, the latents (n, latent_dim) and a float (n,) that is 0 where a position is
            padded, such as `vqzoo.quantizers.entropy_loss`. `seed`, int, seed of the sampled tokens.

    Call arguments:
        latents: float tensor, shape (batch, *grid, latent_dim).
        training: bool, whether tokens are sampled with `temperature`, and k-means and restarts are applied. Defaults to
            False.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)`: float32 (batch, *grid, latent_dim), int32 (batch, *grid, 1), and the
        losses `codebook`, `commitment` and those of `extra_losses`.

    Raises:
        ValueError: if an argument is out of its range, or the last axis of the input is unknown.

    Example:
    >>> import numpy as np
    >>> quantizer = VectorQuantizer(2, initializer=keras.initializers.Identity())
    >>> quantized = quantizer(np.array([[[0.9, 0.2], [0.0, 0.7]]]))
    >>> np.asarray(quantized.tokens)[0, :, 0], np.asarray(quantized.latents)[0]
    (array([0, 1], dtype=int32), array([[1., 0.],
           [0., 1.]], dtype=float32))

    Reference:
        van den Oord, Vinyals, Kavukcuoglu 2017, https://arxiv.org/abs/1711.00937, equations 1 to 3.
    """

    def __init__(self, codebook_size, initializer=None, decay=0.99, kmeans_steps=0, restart_below=0.0, **kwargs):
        super().__init__(codebook_size, initializer, decay, kmeans_steps, restart_below, **kwargs)
