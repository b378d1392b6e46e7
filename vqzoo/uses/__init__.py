"""What trained models are for: new signals, repaired ones, and others in another's style."""

from vqzoo.uses.baselines import classical_repairs
from vqzoo.uses.conditions import STYLE
from vqzoo.uses.conditions import Captions
from vqzoo.uses.conditions import Labels
from vqzoo.uses.generator import Generator
from vqzoo.uses.generator import generate
from vqzoo.uses.inpaint import inpaint
from vqzoo.uses.masks import random_masks
from vqzoo.uses.restyle import adaptive_normalization
from vqzoo.uses.restyle import restyle
from vqzoo.uses.seams import edge_fill
from vqzoo.uses.seams import smooth_fill

__all__ = [
    "STYLE",
    "Captions",
    "Generator",
    "Labels",
    "adaptive_normalization",
    "classical_repairs",
    "edge_fill",
    "generate",
    "inpaint",
    "random_masks",
    "restyle",
    "smooth_fill",
]
