"""Trains a tokenizer to reconstruct its input, as in VQ-VAE."""

import keras
import tensorflow as tf

from vqzoo.trainers.trainer import Trainer


@keras.saving.register_keras_serializable(package="vqzoo")
class ReconstructionTrainer(Trainer):
    """Trains a tokenizer on the weighted sum of reconstruction and quantizer losses.

    Args:
        tokenizer: `Tokenizer` to fit.
        signal_losses: dict name -> callable (signal, reconstruction) -> scalar or one value per example.
        loss_weights: dict with a float for each signal loss and each quantizer loss. A loss of weight 0 is only
            reported.
        average_decay: float in [0, 1), decay of the moving average of the tokenizer's weights; 0 disables it. Defaults
            to 0.999.

    Raises:
        ValueError: if `loss_weights` does not name exactly the losses, or `average_decay` is out of range.

    Example:
    >>> import vqzoo
    >>> tokenizer = vqzoo.image_vqvae(filters=8, latent_dim=4)
    >>> weights = {"l2": 1.0, "commitment": 0.25}
    >>> trainer = ReconstructionTrainer(tokenizer, {"l2": vqzoo.losses.l2_loss}, weights)
    >>> trainer.build((None, 16, 16, 3))
    >>> trainer.compile(keras.optimizers.Adam(1e-3))
    >>> history = trainer.fit(keras.random.uniform((8, 16, 16, 3)), batch_size=4, verbose=0)
    >>> sorted(history.history)
    ['commitment', 'dead_codes', 'l2', 'loss', 'perplexity', 'usage']
    """

    def train_step(self, data):
        return self._reconstruction_step(self.signal_of(data))

    def _reconstruction_step(self, signal):
        with tf.GradientTape() as tape:
            losses, result = self.losses_on(signal, training=True)
            total = self.weighted(losses) * self._scale(self.optimizer)
        variables = self.tokenizer.trainable_variables
        self._apply(self.optimizer, tape.gradient(total, variables), variables)
        self._step_average()
        return self._report(losses, result.tokens, self.tokenizer.real_positions(signal))
