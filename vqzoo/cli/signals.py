"""Signals of each modality from and to files, for the verbs."""

import math
import sys

import keras
import numpy as np

from vqzoo.data import AudioClips
from vqzoo.data import ImageCrops
from vqzoo.data import TokenRow
from vqzoo.data import find_audio
from vqzoo.data import find_images
from vqzoo.data import find_text
from vqzoo.data import load_image
from vqzoo.data import load_long_audio
from vqzoo.data import read_sentences
from vqzoo.data import sample_audio
from vqzoo.data import sample_images
from vqzoo.data import sample_sentences
from vqzoo.data import save_audio
from vqzoo.data import save_image
from vqzoo.data.audio.files import SYNTHETIC
from vqzoo.data.audio.files import is_synthetic
from vqzoo.data.image.pixels import MAX_PIXELS
from vqzoo.files import atomic_path
from vqzoo.metrics import character_error_rate
from vqzoo.metrics import exact_match
from vqzoo.metrics import mel_distance
from vqzoo.metrics import si_sdr

_EXAMPLES = 4
_MOST_SAMPLES = 2**30  # of all channels, as `load_long_audio` reads
_PIECES = 2**22  # of the lines that are decoded before they become text


class Signals:
    """What the signals of all modalities share."""

    def rows(self, name, signal, tokens):
        """The rows that one file's tokens are in shards, to train a prior on: list of `vqzoo.data.TokenRow`."""
        return [TokenRow(tokens, signal.shape[:-1], name)]

    def check_grid(self, tokens, size, most):
        """Raises before anything is decoded where a file's tokens are not those of a signal of its size.

        Args:
            tokens: int32 array (*grid, num_codebooks).
            size: tuple of int, as the file has it.
            most: int, values of a signal that is read, without its channels.

        Raises:
            ValueError: the size is too large, none that the tokenizer takes, or its grid is another one.
        """
        fixed = self.tokenizer.encoder.input_shape[1:-1]
        _check_size(size, len(fixed))
        if any(length not in (None, own) for length, own in zip(fixed, size, strict=True)):
            raise ValueError(
                f"This preset takes signals of the size {fixed} alone. Received: a size of {size}. The "
                "file is damaged: encode the signal again."
            )
        if math.prod(size) > most:
            raise ValueError(f"A signal has at most {most} values. Received: a size of {size}. Encode it in parts.")
        if size not in self._grids:
            self._grids[size] = self._grid_of(size)
        if tokens.shape[:-1] != self._grids[size]:
            raise ValueError(
                f"A signal of the size {size} has tokens of the grid {self._grids[size]}. Received: "
                f"{tokens.shape[:-1]}. The file is damaged: encode the signal again."
            )

    def _grid_of(self, size):
        signal = keras.KerasTensor((1, *size, self.channels))
        latents = self.tokenizer.encoder.compute_output_spec(signal)
        return tuple(self.tokenizer.quantizer.compute_output_spec(latents).tokens.shape[1:-1])


class ImageSignals(Signals):
    """Pictures.

    Args:
        tokenizer: `ImageTokenizer`.
    """

    find = staticmethod(find_images)
    suffix = ".png"
    at_once = 2**20
    """int, pixels of a batch; larger pictures go alone, in tiles."""
    tile_size = 512
    """int, pixels a side."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.height, self.width, self.channels = tokenizer.encoder.input_shape[1:]
        self._grids = {}  # size of a signal -> grid of its tokens

    def load(self, path):
        """One picture, float32 (height, width, channels)."""
        return load_image(path, channels=self.channels)

    def save(self, path, signal):
        """Writes one picture."""
        save_image(path, signal)

    def encode(self, signals):
        """Tokens of pictures of one size, an int32 array."""
        return np.asarray(self.tokenizer.encode(np.stack(signals), **self._tiles(signals[0].shape[:-1])))

    def decode(self, tokens, size):
        """The picture of one file's tokens, a float32 array."""
        self.check_grid(tokens, size, MAX_PIXELS)
        return np.asarray(self.tokenizer.decode(tokens[None], size=size, **self._tiles(size)))[0]

    def judge(self, signal, again):
        """What came back, as a dict of numbers."""
        error = np.mean(np.square(np.clip(again, -1.0, 1.0) - signal))
        return {"psnr": 10.0 * np.log10(4.0 / max(float(error), 1e-10))}

    def examples(self):
        """A few crops of the photographs that come with scikit-image, of a size that the networks take."""
        size = (self.height or 128, self.width or 128)
        return ImageCrops(sample_images(), size, _EXAMPLES, channels=self.channels, flip=False).batch(0)

    def _tiles(self, size):
        return {"tile_size": self.tile_size} if np.prod(size) > self.at_once else {}


