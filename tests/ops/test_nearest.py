import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import for_litert
from vqzoo.ops import highest_scores
from vqzoo.ops import largest
from vqzoo.ops import nearest
from vqzoo.ops import nearest_codes
from vqzoo.ops import sampled_codes

ANY_VECTORS = tf.TensorSpec((None, 8), tf.float32)


def random(seed, *shape, scale=1.0):
    return (scale * np.random.default_rng(seed).normal(size=shape)).astype("float32")


def squared_distances(vectors, codebook):
    vectors, codebook = np.asarray(vectors, "float64"), np.asarray(codebook, "float64")
    return ((vectors[:, None] - codebook) ** 2).sum(axis=-1)  # (n, codebook_size)


def assert_nearest(tokens, vectors, codebook):
    """Equal to the float64 oracle, except where two codes are equally near up to float32's digits."""
    tokens = np.asarray(tokens)
    assert tokens.dtype == np.int32
    assert tokens.shape == (len(vectors),)
    distances = squared_distances(vectors, codebook)
    nearest_two = np.sort(distances, axis=1)[:, :2]
    clear = nearest_two[:, -1] - nearest_two[:, 0] > 1e-4
    assert clear.mean() > 0.95 or len(codebook) == 1
    np.testing.assert_array_equal(tokens[clear], distances.argmin(axis=1)[clear])
    chosen = np.take_along_axis(distances, tokens[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(chosen, nearest_two[:, 0], atol=1e-4)


def test_typed_out_answers():
    codebook = [[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]]
    vectors = [[1.9, 0.0], [2.1, 0.0], [0.0, 1.4], [0.0, 1.6], [9.0, 9.0], [-9.0, -1.0]]
    # The fifth: 25 + 81 = 106 to the second code, 81 + 36 = 117 to the third.
    assert nearest_codes(vectors, codebook).numpy().tolist() == [0, 1, 0, 2, 1, 0]


@pytest.mark.parametrize(("n", "d", "size"), [(1, 1, 1), (50, 1, 7), (1000, 2, 512), (200, 16, 1000), (77, 256, 64)])
def test_equals_the_float64_oracle(n, d, size):
    vectors, codebook = random(0, n, d), random(1, size, d)
    assert_nearest(nearest_codes(vectors, codebook), vectors, codebook)


def test_ties_give_the_first():
    codebook = [[5.0], [1.0], [-1.0], [1.0], [-1.0]]
    assert nearest_codes([[0.0], [1.0], [-7.0], [3.0]], codebook).numpy().tolist() == [1, 1, 2, 0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype):
    # |z|^2 is 90,000 at its largest, beyond float16; in half precision some answers would be others.
    vectors = tf.cast(random(0, 500, 4, scale=150.0), dtype)
    codebook = tf.cast(random(1, 256, 4, scale=150.0), dtype)
    as_float32 = tf.cast(vectors, "float32").numpy(), tf.cast(codebook, "float32").numpy()
    assert np.abs(as_float32[0]).max() > 300
    expected = squared_distances(*as_float32)
    tokens = nearest_codes(vectors, codebook).numpy()
    np.testing.assert_allclose(expected[np.arange(500), tokens], expected.min(axis=1), rtol=1e-4, atol=0.1)


# 40 numbers are 5 vectors against 8 codes.
@pytest.mark.parametrize("n", [0, 1, 4, 5, 6, 10, 23])
def test_pieces_give_what_one_piece_gives(n, monkeypatch):
    vectors, codebook = random(0, n, 8), random(1, 8, 8)
    expected = nearest_codes(vectors, codebook).numpy()
    np.testing.assert_array_equal(expected, squared_distances(vectors, codebook).argmin(axis=1))

    monkeypatch.setattr(nearest, "DISTANCES_AT_ONCE", 40)
    known = tf.function(lambda v: nearest_codes(v, codebook))
    unknown = tf.function(lambda v: nearest_codes(v, codebook), input_signature=[ANY_VECTORS])
    with_xla = tf.function(lambda v: nearest_codes(v, codebook), jit_compile=True)
    for function in (lambda v: nearest_codes(v, codebook), known, unknown, with_xla):
        tokens = function(tf.constant(vectors))
        assert tokens.dtype == tf.int32
        np.testing.assert_array_equal(tokens, expected)


def test_pieces_of_one_vector_where_the_codebook_is_large(monkeypatch):
    vectors, codebook = random(0, 7, 8), random(1, 30, 8)
    monkeypatch.setattr(nearest, "DISTANCES_AT_ONCE", 10)
    assert_nearest(nearest_codes(vectors, codebook), vectors, codebook)


def test_no_piece_is_larger_than_the_limit(monkeypatch):
    calls = []
    whole = nearest._highest
    monkeypatch.setattr(nearest, "DISTANCES_AT_ONCE", 40)
    monkeypatch.setattr(nearest, "_highest", lambda v, c, m: calls.append(len(v) * len(c)) or whole(v, c, m))
    nearest_codes(random(0, 23, 8), random(1, 8, 8))
    assert calls == [40] * 5


def has_a_loop(function):
    return any("While" in op.type for op in function.get_concrete_function().graph.get_operations())


def test_one_piece_traces_no_loop_and_ends_with_its_block(monkeypatch):
    monkeypatch.setattr(nearest, "DISTANCES_AT_ONCE", 40)
    vectors, codebook = random(0, 23, 8), random(1, 8, 8)
    expected = nearest_codes(vectors, codebook).numpy()

    def make():
        return tf.function(lambda v: nearest_codes(v, codebook), input_signature=[ANY_VECTORS])

    assert has_a_loop(make())
    with for_litert():
        in_one_piece = make()
        assert not has_a_loop(in_one_piece)
    assert has_a_loop(make())
    np.testing.assert_array_equal(in_one_piece(vectors), expected)


def test_one_piece_ends_on_an_error_too():
    codebook = random(1, 8, 8)
    with pytest.raises(RuntimeError, match="inside"), for_litert():
        raise RuntimeError("inside")
    assert has_a_loop(tf.function(lambda v: nearest_codes(v, codebook), input_signature=[ANY_VECTORS]))


def test_one_piece_blocks_nest():
    codebook = random(1, 8, 8)
    with for_litert():
        with for_litert():
            pass
        assert not has_a_loop(tf.function(lambda v: nearest_codes(v, codebook), input_signature=[ANY_VECTORS]))


# The peak of a process never falls, so each way gets a process of its own.
MEMORY = """
import resource
import sys
import numpy as np
import tensorflow as tf
from vqzoo.ops import nearest_codes

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MB; Linux counts in kB

function = nearest_codes
if sys.argv[1] == "graph":
    function = tf.function(nearest_codes, input_signature=[tf.TensorSpec((None, 8)), tf.TensorSpec((16384, 8))])
rng = np.random.default_rng(0)
vectors, codebook = (tf.constant(rng.normal(size=(n, 8)), tf.float32) for n in (65536, 16384))
function(vectors[:10], codebook)
before = peak()
tokens = function(vectors, codebook).numpy()
growth = peak() - before
some = rng.integers(0, 65536, 50)
distances = ((vectors.numpy()[some, None].astype("float64") - codebook.numpy()) ** 2).sum(axis=-1)
np.testing.assert_allclose(distances[np.arange(50), tokens[some]], distances.min(axis=1), atol=1e-4)
print(growth)
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_many_vectors_and_many_codes_need_little_memory(mode):
    child = subprocess.run([sys.executable, "-c", MEMORY, mode], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr[-2000:]
    assert float(child.stdout) < 300, f"{mode}: {child.stdout} MB"  # all distances are 4,096 MB, ten pieces 640


@pytest.mark.parametrize("offset", [0.0, 30.0, 1000.0])
def test_a_common_offset_changes_no_answer(offset):
    rng = np.random.default_rng(0)
    vectors, codebook = (rng.normal(size=(n, 8)).astype("float32") + np.float32(offset) for n in (500, 256))
    distances = np.square(vectors[:, None].astype("float64") - codebook).sum(-1)
    np.testing.assert_array_equal(nearest_codes(vectors, codebook), distances.argmin(1))


@pytest.mark.parametrize("columns", [1, 63, 64, 256, 300, 1024])
def test_largest_finds_the_first_of_the_largest(columns):
    scores = np.random.default_rng(0).integers(0, 40, (200, columns)).astype("float32")  # many equal ones
    assert columns < 63 or ((scores == scores.max(1, keepdims=True)).sum(1) > 1).mean() > 0.3
    np.testing.assert_array_equal(largest(scores), scores.argmax(1))
    np.testing.assert_array_equal(tf.function(largest, jit_compile=True)(tf.constant(-scores)), scores.argmin(1))


def test_typed_out_highest_scores():
    rows = [[1.0, 0.0], [0.0, 3.0], [-1.0, -1.0]]
    vectors = [[1.0, 1.0], [5.0, 1.0], [-2.0, 0.1], [0.0, 0.0]]
    # Products 1, 3, -2; 5, 3, -6; -2, 0.3, 1.9; all 0.
    assert highest_scores(vectors, rows).numpy().tolist() == [1, 0, 2, 0]
    # With 0, -3, 4 added: 1, 0, 2; 5, 0, -2; -2, -2.7, 5.9; 0, -3, 4.
    assert highest_scores(vectors, rows, [0.0, -3.0, 4.0]).numpy().tolist() == [2, 0, 2, 2]
    moved = highest_scores(np.array(vectors) + [5.0, -7.0], rows, [0.0, -3.0, 4.0], centre=np.array([5.0, -7.0], "f4"))
    assert moved.numpy().tolist() == [2, 0, 2, 2]


@pytest.mark.parametrize("with_offsets", [False, True])
def test_highest_scores_equal_the_float64_oracle_in_pieces(with_offsets, monkeypatch):
    vectors, rows, offsets = random(0, 203, 8), random(1, 30, 8), random(2, 30) if with_offsets else None
    scores = vectors.astype("float64") @ rows.T + (0.0 if offsets is None else offsets)
    expected = scores.argmax(axis=1)
    np.testing.assert_array_equal(highest_scores(vectors, rows, offsets), expected)
    monkeypatch.setattr(nearest, "DISTANCES_AT_ONCE", 30 * 17)
    function = tf.function(lambda v: highest_scores(v, rows, offsets), input_signature=[ANY_VECTORS])
    assert has_a_loop(function)
    np.testing.assert_array_equal(function(vectors), expected)


DRAWS = 40_000


@pytest.mark.parametrize("temperature", [0.5, 2.0, 50.0])
@pytest.mark.parametrize("jit_compile", [None, True])
def test_sampled_codes_follow_the_softmax_of_the_squared_distances(temperature, jit_compile):
    codebook = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [-3.0, 1.0]], "float32")
    vector = np.array([[0.4, 0.5]], "float32")
    logits = -squared_distances(vector, codebook)[0] / temperature
    expected = np.exp(logits) / np.exp(logits).sum()
    generator = keras.random.SeedGenerator(0)
    draw = lambda v: sampled_codes(v, codebook, temperature, generator)  # noqa: E731
    tokens = (draw if jit_compile is None else tf.function(draw, jit_compile=True))(vector.repeat(DRAWS, axis=0))
    assert tokens.dtype == tf.int32
    shares = np.bincount(tokens, minlength=4) / DRAWS
    np.testing.assert_allclose(shares, expected, atol=4 * (0.25 / DRAWS) ** 0.5)


def test_sampled_codes_are_drawn_anew_for_each_vector_and_each_call():
    codebook, vectors = random(1, 16, 4), random(0, 1, 4).repeat(200, axis=0)
    generator = keras.random.SeedGenerator(0)
    first, second = (sampled_codes(vectors, codebook, 100.0, generator).numpy() for _ in range(2))
    assert len(np.unique(first)) == 16
    assert (first != second).mean() > 0.8
    # Independent of one another: as many equal neighbours as chance gives.
    assert (first[1:] == first[:-1]).mean() < 0.15
    np.testing.assert_array_equal(*(sampled_codes(vectors, codebook, 100.0, 7) for _ in range(2)))


def test_a_small_temperature_draws_the_nearest():
    codebook, vectors = random(1, 32, 4), random(0, 500, 4)
    tokens = sampled_codes(vectors, codebook, 1e-5, 0).numpy()
    assert (tokens == nearest_codes(vectors, codebook).numpy()).mean() > 0.99


@pytest.mark.parametrize("far", [1e4, 1e6, 1e12])
def test_one_code_far_away_does_not_blur_the_others(far):
    rng = np.random.default_rng(0)
    codes, vectors = rng.normal(size=(64, 8)), rng.normal(size=(500, 8))
    codes[7] *= far
    expected = ((vectors[:, None] - codes) ** 2).sum(-1).argmin(1)
    np.testing.assert_array_equal(nearest_codes(vectors, codes), expected)


def test_a_token_drawn_for_nan_is_one_of_the_codes():
    drawn = nearest.sampled_codes(np.full((20, 2), np.nan, "f4"), np.eye(2, dtype="f4"), 1.0, seed=0)
    assert set(np.asarray(drawn).tolist()) <= {0, 1}


def test_the_middle_of_codes_leaves_out_those_a_hundred_times_longer():
    codes = np.array(8 * [[1.0, 2.0], [3.0, 4.0]] + [[1e6, 0.0], [0.0, 0.0]], "float32")
    np.testing.assert_allclose(nearest.central_code(codes), [32 / 17, 48 / 17], rtol=1e-6)
    np.testing.assert_array_equal(nearest.central_code(np.zeros((3, 2), "float32")), [0.0, 0.0])
