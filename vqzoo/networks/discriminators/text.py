"""Discriminators of text, on sequences of one vector per piece."""

import keras


def text_discriminator(width, filters=128, depth=3, kernel_size=5):
    """Builds a convolutional discriminator of windows of `depth * (kernel_size - 1) + 1` pieces.

    All-zero positions are padding. They are also zero in all activations and logits, so that a sentence has the same
    activations by itself and in a batch.

    Args:
        width: int, width of the vector of a piece.
        filters: int, filters of the convolutions. Defaults to 128.
        depth: int, convolutions before the logits. Defaults to 3.
        kernel_size: int, pieces per kernel, odd. Defaults to 5.

    Returns:
        `keras.Model`, vectors (batch, length, width) to a list: the activations (batch, length, filters) after each
        convolution, for feature matching, and last the float32 logits (batch, length, 1).

    Raises:
        ValueError: if `depth` is below 1, or `kernel_size` is even.

    Example:
    >>> [shape[1:] for shape in text_discriminator(12, filters=8, depth=2).compute_output_shape((1, 9, 12))]
    [(9, 8), (9, 8), (9, 1)]

    Reference:
        Discriminators of local windows: Isola et al. 2017, https://arxiv.org/abs/1611.07004, section 3.2.2
    """
    if depth < 1 or kernel_size % 2 == 0:
        raise ValueError(
            f"`depth` must be at least 1, and `kernel_size` odd. Received: depth={depth}, kernel_size={kernel_size}"
        )
    x = vectors = keras.Input((None, width), name="vectors")
    real = keras.ops.any(keras.ops.not_equal(vectors, 0.0), axis=-1, keepdims=True)
    real = keras.ops.cast(real, "float32")
    features = []
    for i in range(depth):
        # Without normalisation, features would vanish from layer to layer with Glorot initialization.
        start = keras.initializers.HeNormal()
        x = keras.layers.Conv1D(filters, kernel_size, padding="same", kernel_initializer=start, name=f"conv_{i}")(x)
        x = keras.layers.LeakyReLU(0.2, name=f"leaky_{i}")(x)
        x = keras.layers.Multiply(name=f"features_{i}")([x, real])
        features.append(x)
    logits = keras.layers.Conv1D(1, 1, dtype="float32", name="logits_everywhere")(x)
    logits = keras.layers.Multiply(dtype="float32", name="logits")([logits, real])
    return keras.Model(vectors, [*features, logits], name="text_discriminator")
