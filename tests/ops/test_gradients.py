"""Gradients of our own: the same from every kind of call, and freed with the graph that holds them."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.networks import group_normalization_swish
from vqzoo.ops import custom_gradient
from vqzoo.ops import gradients
from vqzoo.ops import silu
from vqzoo.ops import stft


@custom_gradient
def odd(x, y):
    """x y, and x + y; the gradients are not theirs, so that one sees which are taken."""
    return (x * y, x + y), lambda first, second: (10.0 * first + second, 100.0 * y * first)


def eager(x, y):
    with tf.GradientTape() as tape:
        tape.watch((x, y))
        first, second = odd(x, y)
        total = 2.0 * first + 3.0 * second
    return tape.gradient(total, (x, y))


def by_gradients_of_a_graph(x, y):
    first, second = odd(x, y)
    return tf.gradients(2.0 * first + 3.0 * second, [x, y])


def in_a_loop(x, y):
    with tf.GradientTape() as tape:
        tape.watch((x, y))
        total = tf.while_loop(lambda i, s: i < 1, lambda i, s: (i + 1, s + weighted(x, y)), (0, tf.zeros(())))[1]
    return tape.gradient(total, (x, y))


def weighted(x, y):
    first, second = odd(x, y)
    return 2.0 * first + 3.0 * second


def in_a_nested_function(x, y):
    inner = tf.function(weighted, jit_compile=True)
    with tf.GradientTape() as tape:
        tape.watch((x, y))
        total = inner(x, y)
    return tape.gradient(total, (x, y))


GRAPHS = [eager, by_gradients_of_a_graph, in_a_loop, in_a_nested_function]


@pytest.mark.parametrize("function", [eager, *(tf.function(f, autograph=False) for f in GRAPHS)])
def test_every_call_takes_the_gradient_of_the_function(function):
    x, y = tf.constant(5.0), tf.constant(7.0)
    assert [float(g) for g in function(x, y)] == [10 * 2 + 3, 100 * 7 * 2]


def test_a_gradient_can_be_differentiated_again():
    cube = custom_gradient(lambda x: (x**3, lambda upstream: 7.0 * x**2 * upstream))

    @tf.function
    def second(x):
        return gradients.input_gradient(lambda x: gradients.input_gradient(cube, x), x)

    assert float(second(tf.constant(2.0))) == 7 * 2 * 2


def test_without_a_place_on_the_tape_it_is_tensorflow_s(monkeypatch):
    monkeypatch.setattr(gradients, "_tape_record", lambda: None)
    doubled = custom_gradient(lambda x: (2.0 * x, lambda upstream: 5.0 * upstream))
    assert float(tf.function(lambda x: gradients.input_gradient(doubled, x))(tf.constant(1.0))) == 5.0


def test_a_module_with_gradients_is_saved_with_them(tmp_path):
    module = tf.Module()
    module.call = tf.function(lambda x, y: weighted(x, y), input_signature=[tf.TensorSpec(())] * 2, autograph=False)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    tf.saved_model.save(module, str(tmp_path / "saved"), options=options)
    x, y = tf.constant(5.0), tf.constant(7.0)
    with tf.GradientTape() as tape:
        tape.watch((x, y))
        total = tf.saved_model.load(str(tmp_path / "saved")).call(x, y)
    assert float(total) == 2 * 35 + 3 * 12
    assert [float(g) for g in tape.gradient(total, (x, y))] == [10 * 2 + 3, 100 * 7 * 2]


def spectra(x):
    return stft(keras.ops.reshape(x, (1, -1)), 8, 4)[0]


NORM = group_normalization_swish(4, "norm")
NORM.build((1, None, 4))


def normalized(x):
    return NORM(keras.ops.reshape(x, (1, -1, 4)))


@pytest.mark.parametrize("function", [silu, spectra, normalized, lambda x: odd(x, x)[0]])
def test_a_graph_with_gradients_can_be_freed(function):
    """TensorFlow's own table of gradients would keep it: 12 MB for each audio tokenizer that was ever loaded."""

    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(function(x))
        return tape.gradient(y, x)

    compiled = tf.function(step, autograph=False)
    concrete = compiled.get_concrete_function(tf.TensorSpec((16,)))
    assert np.all(np.isfinite(concrete(tf.ones(16))))
    graph = weakref.ref(concrete.graph)
    del compiled, concrete, step
    gc.collect()
    assert graph() is None


def test_silu_is_x_times_its_sigmoid():
    x = np.array([-30.0, -1.0, 0.0, 2.0, 40.0], "float32")
    np.testing.assert_allclose(silu(x), x / (1.0 + np.exp(-x.astype("float64"))), rtol=1e-6)
