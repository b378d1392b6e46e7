"""Receptive fields of audio networks, which determine the overlap of windows of long files."""

import math
from fractions import Fraction

import keras

# Keras layers that use no other position than their own.
POINTWISE = (
    keras.layers.InputLayer,
    keras.layers.Dense,
    keras.layers.LayerNormalization,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.Add,
    keras.layers.Dropout,
)


def network_reach(network):
    """Computes how many input positions on either side influence an output, beyond its own.

    It is the sum over the layers in their order, and never less than the true receptive field.

    Args:
        network: `keras.Model` of layers over time: layers of this package with `reach` and `rate` (outputs per
            position), and Keras layers that use one position.

    Returns:
        int, positions of the input: samples for an encoder, latents for a decoder.

    Raises:
        ValueError: if a layer uses all positions or does not declare its receptive field.

    Example:
    >>> from vqzoo.networks.audio import spectrogram_decoder
    >>> network_reach(spectrogram_decoder(8, filters=16, blocks=4))  # 5 convolutions of 3, and 2 frames of the head
    17
    """
    reach, scale = Fraction(0), Fraction(1)
    for layer in getattr(network, "layers", None) or (network,):
        if isinstance(layer, POINTWISE):
            continue
        if getattr(layer, "reach", None) is None:
            raise ValueError(
                f"Windows must overlap by the receptive field of the network. The layer {layer.name!r} of the "
                f"network {network.name!r}, a {type(layer).__name__}, uses all positions or does not declare it. Give "
                "`overlap` in samples; the tokens may then differ from those of the whole signal."
            )
        reach += layer.reach * scale
        scale /= getattr(layer, "rate", 1)
    return math.ceil(reach)
