"""Latents to tokens and back. One idea per file; none knows a modality."""

from vqzoo.quantizers.codebook import CodebookQuantizer
from vqzoo.quantizers.ema import EMAVectorQuantizer
from vqzoo.quantizers.gaussian import GaussianQuantizer
from vqzoo.quantizers.quantizer import Quantized
from vqzoo.quantizers.quantizer import Quantizer
from vqzoo.quantizers.vector import VectorQuantizer

__all__ = [
    "CodebookQuantizer",
    "EMAVectorQuantizer",
    "GaussianQuantizer",
    "Quantized",
    "Quantizer",
    "VectorQuantizer",
]
