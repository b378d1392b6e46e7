"""Encoders, decoders and discriminators. No quantizers, no losses."""

from vqzoo.networks import audio
from vqzoo.networks import discriminators
from vqzoo.networks import image
from vqzoo.networks import sequence
from vqzoo.networks import text
from vqzoo.networks.last_kernel import last_kernel
from vqzoo.networks.normalization import FastGroupNormalization
from vqzoo.networks.normalization import GroupNormalizationSwish
from vqzoo.networks.normalization import group_normalization
from vqzoo.networks.normalization import group_normalization_swish
from vqzoo.networks.transformer import Transformer
from vqzoo.networks.transformer_block import TransformerBlock

__all__ = [
    "FastGroupNormalization",
    "GroupNormalizationSwish",
    "Transformer",
    "TransformerBlock",
    "audio",
    "discriminators",
    "group_normalization",
    "group_normalization_swish",
    "image",
    "last_kernel",
    "sequence",
    "text",
]
