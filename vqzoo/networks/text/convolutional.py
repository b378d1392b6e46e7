"""Convolutional encoders of text, and parallel decoders that are causal over chunks."""

import keras
import numpy as np

from vqzoo.networks.sequence.blocks import EPSILON
from vqzoo.networks.sequence.blocks import ConvNeXtBlock1D
from vqzoo.networks.sequence.convolution import TimeConv1D
from vqzoo.networks.sequence.convolution import UpsampleConv1D
from vqzoo.networks.text.masks import RealPieces
from vqzoo.networks.text.masks import WordDropout
from vqzoo.networks.text.transformer import MaskedTransformer

HEAD_WIDTH = 64  # channels of one attention head, at least
EMBEDDING = "embedding"  # the layer's name


def text_encoder(
    pieces,
    latent_dim,
    *,
    end,
    stride=4,
    filters=128,
    blocks=4,
    attention=0,
    embedding_dim=96,
    word_dropout=0.0,
    embeddings=None,
    tune_embeddings=True,
):
    """Builds an encoder of text: pieces to vectors, ConvNeXt blocks, and a strided convolution to chunks.

    It is bidirectional and accepts any length. n pieces become ceil(n / stride) latents. Positions after the
    end-of-sequence token are zeroed, so that a sentence has the same latents in a batch as by itself. Latents of chunks
    after its last one have no meaning.

    Args:
        pieces: int, number of pieces.
        latent_dim: int, width of a latent vector.
        end: int, id of the end-of-sequence token.
        stride: int, pieces per chunk, which has one latent vector. Defaults to 4.
        filters: int, channels of the blocks. Defaults to 128.
        blocks: int, ConvNeXt blocks; the first half over pieces, the others over chunks. Defaults to 4.
        attention: int, transformer blocks over chunks after them, over the whole sentence. Defaults to 0.
        embedding_dim: int, width of the vector of a piece. Defaults to 96, or that of `embeddings`.
        word_dropout: float, fraction of the pieces hidden in training. Defaults to 0.
        embeddings: float array (pieces, width), initial vectors, such as means of word vectors. Defaults to none.
        tune_embeddings: bool, whether the vectors are trained. Defaults to True.

    Returns:
        `keras.Model`, ids int32 (batch, length) to latents (batch, chunks, latent_dim).

    Raises:
        ValueError: if `embeddings` does not have one row per piece, or `stride` is below 1.

    Example:
    >>> text_encoder(100, 8, end=2, filters=16).compute_output_shape((1, 10))
    (1, 3, 8)

    Reference:
        The blocks: Siuzdak 2023, https://arxiv.org/abs/2306.00814, section 3.2. Strided convolutions over pieces:
        Kaiser et al. 2018, https://arxiv.org/abs/1803.03382, section 3.1
    """
    _check_stride(stride)
    if embeddings is not None:
        embedding_dim = _checked(embeddings, pieces).shape[1]
    ids = keras.Input((None,), dtype="int32", name="ids")
    real = RealPieces(end, name="real_pieces")(ids)
    x = keras.layers.Embedding(pieces, embedding_dim, trainable=tune_embeddings, name=EMBEDDING)(ids)
    if word_dropout:
        x = WordDropout(word_dropout, name="word_dropout")(x)
    x = _real_alone(x, real, "embedding")
    x = TimeConv1D(filters, 5, name="conv_in")(x)
    x = _norm("norm_in")(x)
    early = blocks // 2
    x = _blocks(_real_alone(x, real, "conv_in"), range(early), blocks, real)
    if stride > 1:
        real = RealPieces(end, stride, name="real_chunks")(ids)
        x = TimeConv1D(filters, 2 * stride, stride, name="down")(x)
        x = _real_alone(x, real, "down")
    x = _blocks(x, range(early, blocks), blocks, real)
    if attention:
        x = MaskedTransformer(attention, _heads(filters), name="transformer")([x, real])
    x = _norm("norm_out")(x)
    encoder = keras.Model(ids, keras.layers.Dense(latent_dim, name="latents")(x), name="encoder")
    if embeddings is not None:
        encoder.get_layer(EMBEDDING).set_weights([embeddings])
    return encoder


