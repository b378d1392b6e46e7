"""VQGAN for text: the networks of `text_vqvae`, with low-dimensional codebooks.

| what | from | |---|---| | codebooks of 8 dimensions, by cosine similarity | Yu et al. 2021,
https://arxiv.org/abs/2110.04627, section 3.2 | | a discriminator on the decoder's soft pieces, in the trainer | Esser
et al. 2021, https://arxiv.org/abs/2012.09841 |

The discriminator compares mixtures of piece embeddings, weighted by the decoder's probabilities, with single embeddings
(`TextTokenizer.judged`). It rewards confident predictions and plausible sequences of pieces.
"""

from vqzoo.quantizers import CosineVectorQuantizer
from vqzoo.quantizers import ProjectedQuantizer
from vqzoo.quantizers import ResidualQuantizer
from vqzoo.tokenizers.text.vqvae import text_vqvae


def text_vqgan(
    pieces,
    stride=4,
    filters=128,
    blocks=4,
    attention=0,
    embedding_dim=96,
    latent_dim=64,
    word_dropout=0.0,
    embeddings=None,
    quantizer=None,
    decoder=None,
    name="text_vqgan",
):
    """Builds the tokenizer of a VQGAN for text of any length. The discriminator belongs to the trainer.

    Args:
        pieces: `vqzoo.data.Pieces`.
        stride: int, pieces per chunk, that is, per position of tokens. Defaults to 4.
        filters: int, channels of the ConvNeXt blocks. Defaults to 128.
        blocks: int, ConvNeXt blocks of the encoder and of the decoder. Defaults to 4.
        attention: int, transformer blocks over chunks in each of the two. Defaults to 0.
        embedding_dim: int, width of the piece embeddings, also for the discriminator. Defaults to 96, or that of
            `embeddings`.
        latent_dim: int, width of a latent vector. Defaults to 64.
        word_dropout: float, fraction of the pieces hidden from the encoder in training. Defaults to 0.
        embeddings: float array (pieces, width), initial piece embeddings of the encoder. Defaults to none.
        quantizer: `Quantizer`. Defaults to a `ResidualQuantizer` of four
            `ProjectedQuantizer(CosineVectorQuantizer(1024), 8)`.
        decoder: keras layer, such as an `AutoregressiveTextDecoder`. Defaults to the parallel `text_decoder`.
        name: str, name of the tokenizer. Defaults to "text_vqgan".

    Returns:
        A built `TextTokenizer`, list of str to int32 (batch, chunks, num_codebooks).

    Example:
    >>> from vqzoo.data import Pieces
    >>> pieces = Pieces.train(["the cat sat on the mat", "a dog and a cat"], size=300, exact=False)
    >>> text_vqgan(pieces, filters=16).codebook_sizes
    (1024, 1024, 1024, 1024)
    """
    codes = [ProjectedQuantizer(CosineVectorQuantizer(1024), 8) for _ in range(4)]
    return text_vqvae(
        pieces,
        stride,
        filters,
        blocks,
        attention,
        embedding_dim,
        latent_dim,
        word_dropout,
        embeddings,
        quantizer or ResidualQuantizer(codes, name="quantizer"),
        decoder,
        name,
    )
