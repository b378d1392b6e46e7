"""Encoders of sentences and parallel decoders, which see no chunk behind their own."""

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
    """Builds an encoder of sentences: pieces to vectors, ConvNeXt blocks, a strided convolution to chunks.

    It sees both ways. Any length: n pieces become ceil(n / stride) latents. What stands behind the end piece is zero
    wherever a layer looks sideways, so that a sentence has the latents in a batch that it has alone, and the latents of
    chunks behind its last are of no meaning.

    Args:
        pieces: int, how many there are.
        latent_dim: int, width of a latent vector.
        end: int, id of the end piece.
        stride: int, pieces of a chunk, which one latent vector stands for. Defaults to 4.
        filters: int, channels of the blocks. Defaults to 128.
        blocks: int, ConvNeXt blocks; the first half over pieces, the others over chunks. Defaults to 4.
        attention: int, blocks of a transformer over chunks after them, which see the whole sentence. Defaults to 0.
        embedding_dim: int, width of a piece's vector. Defaults to 96, or that of `embeddings`.
        word_dropout: float, share of the pieces hidden in training. Defaults to 0.
        embeddings: float array (pieces, width), vectors to start from, such as means of word vectors. Defaults to none.
        tune_embeddings: bool, whether the vectors learn. Defaults to True.

    Returns:
        `keras.Model`, ids int32 (batch, length) to latents (batch, chunks, latent_dim).

    Raises:
        ValueError: if `embeddings` has not one row for each piece, or `stride` is below 1.

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
    """Builds the parallel decoder: all pieces in one pass, each from the chunks up to its own.

    Causal convolutions over chunks, then `stride` positions for each chunk and causal convolutions over pieces. So what
    stands behind a chunk changes nothing in it: tokens need no lengths, and a text can be decoded as it comes. The
    pieces of a chunk are told apart by the first weights over pieces, one set for each place.

    Args:
        pieces: int, how many there are.
        latent_dim: int, width of a latent vector.
        stride: int, pieces of a chunk. Defaults to 4.
        filters: int, channels of the blocks. Defaults to 128.
        blocks: int, ConvNeXt blocks; the first half over chunks, the others over pieces. Defaults to 4.
        attention: int, blocks of a causal transformer over chunks before them. Defaults to 0.
        embedding_dim: int, width of the vector that the logits are products of, with one row of weights for each piece.
            Defaults to 96.

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
    # In float32 under every policy: the largest of thousands of logits, and the softmax of the loss.
    logits = keras.layers.Dense(pieces, dtype="float32", name="logits")(x)
    return keras.Model(latents, logits, name="decoder")


def embedding_of(encoder):
    """The layer of an encoder that gives each piece its vector.

    Args:
        encoder: `keras.Model` of ids.

    Returns:
        `keras.layers.Embedding`.

    Raises:
        ValueError: if the encoder has none, or several.

    Example:
    >>> embedding_of(text_encoder(100, 8, end=2, filters=16)).output_dim
    96
    """
    found = [layer for layer in getattr(encoder, "layers", ()) if isinstance(layer, keras.layers.Embedding)]
    if len(found) != 1:
        raise ValueError(
            f"An encoder of text has one keras.layers.Embedding. Received: {encoder.name!r} with {len(found)}. Build "
            "it with `vqzoo.networks.text.text_encoder`, or as a Functional model that has one."
        )
    return found[0]


def _real_alone(x, real, name):
    """Zeros in padded positions, as beyond the ends: a product, which the portable form can have."""
    return keras.layers.Multiply(name=f"{name}_of_real")([x, real])


def _blocks(x, numbers, blocks, real=None):
    """ConvNeXt blocks; causal ones where no mask tells what is real."""
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
        raise ValueError(f"`stride` is a number of pieces, 1 or more. Received: stride={stride!r}")


def _checked(embeddings, pieces):
    embeddings = np.asarray(embeddings)
    if embeddings.ndim != 2 or len(embeddings) != pieces or embeddings.dtype.kind != "f":
        raise ValueError(
            f"`embeddings` has one row of floats for each of the {pieces} pieces. Received: {embeddings.dtype} of "
            f"shape {embeddings.shape}. `vqzoo.data` makes them of word vectors."
        )
    return embeddings
