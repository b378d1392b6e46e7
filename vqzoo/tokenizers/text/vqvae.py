"""VQ-VAE of sentences: pieces in chunks, one vector and a few codes a chunk, and all pieces back at once.

| what | from |
|---|---|
| discrete codes for chunks of words, by strided convolutions | Kaiser et al. 2018, https://arxiv.org/abs/1803.03382 |
| dense latents at first, and codes for more and more examples | the same authors' code, `startup_steps` |
| several codes a position, each of what others left | Zeghidour et al. 2021, https://arxiv.org/abs/2107.03312 |
| ConvNeXt blocks over positions | Siuzdak 2023, https://arxiv.org/abs/2306.00814 |

Bits a piece: `num_codebooks * log2(codebook_size) / stride`. A piece itself takes log2(pieces).

| stride | codebooks | bits a piece | of 4,000 pieces' 11.97 bits |
|---|---|---|---|
| 1 | 1 of 4,000 | 11.97 | 100 % |
| 2 | 2 of 1,024 | 10 | 84 % |
| 4 | 4 of 1,024 | 10 | 84 % |
| 4 | 3 of 1,024 | 7.5 | 63 % |
| 8 | 4 of 1,024 | 5 | 42 % |
"""

from vqzoo.networks.text import text_decoder
from vqzoo.networks.text import text_encoder
from vqzoo.quantizers import EMAVectorQuantizer
from vqzoo.quantizers import ResidualQuantizer
from vqzoo.tokenizers.text.tokenizer import TextTokenizer


def text_vqvae(
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
    name="text_vqvae",
):
    """Builds the VQ-VAE for sentences of any length.

    Args:
        pieces: `vqzoo.data.Pieces`.
        stride: int, pieces of a chunk, which one position of tokens stands for. Defaults to 4.
        filters: int, channels of the blocks. Defaults to 128.
        blocks: int, ConvNeXt blocks of the encoder and of the decoder. Defaults to 4.
        attention: int, transformer blocks over chunks of each. Defaults to 0.
        embedding_dim: int, width of a piece's vector. Defaults to 96, or that of `embeddings`.
        latent_dim: int, width of a latent vector. Defaults to 64.
        word_dropout: float, share of the pieces hidden from the encoder in training. Defaults to 0.
        embeddings: float array (pieces, width), the encoder's vectors to start from. Defaults to none.
        quantizer: `Quantizer`. Defaults to a `ResidualQuantizer` of four `EMAVectorQuantizer(1024)`.
        decoder: keras layer, such as an `AutoregressiveTextDecoder`. Defaults to the parallel `text_decoder`.
        name: str, of the tokenizer. Defaults to "text_vqvae".

    Returns:
        A built `TextTokenizer`: sentences to int32 (batch, chunks, num_codebooks).

    Example:
    >>> from vqzoo.data import Pieces
    >>> pieces = Pieces.train(["the cat sat on the mat", "a dog and a cat"], size=300, exact=False)
    >>> tokenizer = text_vqvae(pieces, filters=16)
    >>> tokenizer.encode(["the cat sat"]).shape[2], tokenizer.stride, tokenizer.codebook_sizes
    (4, 4, (1024, 1024, 1024, 1024))
    """
    network = {"stride": stride, "filters": filters, "blocks": blocks, "attention": attention}
    network["embedding_dim"] = embedding_dim
    encoder = text_encoder(
        pieces.size, latent_dim, end=pieces.end, word_dropout=word_dropout, embeddings=embeddings, **network
    )
    tokenizer = TextTokenizer(
        pieces,
        encoder,
        quantizer or ResidualQuantizer([EMAVectorQuantizer(1024) for _ in range(4)], name="quantizer"),
        decoder or text_decoder(pieces.size, latent_dim, **network),
        name=name,
    )
    tokenizer.build((None, None))
    return tokenizer
