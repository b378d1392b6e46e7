"""The nearest code of each vector, in float32 and in bounded memory."""

import contextlib
import contextvars

import keras

# Distances held at once: 2**24 float32 numbers are 64 MB. Smaller pieces cost speed only below about 2**20.
DISTANCES_AT_ONCE = 2**24

_in_one_piece = contextvars.ContextVar("in_one_piece", default=False)


@contextlib.contextmanager
def distances_in_one_piece():
    """Traces `nearest_codes` without its loop over pieces, which LiteRT cannot convert for unknown sizes.

    Example:
    >>> with distances_in_one_piece():
    ...     tokens = nearest_codes(keras.ops.zeros((2, 1)), keras.ops.ones((3, 1)))
    """
    token = _in_one_piece.set(True)
    try:
        yield
    finally:
        _in_one_piece.reset(token)


def nearest_codes(vectors, codebook):
    r"""Finds the row of `codebook` that is nearest to each vector, by Euclidean distance.

    $$t_n = \arg\min_k \lVert v_n - c_k \rVert^2 = \arg\min_k \left(\lVert c_k \rVert^2 - 2\, v_n \cdot c_k\right)$$

    The matrix of distances is made in pieces of at most `DISTANCES_AT_ONCE` numbers, so that 65,536 vectors against
    16,384 codes need 64 MB instead of 4.3 GB. Half precision is cast up first: there, 1 to 8 % of the answers
    would be wrong. Of equally near codes the first wins.

    Args:
        vectors: float tensor, shape (n, latent_dim).
        codebook: float tensor, shape (codebook_size, latent_dim).

    Returns:
        int32 tensor, shape (n,), in [0, codebook_size).

    Example:
    >>> import numpy as np
    >>> np.asarray(nearest_codes(np.array([[0.1], [0.9]]), np.array([[0.0], [1.0]])))
    array([0, 1], dtype=int32)
    """
    vectors = keras.ops.cast(vectors, "float32")
    codebook = keras.ops.cast(codebook, "float32")
    rows = max(1, DISTANCES_AT_ONCE // codebook.shape[0])
    if _in_one_piece.get() or (vectors.shape[0] is not None and vectors.shape[0] <= rows):
        return _nearest(vectors, codebook)
    return _nearest_in_chunks(vectors, codebook, rows)


def _nearest(vectors, codebook):
    scores = keras.ops.sum(keras.ops.square(codebook), axis=1) - 2.0 * keras.ops.matmul(
        vectors, keras.ops.transpose(codebook)
    )  # (n, codebook_size)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # keras.ops.argmin adds a BitwiseAnd for negative zeros, which LiteRT does not have.
        return tf.argmin(scores, axis=1, output_type=tf.int32)
    return keras.ops.argmin(scores, axis=1)


def _nearest_in_chunks(vectors, codebook, rows):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        count = tf.shape(vectors)[0]
        size = tf.minimum(rows, tf.maximum(count, 1))
        chunks = tf.maximum((count + size - 1) // size, 1)  # no vector at all still makes one chunk
        padded = tf.pad(vectors, [[0, chunks * size - count], [0, 0]])
        pieces = tf.reshape(padded, (chunks, size, vectors.shape[1]))
        tokens = tf.map_fn(
            lambda piece: _nearest(piece, codebook),
            pieces,
            parallel_iterations=1,  # ten at once, TensorFlow's default in graphs, need ten times the memory
            fn_output_signature=tf.TensorSpec((None,), tf.int32),
        )
        return tf.ensure_shape(tf.reshape(tokens, (-1,))[:count], vectors.shape[:1])
    pieces = [_nearest(vectors[i : i + rows], codebook) for i in range(0, vectors.shape[0], rows)]
    return keras.ops.concatenate(pieces)
