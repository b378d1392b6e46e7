"""VQ-VAE and VQGAN tokenizers for Keras: signals to discrete tokens and back.

Importing this package registers every class with Keras, so that `keras.models.load_model` finds them.
"""

import importlib as _importlib
from importlib import metadata as _metadata

from vqzoo.quiet import begin_where_asked as _begin_where_asked
from vqzoo.startup import is_command as _is_command
from vqzoo.startup import on_first_use as _on_first_use

_begin_where_asked()
if _is_command():
    __getattr__ = _on_first_use(__name__)
else:
    from vqzoo import data
    from vqzoo import export
    from vqzoo import generation
    from vqzoo import losses
    from vqzoo import metrics
    from vqzoo import modalities
    from vqzoo import networks
    from vqzoo import ops
    from vqzoo import plots
    from vqzoo import presets
    from vqzoo import priors
    from vqzoo import quantizers
    from vqzoo import tokenizers
    from vqzoo import trainers
    from vqzoo.generation import generate
    from vqzoo.generation import inpaint
    from vqzoo.generation import restyle
    from vqzoo.presets import list_presets
    from vqzoo.priors import AutoregressivePrior
    from vqzoo.priors import MaskedPrior
    from vqzoo.quantizers import EMAVectorQuantizer
    from vqzoo.quantizers import VectorQuantizer
    from vqzoo.tokenizers import AudioTokenizer
    from vqzoo.tokenizers import ImageTokenizer
    from vqzoo.tokenizers import TextTokenizer
    from vqzoo.tokenizers import Tokenizer
    from vqzoo.tokenizers import image_vqgan
    from vqzoo.tokenizers import image_vqvae
    from vqzoo.tokenizers import spectrogram_vqgan
    from vqzoo.tokenizers import spectrogram_vqvae
    from vqzoo.tokenizers import text_vqgan
    from vqzoo.tokenizers import text_vqvae
    from vqzoo.trainers import AdversarialTrainer
    from vqzoo.trainers import PriorTrainer
    from vqzoo.trainers import ReconstructionTrainer

    def __getattr__(name):
        if name == "uses":
            return _importlib.import_module("vqzoo.uses")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__version__ = _metadata.version("vqzoo")

__all__ = [
    "AdversarialTrainer",
    "AudioTokenizer",
    "AutoregressivePrior",
    "EMAVectorQuantizer",
    "ImageTokenizer",
    "MaskedPrior",
    "PriorTrainer",
    "ReconstructionTrainer",
    "TextTokenizer",
    "Tokenizer",
    "VectorQuantizer",
    "data",
    "export",
    "generate",
    "generation",
    "image_vqgan",
    "image_vqvae",
    "inpaint",
    "list_presets",
    "losses",
    "metrics",
    "modalities",
    "networks",
    "ops",
    "plots",
    "presets",
    "priors",
    "quantizers",
    "restyle",
    "spectrogram_vqgan",
    "spectrogram_vqvae",
    "text_vqgan",
    "text_vqvae",
    "tokenizers",
    "trainers",
]
