"""Signals by a tokenizer, as a part of a prior's space."""

import collections.abc
import hashlib
import os
import pathlib

import numpy as np

from vqzoo.generation.audio.signal import AudioSignal
from vqzoo.generation.image.signal import ImageSignal
from vqzoo.generation.parts import Part
from vqzoo.generation.text.signal import TextSignal
from vqzoo.presets import find_preset
from vqzoo.presets import read_manifest
from vqzoo.presets import read_metadata
from vqzoo.presets.layout import TOKENIZER_FILE
from vqzoo.presets.layout import found_part_file
from vqzoo.priors.settings import checked
from vqzoo.tokenizers import Tokenizer

_SIGNALS = {"image": ImageSignal, "audio": AudioSignal, "text": TextSignal}


class SignalPart(Part):
    """Images, audio or text by the tokens of a tokenizer.

    Args:
        name: str, of the part.
        tokenizer: `Tokenizer`.
        size: tuple (height, width) of images, in pixels. Defaults to whole strides.
        length: int, positions of one example at most, as the prior has learnt, where any number may come. Defaults to
            None, unknown.
        file: path of the `tokenizer.keras` that the tokenizer was loaded from: the sha256 of it is the part's owner.
            Defaults to None, unknown. `from_preset` gives it.

    Raises:
        ValueError: `size` is given for another modality than images.

    Example:
    >>> import vqzoo
    >>> tokenizer = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=2, quantizer=vqzoo.VectorQuantizer(8))
    >>> tokenizer.build((None, None, None, 3))
    >>> style = SignalPart("style", tokenizer, size=(8, 12))
    >>> tokens = style.tokens([np.zeros((8, 12, 3), "float32")])
    >>> tokens.shape, style.values(tokens).shape
    ((1, 2, 3, 1), (1, 8, 12, 3))
    """

    kind = "signal"

    def __init__(self, name, tokenizer, size=None, length=None, file=None):
        super().__init__(name)
        self.tokenizer = tokenizer
        self.signal = _codec(tokenizer, size)
        self.length = checked("length", length)
        self.file = None if file is None else pathlib.Path(file)
        self.owner = "" if file is None else hashlib.sha256(self.file.read_bytes()).hexdigest()

    @classmethod
    def from_preset(cls, name, preset, size=None, length=None):
        """A part by the tokenizer of a preset.

        Args:
            name: str, of the part.
            preset: str or path, name or folder of a tokenizer's preset.
            size: tuple (height, width) of images. Defaults to that of the preset's example.
            length: int. Defaults to None, unknown.

        Returns:
            `SignalPart`.

        Raises:
            ValueError: the preset is unknown or damaged, or has no tokenizer.
        """
        folder = find_preset(preset)
        tokenizer, about = Tokenizer.from_preset(folder), read_metadata(folder)
        if size is None and _codec(tokenizer, None).has_size:
            size = (about.get("example") or {}).get("signal", ())[:2] or None
        file = found_part_file(read_manifest(folder)["files"], str(about.get("target", "")), TOKENIZER_FILE)
        return cls(name, tokenizer, size, length, folder / file)

    @property
    def modality(self):
        """str, of the tokenizer."""
        return self.tokenizer.modality

    @property
    def is_text(self):
        """bool, as `Part.is_text`."""
        return getattr(self.signal, "is_text", False)

    @property
    def size(self):
        """Tuple (height, width) of images; None where it is unknown."""
        return self.signal.size

    @property
    def codebook_sizes(self):
        """Tuple of int, of the tokenizer."""
        return tuple(self.tokenizer.codebook_sizes)

    def check_space(self, space):
        """As `Part.check_space`."""
        what = "The tokens of `tokenizer`" if self.file is None else f"The tokens of the tokenizer {str(self.file)!r}"
        space.check_owner(self.name, self.owner, self.codebook_sizes, what)

    def check_saved(self, space):
        """As `Part.check_saved`."""
        if space.owners.get(self.name) and self.file is None:
            raise ValueError(
                "The prior has learnt the tokens of a tokenizer's file, and a tokenizer that is saved again is another "
                f"file. Received: the part {self.name!r} of a tokenizer without its file. Make it with "
                f"`SignalPart.from_preset({self.name!r}, preset)`."
            )

    def listed(self, condition):
        """As `Part.listed`: one array, path or text, or a sequence of them."""
        one = isinstance(condition, str | os.PathLike) or condition is None
        if one or (self.signal.axes and getattr(condition, "ndim", None) == self.signal.axes):
            return [condition]
        if not isinstance(condition, collections.abc.Iterable):
            return [condition]
        return list(condition)

    def checked(self, value):
        """As `Part.checked`: an array, or the path of a file; of a `TextTokenizer` a text."""
        return self.signal.checked(value)

    def read(self, text):
        """As `Part.read`: the signal of a file; a text may be given itself."""
        return self.signal.read(text)

    def beginning(self, value):
        """As `Part.beginning`."""
        return self.signal.beginning(value)

    def tokens(self, values):
        """As `Part.tokens`; where the lengths differ, -1 behind the shorter ones."""
        made = {}  # each value once, however often it is taken
        values = [None if isinstance(value, str) and not value else value for value in values]
        for value in values:
            if value is not None and id(value) not in made:
                made[id(value)] = self.signal.encode(value)
        sizes = self.codebook_sizes
        if not made:
            return np.full((len(values), 0, len(sizes)), -1, "int32")
        grids = {tokens.shape[:-1] for tokens in made.values()}
        if len(grids) > 1 and len(next(iter(grids))) > 1:
            raise ValueError(f"Signals of one part have one size. Received: tokens of {' and '.join(map(str, grids))}")
        grid = max(grids)
        tokens = np.full((len(values), *grid, len(sizes)), -1, "int32")
        for place, value in zip(tokens, values, strict=True):
            if value is not None:
                place[: len(made[id(value)])] = made[id(value)]
        return tokens

    def values(self, tokens, batch_size=None):
        """As `Part.values`: array (count, *size, channels), of audio of several lengths a list; list of str of text."""
        return self.signal.decode(np.asarray(tokens), checked("batch_size", batch_size))

    def some_tokens(self, count):
        """As `Part.some_tokens`: random ones."""
        shape = (count, *self.signal.grid(self.length), len(self.codebook_sizes))
        return np.random.default_rng(0).integers(0, self.codebook_sizes, shape).astype("int32")

    def about(self):
        """As `Part.about`."""
        return {**super().about(), **self.signal.about()}

    def describe(self):
        """As `Part.describe`."""
        length = {} if self.length is None else {"length": self.length}
        return {"kind": self.kind, "modality": self.modality, **self.signal.describe(), **length}

    def same_codec(self, other):
        """As `Part.same_codec`."""
        if not isinstance(other, SignalPart):
            return False
        return self.tokenizer is other.tokenizer or bool(self.owner and self.owner == other.owner)

    def save(self, folder):
        """As `Part.save`: the file that the tokenizer was loaded from, else the tokenizer."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / TOKENIZER_FILE
        if self.file is None:
            self.tokenizer.in_float32().inference_form().save(path)
            return TOKENIZER_FILE
        data = self.file.read_bytes()
        if hashlib.sha256(data).hexdigest() != self.owner:
            raise ValueError(f"{str(self.file)!r} has changed since the tokenizer was loaded. Load it again.")
        path.write_bytes(data)
        return TOKENIZER_FILE


def _codec(tokenizer, size):
    """What a person writes for a signal, and what comes out; a tokenizer of another modality brings its own."""
    if tokenizer.modality in _SIGNALS:
        return _SIGNALS[tokenizer.modality](tokenizer, size)
    if not hasattr(tokenizer, "signal_codec"):
        raise ValueError(
            f"A signal is {', '.join(_SIGNALS)}. Received: a tokenizer of {tokenizer.modality!r}. Give it a method "
            "`signal_codec(size)` that returns an object like `vqzoo.generation.audio.signal.AudioSignal`."
        )
    return tokenizer.signal_codec(size)
