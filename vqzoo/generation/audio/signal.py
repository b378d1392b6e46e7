"""Audio as a part of a prior's space: arrays, files, and the tokens of a tokenizer."""

import os

import keras
import numpy as np

from vqzoo.data import load_audio


class AudioSignal:
    """What a person writes for audio, and what comes out.

    Args:
        tokenizer: `AudioTokenizer`.
        size: None; audio has any length.
    """

    has_size = False
    """bool, whether results have a size that their tokens do not determine."""
    axes = 2
    """int, of one clip: samples, channels."""
    size = None

    def __init__(self, tokenizer, size=None):
        if size is not None:
            raise ValueError(f"`size` is that of images. Received: size={size} for audio. Give `length`, in positions.")
        self.tokenizer = tokenizer

    def read(self, path):
        """The audio of a file at the tokenizer's sample rate: float32 array (samples, channels)."""
        return load_audio(path, self.tokenizer.sample_rate, channels=self.tokenizer.signal_shape[-1])

    def checked(self, audio):
        """Audio, an array or the path of a file, as an array; raises ValueError where it is none of the tokenizer's."""
        audio = self.read(audio) if isinstance(audio, str | os.PathLike) else audio
        return keras.ops.convert_to_numpy(self.tokenizer.checked_example(audio))[0]

    def encode(self, audio):
        """Tokens of one clip: int32 array (frames, num_codebooks)."""
        return keras.ops.convert_to_numpy(self.tokenizer.encode(audio[None]))[0]

    def beginning(self, audio):
        """As `encode`, only of the whole strides. The rest of a stride is generated."""
        audio, stride = self.checked(audio), self.tokenizer.stride
        if len(audio) < stride:
            raise ValueError(
                f"A prompt of audio has at least one stride, {stride} samples. Received: {len(audio)}. Give more, or "
                "leave `prompt` out."
            )
        return self.encode(audio[: len(audio) // stride * stride])

    def decode(self, tokens, batch_size=None):
        """Audio of tokens, each clip up to its first -1.

        Args:
            tokens: int array (count, frames, num_codebooks).
            batch_size: int. Defaults to all at once.

        Returns:
            float32 array (count, samples, channels) in [-1, 1]; a list of arrays (samples, channels) where the lengths
            differ.
        """
        real = (tokens >= 0).all(axis=-1)
        frames = np.where(real.all(axis=1), real.shape[1], np.argmin(real, axis=1)) if real.size else real.sum(axis=1)
        lengths, longest = frames * self.tokenizer.stride, int(frames.max(initial=0))
        audio = np.zeros((len(tokens), longest * self.tokenizer.stride, self.tokenizer.signal_shape[-1]), "float32")
        some = frames > 0
        if some.any():
            # Where all are of one length, the call without lengths is the one that everybody else makes.
            real_lengths = {} if (frames == longest).all() else {"lengths": lengths[some]}
            kept = np.maximum(tokens[some, :longest], 0)
            made = self.tokenizer.decode(kept, batch_size=batch_size, **real_lengths)
            audio[some] = np.clip(keras.ops.convert_to_numpy(made), -1.0, 1.0)
        if (frames == longest).all():
            return audio
        return [clip[:length] for clip, length in zip(audio, lengths, strict=True)]

    def grid(self, length=None):
        """The grid of the tokens of one clip of `length` positions."""
        if length is None:
            raise ValueError("Audio has any number of positions. Received: length=None. Give the part its `length`.")
        return (length,)

    def about(self):
        """Dict of JSON values that a preset's metadata hold of a prior that makes this."""
        return {"sample_rate": self.tokenizer.sample_rate}

    def describe(self):
        """Dict of JSON values, what the constructor takes beside the tokenizer."""
        return {}
