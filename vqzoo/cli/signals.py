"""Signals of each modality from and to files, for the verbs."""

import numpy as np

from vqzoo.data import ImageCrops
from vqzoo.data import find_images
from vqzoo.data import load_image
from vqzoo.data import sample_images
from vqzoo.data import save_image

_EXAMPLES = 4
_LARGEST = 128  # pixels a side


def check_modality(tokenizer, name):
    """Raises unless files of the tokenizer's modality can be read.

    Args:
        tokenizer: `Tokenizer`.
        name: str, the preset's.

    Raises:
        ValueError: if it is not one of images.
    """
    if tokenizer.modality != "image":
        raise ValueError(f"The command line reads pictures so far. Received: {name!r}, of {tokenizer.modality!r}.")


def find_signals(folder):
    """The files of a folder and its subfolders.

    Args:
        folder: path.

    Returns:
        Sorted list of paths.
    """
    return find_images(folder)


def load_signal(path, tokenizer):
    """One signal as the tokenizer takes it, without the batch axis.

    Args:
        path: path.
        tokenizer: `Tokenizer`.

    Returns:
        float32 array (*size, channels).
    """
    return load_image(path, channels=tokenizer.encoder.input_shape[-1])


def save_signal(path, signal):
    """Writes one signal.

    Args:
        path: path ending in `.png`.
        signal: float array (*size, channels).
    """
    save_image(path, signal)


def example_signals(tokenizer):
    """Crops of the photographs that come with scikit-image, of a size that the networks take.

    Args:
        tokenizer: `Tokenizer`.

    Returns:
        float32 array (batch, height, width, channels).
    """
    height, width, channels = tokenizer.encoder.input_shape[1:]
    size = (height or _LARGEST, width or _LARGEST)
    return np.asarray(ImageCrops(sample_images(), size, _EXAMPLES, channels=channels, flip=False).batch(0))
