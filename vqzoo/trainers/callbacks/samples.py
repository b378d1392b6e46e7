"""What comes back of the same few signals as training goes on, written every few epochs."""

import contextlib
import pathlib

import keras


class Samples(keras.callbacks.Callback):
    """Writes files of the same few signals as training goes on; the class of the signal says which.

    A `Trainer`'s moving average of the weights is what they show.

    Args:
        folder: str or path, made when missing.
        tokenizer: the one in training.
        signals: what it encodes; a few.
        every: int, epochs from one file to the next. Defaults to 1.

    Raises:
        ValueError: if `every` is not positive.
    """

    suffix = ""
    """str, how the name of an epoch's file ends."""

    def __init__(self, folder, tokenizer, signals, every=1):
        super().__init__()
        if every < 1:
            raise ValueError(f"`every` is a number of epochs, at least 1. Received: every={every}")
        self.folder = pathlib.Path(folder)
        self.tokenizer = tokenizer
        self.signals = signals
        self.every = every

    def on_epoch_end(self, epoch, logs=None):
        """Writes what belongs to this epoch, if it is its turn."""
        if (epoch + 1) % self.every == 0:
            with getattr(self.model, "averaged", contextlib.nullcontext)():
                self.write(self.folder / f"epoch_{epoch + 1:04d}{self.suffix}")

    def write(self, path):
        """Writes the signals and what comes back of them to a file, or folder."""
        raise NotImplementedError


class Generated(Samples):
    """Writes what the same seed generates as training goes on, into the folders `epoch_0001`, ...

    Args:
        folder: str or path, made when missing.
        save: callable that takes the path of a folder, and writes into it.
        every: int, epochs from one folder to the next. Defaults to 1.

    Raises:
        ValueError: if `every` is not positive.
    """

    def __init__(self, folder, save, every=1):
        super().__init__(folder, None, (), every)
        self.save = save

    def write(self, path):
        """Writes the folder."""
        self.save(path)
