import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import compiled
from vqzoo.ops import fused
from vqzoo.ops import known_value

pytestmark = pytest.mark.xla


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


def cube(x, power):
    return x**power


def operations(function, *signature):
    return {
        operation.type for operation in tf.function(function).get_concrete_function(*signature).graph.get_operations()
    }


KNOWN, UNKNOWN = tf.TensorSpec((2, 3)), tf.TensorSpec((None, 3))


@pytest.mark.parametrize(
    ("unknown_sizes", "signature", "compiles"),
    [(False, KNOWN, True), (False, UNKNOWN, False), (True, KNOWN, True), (True, UNKNOWN, True)],
)
def test_xla_compiles_in_graphs_of_known_sizes(unknown_sizes, signature, compiles):
    function = fused(cube, unknown_sizes)
    x = tf.constant([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0]])
    graph = tf.function(lambda x: function(x, power=3), input_signature=[signature])
    np.testing.assert_allclose(graph(x), x.numpy() ** 3, rtol=1e-6)
    found = operations(lambda x: function(x, power=3), signature)
    assert ("Pow" not in found) == compiles
    assert ("PartitionedCall" in found) == compiles


def test_eager_calls_compile_nothing():
    traces = []

    def double(x):
        traces.append(tf.inside_function())
        return x + x

    for length in (1, 2, 3):
        np.testing.assert_array_equal(fused(double)(tf.ones(length)), 2 * np.ones(length))
    assert traces == [False, False, False]


def test_sizes_are_known_after_what_xla_compiled():
    function = fused(lambda x: (x + 1.0, tf.reduce_sum(x, axis=1)))
    graph = tf.function(lambda x: function(x)).get_concrete_function(KNOWN)
    assert [tuple(result.shape) for result in graph.outputs] == [(2, 3), (2,)]
    assert {operation.type for operation in graph.graph.get_operations()} >= {"EnsureShape"}


def test_where_there_is_no_xla_the_function_runs_as_it_is(monkeypatch):
    def refuse(function, jit_compile=False, **options):
        raise ValueError("built without XLA")

    module = importlib.import_module("vqzoo.ops.compiled")
    with monkeypatch.context() as patch:
        patch.setattr(tf, "function", refuse)
        module._xla.cache_clear()
        assert not module._xla()
    try:
        assert "Pow" in operations(lambda x: fused(cube)(x, power=3), KNOWN)
    finally:
        module._xla.cache_clear()
    assert module._xla()


def test_gradients_pass_through():
    x = tf.constant([1.0, 2.0])

    @tf.function
    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = fused(cube)(x, power=3)
        return tape.gradient(y, x)

    np.testing.assert_allclose(gradient(), [3.0, 12.0], rtol=1e-6)


def test_xla_is_asked_for_each_shape_anew():
    traced = []

    def function(x, power):
        traced.append(tuple(x.shape))
        return tf.reduce_sum(x**power)

    call = compiled(function, xla=True)
    assert float(call(tf.constant([1.0, 2.0]), 3)) == 9.0
    assert float(call(tf.constant([1.0, 2.0, 3.0]), 3)) == 36.0
    assert float(call(tf.constant([3.0, 4.0]), 3)) == 91.0
    assert traced == [(2,), (3,)]  # no size became unknown
    assert call.__name__ == "function"
