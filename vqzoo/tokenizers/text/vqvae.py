"""VQ-VAE for text: one latent vector and a few codes per chunk of pieces, and a parallel decoder.

| what | from | |---|---| | discrete codes for chunks of words, by strided convolutions | Kaiser et al. 2018,
https://arxiv.org/abs/1803.03382 | | dense latents at first, and codes for more and more examples | the same authors'
code, `startup_steps` | | several codes per position, by residual quantization | Zeghidour et al. 2021,
https://arxiv.org/abs/2107.03312 | | ConvNeXt blocks over positions | Siuzdak 2023, https://arxiv.org/abs/2306.00814 |

Bits per piece: `num_codebooks * log2(codebook_size) / stride`. A piece itself takes log2(pieces) bits.

| stride | codebooks | bits per piece | of 11.97 bits, for 4,000 pieces | |---|---|---|---| | 1 | 1 of 4,000 | 11.97 |
100 % | | 2 | 2 of 1,024 | 10 | 84 % | | 4 | 4 of 1,024 | 10 | 84 % | | 4 | 3 of 1,024 | 7.5 | 63 % | | 8 | 4 of 1,024 |
5 | 42 % |
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
    """Builds the VQ-VAE for text of any length.

    Args:
        pieces: `vqzoo.data.Pieces`.
        stride: int, pieces per chunk, that is, per position of tokens. Defaults to 4.
        filters: int, channels of the ConvNeXt blocks. Defaults to 128.
        blocks: int, ConvNeXt blocks of the encoder and of the decoder. Defaults to 4.
        attention: int, transformer blocks over chunks in each of the two. Defaults to 0.
        embedding_dim: int, width of the piece embeddings. Defaults to 96, or that of `embeddings`.
        latent_dim: int, width of a latent vector. Defaults to 64.
        word_dropout: float, fraction of the pieces hidden from the encoder in training. Defaults to 0.
        embeddings: float array (pieces, width), initial piece embeddings of the encoder. Defaults to none.
        quantizer: `Quantizer`. Defaults to a `ResidualQuantizer` of four `EMAVectorQuantizer(1024)`.
        decoder: keras layer, such as an `AutoregressiveTextDecoder`. Defaults to the parallel `text_decoder`.
        name: str, name of the tokenizer. Defaults to "text_vqvae".

    Returns:
        A built `TextTokenizer`, list of str to int32 (batch, chunks, num_codebooks).

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
