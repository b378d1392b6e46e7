"""The table is complete: reflection finds nothing public that is missing from it."""

import inspect
import pathlib
import sys

import keras

import vqzoo

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import zoo  # noqa: E402

# Abstract classes; their subclasses are in the table.
ABSTRACT = {"Quantizer", "Tokenizer", "Prior", "Trainer"}


def public(module, wanted):
    for name in module.__all__:
        thing = getattr(module, name)
        if name not in ABSTRACT and wanted(thing):
            yield name


def is_layer(thing):
    return inspect.isclass(thing) and issubclass(thing, keras.layers.Layer)


def test_nothing_is_missing():
    names = {entry.name for entry in zoo.ALL}
    found = {
        *public(vqzoo.quantizers, is_layer),
        *public(vqzoo.networks, is_layer),
        *public(vqzoo.networks.audio, lambda x: is_layer(x) or inspect.isfunction(x)),
        *public(vqzoo.networks.sequence, is_layer),
        *public(vqzoo.networks.text, lambda x: is_layer(x) or inspect.isfunction(x)),
        *public(vqzoo.networks.image, lambda x: is_layer(x) or inspect.isfunction(x)),
        *public(vqzoo.networks.discriminators, lambda x: is_layer(x) or x.__name__.endswith("discriminator")),
        *public(vqzoo.tokenizers, lambda x: is_layer(x) or inspect.isfunction(x)),
        *public(vqzoo.priors, is_layer),
        *public(vqzoo.trainers, is_layer),
    }
    # Keras's own network, with tests of its own; and no networks.
    found -= {"vgg16_features", "network_reach", "embedding_of"}
    assert len(found) >= 17
    assert found <= names, f"add to tests/conformance/zoo.py: {sorted(found - names)}"


def test_every_registered_layer_is_covered():
    registered = {
        thing.__name__
        for key, thing in keras.saving.get_custom_objects().items()
        if key.startswith("vqzoo>") and inspect.isclass(thing) and issubclass(thing, keras.layers.Layer)
    }
    # Losses are called with other things than one input, and have tests of their own; metrics are no layers.
    assert registered - {"PerceptualLoss", "LeCamRegularizer"} <= {entry.name for entry in zoo.ALL} | {"ImageTokenizer"}


def test_names_are_unique():
    names = [entry.name for entry in zoo.ALL]
    assert len(names) == len(set(names))
