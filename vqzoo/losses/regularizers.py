"""Regularizers that keep a discriminator from overpowering the generator: R1 and LeCAM."""

import keras

from vqzoo.losses.adversarial import discriminator_parts
from vqzoo.ops import input_gradient
from vqzoo.ops import replica_mean


@keras.saving.register_keras_serializable(package="vqzoo")
class R1Penalty:
    r"""R1 penalty, the squared gradient of the discriminator's logits at real signals.

    $$L_\text{r1} = \tfrac12 \operatorname{mean}_n \lVert \nabla_x \textstyle\sum_p D(x_n)_p \rVert^2$$

    with D's logits summed over the patches p of one signal. A discriminator with small gradients gives the generator
    smooth gradients. The penalty needs a second forward pass and its gradient, so that the cost of a PatchGAN in a step
    grows about threefold. The tokenizer of MaskGIT uses a weight of 10.

    Call arguments:
        real: float tensor, logits of `signal`; not used.
        fake: float tensor, logits of the reconstructions; not used.
        signal: float tensor (batch, *size, channels), real.
        discriminator: `keras.Model`, signals to logits, to a list with the logits last, or to a list of such lists.
        training: bool, passed to the discriminator. Defaults to False.

    Returns:
        Scalar float32.

    Example:
    >>> discriminator = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    >>> float(R1Penalty()(None, None, keras.ops.ones((2, 1)), discriminator))
    0.5

    Reference:
        Mescheder, Geiger, Nowozin 2018, https://arxiv.org/abs/1801.04406, equation 9.
    """

    def __call__(self, real, fake, signal, discriminator, training=False):
        def logits(x):
            return sum(keras.ops.sum(part) for _, part in discriminator_parts(discriminator(x, training=training)))

        gradient = input_gradient(logits, signal)
        axes = tuple(range(1, len(signal.shape)))
        return 0.5 * keras.ops.mean(keras.ops.sum(keras.ops.square(keras.ops.cast(gradient, "float32")), axis=axes))

    def get_config(self):
        """No settings."""
        return {}

    @classmethod
    def from_config(cls, config):
        """Inverse of `get_config`."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="vqzoo")
class LeCamRegularizer(keras.layers.Layer):
    r"""LeCAM penalty, which keeps real logits near the moving average of fake ones and vice versa; for small datasets.

    $$L_\text{lecam} = \operatorname{mean}\,(r - \alpha_F)^2 + \operatorname{mean}\,(f - \alpha_R)^2, \qquad
    \alpha_R \leftarrow d\,\alpha_R + (1 - d) \operatorname{mean} r, \quad
    \alpha_F \leftarrow d\,\alpha_F + (1 - d) \operatorname{mean} f$$

    with r and f the logits of real and generated signals. The averages start at 0, are updated only in training, and
    are the same on every replica. Published weights are 0.3 (the paper, CIFAR), 0.05 (Open-MAGVIT2) and 0.001 (TiTok).

    Args:
        decay: float in [0, 1), d. Defaults to 0.99.

    Call arguments:
        real: float tensor of any shape, logits of real signals.
        fake: float tensor of the same shape, logits of the reconstructions.
        signal: not used.
        discriminator: not used.
        training: bool, whether the averages are updated. Defaults to False.

    Returns:
        Scalar float32, computed with the averages before this call.

    Raises:
        ValueError: if `decay` is out of range.

    Example:
    >>> regularizer = LeCamRegularizer(decay=0.5)
    >>> real, fake = keras.ops.ones((2, 4, 4, 1)), keras.ops.zeros((2, 4, 4, 1))
    >>> [float(regularizer(real, fake, training=True)) for _ in range(2)]
    [1.0, 1.25]

    Reference:
        Tseng et al. 2021, https://arxiv.org/abs/2104.03310, equations 4 and 5.
    """

    def __init__(self, decay=0.99, **kwargs):
        super().__init__(**{"autocast": False, **kwargs})
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"`decay` must be in [0, 1). Received: decay={decay}")
        self.decay = decay
        state = {"trainable": False, "autocast": False, "dtype": "float32", "aggregation": "only_first_replica"}
        self.real_average = self.add_weight(name="real_average", shape=(), initializer="zeros", **state)
        self.fake_average = self.add_weight(name="fake_average", shape=(), initializer="zeros", **state)
        self.built = True

    def call(self, real, fake, signal=None, discriminator=None, training=False):
        real, fake = keras.ops.cast(real, "float32"), keras.ops.cast(fake, "float32")
        # Read before they are updated.
        by_fake = keras.ops.mean(keras.ops.square(real - keras.ops.convert_to_tensor(self.fake_average)))
        by_real = keras.ops.mean(keras.ops.square(fake - keras.ops.convert_to_tensor(self.real_average)))
        if training:
            means = replica_mean(*(keras.ops.stop_gradient(keras.ops.mean(x)) for x in (real, fake)))
            for average, mean in zip((self.real_average, self.fake_average), means, strict=True):
                average.assign(self.decay * average + (1.0 - self.decay) * mean)
        return by_fake + by_real

    def get_config(self):
        return {**super().get_config(), "decay": self.decay}
