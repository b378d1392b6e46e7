"""Discriminators, which distinguish real signals from reconstructions."""

from vqzoo.networks.discriminators.audio import ComplexSpectrum
from vqzoo.networks.discriminators.audio import FoldPeriod
from vqzoo.networks.discriminators.audio import combined_discriminator
from vqzoo.networks.discriminators.audio import multi_period_discriminator
from vqzoo.networks.discriminators.audio import multi_resolution_discriminator
from vqzoo.networks.discriminators.image import batch_norm
from vqzoo.networks.discriminators.image import patch_discriminator
from vqzoo.networks.discriminators.text import text_discriminator

__all__ = [
    "ComplexSpectrum",
    "FoldPeriod",
    "batch_norm",
    "combined_discriminator",
    "multi_period_discriminator",
    "multi_resolution_discriminator",
    "patch_discriminator",
    "text_discriminator",
]
