"""Signals to latents and back: encoder and decoder stacks, and discriminators. No quantizer, no loss."""

from vqzoo.networks import discriminators
from vqzoo.networks import image
from vqzoo.networks.normalization import FastGroupNormalization
from vqzoo.networks.normalization import group_normalization

__all__ = ["FastGroupNormalization", "discriminators", "group_normalization", "image"]
