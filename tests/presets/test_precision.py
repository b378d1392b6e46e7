import copy

import keras

from vqzoo.presets.precision import MIXED
from vqzoo.presets.precision import in_half_precision
from vqzoo.presets.precision import with_policy


def dtypes(config):
    network = keras.saving.deserialize_keras_object(copy.deepcopy(config))  # Keras empties it
    return [layer.compute_dtype for layer in network.layers]


def network():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(3)(keras.layers.LayerNormalization()(inputs))
    return keras.Model(inputs, keras.layers.ReLU()(keras.layers.Dense(2)(x)))


def test_the_last_weights_and_what_is_behind_them_stay_in_float32():
    half = in_half_precision(network(), "mixed_float16")
    assert dtypes(half) == ["float32", "float16", "float16", "float32", "float32"]
    assert dtypes(with_policy(half, MIXED, "float32")) == 5 * ["float32"]
    assert dtypes(with_policy(half, ("mixed_bfloat16",), "float32")) == dtypes(half)


def test_a_single_layer():
    config = in_half_precision(keras.layers.Dense(3), "mixed_bfloat16")
    assert keras.saving.deserialize_keras_object(config).compute_dtype == "bfloat16"
