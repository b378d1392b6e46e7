"""Gradient estimators of non-differentiable steps, the `estimator` of quantizers with codes."""

import keras

from vqzoo.ops.normalize import SHORTEST
from vqzoo.ops.normalize import l2_normalize


@keras.saving.register_keras_serializable(package="vqzoo")
def straight_through(codes, latents):
    """Returns `codes` in the forward pass and passes the gradient to `latents` unchanged.

    The forward result equals `codes` to the last bit: the added difference is an exact zero.

    Args:
        codes: tensor, the result of a step without gradient.
        latents: tensor of the same shape, the input of that step.

    Returns:
        Tensor equal to `codes`.

    Example:
    >>> float(straight_through(keras.ops.convert_to_tensor(3.0), keras.ops.convert_to_tensor(0.1)))
    3.0

    Reference:
        Bengio, Léonard, Courville 2013, https://arxiv.org/abs/1308.3432, section 3.1.
    """
    return keras.ops.stop_gradient(codes) + (latents - keras.ops.stop_gradient(latents))


@keras.saving.register_keras_serializable(package="vqzoo")
def rotation_trick(codes, latents):
    r"""Returns `codes`, and passes the gradient to `latents` by the rotation and scaling between latents and codes.

    With e a latent vector, q its code, ê and q̂ their directions and w the direction of ê + q̂, the linear map

    $$R(x) = \frac{\lVert q \rVert}{\lVert e \rVert}\left(x - 2 w (w \cdot x) + 2 \hat q (\hat e \cdot x)\right)$$

    maps e to q. Its factors are constants, so that the gradient in e is the transposed map of the gradient in q. Unlike
    with `straight_through`, the angle between a gradient and its vector is preserved. A latent vector shorter than 1e-6
    has no direction, and its gradient is that of `straight_through`.

    Args:
        codes: float tensor (..., latent_dim), the result of a step without gradient.
        latents: float tensor of the same shape, the input of that step.

    Returns:
        Tensor equal to `codes`, to the last bit.

    Example:
    >>> float(rotation_trick(keras.ops.ones((1, 2)), keras.ops.convert_to_tensor([[3.0, -1.0]]))[0, 0])
    1.0

    Reference:
        Fifty et al. 2024, https://arxiv.org/abs/2410.06424, section 4.2.
    """
    codes, fixed = keras.ops.stop_gradient(codes), keras.ops.stop_gradient(latents)
    code, latent = l2_normalize(codes), l2_normalize(fixed)
    # Opposite directions have no middle. Then w is 0, and the map only reflects that line.
    middle = l2_normalize(code + latent)
    turned = latents - 2.0 * middle * _dot(middle, latents) + 2.0 * code * _dot(latent, latents)
    code_length, latent_length = keras.ops.sqrt(_dot(codes, codes)), keras.ops.sqrt(_dot(fixed, fixed))
    # Division by almost zero would scale the gradient by a million.
    turned = turned * (code_length / keras.ops.maximum(latent_length, SHORTEST))
    turned = keras.ops.where(latent_length > SHORTEST, turned, latents)
    return codes + (turned - keras.ops.stop_gradient(turned))


def _dot(one, other):
    return keras.ops.sum(one * other, axis=-1, keepdims=True)
