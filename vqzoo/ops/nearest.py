"""Nearest-neighbour and maximum-score search, in float32 and bounded memory."""

import keras

from vqzoo.ops.litert import as_read
from vqzoo.ops.litert import is_for_litert

# Distances in memory at once: 2**25 float32 numbers are 128 MB. With 16,384 codes, chunks of half that size take a
# tenth more time. With 1,024 codes the size hardly matters.
DISTANCES_AT_ONCE = 2**25
# Codes per block of the search for the largest score. A maximum is faster than an argmax, which then only has to
# search the maxima of the blocks and the 64 scores of the best block.
BLOCK = 64


def nearest_codes(vectors, codebook):
    r"""Finds the row of `codebook` that is nearest to each vector, by Euclidean distance.

    $$t_n = \arg\min_k \lVert v_n - c_k \rVert^2
    = \arg\max_k \left(v_n \cdot c_k - \tfrac12 \lVert c_k \rVert^2\right)$$

    Both sides are relative to the middle of the codebook (`central_code`), because a common offset would reduce the
    precision of the differences. The matrix of scores is one product, with the squared lengths as its last row. It is
    computed in chunks of at most `DISTANCES_AT_ONCE` numbers, so that 65,536 vectors and 16,384 codes need 128 MB
    instead of 4.3 GB. Half precision is cast to float32 first, because 1 to 8 % of the results would be wrong. Ties are
    resolved to the first code.

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
    return highest_scores(vectors, *_relative(codebook))


def highest_scores(vectors, rows, offsets=None, centre=None):
    r"""Finds the row with which each vector has the largest product.

    $$t_n = \arg\max_k \left((v_n - m) \cdot w_k + b_k\right)$$

    It works in chunks and in float32, like `nearest_codes`, which is the case w = c - m, b = -|c - m|²/2 with m the
    middle of the codebook. Ties are resolved to the first row.

    Args:
        vectors: float tensor, shape (n, width).
        rows: float tensor w, shape (count, width).
        offsets: float tensor b, shape (count,). Defaults to zeros.
        centre: float tensor m, shape (width,). Defaults to zeros.

    Returns:
        int32 tensor, shape (n,), in [0, count).

    Example:
    >>> import numpy as np
    >>> np.asarray(highest_scores(np.array([[0.1], [-0.9]]), np.array([[-1.0], [2.0]])))
    array([1, 0], dtype=int32)
    """
    vectors = keras.ops.cast(vectors, "float32")
    rows = keras.ops.cast(rows, "float32")
    if offsets is None:
        rows = as_read(rows, vectors)  # rounded to 8 bits, they would find other codes
    else:
        offsets = as_read(keras.ops.cast(offsets, "float32"), vectors)
        # One product also computes the sum. A second pass over the scores would cost as much as the search.
        rows = keras.ops.concatenate([rows, keras.ops.expand_dims(offsets, 1)], axis=1)
    most = max(1, DISTANCES_AT_ONCE // rows.shape[0])
    count = vectors.shape[0]
    known = isinstance(count, int)  # an unknown size is None in TensorFlow and a symbol in JAX
    # LiteRT cannot convert a loop over chunks of unknown sizes.
    if is_for_litert() or (known and count <= most) or (not known and keras.backend.backend() != "tensorflow"):
        return _highest(vectors, rows, centre)
    return _highest_in_chunks(vectors, rows, centre, most)


def codes_at(codebook, tokens):
    """Looks up rows of a codebook.

    For LiteRT they are rows of the table that `nearest_codes` searches, plus its middle. A file then holds the table
    only once, and never in 8 bits.

    Args:
        codebook: float tensor, shape (codebook_size, latent_dim).
        tokens: int tensor, any shape, in [0, codebook_size), whose first size is dynamic.

    Returns:
        Tensor of the tokens' shape and one more axis of latent_dim, of the codebook's dtype.

    Example:
    >>> import numpy as np
    >>> np.asarray(codes_at(np.array([[0.5], [2.0]], "float32"), np.array([1, 0]))).ravel()
    array([2. , 0.5], dtype=float32)
    """
    if not is_for_litert():
        return keras.ops.take(codebook, tokens, axis=0)
    rows, _, centre = _relative(codebook)
    codes = keras.ops.take(as_read(rows, tokens), tokens, axis=0) + centre
    return keras.ops.cast(codes, keras.ops.convert_to_tensor(codebook).dtype)


def sampled_codes(vectors, codebook, temperature, seed):
    """Samples a row of `codebook` for each vector, with a higher probability for nearer rows.

    The probabilities are softmax(-distance² / temperature). All n x codebook_size of them are in memory at once.

    Args:
        vectors: float tensor, shape (n, latent_dim).
        codebook: float tensor, shape (codebook_size, latent_dim).
        temperature: float above 0, in squared distance.
        seed: int, or a `keras.random.SeedGenerator`.

    Returns:
        int32 tensor, shape (n,).

    Example:
    >>> import numpy as np
    >>> np.asarray(sampled_codes(np.array([[0.1], [0.9]]), np.array([[0.0], [1.0]]), 1e-3, seed=0))
    array([0, 1], dtype=int32)
    """
    codebook, offsets, centre = _relative(codebook)
    vectors = keras.ops.cast(vectors, "float32") - centre
    scores = keras.ops.matmul(vectors, keras.ops.transpose(codebook)) + offsets  # -distance² / 2 + a constant
    drawn = keras.random.categorical(scores * (2.0 / temperature), 1, dtype="int32", seed=seed)
    # For NaN scores TensorFlow returns an index out of range.
    return keras.ops.minimum(keras.ops.squeeze(drawn, -1), codebook.shape[0] - 1)


def largest(scores):
    """Index of the largest number in each row; ties are resolved to the first.

    `keras.ops.argmax` would add a BitwiseAnd for negative zeros on TensorFlow, which LiteRT does not have.

    Args:
        scores: float tensor, shape (n, columns), columns known.

    Returns:
        int32 tensor, shape (n,).

    Example:
    >>> import numpy as np
    >>> np.asarray(largest(np.array([[1.0, 3.0, 3.0]])))
    array([1], dtype=int32)
    """
    if keras.backend.backend() != "tensorflow":
        return keras.ops.cast(keras.ops.argmax(scores, axis=1), "int32")
    import tensorflow as tf

    scores = tf.convert_to_tensor(scores)
    columns = scores.shape[1]
    if columns % BLOCK or columns < 4 * BLOCK:
        return tf.argmax(scores, axis=1, output_type=tf.int32)
    blocks = tf.reshape(scores, (-1, columns // BLOCK, BLOCK))
    best = tf.argmax(tf.reduce_max(blocks, axis=2), axis=1, output_type=tf.int32)
    inside = tf.argmax(tf.gather(blocks, best, axis=1, batch_dims=1), axis=1, output_type=tf.int32)
    return best * BLOCK + inside


def central_code(codebook):
    """The mean of the codes, without outliers that are a hundred times longer than usual and would shift it.

    Args:
        codebook: float tensor, shape (codebook_size, latent_dim).

    Returns:
        float32 tensor, shape (latent_dim,).

    Example:
    >>> import numpy as np
    >>> codebook = np.array(8 * [[1.0, 0.0], [0.0, 2.0]] + [[1e6, 0.0]])
    >>> [float(x) for x in central_code(codebook)]
    [0.5, 1.0]
    """
    codebook = keras.ops.cast(codebook, "float32")
    lengths = keras.ops.sqrt(keras.ops.sum(keras.ops.square(codebook), axis=1, keepdims=True))
    # The squared mean of the roots. Unlike a mean it is robust against a few long codes, and a median needs sorting.
    usual = keras.ops.square(keras.ops.mean(keras.ops.sqrt(lengths)))
    counted = lengths <= 100.0 * usual
    total = keras.ops.sum(keras.ops.where(counted, codebook, 0.0), axis=0)
    return total / keras.ops.maximum(keras.ops.sum(keras.ops.cast(counted, "float32")), 1.0)


def _relative(codebook):
    """Codes relative to the middle, -|c|²/2, and the middle. The nearest code has the highest score."""
    codebook = keras.ops.cast(codebook, "float32")
    centre = central_code(codebook)
    codebook = codebook - centre
    # Not `square`, which LiteRT's converter would fuse with the difference, and then store both codebooks.
    return codebook, -0.5 * keras.ops.sum(codebook * codebook, axis=1), centre


def _highest(vectors, rows, centre):
    # Here and not before chunking, because a copy of all vectors would dominate the memory.
    if centre is not None:
        vectors = vectors - centre
    if rows.shape[1] > vectors.shape[1]:
        vectors = keras.ops.concatenate([vectors, keras.ops.ones_like(vectors[:, :1])], axis=1)
    rows = keras.ops.transpose(rows)
    if is_for_litert():
        # As a batch of one, because LiteRT is several times slower at a product of two computed matrices.
        scores = keras.ops.matmul(keras.ops.expand_dims(vectors, 0), keras.ops.expand_dims(rows, 0))
        return largest(keras.ops.squeeze(scores, 0))
    return largest(keras.ops.matmul(vectors, rows))  # of (n, count)


def _highest_in_chunks(vectors, rows, centre, most):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        count = tf.shape(vectors)[0]
        size = tf.minimum(most, tf.maximum(count, 1))
        chunks = tf.maximum((count + size - 1) // size, 1)  # at least one chunk, also without vectors
        padded = tf.pad(vectors, [[0, chunks * size - count], [0, 0]])
        pieces = tf.reshape(padded, (chunks, size, vectors.shape[1]))
        tokens = tf.map_fn(
            lambda piece: _highest(piece, rows, centre),
            pieces,
            parallel_iterations=1,  # ten at once, TensorFlow's default in graphs, need ten times the memory
            fn_output_signature=tf.TensorSpec((None,), tf.int32),
        )
        return tf.ensure_shape(tf.reshape(tokens, (-1,))[:count], vectors.shape[:1])
    pieces = [_highest(vectors[i : i + most], rows, centre) for i in range(0, vectors.shape[0], most)]
    return keras.ops.concatenate(pieces)
