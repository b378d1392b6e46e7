"""VQGAN of sentences: the networks of `text_vqvae`, and codebooks of few dimensions.

| what | from |
|---|---|
| codebooks of 8 dimensions, by cosine similarity | Yu et al. 2021, https://arxiv.org/abs/2110.04627, section 3.2 |
| a discriminator of the decoder's soft pieces, in the trainer | Esser et al. 2021, https://arxiv.org/abs/2012.09841 |

Words have no small errors for a discriminator to sharpen, and it sees the decoder's mixtures of the pieces' vectors
against single vectors (`TextTokenizer.judged`): it asks for a decided decoder and for pieces that follow each other.
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
    """Builds the VQGAN's tokenizer for sentences of any length; the discriminator belongs to the trainer.

    Args:
        pieces: `vqzoo.data.Pieces`.
        stride: int, pieces of a chunk, which one position of tokens stands for. Defaults to 4.
        filters: int, channels of the blocks. Defaults to 128.
        blocks: int, ConvNeXt blocks of the encoder and of the decoder. Defaults to 4.
        attention: int, transformer blocks over chunks of each. Defaults to 0.
        embedding_dim: int, width of a piece's vector, which the discriminator sees. Defaults to 96, or that of
            `embeddings`.
        latent_dim: int, width of a latent vector. Defaults to 64.
        word_dropout: float, share of the pieces hidden from the encoder in training. Defaults to 0.
        embeddings: float array (pieces, width), the encoder's vectors to start from. Defaults to none.
        quantizer: `Quantizer`. Defaults to a `ResidualQuantizer` of four
            `ProjectedQuantizer(CosineVectorQuantizer(1024), 8)`.
        decoder: keras layer, such as an `AutoregressiveTextDecoder`. Defaults to the parallel `text_decoder`.
        name: str, of the tokenizer. Defaults to "text_vqgan".

    Returns:
        A built `TextTokenizer`: sentences to int32 (batch, chunks, num_codebooks).

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
