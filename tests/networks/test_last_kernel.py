import pathlib
import sys

import keras
import pytest

from vqzoo.networks import audio
from vqzoo.networks import image
from vqzoo.networks import last_kernel
from vqzoo.networks import text

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "conformance"))
import zoo  # noqa: E402


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda: image.convolutional_decoder(8, filters=8, blocks=1), "images/kernel"),
        (lambda: image.residual_decoder(8, filters=8, multipliers=(1,), blocks=1, attention=()), "conv_out/kernel"),
        (lambda: image.dense_decoder(8), "to_images/kernel"),
        (lambda: audio.spectrogram_decoder(8, filters=8, blocks=1), "waveform/kernel"),
        (lambda: text.text_decoder(20, 8, filters=8, blocks=1), "logits/kernel"),
        (zoo.autoregressive_text_decoder, "to_embedding/kernel"),
    ],
)
def test_it_is_that_of_the_layer_that_makes_the_output(make, path):
    network = make()
    kernel = last_kernel(network)
    assert kernel.path.endswith(path)
    # Of a chain of layers it is the last matrix of the weights as well.
    assert kernel is [weight for weight in network.weights if len(weight.shape) > 1][-1]


def test_layers_without_a_kernel_and_networks_inside_are_passed_through():
    inputs = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="inside"), keras.layers.ReLU()])
    outputs = keras.layers.LayerNormalization()(inner(inputs))
    assert last_kernel(keras.Model(inputs, outputs)) is inner.layers[0].kernel


class Subclass(keras.Model):
    """Layers whose order as attributes is not that of the call."""

    def __init__(self):
        super().__init__()
        self.last, self.first = keras.layers.Dense(2), keras.layers.Dense(3)

    def call(self, inputs):
        return self.last(self.first(inputs))


class Declaring(Subclass):
    @property
    def last_kernel(self):
        return self.last.kernel


def test_a_subclass_declares_it():
    for network in (Declaring(), Subclass()):
        network(keras.ops.zeros((1, 4)))
        if isinstance(network, Declaring):
            assert last_kernel(network) is network.last.kernel
            continue
        with pytest.raises(ValueError, match="no Functional model declares .* a Subclass without it. Give it a prop"):
            last_kernel(network)


def test_a_network_without_a_matrix():
    inputs = keras.Input((4,))
    with pytest.raises(ValueError, match="of which no weight is a matrix. Train with `adaptive=False`"):
        last_kernel(keras.Model(inputs, keras.layers.LayerNormalization()(inputs)))
