"""Encoders and decoders of waveforms: log-mel spectra in, the inverse Fourier transform out (after Siuzdak 2023)."""

from vqzoo.networks.audio.head import InverseSTFTHead
from vqzoo.networks.audio.log_mel import LogMel
from vqzoo.networks.audio.reach import network_reach
from vqzoo.networks.audio.spectrogram import spectrogram_decoder
from vqzoo.networks.audio.spectrogram import spectrogram_encoder
from vqzoo.networks.sequence.blocks import ConvNeXtBlock1D
from vqzoo.networks.sequence.blocks import SelfAttentionBlock1D
from vqzoo.networks.sequence.convolution import TimeConv1D
from vqzoo.networks.sequence.convolution import UpsampleConv1D

__all__ = [
    "ConvNeXtBlock1D",
    "InverseSTFTHead",
    "LogMel",
    "SelfAttentionBlock1D",
    "TimeConv1D",
    "UpsampleConv1D",
    "network_reach",
    "spectrogram_decoder",
    "spectrogram_encoder",
]
