"""What trained models are for: new signals, repaired ones, and others in another's style."""

from vqzoo.generation.by_preset import generate
from vqzoo.generation.generator import Generator
from vqzoo.generation.image.baselines import classical_repairs
from vqzoo.generation.image.inpaint import inpaint
from vqzoo.generation.image.masks import random_masks
from vqzoo.generation.image.restyle import adaptive_normalization
from vqzoo.generation.image.restyle import restyle
from vqzoo.generation.image.seams import edge_fill
from vqzoo.generation.image.seams import smooth_fill
from vqzoo.generation.parts import STYLE
from vqzoo.generation.parts import LabelPart
from vqzoo.generation.parts import Labels
from vqzoo.generation.parts import Part
from vqzoo.generation.signal_part import SignalPart
from vqzoo.generation.text.chat import Chat
from vqzoo.generation.text.part import Captions
from vqzoo.generation.text.part import TextPart
from vqzoo.generation.text.translate import translate

__all__ = [
    "STYLE",
    "Captions",
    "Chat",
    "Generator",
    "LabelPart",
    "Labels",
    "Part",
    "SignalPart",
    "TextPart",
    "adaptive_normalization",
    "classical_repairs",
    "edge_fill",
    "generate",
    "inpaint",
    "random_masks",
    "restyle",
    "smooth_fill",
    "translate",
]
