"""What a prior can be asked for: labels by their names, or any text by its pieces."""

import abc
import collections.abc
import difflib
import hashlib
import numbers

import numpy as np

from vqzoo.jsons import shown
from vqzoo.priors.settings import checked

_COMPARED = 200  # characters of a name that is not known
# The parts of the space that conditions are of.
LABEL = "label"
TEXT = "text"
STYLE = "style"


class Conditions(abc.ABC):
    """Turns what a user asks for into tokens of a part of the prior's space, the same number for each example."""

    part = None
    """str, the part of the space."""

    size = None
    """int, codes of that part."""

    length = None
    """int, tokens of one condition."""

    noun = None
    """str, what the conditions are called."""

    known = ()
    """tuple of str, what is made in turn where nothing is asked for."""

    def asked(self, condition=None, count=None):
        """The conditions for so many signals.

        Args:
            condition: str or int, or a sequence of them, which are taken in turn; None for all that are known.
            count: int. Defaults to as many as there are conditions, or 1.

        Returns:
            List of str.

        Raises:
            ValueError: if there is no such condition, or there are none at all.
        """
        count = checked("count", count)
        asked = _listed(condition)
        if not asked:
            raise ValueError("`condition` is one or several. Received: none. Leave it out for those that are known.")
        found = list(self.known) if condition is None else [self.checked(item) for item in asked]
        return [found[i % len(found)] for i in range(len(asked) if count is None else count)]

    @abc.abstractmethod
    def checked(self, item):
        """One condition as it is known.

        Args:
            item: str or int.

        Returns:
            str.

        Raises:
            ValueError: if there is no such condition.
        """

    @abc.abstractmethod
    def tokens(self, conditions):
        """The tokens of conditions.

        Args:
            conditions: list of str; "" is none.

        Returns:
            int array (batch, length, 1), -1 for none.
        """


class Labels(Conditions):
    """The names of labels, which are tokens by their order.

    Args:
        names: sequence of str.

    Example:
    >>> labels = Labels(["cat", "dog"])
    >>> labels.asked(["Dog", 0], count=3)
    ['dog', 'cat', 'dog']
    >>> labels.tokens(["dog", ""]).tolist()
    [[[1]], [[-1]]]
    """

    part = LABEL
    length = 1
    noun = "labels"

    def __init__(self, names):
        self.known = tuple(names)
        self.size = len(self.known)

    def checked(self, item):
        """As `Conditions.checked`: the name of a label, in any spelling, or its number."""
        if isinstance(item, numbers.Integral) and not isinstance(item, bool):
            if 0 <= item < self.size:
                return self.known[item]
            hint = f"Numbers go from 0 to {self.size - 1}, and a name is a str, such as '{shown(int(item))}'."
            raise ValueError(f"There is no label {shown(item)}. {hint} There are: {', '.join(self.known)}.")
        names = [_plain(name) for name in self.known]
        if _plain(item) in names:
            return self.known[names.index(_plain(item))]
        asked = _plain(item)[:_COMPARED]
        near = [self.known[names.index(name)] for name in difflib.get_close_matches(asked, names, n=1)]
        hint = f" Did you mean {near[0]!r}?" if near else ""
        if str(item).isdecimal() and len(str(item)) < 10 and int(item) < self.size:
            hint = f" Labels are asked for by name, and number {int(item)} is {self.known[int(item)]!r}."
        raise ValueError(f"There is no label {shown(item)}.{hint} There are: {', '.join(self.known)}.")

    def tokens(self, conditions):
        """As `Conditions.tokens`; names that are no label's are none."""
        places = {name: i for i, name in enumerate(self.known)}
        return np.array([places.get(name, -1) for name in conditions], "int32").reshape(-1, 1, 1)


class Captions(Conditions):
    """Any text, as the ids of its pieces, in small letters and with single spaces.

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

    part = TEXT
    noun = "texts"

    def __init__(self, pieces, length, examples=()):
        self.pieces = pieces
        self.size = pieces.size
        self.length = int(length)
        if self.length < 2:
            raise ValueError(f"A text has a piece and its end. Received: length={length}. Give 2 or more.")
        self.known = tuple(self.checked(text) for text in examples) or ("",)

    @property
    def sha256(self):
        """str, of the pieces' model: the owner of the part."""
        return hashlib.sha256(self.pieces.model).hexdigest()

    @staticmethod
    def plain(text):
        """A text as it is cut into pieces.

        Args:
            text: str.

        Returns:
            str.
        """
        return " ".join(text.lower().split())

    def count(self, text):
        """How many tokens a text has, its end among them.

        Args:
            text: str.

        Returns:
            int.
        """
        return len(self.pieces.encode([self.plain(text)])[0])

    def checked(self, item):
        """As `Conditions.checked`: any text that is not too long."""
        if not isinstance(item, str):
            raise ValueError(f"This prior takes a text. Received: {shown(item)}. Give a str, or '' for anything.")
        count = self.count(item)
        if count > self.length:
            raise ValueError(
                f"A text for this prior has {self.length - 1} pieces at most, as it has learnt. Received: "
                f"{count - 1}, {item[:80]!r}. Give a shorter one, or more usual words."
            )
        return item

    def tokens(self, conditions):
        """As `Conditions.tokens`; longer texts are cut."""
        texts = [self.plain(text) for text in conditions]
        tokens = np.full((len(texts), self.length, 1), -1, "int32")
        for place, row, text in zip(tokens, self.pieces.encode(texts), texts, strict=True):
            kept = row[: self.length] if text else row[:0]
            place[: len(kept), 0] = kept
        return tokens


def _listed(condition):
    """One condition or several as a list, those of arrays and tensors as Python's values."""
    if isinstance(condition, str | bytes) or not isinstance(condition, collections.abc.Iterable):
        return [_text(condition)]
    try:
        items = np.asarray(condition).tolist() if hasattr(condition, "shape") else list(condition)
    except Exception:  # a tensor of a graph, whose value is not known
        raise ValueError(f"`condition` is a str, an int, or a sequence of them. Received: {shown(condition)}") from None
    return [_text(item) for item in (items if isinstance(items, list) else [items])]


def _text(item):
    """Text of a tensor, which comes as bytes in UTF-8."""
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else item


def _plain(name):
    return str(name).strip().lower().replace("_", " ").replace("-", " ")