class AudioSignals(Signals):
    """Sounds.

    Args:
        tokenizer: `AudioTokenizer`.
    """

    find = staticmethod(find_audio)
    suffix = ".wav"
    at_once = 2**21
    """int, samples of a batch; longer sounds go alone, in windows."""
    judged_at_once = 2**20
    """int, samples; longer sounds are judged in pieces."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.length, self.channels = tokenizer.encoder.input_shape[1:]
        self._grids = {}

    def load(self, path):
        """One sound at the tokenizer's sample rate, float32 (samples, channels)."""
        return load_long_audio(path, self.tokenizer.sample_rate, self.channels)

    def save(self, path, signal):
        """Writes one sound."""
        save_audio(path, np.clip(signal, -1.0, 1.0), self.tokenizer.sample_rate)

    def encode(self, signals):
        """Tokens of sounds of one length, an int32 array."""
        return np.asarray(self.tokenizer.encode(np.stack(signals), **self._windows(len(signals[0]))))

    def decode(self, tokens, size):
        """The sound of one file's tokens, a float32 array."""
        self.check_grid(tokens, size, _MOST_SAMPLES // self.channels)
        return np.asarray(self.tokenizer.decode(tokens[None], length=size[0], **self._windows(size[0])))[0]

    def judge(self, signal, again):
        """What came back, as a dict of numbers.

        The mel distance is the mean over pieces, weighted by their lengths: frames do not reach from one into the next,
        and of a long sound they would not fit in memory.
        """
        again = np.clip(again, -1.0, 1.0)
        count = -(-len(signal) // self.judged_at_once)
        distance = 0.0
        for x, y in zip(np.array_split(signal, count), np.array_split(again, count), strict=True):
            distance += len(x) / len(signal) * float(mel_distance(x[None], y[None], self.tokenizer.sample_rate)[0])
        return {"mel_distance": distance, "si_sdr": float(si_sdr(signal[None], again[None])[0])}

    def examples(self):
        """A few clips of recorded speech, or what stands in for it."""
        rate = self.tokenizer.sample_rate
        options = {"sample_rate": rate, "channels": self.channels}
        files = sample_audio()
        if is_synthetic(files):
            print(SYNTHETIC, file=sys.stderr)
        return AudioClips(files, self.length or rate, _EXAMPLES, **options).batch(0)

    def _grid_of(self, size):
        return (-(-size[0] // self.tokenizer.stride),)

    def _windows(self, samples):
        return {"window": self.at_once // 4} if samples > self.at_once else {}


class TextSignals(Signals):
    """Text files, one sentence a line: an array of str (lines, 1) each.

    Args:
        tokenizer: `TextTokenizer`.
    """

    find = staticmethod(find_text)
    suffix = ".txt"
    at_once = 2**16
    """int, lines in memory at once."""
    batch_size = 64
    """int, sentences through the networks at once."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def load(self, path):
        """The lines of one file that are not empty."""
        sentences = read_sentences([path])
        lines = np.empty((len(sentences), 1), object)
        lines[:, 0] = sentences
        return lines

    def save(self, path, signal):
        """Writes one file. A line break inside a sentence becomes a space."""
        lines = (" ".join(line.splitlines()) for line in signal[:, 0])
        with atomic_path(path) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def encode(self, signals):
        """Tokens of files, a list of int32 arrays (lines, chunks, num_codebooks)."""
        return [np.asarray(self.tokenizer.encode(signal[:, 0].tolist(), self.batch_size)) for signal in signals]

    def rows(self, name, signal, tokens):
        """A row for each sentence, of its own chunks alone, and called by the number of its line among those read."""
        stride = self.tokenizer.stride
        chunks = [-(-len(ids) // stride) for ids in self.tokenizer.pieces.encode(signal[:, 0].tolist())]
        pairs = enumerate(zip(chunks, tokens, strict=True), start=1)
        return [TokenRow(row[:count], (1,), f"{name}:{line}") for line, (count, row) in pairs]

    def decode(self, tokens, size):
        """The lines of one file's tokens."""
        _check_size(size, 1)
        if len(tokens) != size[0]:
            raise ValueError(
                f"A text of {size[0]} lines has a row of tokens for each. Received: {len(tokens)} rows. The file is "
                "damaged: encode the text again."
            )
        lines = np.empty((len(tokens), 1), object)
        rows = max(1, _PIECES // (tokens.shape[1] * self.tokenizer.stride))
        for first in range(0, len(tokens), rows):
            lines[first : first + rows, 0] = self.tokenizer.decode(tokens[first : first + rows], self.batch_size)
        return lines

    def judge(self, signal, again):
        """What came back, as a dict of numbers."""
        pair = signal[:, 0].tolist(), again[:, 0].tolist()
        return {"exact_match": exact_match(*pair), "character_error_rate": character_error_rate(*pair)}

    def examples(self):
        """Ids of a few sentences of the prose that is already here."""
        pieces = self.tokenizer.pieces
        return pieces.pad(pieces.encode(sample_sentences()[:_EXAMPLES]), self.tokenizer.stride)


def _check_size(size, axes):
    """Raises where a token file's size is not one of the modality."""
    if len(size) != axes:
        raise ValueError(f"A size of {axes} numbers is needed. Received: {size}. Encode the file again.")


SIGNALS = {"image": ImageSignals, "audio": AudioSignals, "text": TextSignals}


def signals_of(tokenizer, name):
    """Reads, writes, encodes and decodes what a tokenizer is for.

    Args:
        tokenizer: `Tokenizer`.
        name: str, the preset's.

    Returns:
        `ImageSignals`, `AudioSignals` or `TextSignals`.

    Raises:
        ValueError: if it is for none of them.
    """
    if tokenizer.modality not in SIGNALS:
        known = " and ".join(SIGNALS)
        raise ValueError(f"The command line reads {known} files. Received: {name!r}, of {tokenizer.modality!r}.")
    return SIGNALS[tokenizer.modality](tokenizer)
