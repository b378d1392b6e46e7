"""Reconstructed and generated images during training."""

import keras

from vqzoo.plots import save_picture_rows
from vqzoo.plots import save_reconstructions
from vqzoo.trainers.callbacks.samples import Samples


class Pictures(Samples):
    """Writes reconstructions of the same few images during training: `epoch_0001.png`, ...

    Args:
        folder: str or path, created if it is missing.
        tokenizer: the tokenizer in training, as in `save_reconstructions`.
        signals: float array (batch, height, width, channels) in [-1, 1]; four to twelve are recommended.
        every: int, number of epochs between files. Defaults to 1.

    Raises:
        ValueError: if `every` is not positive.
    """

    suffix = ".png"

    def write(self, path):
        """Writes the `reconstruction_grid`."""
        save_reconstructions(path, self.tokenizer, keras.ops.convert_to_numpy(self.signals))


class GeneratedPictures(Samples):
    """Writes images generated with the same seed during training: `epoch_0001.png`, ...

    Args:
        folder: str or path, created if it is missing.
        draw: callable without arguments that returns the arguments of `picture_rows`: images, columns and names.
        every: int, number of epochs between files. Defaults to 1.

    Raises:
        ValueError: if `every` is not positive.
    """

    suffix = ".png"

    def __init__(self, folder, draw, every=1):
        super().__init__(folder, None, (), every)
        self.draw = draw

    def write(self, path):
        """Writes the rows of images."""
        save_picture_rows(path, *self.draw())
