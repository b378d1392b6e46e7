"""The same few sounds as training goes on."""

import keras

from vqzoo.plots import save_sounds
from vqzoo.trainers.callbacks.samples import Samples


class Sounds(Samples):
    """Writes the reconstructions of the same few sounds as training goes on: `epoch_0001/spectrograms.png`, and wavs.

    Args:
        folder: str or path, made when missing.
        tokenizer: the `AudioTokenizer` in training.
        signals: float array (batch, samples, channels) in [-1, 1]; two to six look well.
        every: int, epochs from one folder to the next. Defaults to 1.

    Raises:
        ValueError: if `every` is not positive.
    """

    def write(self, path):
        """Writes the spectrograms and the sounds."""
        save_sounds(path, self.tokenizer, keras.ops.convert_to_numpy(self.signals))
