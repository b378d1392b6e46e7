"""Reconstructions of the same few signals, written every few epochs."""

import contextlib
import pathlib

import keras


class Samples(keras.callbacks.Callback):
    """Base class that writes reconstructions of the same few signals during training.

    They show the moving average of the weights of a `Trainer`.

    Args:
        folder: str or path, created if it is missing.
        tokenizer: the tokenizer in training.
        signals: a few inputs of the tokenizer.
        every: int, number of epochs between files. Defaults to 1.

    Raises:
        ValueError: if `every` is not positive.
    """

    suffix = ""
    """str, the suffix of the file of an epoch."""

    def __init__(self, folder, tokenizer, signals, every=1):
        super().__init__()
        if every < 1:
            raise ValueError(f"`every` must be a number of epochs, at least 1. Received: every={every}")
        self.folder = pathlib.Path(folder)
        self.tokenizer = tokenizer
        self.signals = signals
        self.every = every

    def on_epoch_end(self, epoch, logs=None):
        """Writes the file of this epoch, if it is due."""
        if (epoch + 1) % self.every == 0:
            with getattr(self.model, "averaged", contextlib.nullcontext)():
                self.write(self.folder / f"epoch_{epoch + 1:04d}{self.suffix}")

    def write(self, path):
        """Writes the signals and their reconstructions to a file or folder."""
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
