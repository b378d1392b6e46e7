"""Codebooks of several tokenizers, pieces of text, labels and marks as one range of ids."""

import keras
import numpy as np

from vqzoo.ops import dtype_name
from vqzoo.ops import known_value

# The ids that every space begins with.
PADDING, MASK, STOP = range(3)
MARKS = 3


@keras.saving.register_keras_serializable(package="vqzoo")
class TokenSpace:
    """Where each part's tokens lie in one range of ids.

    | ids | what they stand for |
    |---|---|
    | 0, 1, 2 | nothing (`PADDING`), a hole to be filled (`MASK`), the end of everything (`STOP`) |
    | then, part by part | its start, its end, the codes of its first codebook, of its second, ... |

    A prior is saved with its space, so that its ids keep their meaning.

    Args:
        parts: dict name -> int or sequence of int, the sizes of the part's codebooks: of a tokenizer
            `tokenizer.codebook_sizes`, of labels or pieces of text their number.
        owners: dict name -> str, the sha256 of the model whose tokens a part holds, as
            `vqzoo.presets.describe_tokens` tells it. Defaults to none.

    Raises:
        ValueError: if there is no part, a size is not positive, or an owner is of no part.

    Example:
    >>> space = TokenSpace({"label": 10, "image": (512, 256)})
    >>> space.size, space.start("image"), space.end("image"), space.first("image", codebook=1)
    (785, 15, 16, 529)
    >>> np.asarray(space.to_ids("image", np.array([[[0, 0], [3, 4]]])))
    array([[[ 17, 529],
            [ 20, 533]]], dtype=int32)
    """

    def __init__(self, parts, owners=None):
        sizes = {str(name): tuple(int(k) for k in np.atleast_1d(of)) for name, of in dict(parts).items()}
        if not sizes or any(not of or min(of) < 1 for of in sizes.values()):
            raise ValueError(
                f"A space has a part or more, and each of their codebooks a code or more. Received: {sizes}. Give "
                "`{'image': tokenizer.codebook_sizes}`, for instance."
            )
        self.sizes = sizes
        self.owners = dict(owners or {})
        for name in self.owners:
            self._of(name)
        self._starts, at = {}, MARKS
        for name, of in sizes.items():
            self._starts[name] = at
            at += 2 + sum(of)
        self.size = at

    @property
    def names(self):
        """Tuple with the names of the parts."""
        return tuple(self.sizes)

    def start(self, name):
        """The id that opens a span of this part."""
        self._of(name)
        return self._starts[name]

    def end(self, name):
        """The id that closes a span of this part."""
        return self.start(name) + 1

    def first(self, name, codebook=0):
        """The id of the first code of one of the part's codebooks."""
        sizes = self._of(name)
        if not 0 <= codebook < len(sizes):
            raise ValueError(f"{name!r} has the codebooks 0 to {len(sizes) - 1}. Received: codebook={codebook}")
        return self._starts[name] + 2 + sum(sizes[:codebook])

    def codes(self, name, codebook=None):
        """The ids of the codes of one codebook, or of all of the part's.

        Args:
            name: str.
            codebook: int. Defaults to all.

        Returns:
            int32 array.
        """
        sizes = self._of(name)
        first = self.first(name, codebook or 0)
        return np.arange(first, first + (sum(sizes) if codebook is None else sizes[codebook]), dtype="int32")

    def to_ids(self, name, tokens):
        """Tokens of a part as ids.

        Args:
            name: str, of the part.
            tokens: integer array or tensor (..., num_codebooks); -1 stands for none and becomes `PADDING`.

        Returns:
            int32 tensor of the same shape.

        Raises:
            ValueError: on another dtype or last axis; in eager calls also if tokens are out of range.
        """
        tokens = tokens if hasattr(tokens, "dtype") else np.asarray(tokens)
        sizes = self._checked(name, tokens, "Tokens")
        values = known_value(tokens)
        if values is not None and values.size and ((values < -1) | (values >= np.array(sizes))).any():
            raise ValueError(
                f"Tokens of {name!r} lie in [0, {' and '.join(map(str, sizes))}), and -1 is none. Received: values "
                f"from {values.min()} to {values.max()}. Were they made by another tokenizer?"
            )
        tokens = keras.ops.cast(tokens, "int32")
        return keras.ops.where(tokens < 0, PADDING, tokens + self._offsets(name))

    def to_tokens(self, name, ids):
        """Ids as tokens of a part: what `to_ids` does, backwards.

        Args:
            name: str, of the part.
            ids: integer array or tensor (..., num_codebooks).

        Returns:
            int32 tensor of the same shape, -1 where an id is none of the codebook's; in eager calls `PADDING` alone may
            be none.

        Raises:
            ValueError: on another dtype or last axis; in eager calls also if ids stand for something else.
        """
        ids = ids if hasattr(ids, "dtype") else np.asarray(ids)
        sizes, offsets = np.array(self._checked(name, ids, "Ids")), self._offsets(name)
        values = known_value(ids)
        if values is not None:
            wrong = (values != PADDING) & ((values < offsets) | (values >= offsets + sizes))
            if wrong.any():
                at = tuple(int(i) for i in np.argwhere(wrong)[0])
                raise ValueError(
                    f"Ids of {name!r} stand for its codes. Received: {int(values[at])} at {at}, which is "
                    f"{self.told(int(values[at]))}. Cut out the span of {name!r} first."
                )
        ids = keras.ops.cast(ids, "int32")
        inside = keras.ops.logical_and(ids >= offsets, ids < offsets + sizes.astype("int32"))
        return keras.ops.where(inside, ids - offsets, -1)

    def prefix(self, **parts):
        """What generation is conditional on, as one row of ids for each example, part after part.

        Args:
            **parts: name -> integer array or tensor: (batch,), a label each; or tokens (batch, *grid, num_codebooks),
                written codebook after codebook, position after position, -1 for none.

        Returns:
            int32 tensor (batch, length).

        Raises:
            ValueError: if there is no such part, or on another shape.

        Example:
        >>> space = TokenSpace({"label": 10, "text": 100})
        >>> np.asarray(space.prefix(label=[3, 7], text=[[[5], [6]], [[8], [-1]]]))
        array([[ 8, 22, 23],
               [12, 25,  0]], dtype=int32)
        """
        rows = []
        for name, tokens in parts.items():
            tokens = tokens if hasattr(tokens, "dtype") else np.asarray(tokens)
            if len(tokens.shape) == 1:
                tokens = keras.ops.reshape(tokens, (-1, 1))
            length = int(np.prod(tokens.shape[1:])) if None not in tokens.shape[1:] else -1
            batch = keras.ops.shape(tokens)[0]
            rows.append(keras.ops.reshape(self.to_ids(name, tokens), (batch, length)))
        if not rows:
            raise ValueError(f"A prefix has a part or more. Received: none. This space has {', '.join(self.names)}.")
        return keras.ops.concatenate(rows, axis=1)

    def told(self, number):
        """What an id stands for, in words.

        Args:
            number: int.

        Returns:
            str.

        Example:
        >>> TokenSpace({"image": (4, 4)}).told(10)
        'code 1 of codebook 1 of image'
        """
        if number in (PADDING, MASK, STOP):
            return ("padding", "a hole", "the end of everything")[number]
        for name, start in self._starts.items():
            at = number - start - 2
            if 0 <= at + 2 < 2 + sum(self.sizes[name]):
                if at < 0:
                    return f"the {'end' if at == -1 else 'start'} of {name}"
                ends = np.cumsum(self.sizes[name])
                codebook = int(np.searchsorted(ends, at, side="right"))
                code = at - int(ends[codebook]) + self.sizes[name][codebook]
                return f"code {code} of codebook {codebook} of {name}"
        return f"no id of this space, which has {self.size}"

    def check_owner(self, name, sha256, codebook_sizes, told):
        """Raises where tokens are another model's than a part holds.

        Args:
            name: str, of the part.
            sha256: str, of the model that made the tokens; "" where nobody knows.
            codebook_sizes: sequence of int, of that model.
            told: str, what the tokens are, for the message.

        Raises:
            ValueError: if the sizes differ, or both models are known and are two.
        """
        sizes = self._of(name)
        own = self.owners.get(name, "")
        if tuple(codebook_sizes) != sizes or (own and sha256 and own != sha256):
            raise ValueError(
                f"{told} are of a tokenizer with codebooks of {tuple(codebook_sizes)} codes (sha256 "
                f"{sha256[:12] or 'unknown'}); the part {name!r} is made for one with {sizes} "
                f"({own[:12] or 'unknown'}): the same numbers mean something else there. Encode with the "
                "tokenizer that the prior was trained with."
            )

    def _of(self, name):
        if name not in self.sizes:
            raise ValueError(f"This space has the parts {', '.join(self.sizes)}. Received: {name!r}")
        return self.sizes[name]

    def _offsets(self, name):
        return np.array([self.first(name, k) for k in range(len(self._of(name)))], "int32")

    def _checked(self, name, array, what):
        """The sizes of the part's codebooks; raises where the array cannot hold its tokens."""
        sizes = self._of(name)
        if not dtype_name(array).startswith(("int", "uint")):
            raise ValueError(f"{what} are integers. Received: dtype={dtype_name(array)}")
        if not array.shape or array.shape[-1] != len(sizes):
            raise ValueError(
                f"{what} of {name!r} have a last axis of {len(sizes)}, one for each codebook. Received: "
                f"shape={tuple(array.shape)}"
            )
        return sizes

    # === Config ===
    def get_config(self):
        """The constructor's arguments."""
        # A list, because the order of the parts counts.
        return {"parts": [[name, list(of)] for name, of in self.sizes.items()], "owners": dict(self.owners)}

    @classmethod
    def from_config(cls, config):
        """A space of what `get_config` told."""
        return cls(**config)

    def __eq__(self, other):
        return isinstance(other, TokenSpace) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash(tuple(self.sizes.items()))
