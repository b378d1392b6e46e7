"""Base class of tokenizer trainers: named losses and codebook metrics."""

import keras
import tensorflow as tf

from vqzoo.metrics import CodebookUsage
from vqzoo.trainers.base import BaseTrainer


class Trainer(BaseTrainer):
    """Fits a tokenizer. A subclass implements `train_step`, which shares `losses_on` with `test_step`.

    Args:
        tokenizer: `Tokenizer` to fit.
        signal_losses: dict name -> callable (signal, reconstruction) -> scalar or one value per example.
        loss_weights: dict with a float for each name in `loss_names`. A loss of weight 0 is only reported.
        average_decay: float in [0, 1), decay of the moving average of the tokenizer's weights; 0 disables it. It grows
            as (1 + step) / (10 + step) until it reaches this value. Defaults to 0.999.

    Raises:
        ValueError: if `loss_weights` does not name exactly the losses, or `average_decay` is out of range.
    """

    losses_hint = "Use `signal_losses={'name': function}` and `loss_weights`."

    def __init__(self, tokenizer, signal_losses, loss_weights, average_decay=0.999, **kwargs):
        super().__init__(**kwargs)
        self.tokenizer = tokenizer
        self.signal_losses = dict(signal_losses)
        self.set_up(loss_weights, average_decay)
        self.usage = CodebookUsage(tokenizer.codebook_sizes, name="codebook")

    @property
    def fitted(self):
        """The tokenizer."""
        return self.tokenizer

    def check_batch(self, batch):
        """Raises ValueError if the tokenizer does not accept a batch."""
        self.tokenizer.checked_signal(batch)

    def call(self, signal, training=False):
        return self.tokenizer(signal, training=training).signal

    @property
    def optimizers(self):
        """Dict name -> `keras.optimizers.Optimizer` of a compiled trainer."""
        return {"tokenizer": self.optimizer}

    # === Losses ===
    @property
    def loss_names(self):
        """Tuple of the names of all losses, in the order of the report."""
        return (*self.signal_losses, *self.tokenizer.quantizer.loss_names)

    def losses_on(self, signal, training, on_reconstruction=None):
        """Computes every loss on a batch.

        Args:
            signal: tensor (batch, *size, channels), or another input of the tokenizer.
            training: bool.
            on_reconstruction: callable, called with the `Reconstruction` before losses are computed on it, such as to
                watch it for gradients. Defaults to none.

        Returns:
            Dict name -> scalar float32, unweighted, with the names in `loss_names` except those that this step does
            not compute, such as a discriminator's before its start; and the `Reconstruction`.
        """
        result = self.tokenizer(signal, training=training)
        if on_reconstruction is not None:
            on_reconstruction(result)
        return self._losses_of(signal, result, training), result

    def _losses_of(self, signal, result, training):
        """The losses of a `Reconstruction` of `signal`. A subclass adds its own."""
        losses = {name: tf.reduce_mean(loss(signal, result.signal)) for name, loss in self.signal_losses.items()}
        return {**losses, **result.losses}

    def signal_of(self, data):
        """The signal of a batch. Builds the trainer if necessary, as Keras does at the first batch.

        Args:
            data: an element of a dataset, which is the signal or a tuple that starts with it.

        Returns:
            The input of the tokenizer: float32 (batch, *size, channels), or int32 ids of pieces.

        Raises:
            ValueError: if the shape or the dtype does not match the tokenizer.
        """
        signal, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        signal = self.tokenizer.checked_signal(signal)
        if not self.built:
            with tf.init_scope():
                self.build((None, *signal.shape[1:]))
        return signal

    def test_step(self, data):
        signal = self.signal_of(data)
        losses, result = self.losses_on(signal, training=False)
        return self._report(losses, result.tokens, self.tokenizer.real_positions(signal))

    @property
    def metrics(self):
        return [*self.means.values(), self.usage]

    def _report(self, losses, tokens, real=None):
        # Only signal and quantizer losses, which are comparable before and after the start of a discriminator.
        plain = (*self.signal_losses, *self.tokenizer.quantizer.loss_names)
        reported = {**losses, "loss": self.weighted({name: losses[name] for name in plain})}
        for name, value in reported.items():
            self.means[name].update_state(value)
        self.usage.update_state(tokens, real)
        return self.get_metrics_result()

    # === Config ===
    def get_config(self):
        config = super().get_config()
        config["tokenizer"] = keras.saving.serialize_keras_object(self.tokenizer)
        config["signal_losses"] = {
            name: keras.saving.serialize_keras_object(loss) for name, loss in self.signal_losses.items()
        }
        config["loss_weights"] = dict(self.loss_weights)
        config["average_decay"] = self.average_decay
        return config

    @classmethod
    def from_config(cls, config):
        return cls(**{name: keras.saving.deserialize_keras_object(value) for name, value in config.items()})
