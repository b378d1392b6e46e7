"""Cross-entropy of the pieces of a text."""

import keras

from vqzoo.ops import mask_until


@keras.saving.register_keras_serializable(package="vqzoo")
class PieceCrossEntropy:
    r"""Mean cross-entropy of the pieces of a text, including the end-of-sequence token. Padding does not count.

    $$d(y, \ell) = \frac1n \sum_{t=1}^n \Big( (1 - \epsilon) (-\log p_t(y_t))
    + \frac{\epsilon}{V} \sum_{v=1}^V (-\log p_t(v)) \Big), \qquad p_t = \operatorname{softmax}(\ell_t)$$

    with y the ids, ℓ the logits of V pieces, and n the position of the first end-of-sequence token, or the length if
    there is none. The unit is nats. Equal logits have a loss of log V.

    Args:
        end: int, the id of the end-of-sequence token, `pieces.end`.
        label_smoothing: float in [0, 1), ε, the fraction of the target spread over all pieces. Defaults to 0.0.

    Call arguments:
        signal: int tensor y, shape (batch, length).
        reconstruction: float tensor ℓ, shape (batch, length, pieces).

    Returns:
        float32 tensor (batch,).

    Raises:
        ValueError: if an argument is out of range, or the shape of the logits does not match that of the ids.

    Example:
    >>> ids = np.array([[1, 2, 2, 2]])  # 2 is the end-of-sequence token; the rest is padding
    >>> logits = np.log([[[0.1, 0.8, 0.1], [0.2, 0.6, 0.2], [1e-9, 1.0, 1e-9], [1e-9, 1.0, 1e-9]]])
    >>> round(float(PieceCrossEntropy(end=2)(ids, logits)[0]), 4)  # (-ln 0.8 - ln 0.2) / 2
    0.9163

    Reference:
        Szegedy et al. 2016, https://arxiv.org/abs/1512.00567, section 7 (label smoothing)
    """

    def __init__(self, end, label_smoothing=0.0):
        if not isinstance(end, int) or end < 0:
            raise ValueError(f"`end` must be the id of the end-of-sequence token, `pieces.end`. Received: {end=}")
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(f"`label_smoothing` must be in [0, 1). Received: {label_smoothing=}")
        self.end = end
        self.label_smoothing = label_smoothing

    def __call__(self, signal, reconstruction):
        if len(reconstruction.shape) != 3 or len(signal.shape) != 2:
            raise ValueError(
                "Ids must have the shape (batch, length), logits (batch, length, pieces). Received: ids "
                f"{tuple(signal.shape)}, logits {tuple(reconstruction.shape)}"
            )
        logits = keras.ops.cast(reconstruction, "float32")
        losses = keras.ops.sparse_categorical_crossentropy(signal, logits, from_logits=True)
        if self.label_smoothing:
            spread = keras.ops.logsumexp(logits, axis=-1) - keras.ops.mean(logits, axis=-1)
            losses = (1.0 - self.label_smoothing) * losses + self.label_smoothing * spread
        real = mask_until(signal, self.end)
        # `where` instead of a product, which would propagate NaN from a padded position.
        total = keras.ops.sum(keras.ops.where(real, losses, 0.0), axis=1)
        return total / keras.ops.sum(keras.ops.cast(real, "float32"), axis=1)

    def get_config(self):
        """The constructor's arguments."""
        return {"end": self.end, "label_smoothing": self.label_smoothing}

    @classmethod
    def from_config(cls, config):
        """Inverse of `get_config`."""
        return cls(**config)