def text_decoder(
    pieces,
    latent_dim,
    *,
    stride=4,
    filters=128,
    blocks=4,
    attention=0,
    embedding_dim=96,
):
    """Builds the parallel decoder, which predicts all pieces in one pass, each from the chunks up to its own.

    It has causal convolutions over chunks, then upsampling to `stride` positions per chunk, and causal convolutions
    over pieces. Later chunks do not change the output of a chunk. Tokens therefore need no lengths, and a text can be
    decoded while it arrives. The first weights over pieces differ for each position in a chunk.

    Args:
        pieces: int, number of pieces.
        latent_dim: int, width of a latent vector.
        stride: int, pieces per chunk. Defaults to 4.
        filters: int, channels of the blocks. Defaults to 128.
        blocks: int, ConvNeXt blocks; the first half over chunks, the others over pieces. Defaults to 4.
        attention: int, causal transformer blocks over chunks before them. Defaults to 0.
        embedding_dim: int, width of the input of the output projection. Defaults to 96.

    Returns:
        `keras.Model`, latents (batch, chunks, latent_dim) to float32 logits (batch, chunks * stride, pieces).

    Raises:
        ValueError: if `stride` is below 1.

    Example:
    >>> text_decoder(100, 8, filters=16).compute_output_shape((1, 3, 8))
    (1, 12, 100)

    Reference:
        All pieces at once from discrete latents: Kaiser et al. 2018, https://arxiv.org/abs/1803.03382, section 3
    """
    _check_stride(stride)
    x = latents = keras.Input((None, latent_dim), name="latents")
    x = keras.layers.Conv1D(filters, 3, padding="causal", name="conv_in")(x)
    x = _norm("norm_in")(x)
    if attention:
        x = MaskedTransformer(attention, _heads(filters), causal=True, name="transformer")(x)
    early = blocks // 2
    x = _blocks(x, range(early), blocks)
    if stride > 1:
        x = UpsampleConv1D(filters, stride, kernel_size=1, name="up")(x)
    x = _blocks(x, range(early, blocks), blocks)
    x = _norm("norm_out")(x)
    x = keras.layers.Dense(embedding_dim, name="to_embedding")(x)
    # Always in float32, because of the maximum of thousands of logits and the softmax of the loss.
    logits = keras.layers.Dense(pieces, dtype="float32", name="logits")(x)
    return keras.Model(latents, logits, name="decoder")


def embedding_of(encoder):
    """The embedding layer of an encoder.

    Args:
        encoder: `keras.Model` of ids.

    Returns:
        `keras.layers.Embedding`.

    Raises:
        ValueError: if the encoder does not have exactly one.

    Example:
    >>> embedding_of(text_encoder(100, 8, end=2, filters=16)).output_dim
    96
    """
    found = [layer for layer in getattr(encoder, "layers", ()) if isinstance(layer, keras.layers.Embedding)]
    if len(found) != 1:
        raise ValueError(
            f"A text encoder must have one keras.layers.Embedding. Received: {encoder.name!r} with {len(found)}. Build "
            "it with `vqzoo.networks.text.text_encoder`, or as a Functional model that has one."
        )
    return found[0]


def _real_alone(x, real, name):
    """Zeros in padded positions, as beyond the ends, by a product, which the portable form supports."""
    return keras.layers.Multiply(name=f"{name}_of_real")([x, real])


def _blocks(x, numbers, blocks, real=None):
    """ConvNeXt blocks, which are causal if there is no mask."""
    for i in numbers:
        x = ConvNeXtBlock1D(scale=1.0 / blocks, causal=real is None, name=f"block_{i}")(x)
        if real is not None:
            x = _real_alone(x, real, f"block_{i}")
    return x


def _norm(name):
    return keras.layers.LayerNormalization(epsilon=EPSILON, name=name)


def _heads(filters):
    most = max(1, filters // HEAD_WIDTH)
    return max(heads for heads in range(1, most + 1) if filters % heads == 0)


def _check_stride(stride):
    if not isinstance(stride, int) or stride < 1:
        raise ValueError(f"`stride` must be a number of pieces, at least 1. Received: stride={stride!r}")


def _checked(embeddings, pieces):
    embeddings = np.asarray(embeddings)
    if embeddings.ndim != 2 or len(embeddings) != pieces or embeddings.dtype.kind != "f":
        raise ValueError(
            f"`embeddings` must have a row of floats for each of the {pieces} pieces. Received: {embeddings.dtype} of "
            f"shape {embeddings.shape}. `vqzoo.data` can make them from word vectors."
        )
    return embeddings
