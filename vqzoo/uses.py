"""The former name of `vqzoo.generation`."""

from vqzoo import generation
from vqzoo.startup import moved

__getattr__ = moved(__name__, generation.__all__, "vqzoo.generation")
