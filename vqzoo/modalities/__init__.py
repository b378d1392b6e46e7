"""One object per modality knows all that is special to images, audio or text."""

from vqzoo.modalities.audio import AudioModality
from vqzoo.modalities.image import ImageModality
from vqzoo.modalities.modality import Evaluation
from vqzoo.modalities.modality import Modality
from vqzoo.modalities.modality import Split
from vqzoo.modalities.modality import ignored_in
from vqzoo.modalities.text import TextModality

MODALITIES = (ImageModality(), AudioModality(), TextModality())
"""Tuple of `Modality`. A new one is appended here, or by a program: `modalities.MODALITIES += (Mine(),)`."""


def modality_named(name):
    """Finds a modality.

    Args:
        name: str, such as "image".

    Returns:
        `Modality`.

    Raises:
        ValueError: if there is none of this name.

    Example:
    >>> modality_named("audio").suffix
    '.wav'
    """
    found = {modality.name: modality for modality in MODALITIES}
    if name not in found:
        raise ValueError(f"The modalities are {', '.join(found)}. Received: {name!r}")
    return found[name]


def modality_of(tokenizer, preset=""):
    """Finds the modality of a tokenizer.

    Args:
        tokenizer: `Tokenizer`.
        preset: str, its name for the error. Defaults to none.

    Returns:
        `Modality`.

    Raises:
        ValueError: if it has none of those in `MODALITIES`.
    """
    names = [modality.name for modality in MODALITIES]
    if tokenizer.modality not in names:
        raise ValueError(
            f"A preset is of {', '.join(names[:-1])} or {names[-1]}. Received: {preset!r}, of {tokenizer.modality!r}."
        )
    return modality_named(tokenizer.modality)


__all__ = [
    "MODALITIES",
    "AudioModality",
    "Evaluation",
    "ImageModality",
    "Modality",
    "Split",
    "TextModality",
    "ignored_in",
    "modality_named",
    "modality_of",
]
