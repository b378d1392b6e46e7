"""Reconstructions of a few audio clips during training."""

import keras

from vqzoo.plots import save_sounds
from vqzoo.trainers.callbacks.samples import Samples


class Sounds(Samples):
    """Writes reconstructions of the same few clips during training: `epoch_0001/spectrograms.png`, and wav files.

    Args:
        folder: str or path, created if it is missing.
        tokenizer: the `AudioTokenizer` in training.
        signals: float array (batch, samples, channels) in [-1, 1]; two to six are recommended.
        every: int, number of epochs between folders. Defaults to 1.

    Raises:
        ValueError: if `every` is not positive.
    """

    def write(self, path):
        """Writes the spectrograms and the audio files."""
        save_sounds(path, self.tokenizer, keras.ops.convert_to_numpy(self.signals))
