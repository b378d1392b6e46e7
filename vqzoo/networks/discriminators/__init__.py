"""Networks that tell real signals from reconstructions."""

from vqzoo.networks.discriminators.patch import batch_norm
from vqzoo.networks.discriminators.patch import patch_discriminator

__all__ = ["batch_norm", "patch_discriminator"]
