"""Layers over sequences of audio and text: convolutions and residual blocks with masks."""

from vqzoo.networks.sequence.blocks import ConvNeXtBlock1D
from vqzoo.networks.sequence.blocks import SelfAttentionBlock1D
from vqzoo.networks.sequence.convolution import TimeConv1D
from vqzoo.networks.sequence.convolution import UpsampleConv1D

__all__ = [
    "ConvNeXtBlock1D",
    "SelfAttentionBlock1D",
    "TimeConv1D",
    "UpsampleConv1D",
]
