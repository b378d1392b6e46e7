import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import spread_rows

GOLDEN = (5**0.5 - 1) / 2


def picked(n, count, step):
    """Numbers of the rows that are picked."""
    return spread_rows(np.arange(float(n))[:, None], count, step).numpy()[:, 0].astype(int)


def test_typed_out_answers():
    # Fractions 0, 0.618, 0.236, 0.854, 0.472 of 10 rows; one step later 0.755 further.
    assert picked(10, 5, 0).tolist() == [0, 6, 2, 8, 4]
    assert picked(10, 5, 1).tolist() == [7, 3, 9, 6, 2]


@pytest.mark.parametrize(("n", "count"), [(1, 1), (7, 20), (1000, 100), (100_003, 512)])
@pytest.mark.parametrize("step", [0, 1, 4095, 4096 + 3, 10**6])
def test_equals_the_formula_in_float64(n, count, step):
    fractions = (np.arange(count) * GOLDEN + step % 4096 * 0.7548776) % 1.0
    # float32 may fall into the next row where a fraction is at a row's edge.
    difference = np.abs(picked(n, count, step) - np.floor(fractions * n))
    assert np.minimum(difference, n - difference).max() <= max(1, n * 3e-4)
    assert picked(n, count, step).max() < n


@pytest.mark.parametrize("step", [0, 1, 17])
def test_rows_are_even_and_repeat_only_where_few_are_left(step):
    assert len(np.unique(picked(3 * 512, 512, step))) == 512
    tenths = np.histogram(picked(10_000, 512, step), bins=10, range=(0, 10_000))[0]
    assert tenths.min() >= 49
    assert tenths.max() <= 54


def test_each_step_picks_other_rows_until_all_were_picked():
    steps = [set(picked(4096, 64, step)) for step in range(200)]
    assert all(a != b for a, b in zip(steps, steps[1:], strict=False))
    assert len(set.union(*steps)) > 0.9 * 4096


def test_whole_rows_come_back():
    matrix = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
    rows = spread_rows(matrix, 20, 5).numpy()
    np.testing.assert_array_equal(rows, matrix[picked(50, 20, 5)])


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_same_in_a_graph_with_a_variable_step(jit_compile):
    step = keras.Variable(0, dtype="int32")
    function = tf.function(lambda m: spread_rows(m, 20, step), jit_compile=jit_compile)
    for value in (0, 1, 5000):
        step.assign(value)
        rows = function(tf.range(50.0)[:, None]).numpy()[:, 0].astype(int)
        assert rows.tolist() == picked(50, 20, value).tolist()


def picked_of(real, count, step):
    matrix = np.arange(float(len(real)))[:, None]
    return spread_rows(matrix, count, step, np.array(real)).numpy()[:, 0].astype(int)


def test_typed_out_rows_of_the_real_ones():
    # The 5 real rows are 1, 2, 5, 6, 9; fractions 0, 0.618, 0.236, 0.854 of them.
    real = [False, True, True, False, False, True, True, False, False, True]
    assert picked_of(real, 4, 0).tolist() == [1, 6, 2, 9]


@pytest.mark.parametrize("step", [0, 3, 4100])
@pytest.mark.parametrize("count", [5, 300])
def test_real_rows_are_picked_as_if_the_others_were_not_there(count, step):
    rng = np.random.default_rng(0)
    matrix, real = rng.normal(size=(500, 3)).astype("float32"), rng.random(500) < 0.3
    matrix[~real] = 1e30
    rows = spread_rows(matrix, count, step, real)
    np.testing.assert_array_equal(rows, spread_rows(matrix[real], count, step))


def test_all_real_is_no_mask_and_none_real_is_all():
    assert picked_of([True] * 10, 5, 1).tolist() == picked(10, 5, 1).tolist()
    assert picked_of([False] * 10, 5, 1).tolist() == picked(10, 5, 1).tolist()
    assert picked_of([False, True, False], 4, 0).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("jit_compile", [False, True])
def test_real_rows_in_a_graph(jit_compile):
    real = np.random.default_rng(0).random(50) < 0.5
    function = tf.function(lambda m, r: spread_rows(m, 20, 7, r), jit_compile=jit_compile)
    rows = function(tf.range(50.0)[:, None], tf.constant(real)).numpy()[:, 0].astype(int)
    assert rows.tolist() == picked_of(real, 20, 7).tolist()


@pytest.mark.parametrize("jit_compile", [None, False, True])
@pytest.mark.parametrize("with_mask", [False, True])
def test_of_an_empty_matrix_zeros_come_back(jit_compile, with_mask):
    def function(matrix, real):
        return spread_rows(matrix, 5, 3, real if with_mask else None)

    if jit_compile is not None:
        signature = [tf.TensorSpec((None, 3)), tf.TensorSpec((None,), tf.bool)]
        function = tf.function(function, jit_compile=jit_compile, input_signature=signature)
    rows = function(tf.zeros((0, 3)), tf.zeros((0,), tf.bool))
    assert rows.numpy().tolist() == [[0.0] * 3] * 5
    # The same function still picks where there is something.
    matrix, real = tf.reshape(tf.range(60.0), (20, 3)), tf.range(20) % 3 == 0
    expected = matrix.numpy()[picked_of(real, 5, 3) if with_mask else picked(20, 5, 3)]
    np.testing.assert_array_equal(function(matrix, real), expected)
