"""Reconstructions of a few sentences during training."""

from vqzoo.plots import save_sentences
from vqzoo.trainers.callbacks.samples import Samples


class Sentences(Samples):
    """Writes reconstructions of the same few sentences during training: `epoch_0001.md`, ...

    Args:
        folder: str or path, created if it is missing.
        tokenizer: the `TextTokenizer` in training.
        signals: list of str.
        every: int, number of epochs between files. Defaults to 1.

    Raises:
        ValueError: if `every` is not positive.

    Example:
    >>> Sentences("run/sentences", None, ["The cat sat on the mat."], every=5).every
    5
    """

    suffix = ".md"

    def write(self, path):
        """Writes the table of sentences."""
        save_sentences(path, self.signals, self.tokenizer.decode(self.tokenizer.encode(self.signals)))
