"""Quantizers turn latents into tokens and back. One idea per file, independent of the modality."""

from vqzoo.quantizers.composites.gaussian import GaussianQuantizer
from vqzoo.quantizers.composites.grouped import GroupedQuantizer
from vqzoo.quantizers.composites.latent_prior import LatentPriorQuantizer
from vqzoo.quantizers.composites.multi_scale import MultiScaleResidualQuantizer
from vqzoo.quantizers.composites.projected import ProjectedQuantizer
from vqzoo.quantizers.composites.residual import ResidualQuantizer
from vqzoo.quantizers.composites.startup import StartupQuantizer
from vqzoo.quantizers.quantizer import Quantized
from vqzoo.quantizers.quantizer import Quantizer
from vqzoo.quantizers.scalars.binary_spherical import BinarySphericalQuantizer
from vqzoo.quantizers.scalars.finite_scalar import FiniteScalarQuantizer
from vqzoo.quantizers.scalars.lookup_free import LookupFreeQuantizer
from vqzoo.quantizers.tables.codebook_losses import entropy_loss
from vqzoo.quantizers.tables.codebook_losses import orthogonality_loss
from vqzoo.quantizers.tables.codebook_losses import similarity_entropy_loss
from vqzoo.quantizers.tables.cosine import CosineVectorQuantizer
from vqzoo.quantizers.tables.ema import EMAVectorQuantizer
from vqzoo.quantizers.tables.gumbel import GumbelQuantizer
from vqzoo.quantizers.tables.index_propagation import IndexPropagationQuantizer
from vqzoo.quantizers.tables.sim import SimVectorQuantizer
from vqzoo.quantizers.tables.vector import VectorQuantizer

__all__ = [
    "BinarySphericalQuantizer",
    "CosineVectorQuantizer",
    "EMAVectorQuantizer",
    "FiniteScalarQuantizer",
    "GaussianQuantizer",
    "GroupedQuantizer",
    "GumbelQuantizer",
    "IndexPropagationQuantizer",
    "LatentPriorQuantizer",
    "LookupFreeQuantizer",
    "MultiScaleResidualQuantizer",
    "ProjectedQuantizer",
    "Quantized",
    "Quantizer",
    "ResidualQuantizer",
    "SimVectorQuantizer",
    "StartupQuantizer",
    "VectorQuantizer",
    "entropy_loss",
    "orthogonality_loss",
    "similarity_entropy_loss",
]
