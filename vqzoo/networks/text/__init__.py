"""Encoders of text, from pieces to chunks, and decoders that are causal over chunks."""

from vqzoo.networks.text.autoregressive import AutoregressiveTextDecoder
from vqzoo.networks.text.convolutional import embedding_of
from vqzoo.networks.text.convolutional import text_decoder
from vqzoo.networks.text.convolutional import text_encoder
from vqzoo.networks.text.masks import RealPieces
from vqzoo.networks.text.masks import WordDropout
from vqzoo.networks.text.transformer import MaskedTransformer

__all__ = [
    "AutoregressiveTextDecoder",
    "MaskedTransformer",
    "RealPieces",
    "WordDropout",
    "embedding_of",
    "text_decoder",
    "text_encoder",
]
