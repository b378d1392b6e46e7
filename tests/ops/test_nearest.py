import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from vqzoo.ops import distances_in_one_piece
from vqzoo.ops import nearest
from vqzoo.ops import nearest_codes

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
    whole = nearest._nearest
    monkeypatch.setattr(nearest, "DISTANCES_AT_ONCE", 40)
    monkeypatch.setattr(nearest, "_nearest", lambda v, c: calls.append(len(v) * len(c)) or whole(v, c))
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
    with distances_in_one_piece():
        in_one_piece = make()
        assert not has_a_loop(in_one_piece)
    assert has_a_loop(make())
    np.testing.assert_array_equal(in_one_piece(vectors), expected)


def test_one_piece_ends_on_an_error_too():
    codebook = random(1, 8, 8)
    with pytest.raises(RuntimeError, match="inside"), distances_in_one_piece():
        raise RuntimeError("inside")
    assert has_a_loop(tf.function(lambda v: nearest_codes(v, codebook), input_signature=[ANY_VECTORS]))


def test_one_piece_blocks_nest():
    codebook = random(1, 8, 8)
    with distances_in_one_piece():
        with distances_in_one_piece():
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
