"""The same few images as training goes on."""

import keras

from vqzoo.plots import save_picture_rows
from vqzoo.plots import save_reconstructions
from vqzoo.trainers.callbacks.samples import Samples


class Pictures(Samples):
    """Writes the reconstructions of the same few pictures as training goes on: `epoch_0001.png`, ...

    Args:
        folder: str or path, made when missing.
        tokenizer: the one in training, as in `save_reconstructions`.
        signals: float array (batch, height, width, channels) in [-1, 1]; four to twelve look well.
        every: int, epochs from one file to the next. Defaults to 1.

    Raises:
        ValueError: if `every` is not positive.
    """

    suffix = ".png"

    def write(self, path):
        """Writes the `reconstruction_grid`."""
        save_reconstructions(path, self.tokenizer, keras.ops.convert_to_numpy(self.signals))


class GeneratedPictures(Samples):
    """Writes what the same seed makes as training goes on: `epoch_0001.png`, ...

    Args:
        folder: str or path, made when missing.
        draw: callable without arguments that returns what `picture_rows` takes: pictures, columns and names.
        every: int, epochs from one file to the next. Defaults to 1.

    Raises:
        ValueError: if `every` is not positive.
    """

    suffix = ".png"

    def __init__(self, folder, draw, every=1):
        super().__init__(folder, None, (), every)
        self.draw = draw

    def write(self, path):
        """Writes the rows of pictures."""
        save_picture_rows(path, *self.draw())
