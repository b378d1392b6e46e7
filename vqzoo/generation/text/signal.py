"""Text by the tokens of a `TextTokenizer`, as a part of a prior's space."""

import keras
import numpy as np

from vqzoo.files import user_path
from vqzoo.jsons import shown

_MOST_BYTES = 2**21


class TextSignal:
    """What a person writes for a text, and what comes out.

    Args:
        tokenizer: `TextTokenizer`.
        size: None; a text has any length.
    """

    has_size = False
    """bool, whether results have a size that their tokens do not determine."""
    is_text = True
    """bool, whether results are texts."""
    axes = 0
    """int, of one text, which is a str."""
    size = None

    def __init__(self, tokenizer, size=None):
        if size is not None:
            raise ValueError(f"`size` is that of images. Received: size={size} for text. Give `length`, in positions.")
        self.tokenizer = tokenizer

    def read(self, text):
        """The text itself, or that of a .txt file."""
        return text_or_file(text)

    def checked(self, text):
        """A str; raises ValueError where it is none."""
        return checked_text(text)

    def encode(self, text):
        """Tokens of one text: int32 array (chunks, num_codebooks)."""
        return keras.ops.convert_to_numpy(self.tokenizer.encode([text]))[0]

    def beginning(self, text):
        """As `encode`, only of the whole chunks, without the end-of-sequence piece."""
        text, stride = self.checked(text), self.tokenizer.stride
        chunks = (len(self.tokenizer.pieces.encode([text])[0]) - 1) // stride
        if text and not chunks:
            raise ValueError(
                f"A prompt for this tokenizer has at least one chunk of {stride} pieces. Received: {text!r}. Give a "
                "longer one, or leave `prompt` out."
            )
        return self.encode(text)[:chunks]

    def decode(self, tokens, batch_size=None):
        """Texts of tokens, each up to its first -1: list of str."""
        real = (tokens >= 0).all(axis=-1)
        chunks = np.where(real.all(axis=1), real.shape[1], np.argmin(real, axis=1)) if real.size else real.sum(axis=1)
        texts = [""] * len(tokens)
        # Those of one length together: a text that lost its end-of-sequence piece would continue into the padding.
        for count in np.unique(chunks[chunks > 0]):
            some = np.flatnonzero(chunks == count)
            for place, text in zip(some, self.tokenizer.decode(tokens[some, :count], batch_size), strict=True):
                texts[place] = text
        return texts

    def grid(self, length=None):
        """The grid of the tokens of one text of `length` positions."""
        if length is None:
            raise ValueError("A text has any number of positions. Received: length=None. Give the part its `length`.")
        return (length,)

    def about(self):
        """Dict of JSON values that a preset's metadata hold of a prior that makes this."""
        return {}

    def describe(self):
        """Dict of JSON values, what the constructor takes beside the tokenizer."""
        return {}


def text_or_file(text):
    """What a text on the command line means: the contents of a .txt file that exists, else the text itself.

    Args:
        text: str.

    Returns:
        str, without the line break at the end of a file.

    Raises:
        ValueError: the file is not UTF-8 or too large.

    Example:
    >>> text_or_file("The old house")
    'The old house'
    """
    if not text.lower().endswith(".txt") or len(text) > 4096 or not user_path(text).is_file():
        return text
    path = user_path(text)
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"A text has at most {_MOST_BYTES} bytes. Received: {text!r} of {path.stat().st_size}")
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{text!r} is not text in UTF-8 ({error}). Save it as UTF-8.") from error


def checked_text(text):
    """A text; raises ValueError where it is none.

    Args:
        text: str.

    Returns:
        str.

    Raises:
        ValueError: it is something else.

    Example:
    >>> checked_text("a")
    'a'
    """
    if not isinstance(text, str):
        raise ValueError(f"This prior takes a text. Received: {shown(text)}. Give a str, or '' for anything.")
    return text
