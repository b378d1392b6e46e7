"""Parts of a prior's space: each turns what a person writes into tokens, and tokens back."""

import abc
import collections.abc
import difflib
import numbers

import numpy as np

from vqzoo.jsons import shown
from vqzoo.priors.settings import checked

_COMPARED = 200  # characters of a name that is not known
# The usual names of parts.
LABEL = "label"
TEXT = "text"
STYLE = "style"


class Part(abc.ABC):
    """A named part of a prior's space: a codec between what a person writes and tokens.

    Args:
        name: str, of the part.
    """

    kind = None
    """str, of the part in a preset's metadata."""

    modality = None
    """str, of what the tokens stand for; None for labels."""

    codebook_sizes = ()
    """tuple of int, of the part's tokens."""

    owner = ""
    """str, sha256 of the model whose tokens these are; "" where it is unknown, or where there is none."""

    length = None
    """int, positions of a value at most, as the prior has learnt; None where it is unknown."""

    tokenizer = None
    """`Tokenizer` of a signal; None for others."""

    is_text = False
    """bool, whether a value is a text, which may be cut at stop strings."""

    known = ()
    """tuple of values, which are taken in turn where nothing is asked for."""

    def __init__(self, name):
        self.name = str(name)

    @property
    def part(self):
        """The former name of `name`."""
        return self.name

    @property
    def default_count(self):
        """int, how many results are made where neither a condition nor a number is asked for."""
        return 1

    @property
    def choices(self):
        """str, what may be asked for, such as "10 labels"."""
        return f"any {self.name}"

    def asked(self, condition=None, count=None):
        """The values for a number of examples.

        Args:
            condition: a value, or a sequence of them, which are taken in turn; None for all that are known.
            count: int. Defaults to as many as there are values, or 1.

        Returns:
            List of values.

        Raises:
            ValueError: there is no such value, or there are none at all.
        """
        count = checked("count", count)
        asked = self.listed(condition)
        if not asked:
            raise ValueError("`condition` is one or several. Received: none. Leave it out for those that are known.")
        found = list(self.known) if condition is None else [self.checked(item) for item in asked]
        if not found:
            raise ValueError(f"The part {self.name!r} has no examples. Received: condition=None. Give a condition.")
        return [found[i % len(found)] for i in range(len(asked) if count is None else count)]

    def listed(self, condition):
        """One value or several as a list."""
        return _listed(condition)

    def read(self, text):
        """What a value on the command line means.

        Args:
            text: str: a label, a text, or the path of a signal's file.

        Returns:
            A value.
        """
        return text

    def named(self, value):
        """A value in the name of a file: str, "" where it has none."""
        return value if isinstance(value, str) else ""

    def check_space(self, space):
        """Raises ValueError where the part is not that of a `TokenSpace`."""
        space.check_owner(self.name, self.owner, self.codebook_sizes, f"The tokens of the part {self.name!r}")

    def check_saved(self, space):
        """Raises ValueError where what `save` writes would be another model's than the space has."""
        return None

    def beginning(self, value):
        """The tokens that a value begins with, for what is continued.

        Args:
            value: as `checked` takes it.

        Returns:
            int32 array (positions, num_codebooks).

        Raises:
            ValueError: a value has no beginning.
        """
        raise ValueError(f"The part {self.name!r} has no beginning. Received: `prompt`. Leave it out.")

    @abc.abstractmethod
    def checked(self, value):
        """One value as the part knows it.

        Args:
            value: what a person writes.

        Returns:
            A value.

        Raises:
            ValueError: there is no such value.
        """

    @abc.abstractmethod
    def tokens(self, values):
        """The tokens of values.

        Args:
            values: list of values; "" or None is none.

        Returns:
            int32 array (batch, *grid, num_codebooks), -1 for none.
        """

    @abc.abstractmethod
    def values(self, tokens, batch_size=None):
        """The values of tokens.

        Args:
            tokens: int array (batch, *grid, num_codebooks), -1 for none.
            batch_size: int, at once, to bound memory. Defaults to all.

        Returns:
            A list or an array of values.
        """

    def input_of(self, tokens):
        """Tokens as the input of an export: int32 array (batch, *shape), of a fixed shape."""
        return tokens

    def some_tokens(self, count):
        """Tokens to check an export with: int32 array (count, *grid, num_codebooks)."""
        return self.tokens(self.asked(None, count))

    def about(self):
        """What a preset's metadata hold of a prior that makes the part: dict of JSON values."""
        return {"modality": self.modality, "codebook_sizes": list(self.codebook_sizes)}

    def describe(self):
        """What a preset's metadata hold of the part: dict of JSON values."""
        return {"kind": self.kind}

    def same_codec(self, other):
        """Whether another part has the same tokenizer or the same pieces."""
        return False

    def save(self, folder):
        """Writes what the part is read from.

        Args:
            folder: path.

        Returns:
            str, name of the file; None where the metadata hold everything.
        """
        return None


