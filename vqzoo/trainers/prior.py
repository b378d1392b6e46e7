"""Trains a prior on tokens from shards, or on signals that a tokenizer encodes on the fly."""

import keras
import tensorflow as tf

from vqzoo.metrics import TokenEntropy
from vqzoo.ops import replica_sum
from vqzoo.trainers.base import BaseTrainer

LOSSES = ("cross_entropy", "uniform")


@keras.saving.register_keras_serializable(package="vqzoo")
class PriorTrainer(BaseTrainer):
    r"""Trains a prior on the cross-entropy of the tokens, with optional label smoothing.

    $$L = (1 - \epsilon) \operatorname{mean}(-\log p(t)) + \epsilon \operatorname{mean}_k(-\log p_k)$$

    A batch is tokens, or a pair (tokens, condition). The condition is a dict with the ids `prefix`, `context` or both.
    Reported are the losses, and `bits_per_token` and `perplexity` over all tokens of an epoch.

    Args:
        prior: `Prior` to fit.
        tokenizer: `Tokenizer` whose tokens the prior predicts. A batch then has signals instead of tokens, which are
            encoded on the fly. It is not trained. Defaults to none.
        label_smoothing: float ε in [0, 1); 0.1 for a `MaskedPrior` in the paper. Defaults to 0.
        average_decay: float in [0, 1), decay of the moving average of the prior's weights; 0 disables it. It grows as
            (1 + step) / (10 + step) until it reaches this value. Defaults to 0.999.

    Raises:
        ValueError: if a number is out of range, or the tokenizer is not that of the prior.

    Example:
    >>> import numpy as np
    >>> from vqzoo.networks import Transformer
    >>> from vqzoo.priors import AutoregressivePrior, TokenSpace
    >>> space = TokenSpace({"label": 2, "image": 8})
    >>> prior = AutoregressivePrior(space, Transformer(1, 2, causal=True), "image", width=8, grid=(2, 2))
    >>> trainer = PriorTrainer(prior)
    >>> trainer.compile(keras.optimizers.Adam(1e-3))
    >>> condition = {"prefix": space.prefix(label=np.array([0, 1]))}
    >>> history = trainer.fit(np.zeros((2, 2, 2, 1), "int32"), condition, verbose=0)
    >>> sorted(history.history)
    ['bits_per_token', 'cross_entropy', 'loss', 'perplexity', 'uniform']

    Reference:
        Chang et al. 2022 (MaskGIT), https://arxiv.org/abs/2202.04200, section 4.1, for the smoothing
    """

    compiled_by_shapes = True  # the positions of a prior are known when it is traced
    losses_hint = "The loss of a prior is the cross-entropy of its tokens."

    def __init__(self, prior, tokenizer=None, label_smoothing=0.0, average_decay=0.999, **kwargs):
        super().__init__(**kwargs)
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(f"`label_smoothing` must be in [0, 1). Received: label_smoothing={label_smoothing}")
        if tokenizer is not None:
            prior.check_tokens_of(tokenizer, "The tokens of `tokenizer`")
        self.prior = prior
        self.tokenizer = tokenizer
        self.label_smoothing = float(label_smoothing)
        self.set_up(dict(zip(LOSSES, (1.0 - label_smoothing, label_smoothing), strict=True)), average_decay)
        self.entropy = TokenEntropy()

    @property
    def fitted(self):
        """The prior."""
        return self.prior

    def build_fitted(self, input_shape):
        """Creates the weights of the prior, and of an unbuilt tokenizer."""
        self.prior.build_now()
        if self.tokenizer is not None and not self.tokenizer.built:
            self.tokenizer.build(input_shape)

    def check_batch(self, batch):
        """Raises ValueError if the prior or its tokenizer does not accept a batch."""
        if self.tokenizer is None:
            self.prior.checked_tokens(batch)
        else:
            self.tokenizer.checked_signal(batch)

    def call(self, batch, training=False):
        return self.prior(self.tokens_of(batch), training=training)

    @property
    def optimizers(self):
        """Dict name -> `keras.optimizers.Optimizer` of a compiled trainer."""
        return {"prior": self.optimizer}

    # === Losses ===
    @property
    def loss_names(self):
        return LOSSES

    def tokens_of(self, batch):
        """The tokens of a batch: the batch itself, or its encoded signals, with -1 at padding.

        Args:
            batch: tensor, tokens or signals.

        Returns:
            int32 tensor (batch, *grid, num_codebooks).
        """
        if self.tokenizer is None:
            return batch
        tokens, real = self.tokenizer.encode(batch), self.tokenizer.real_positions(batch)
        # A tokenizer writes 0 after a sentence, which a prior would interpret as a code.
        return tf.stop_gradient(tokens if real is None else tf.where(tf.expand_dims(real, -1), tokens, -1))

    def losses_on(self, tokens, condition, training):
        """Computes every loss on a batch.

        Args:
            tokens: int32 tensor (batch, *grid, num_codebooks).
            condition: dict with the ids `prefix`, `context` or both; None for none.
            training: bool.

        Returns:
            Dict name -> scalar float32, unweighted; and the `CrossEntropy`.
        """
        entropy = self.prior.cross_entropy(tokens, **(condition or {}), training=training)
        # Averaged over the tokens of the whole batch, because another device may have more of them.
        (count,) = replica_sum(tf.reduce_sum(tf.cast(entropy.counted, tf.float32)))
        share = tf.maximum(count / tf.distribute.get_strategy().num_replicas_in_sync, 1.0)
        return {
            "cross_entropy": tf.reduce_sum(entropy.nats) / share,
            "uniform": tf.reduce_sum(entropy.uniform) / share,
        }, entropy

    # === Steps ===
    def train_step(self, data):
        tokens, condition = self._parts(data)
        with tf.GradientTape() as tape:
            losses, entropy = self.losses_on(tokens, condition, training=True)
            total = self.weighted(losses) * self._scale(self.optimizer)
        variables = self.prior.trainable_variables
        self._apply(self.optimizer, tape.gradient(total, variables), variables)
        self._step_average()
        return self._report(losses, entropy)

    def test_step(self, data):
        tokens, condition = self._parts(data)
        losses, entropy = self.losses_on(tokens, condition, training=False)
        return self._report(losses, entropy)

    @property
    def metrics(self):
        return [*self.means.values(), self.entropy]

    def _parts(self, data):
        """Tokens and condition of a batch. Builds the trainer if necessary."""
        batch, condition, _ = keras.utils.unpack_x_y_sample_weight(data)
        if not self.built:
            with tf.init_scope():
                self.build((None, *batch.shape[1:]))
        unknown = set(condition or {}) - {"prefix", "context"}
        if unknown:
            raise ValueError(
                f"A condition is a dict with `prefix` or `context`. Received: {', '.join(sorted(unknown))}. Make the "
                "ids with `prior.space.prefix(label=labels)`."
            )
        return self.tokens_of(batch), condition

    def _report(self, losses, entropy):
        for name, value in {**losses, "loss": self.weighted(losses)}.items():
            self.means[name].update_state(value)
        self.entropy.update_state(entropy.nats, entropy.counted)
        return self.get_metrics_result()

    # === Config ===
    def get_config(self):
        config = super().get_config()
        parts = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in ("prior", "tokenizer")}
        return {**config, **parts, "label_smoothing": self.label_smoothing, "average_decay": self.average_decay}

    @classmethod
    def from_config(cls, config):
        return cls(**{name: keras.saving.deserialize_keras_object(value) for name, value in config.items()})
