"""Presets that errors name as the way out: by their metadata, since a name says what a person called it."""

import math

from vqzoo.presets.find import read_presets
from vqzoo.presets.manifest import holds_prior


def suggested_tokenizer(modality):
    """The preset of a tokenizer for any signal of a modality: the one whose tokens hold the most.

    Args:
        modality: str, such as "image".

    Returns:
        Its name, a str; None if there is none.

    Example:
    >>> suggested_tokenizer("smell")
    """
    fitting = [preset for preset in _complete(prior=False) if preset.modality == modality]
    return max(fitting, key=_content).name if fitting else None


def inpainting_way_out():
    """The last sentence of an error about a preset that repairs no image.

    Returns:
        str, which names the priors that do.

    Example:
    >>> inpainting_way_out().endswith(".")
    True
    """
    train = "train one on your images with recipes/image_inpainting.py"
    names = [preset.name for preset in _complete(prior=True) if preset.modality == "image" and len(preset.tokens) == 3]
    if not names:
        return f"None is here: {train}."
    return f"Give the preset of a prior whose tokens have rows and columns: {' or '.join(names)}. Or {train}."


def _complete(prior):
    """Those of priors, or of tokenizers, sorted by name."""
    return [preset for preset in read_presets()[0] if holds_prior(preset.folder) == prior]


def _content(preset):
    """Bits of the example's tokens; where these are equal, bits of each of its values."""
    if not preset.tokens or not preset.codebook_sizes:
        return 0.0, 0.0
    positions = math.prod(preset.tokens[:-1])
    bits = positions * sum(math.log2(size) for size in preset.codebook_sizes)
    return bits, bits / max(1, math.prod(preset.signal))