class LabelPart(Part):
    """Labels by their names; their tokens are their numbers.

    Args:
        name: str, of the part.
        names: sequence of str.

    Example:
    >>> labels = LabelPart("label", ["cat", "dog"])
    >>> labels.asked(["Dog", 0], count=3)
    ['dog', 'cat', 'dog']
    >>> labels.tokens(["dog", ""]).tolist(), labels.values([[[1]], [[-1]]])
    ([[[1]], [[-1]]], ['dog', ''])
    """

    kind = "labels"
    length = 1

    def __init__(self, name, names):
        super().__init__(name)
        self.known = tuple(names)

    @property
    def size(self):
        """int, how many labels there are."""
        return len(self.known)

    @property
    def default_count(self):
        """As `Part.default_count`: one for each label."""
        return self.size

    @property
    def choices(self):
        """As `Part.choices`."""
        return f"{self.size} labels"

    @property
    def codebook_sizes(self):
        """Tuple with the number of labels."""
        return (self.size,)

    def check_space(self, space):
        """As `Part.check_space`."""
        count = sum(space.sizes.get(self.name, ()))
        if self.size != count:
            raise ValueError(
                f"Each label of the prior's space has a name. Received: {self.size} names of {count} labels. "
                f'Make the space with `TokenSpace({{"{self.name}": {self.size}, ...}})`.'
            )

    def checked(self, value):
        """As `Part.checked`: the name of a label, in any spelling, or its number."""
        if isinstance(value, numbers.Integral) and not isinstance(value, bool):
            if 0 <= value < self.size:
                return self.known[value]
            hint = f"Numbers go from 0 to {self.size - 1}, and a name is a str, such as '{shown(int(value))}'."
            raise ValueError(f"There is no label {shown(value)}. {hint} There are: {', '.join(self.known)}.")
        names = [_plain(name) for name in self.known]
        if _plain(value) in names:
            return self.known[names.index(_plain(value))]
        asked = _plain(value)[:_COMPARED]
        near = [self.known[names.index(name)] for name in difflib.get_close_matches(asked, names, n=1)]
        hint = f" Did you mean {near[0]!r}?" if near else ""
        if str(value).isdecimal() and len(str(value)) < 10 and int(value) < self.size:
            hint = f" Labels are asked for by name, and number {int(value)} is {self.known[int(value)]!r}."
        raise ValueError(f"There is no label {shown(value)}.{hint} There are: {', '.join(self.known)}.")

    def tokens(self, values):
        """As `Part.tokens`; names that are no label's are none."""
        places = {name: i for i, name in enumerate(self.known)}
        return np.array([places.get(name, -1) for name in values], "int32").reshape(-1, 1, 1)

    def values(self, tokens, batch_size=None):
        """As `Part.values`: list of str, "" for none."""
        numbers_of = np.asarray(tokens).reshape(len(tokens), -1)[:, 0]
        return [self.known[number] if number >= 0 else "" for number in numbers_of]

    def input_of(self, tokens):
        """As `Part.input_of`: one number for each example."""
        return tokens[:, 0, 0]

    def describe(self):
        """As `Part.describe`."""
        return {"kind": self.kind, "names": list(self.known)}


class Labels(LabelPart):
    """The labels of the part "label".

    Args:
        names: sequence of str.
    """

    def __init__(self, names):
        super().__init__(LABEL, names)


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
