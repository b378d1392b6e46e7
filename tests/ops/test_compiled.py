import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import compiled
from vqzoo.ops import known_value


def test_many_lengths_share_a_few_traces():
    traces = []

    def double(x):
        traces.append(x.shape)
        return x + x

    function = compiled(double)
    for length in range(1, 8):
        x = np.arange(length, dtype="float32")
        np.testing.assert_array_equal(function(tf.constant(x)), 2 * x)
    # One for the first length, one for any length.
    assert [shape.as_list() for shape in traces] == [[1], [None]]


def test_nested_arguments_and_results_keep_their_structure():
    function = compiled(lambda pair: {"sum": pair[0] + pair[1], "first": pair[0]})
    result = function((tf.constant(2), tf.constant(3)))
    assert {name: int(value) for name, value in result.items()} == {"sum": 5, "first": 2}


@pytest.mark.parametrize("make", [list, np.array, tf.constant, tf.Variable, keras.Variable])
def test_the_value_of_eager_things_is_known(make):
    value = known_value(make([3, 1, 2]))
    assert isinstance(value, np.ndarray)
    assert value.tolist() == [3, 1, 2]


def test_the_value_of_symbolic_things_is_not_known():
    assert known_value(keras.Input((3,))) is None
    seen = []

    @tf.function
    def trace(x):
        seen.append(known_value(x))
        seen.append(known_value(constant))  # an eager tensor has no value to give while a graph is made
        return x

    constant = tf.constant([1])
    trace(tf.constant([1]))
    assert seen == [None, None]
