"""How far networks of audio see: what windows of long files have to overlap by."""

import math
from fractions import Fraction

import keras

# Layers of Keras that see no other position than their own.
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
    """Finds how many positions of the input an output of a network sees beyond its own, on either side.

    The sum of what its layers see, in the order in which they stand: never less than what the network sees.

    Args:
        network: `keras.Model` of layers in time: this package's, whose `reach` and `rate` (outputs a position) tell,
            and Keras's that look at one position.

    Returns:
        int, positions of the input: samples of an encoder's, latents of a decoder's.

    Raises:
        ValueError: if a layer sees all positions or does not tell what it sees.

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
                f"A window has to overlap its neighbours by what the network sees, and the layer {layer.name!r} of the "
                f"network {network.name!r}, a {type(layer).__name__}, sees all positions or does not tell. Give "
                "`overlap` in samples; the tokens may then differ from those of the whole signal."
            )
        reach += layer.reach * scale
        scale /= getattr(layer, "rate", 1)
    return math.ceil(reach)
