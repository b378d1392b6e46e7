"""Texts by their pieces, as a part of a prior's space."""

import hashlib

import numpy as np

from vqzoo.generation.parts import TEXT
from vqzoo.generation.parts import Part
from vqzoo.generation.text.signal import checked_text
from vqzoo.generation.text.signal import text_or_file
from vqzoo.presets.layout import PIECES_FILE


class TextPart(Part):
    """Texts as the ids of their pieces, with the end piece behind.

    Args:
        name: str, of the part.
        pieces: `vqzoo.data.Pieces`.
        length: int, pieces of a text at most, its end piece among them; shorter ones are filled up. Defaults to None:
            any number.
        examples: sequence of str, what is taken in turn where nothing is asked for. Defaults to "", for anything.

    Raises:
        ValueError: `length` is below 2, or an example longer.

    Example:
    >>> from vqzoo.data import Pieces
    >>> pieces = Pieces.train(["red heart", "blue heart", "heart"], size=300, exact=False)
    >>> english = TextPart("en", pieces)
    >>> english.values(english.tokens(["Red heart", "blue"]))
    ['Red heart', 'blue']
    """

    kind = "text"
    modality = "text"
    is_text = True

    def __init__(self, name, pieces, length=None, examples=()):
        super().__init__(name)
        self.pieces = pieces
        self.length = None if length is None else int(length)
        if self.length is not None and self.length < 2:
            raise ValueError(f"A text has a piece and its end. Received: length={length}. Give 2 or more.")
        self.known = tuple(self.checked(text) for text in examples) or ("",)

    @staticmethod
    def plain(text):
        """A text as it is cut into pieces: here as it is.

        Args:
            text: str.

        Returns:
            str.
        """
        return text

    @property
    def size(self):
        """int, how many pieces there are."""
        return self.pieces.size

    @property
    def codebook_sizes(self):
        """Tuple with the number of pieces."""
        return (self.size,)

    @property
    def owner(self):
        """str, sha256 of the pieces' model."""
        return hashlib.sha256(self.pieces.model).hexdigest()

    @property
    def sha256(self):
        """The former name of `owner`."""
        return self.owner

    def check_space(self, space):
        """As `Part.check_space`."""
        space.check_owner(self.name, self.owner, self.codebook_sizes, "The ids of these pieces of text")

    def count(self, text):
        """How many tokens a text has, its end among them.

        Args:
            text: str.

        Returns:
            int.
        """
        return len(self.pieces.encode([self.plain(text)])[0])

    def checked(self, value):
        """As `Part.checked`: any text that is not too long."""
        text = checked_text(value)
        count = 0 if self.length is None else self.count(text)
        if self.length is not None and count > self.length:
            raise ValueError(
                f"A text for this prior has {self.length - 1} pieces at most, as it has learnt. Received: "
                f"{count - 1}, {text[:80]!r}. Give a shorter one, or more usual words."
            )
        return text

    def read(self, text):
        """As `Part.read`: the text itself, or that of a .txt file."""
        return text_or_file(text)

    def beginning(self, value):
        """As `Part.beginning`: the pieces without the end piece."""
        return self.pieces.encode([self.plain(checked_text(value))])[0][:-1, None]

    def tokens(self, values):
        """As `Part.tokens`; longer texts than `length` are cut."""
        texts = [self.plain(text or "") for text in values]
        rows = [ids if text else ids[:0] for ids, text in zip(self.pieces.encode(texts), texts, strict=True)]
        length = max(map(len, rows), default=0) if self.length is None else self.length
        tokens = np.full((len(texts), length, 1), -1, "int32")
        for place, row in zip(tokens, rows, strict=True):
            place[: len(row[:length]), 0] = row[:length]
        return tokens

    def values(self, tokens, batch_size=None):
        """As `Part.values`: list of str, each up to its end piece or its first -1."""
        rows = np.asarray(tokens)[..., 0]
        return self.pieces.decode(list(np.where(rows < 0, self.pieces.end, rows)))

    def input_of(self, tokens):
        """As `Part.input_of`: int32 array (batch, length)."""
        if self.length is None:
            raise ValueError(
                f"An export takes texts of a fixed number of pieces. Received: length=None of the part {self.name!r}. "
                "Give the part its `length`."
            )
        return tokens[..., 0]

    def describe(self):
        """As `Part.describe`."""
        examples = {} if self.known == ("",) else {"examples": list(self.known)}
        return {"kind": self.kind, **({} if self.length is None else {"length": self.length}), **examples}

    def same_codec(self, other):
        """As `Part.same_codec`."""
        return isinstance(other, TextPart) and self.pieces == other.pieces

    def save(self, folder):
        """As `Part.save`: the model of the pieces."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PIECES_FILE).write_bytes(self.pieces.model)
        return PIECES_FILE


class Captions(TextPart):
    """Any text of the part "text", in small letters and with single spaces.

    Args:
        pieces: `vqzoo.data.Pieces`, learnt from `plain` texts.
        length: int, pieces of a text at most, its end piece among them. Shorter ones are filled up.
        examples: sequence of str, texts to begin with. Defaults to none.

    Raises:
        ValueError: if `length` is below 2, or an example longer.

    Example:
    >>> from vqzoo.data import Pieces
    >>> pieces = Pieces.train(["red heart", "blue heart", "heart"], size=300, exact=False)
    >>> captions = Captions(pieces, length=16, examples=["red heart"])
    >>> captions.asked(count=2), captions.tokens(["Red heart", ""]).shape
    (['red heart', 'red heart'], (2, 16, 1))
    """

    kind = "captions"

    def __init__(self, pieces, length, examples=()):
        super().__init__(TEXT, pieces, length, examples)

    @staticmethod
    def plain(text):
        """A text as it is cut into pieces.

        Args:
            text: str.

        Returns:
            str.
        """
        return " ".join(text.lower().split())
