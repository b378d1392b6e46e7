"""Adversarial losses, and the adaptive weight that balances them with the reconstruction loss."""

import keras


class AdversarialLoss:
    """A pair of losses on a discriminator's logits, one for the generator and one for the discriminator.

    A subclass implements `generator` and `discriminator`. A high logit means "real".
    """

    def generator(self, fake):
        """Loss of the generator on the logits of generated signals, scalar float32."""
        raise NotImplementedError

    def discriminator(self, real, fake):
        """Loss of the discriminator on the logits of real and generated signals, scalar float32."""
        raise NotImplementedError

    def get_config(self):
        """No settings."""
        return {}

    @classmethod
    def from_config(cls, config):
        """Inverse of `get_config`."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="vqzoo")
class HingeLoss(AdversarialLoss):
    r"""Hinge loss. The discriminator stops learning from patches that it separates by a margin of 1.

    $$L_D = \tfrac12 (\operatorname{mean}\max(0, 1 - r) + \operatorname{mean}\max(0, 1 + f)), \qquad
    L_G = -\operatorname{mean} f$$

    with r and f the logits of real and generated signals.

    Example:
    >>> float(HingeLoss().discriminator(keras.ops.convert_to_tensor([3.0]), keras.ops.convert_to_tensor([0.0])))
    0.5

    Reference:
        Lim, Ye 2017, https://arxiv.org/abs/1705.02894.
    """

    def generator(self, fake):
        return -_mean(fake)

    def discriminator(self, real, fake):
        return 0.5 * (_mean(keras.ops.relu(1.0 - real)) + _mean(keras.ops.relu(1.0 + fake)))


@keras.saving.register_keras_serializable(package="vqzoo")
class NonSaturatingLoss(AdversarialLoss):
    r"""Binary cross-entropy for both sides. The generator maximises the probability of being classified as real.

    $$L_D = \tfrac12 (\operatorname{mean}\operatorname{softplus}(-r) + \operatorname{mean}\operatorname{softplus}(f)),
    \qquad L_G = \operatorname{mean}\operatorname{softplus}(-f)$$

    with r and f the logits of real and generated signals.

    Example:
    >>> round(float(NonSaturatingLoss().generator(keras.ops.convert_to_tensor([0.0]))), 4)
    0.6931

    Reference:
        Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, section 3.
    """

    def generator(self, fake):
        return _mean(keras.ops.softplus(-fake))

    def discriminator(self, real, fake):
        return 0.5 * (_mean(keras.ops.softplus(-real)) + _mean(keras.ops.softplus(fake)))


@keras.saving.register_keras_serializable(package="vqzoo")
class VanillaLoss(NonSaturatingLoss):
    r"""Binary cross-entropy for the discriminator, and the mean logit for the generator.

    $L_D$ is that of `NonSaturatingLoss`. $L_G = -\operatorname{mean} f$, as in the "vanilla" loss of
    taming-transformers. The gradient of the generator does not vanish as it wins.

    Example:
    >>> float(VanillaLoss().generator(keras.ops.convert_to_tensor([2.0])))
    -2.0
    """

    def generator(self, fake):
        return -_mean(fake)


def discriminator_parts(outputs):
    """Splits the outputs of a discriminator into those of its sub-discriminators.

    Args:
        outputs: logits; or a list of activations with the logits last; or a list of such lists, one per
            sub-discriminator.

    Returns:
        List of (list of activations, logits), one per sub-discriminator.

    Example:
    >>> discriminator_parts([["a", "b", "logits"], ["c", "logits"]])
    [(['a', 'b'], 'logits'), (['c'], 'logits')]
    """
    several = isinstance(outputs, list | tuple) and any(isinstance(part, list | tuple) for part in outputs)
    parts = [keras.tree.flatten(part) for part in (outputs if several else [outputs])]
    return [(part[:-1], part[-1]) for part in parts]


def feature_matching_loss(real, fake):
    r"""Mean absolute difference of a discriminator's activations, averaged over its layers.

    The gradient reaches only the generated signal. This loss can replace a perceptual loss if no pretrained network is
    available, because the features are learned from the user's own data.

    Args:
        real: list of float tensors, activations on real signals.
        fake: list of float tensors of the same shapes, on their reconstructions.

    Returns:
        Scalar float32; 0 for a discriminator that returns only logits.

    Example:
    >>> float(feature_matching_loss([keras.ops.ones((1, 2))], [keras.ops.zeros((1, 2))]))
    1.0

    Reference:
        Larsen et al. 2016, https://arxiv.org/abs/1512.09300, equation 6; L1 as in Wang et al. 2018,
        https://arxiv.org/abs/1711.11585, equation 4.
    """
    if not real:
        return keras.ops.zeros((), "float32")
    distances = [_mean(keras.ops.abs(keras.ops.stop_gradient(x) - y)) for x, y in zip(real, fake, strict=True)]
    return sum(distances) / len(distances)


def adaptive_weight(reconstruction_gradient, adversarial_gradient, maximum=1e4):
    r"""Balances the adversarial and reconstruction losses by their gradients at the decoder's last layer.

    $$\lambda = \operatorname{clip}\left(\frac{\lVert \nabla L_\text{rec} \rVert}{\lVert \nabla L_G \rVert + 10^{-4}},
    0, \lambda_\text{max}\right)$$

    Args:
        reconstruction_gradient: tensor, gradient of the weighted reconstruction losses with respect to the kernel of
            the last layer, without loss scaling.
        adversarial_gradient: tensor of the same shape, gradient of the generator's adversarial loss.
        maximum: float, the largest weight. Defaults to 1e4.

    Returns:
        Scalar float32 without gradient; 0 if a gradient is not finite.

    Example:
    >>> float(adaptive_weight(keras.ops.ones((4,)) * 3.0, keras.ops.ones((4,)), maximum=2.0))
    2.0

    Reference:
        Esser et al. 2021, https://arxiv.org/abs/2012.09841, equation 7.
    """
    weight = _norm(reconstruction_gradient) / (_norm(adversarial_gradient) + 1e-4)
    weight = keras.ops.where(keras.ops.isfinite(weight), weight, 0.0)
    return keras.ops.stop_gradient(keras.ops.clip(weight, 0.0, maximum))


def _norm(gradient):
    return keras.ops.sqrt(keras.ops.sum(keras.ops.square(keras.ops.cast(gradient, "float32"))))


def _mean(x):
    return keras.ops.mean(keras.ops.cast(x, "float32"))
