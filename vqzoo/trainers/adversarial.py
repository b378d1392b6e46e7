"""Adversarial training of a tokenizer, as in VQGAN."""

import contextlib

import keras
import tensorflow as tf

from vqzoo.losses import HingeLoss
from vqzoo.losses import adaptive_weight
from vqzoo.losses import discriminator_parts
from vqzoo.losses import feature_matching_loss
from vqzoo.networks import last_kernel
from vqzoo.ops import replica_mean
from vqzoo.trainers.reconstruction import ReconstructionTrainer

ADVERSARIAL_NAMES = ("feature_matching", "adversarial", "discriminator")


@keras.saving.register_keras_serializable(package="vqzoo")
class AdversarialTrainer(ReconstructionTrainer):
    r"""Trains a tokenizer on reconstruction and adversarial losses, and a discriminator, with one optimizer each.

    $$L = L_\text{signal} + L_\text{quantizer} + r(t)\,(w_\text{fm} \lambda_\text{fm} L_\text{fm}
    + w_\text{adv} \lambda_\text{adv} L_G), \qquad
    \lambda = \frac{\lVert \nabla L_\text{signal} \rVert}{\lVert \nabla L_\text{fm or G} \rVert + 10^{-4}}$$

    with the gradients at the last kernel of the decoder (`vqzoo.networks.last_kernel`). A weight is therefore the norm
    of the gradient of that loss relative to that of the reconstruction loss. If both weights sum to less than 1,
    reconstruction dominates. Without λ, the gradients of a discriminator can be a thousand times larger.

    Before step `discriminator_start` the discriminator does not run, and the steps are those of
    `ReconstructionTrainer`. Afterwards it trains with its full learning rate, while its factor r(t) in the loss of the
    tokenizer grows from 0 to 1 over `discriminator_warmup` steps. An untrained discriminator therefore does not damage
    the tokenizer.

    Args:
        tokenizer: `Tokenizer` to fit.
        discriminator: `keras.Model`, signals (or the result of `tokenizer.judged`) to logits, to a list of activations
            with the logits last, or to a list of such lists, one per sub-discriminator, over which the losses are
            averaged.
        signal_losses: dict name -> callable (signal, reconstruction) -> scalar or one value per example.
        loss_weights: dict with a float for each signal loss, each of the quantizer's losses, `feature_matching`,
            `adversarial`, `discriminator` and each regularizer. A loss of weight 0 is only reported.
        adversarial_loss: `AdversarialLoss`. Defaults to `HingeLoss()`.
        regularizers: dict name -> `R1Penalty()`, `LeCamRegularizer()` or another callable (real logits, fake
            logits, signal, discriminator, training) -> scalar, added to the loss of the discriminator. Defaults to
            none.
        discriminator_start: int, training steps before the discriminator starts. Defaults to 0.
        discriminator_warmup: int, steps over which its factor grows to 1; 0 for none. Defaults to 1000.
        adaptive: bool, whether λ balances the gradients; otherwise both are 1. Defaults to True.
        max_adaptive_weight: float, the largest λ. Defaults to 1e4.
        average_decay: float in [0, 1), decay of the moving average of the tokenizer's weights; 0 disables it. Defaults
            to 0.999.

    Raises:
        ValueError: if `loss_weights` does not name exactly the losses, or a number is out of range; in `build` if
            `adaptive` and the decoder has no `vqzoo.networks.last_kernel`.

    Example:
    >>> import vqzoo
    >>> tokenizer = vqzoo.image_vqgan(filters=8, multipliers=(1, 2), blocks=1, attention=(), latent_dim=4)
    >>> discriminator = vqzoo.networks.discriminators.patch_discriminator(filters=8, depth=1)
    >>> weights = {"l1": 1.0, "codebook": 1.0, "commitment": 0.25}
    >>> weights |= {"feature_matching": 1.0, "adversarial": 0.5, "discriminator": 1.0}
    >>> trainer = AdversarialTrainer(tokenizer, discriminator, {"l1": vqzoo.losses.l1_loss}, weights)
    >>> trainer.build((None, 16, 16, 3))
    >>> trainer.compile(keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-4, beta_1=0.5))
    >>> trainer.loss_names
    ('l1', 'codebook', 'commitment', 'feature_matching', 'adversarial', 'discriminator')

    Reference:
        Esser et al. 2021, https://arxiv.org/abs/2012.09841, section 3.1.
    """

    def __init__(
        self,
        tokenizer,
        discriminator,
        signal_losses,
        loss_weights,
        adversarial_loss=None,
        regularizers=None,
        discriminator_start=0,
        discriminator_warmup=1000,
        adaptive=True,
        max_adaptive_weight=1e4,
        average_decay=0.999,
        **kwargs,
    ):
        self._regularizer_names = tuple(regularizers or ())  # used by the parent's check of the names of weights
        super().__init__(tokenizer, signal_losses, loss_weights, average_decay, **kwargs)
        self.regularizers = dict(regularizers or {})
        if discriminator_start < 0 or discriminator_warmup < 0:
            raise ValueError(
                "`discriminator_start` and `discriminator_warmup` must be at least 0. Received: "
                f"discriminator_start={discriminator_start}, discriminator_warmup={discriminator_warmup}"
            )
        if max_adaptive_weight <= 0.0:
            raise ValueError(
                f"`max_adaptive_weight` must be positive. Received: max_adaptive_weight={max_adaptive_weight}"
            )
        self.discriminator = discriminator
        self.adversarial_loss = adversarial_loss or HingeLoss()
        self.discriminator_start = discriminator_start
        self.discriminator_warmup = discriminator_warmup
        self.adaptive = adaptive
        self.max_adaptive_weight = max_adaptive_weight
        # Whether the step being traced or run includes the discriminator.
        self._playing = discriminator_start == 0

    # === Layers ===
    def build(self, input_shape):
        if not self.discriminator.built:
            self.discriminator.build(input_shape)
        super().build(input_shape)
        if self.adaptive:
            last_kernel(self.tokenizer.decoder)  # raises here where there is none, not in a later step

    def compile(self, optimizer, discriminator_optimizer, **kwargs):
        """Sets both optimizers and other arguments of `Trainer.compile` (`jit_compile`, `steps_per_execution`, ...).

        Under mixed_float16 both are wrapped in a `LossScaleOptimizer`.

        Args:
            optimizer: `keras.optimizers.Optimizer` of the tokenizer.
            discriminator_optimizer: `keras.optimizers.Optimizer` of the discriminator.
            **kwargs: passed on.
        """
        discriminator_optimizer = keras.optimizers.get(discriminator_optimizer)
        scaled = isinstance(discriminator_optimizer, keras.optimizers.LossScaleOptimizer)
        if self.dtype_policy.name == "mixed_float16" and not scaled:
            discriminator_optimizer = keras.optimizers.LossScaleOptimizer(
                discriminator_optimizer, name="discriminator_loss_scale"
            )
        self.discriminator_optimizer = discriminator_optimizer
        super().compile(optimizer, **kwargs)

    def build_optimizers(self):
        super().build_optimizers()
        if not self.discriminator_optimizer.built:
            self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    @property
    def optimizers(self):
        """The optimizers of the tokenizer and of the discriminator."""
        return {**super().optimizers, "discriminator": self.discriminator_optimizer}

    # === Losses ===
    @property
    def loss_names(self):
        return (*super().loss_names, *ADVERSARIAL_NAMES, *self._regularizer_names)

    def _losses_of(self, signal, result, training):
        losses = super()._losses_of(signal, result, training)
        if training and not self._playing:
            return losses
        judged, made = self.tokenizer.judged(signal, result.signal)
        real_parts = discriminator_parts(self.discriminator(judged, training=training))
        fake_parts = discriminator_parts(self.discriminator(made, training=training))
        pairs = list(zip(real_parts, fake_parts, strict=True))
        losses["feature_matching"] = _mean(feature_matching_loss(real, fake) for (real, _), (fake, _) in pairs)
        losses["adversarial"] = _mean(self.adversarial_loss.generator(fake) for _, fake in fake_parts)
        losses["discriminator"] = _mean(
            self.adversarial_loss.discriminator(real, fake) for (_, real), (_, fake) in pairs
        )
        real, fake = _logits(real_parts), _logits(fake_parts)
        for name, regularizer in self.regularizers.items():
            losses[name] = regularizer(real, fake, signal=judged, discriminator=self.discriminator, training=training)
        return losses

    # === Steps ===
    def make_train_function(self, force=False):
        """Creates one function for the steps before the discriminator starts and one for those afterwards."""
        if self.train_function is None or force:
            super().make_train_function(force=True)
            playing = self.train_function
            super().make_train_function(force=True)
            alone = self.train_function

            def function(iterator):
                self._playing = self._step_count >= self.discriminator_start
                self._step_count += self.steps_per_execution
                return (playing if self._playing else alone)(iterator)

            self.train_function = self._skipping(function)
        # Counted in Python as well, because reading a variable in each step would wait for the device.
        self._step_count = int(self.steps.numpy()) if self.built else 0

    def train_step(self, data):
        signal = self.signal_of(data)
        return self._adversarial_step(signal) if self._playing else self._reconstruction_step(signal)

    def test_step(self, data):
        results = super().test_step(data)
        del results["adaptive_weight"]  # evaluation has no gradients to balance
        return results

    def _adversarial_step(self, signal):
        # One tape per source of gradients. A tape records only operations that depend on its watched tensors, so that
        # no gradient is traced through an unnecessary network.
        variables, opponents = self.tokenizer.trainable_variables, self.discriminator.trainable_variables
        last = [last_kernel(self.tokenizer.decoder)] if self.adaptive else []
        with (
            _tape(variables) as tape,
            _tape(last) as last_tape,
            _tape(opponents) as opponent_tape,
            _tape() as made_tape,
        ):
            losses, result = self.losses_on(signal, True, lambda result: made_tape.watch(result.signal))
            quantizer = self.weighted(result.losses)
            own = self.weighted({name: losses[name] for name in self.signal_losses})
            opposing = ("discriminator", *self.regularizers)
            discriminator = self.weighted({name: losses[name] for name in opposing})
        scale = self._scale(self.optimizer)
        by_own = _gradient(made_tape, own, result.signal, scale)
        by_others = {
            name: _gradient(made_tape, losses[name], result.signal, scale)
            for name in ("feature_matching", "adversarial")
        }
        balances = self._balances(last_tape, result.signal, by_own, by_others, scale)
        play = tf.add_n([self.loss_weights[name] * balances[name] * by_others[name] for name in by_others])
        by_signal = by_own + self._share() * play
        gradients = tape.gradient([result.signal, quantizer], variables, output_gradients=[by_signal, scale])
        self._apply(self.optimizer, gradients, variables)
        if any(self.loss_weights[name] for name in opposing):
            scale = self._scale(self.discriminator_optimizer)
            opponent_gradients = opponent_tape.gradient(discriminator, opponents, output_gradients=scale)
            self._apply(self.discriminator_optimizer, opponent_gradients, opponents)
        self._step_average()
        losses["adaptive_weight"] = balances["adversarial"]
        return self._report(losses, result.tokens, self.tokenizer.real_positions(signal))

    def _share(self):
        """The factor of the discriminator in the tokenizer's loss, a ramp from 0 to 1."""
        step = tf.cast(self.steps.value - self.discriminator_start + 1, tf.float32)
        return tf.clip_by_value(step / max(1, self.discriminator_warmup), 0.0, 1.0)

    def _balances(self, tape, reconstruction, by_own, by_others, scale):
        """λ of each loss, from the gradients in the reconstruction; the same on every replica."""
        if not self.adaptive:
            return dict.fromkeys(by_others, tf.ones(()))
        kernel = last_kernel(self.tokenizer.decoder)
        own, *others = replica_mean(
            *(_gradient(tape, reconstruction, kernel, by) / scale for by in (by_own, *by_others.values()))
        )
        weights = (adaptive_weight(own, other, self.max_adaptive_weight) for other in others)
        return dict(zip(by_others, weights, strict=True))

    def _report(self, losses, tokens, real=None):
        # A mean over an epoch includes only the steps in which the discriminator ran.
        unweighted = {"adaptive_weight": tf.zeros(())} if "adversarial" in losses else {}
        return super()._report({**unweighted, **losses}, tokens, real)

    def _reported_names(self):
        return (*super()._reported_names(), "adaptive_weight")

    # === Config ===
    def get_compile_config(self):
        if not self.compiled:
            return None
        optimizer = keras.saving.serialize_keras_object(self.discriminator_optimizer)
        return {**super().get_compile_config(), "discriminator_optimizer": optimizer}

    def get_config(self):
        config = super().get_config()
        config["discriminator"] = keras.saving.serialize_keras_object(self.discriminator)
        config["adversarial_loss"] = keras.saving.serialize_keras_object(self.adversarial_loss)
        config["regularizers"] = {
            name: keras.saving.serialize_keras_object(regularizer) for name, regularizer in self.regularizers.items()
        }
        config["discriminator_start"] = self.discriminator_start
        config["discriminator_warmup"] = self.discriminator_warmup
        config["adaptive"] = self.adaptive
        config["max_adaptive_weight"] = self.max_adaptive_weight
        return config


def _mean(losses):
    """The mean over the parts of a discriminator."""
    losses = list(losses)
    return sum(losses) / len(losses)


def _logits(parts):
    """The logits of all parts in one tensor."""
    logits = [logits for _, logits in parts]
    if len(logits) == 1:
        return logits[0]
    return tf.concat([tf.reshape(x, (tf.shape(x)[0], -1)) for x in logits], axis=1)


@contextlib.contextmanager
def _tape(sources=()):
    """A persistent tape that records only operations that depend on `sources`, or on what it watches later."""
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch([getattr(source, "value", source) for source in sources])  # also of Keras variables
        yield tape


def _gradient(tape, loss, source, scale):
    return tape.gradient(loss, source, output_gradients=scale, unconnected_gradients="zero")
