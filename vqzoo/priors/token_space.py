"""One range of ids for the codebooks of several tokenizers, pieces of text, labels and special tokens."""

import warnings

import keras
import numpy as np

from vqzoo.ops import dtype_name
from vqzoo.ops import known_value

# The first ids of every space.
PADDING, MASK, STOP = range(3)
MARKS = 3


@keras.saving.register_keras_serializable(package="vqzoo")
class TokenSpace:
    """Maps the tokens of several parts to one range of ids.

    | ids | meaning |
    |---|---|
    | 0, 1, 2 | padding (`PADDING`), masked (`MASK`), end of the sequence (`STOP`) |
    | then, part by part | its start, its end, the codes of its first codebook, of its second, ... |

    A prior is saved together with its space, so that its ids keep their meaning.

    Args:
        parts: dict name -> int or sequence of int, the codebook sizes of the part: `tokenizer.codebook_sizes` for a
            tokenizer, their number for labels or pieces of text.
        owners: dict name -> str, the sha256 of the model whose tokens a part holds, as returned by
            `vqzoo.presets.describe_tokens`. Defaults to none.

    Raises:
        ValueError: if there is no part, a size is not positive, or an owner has no part.

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
                f"A space needs at least one part, and each codebook at least one code. Received: {sizes}. Give "
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
        """Tuple of str, the names of the parts."""
        return tuple(self.sizes)

    def start(self, name):
        """The id that starts a span of this part."""
        self._of(name)
        return self._starts[name]

    def end(self, name):
        """The id that ends a span of this part."""
        return self.start(name) + 1

    def first(self, name, codebook=0):
        """The id of the first code of a codebook of the part."""
        sizes = self._of(name)
        if not 0 <= codebook < len(sizes):
            raise ValueError(f"{name!r} has the codebooks 0 to {len(sizes) - 1}. Received: codebook={codebook}")
        return self._starts[name] + 2 + sum(sizes[:codebook])

    def codes(self, name, codebook=None):
        """The ids of the codes of one codebook, or of all codebooks of the part.

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
        """Converts tokens of a part to ids.

        Args:
            name: str, name of the part.
            tokens: integer array or tensor (..., num_codebooks); -1 is a missing token and becomes `PADDING`.

        Returns:
            int32 tensor of the same shape.

        Raises:
            ValueError: if the dtype or the last axis is wrong; in eager calls also if tokens are out of range.
        """
        tokens = tokens if hasattr(tokens, "dtype") else np.asarray(tokens)
        sizes = self._checked(name, tokens, "Tokens")
        values = known_value(tokens)
        if values is not None and values.size and ((values < -1) | (values >= np.array(sizes))).any():
            raise ValueError(
                f"Tokens of {name!r} must be in [0, {' and '.join(map(str, sizes))}), or -1 for none. Received: values "
                f"from {values.min()} to {values.max()}. Were they made by another tokenizer?"
            )
        tokens = keras.ops.cast(tokens, "int32")
        return keras.ops.where(tokens < 0, PADDING, tokens + self._offsets(name))

    def to_tokens(self, name, ids):
        """Converts ids to tokens of a part, the inverse of `to_ids`.

        Args:
            name: str, name of the part.
            ids: integer array or tensor (..., num_codebooks).

        Returns:
            int32 tensor of the same shape, -1 where an id does not belong to the codebook. In eager calls only
            `PADDING` may become -1.

        Raises:
            ValueError: if the dtype or the last axis is wrong; in eager calls also if ids have another meaning.
        """
        ids = ids if hasattr(ids, "dtype") else np.asarray(ids)
        sizes, offsets = np.array(self._checked(name, ids, "Ids")), self._offsets(name)
        values = known_value(ids)
        if values is not None:
            wrong = (values != PADDING) & ((values < offsets) | (values >= offsets + sizes))
            if wrong.any():
                at = tuple(int(i) for i in np.argwhere(wrong)[0])
                raise ValueError(
                    f"Ids of {name!r} must be its codes. Received: {int(values[at])} at {at}, which is "
                    f"{self.meaning(int(values[at]))}. Cut out the span of {name!r} first."
                )
        ids = keras.ops.cast(ids, "int32")
        inside = keras.ops.logical_and(ids >= offsets, ids < offsets + sizes.astype("int32"))
        return keras.ops.where(inside, ids - offsets, -1)

    def prefix(self, **parts):
        """Builds the condition of generation, one row of ids per example, part after part.

        Args:
            **parts: name -> integer array or tensor: (batch,), one label per example; or tokens
                (batch, *grid, num_codebooks), flattened in this order, -1 for a missing one.

        Returns:
            int32 tensor (batch, length).

        Raises:
            ValueError: if a part does not exist, or a shape is wrong.

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
            raise ValueError(f"A prefix needs a part or more. Received: none. This space has {', '.join(self.names)}.")
        return keras.ops.concatenate(rows, axis=1)

    def meaning(self, number):
        """Describes the meaning of an id.

        Args:
            number: int.

        Returns:
            str.

        Example:
        >>> TokenSpace({"image": (4, 4)}).meaning(10)
        'code 1 of codebook 1 of image'
        """
        if number in (PADDING, MASK, STOP):
            return ("padding", "a masked token", "the end of the sequence")[number]
        for name, start in self._starts.items():
            at = number - start - 2
            if 0 <= at + 2 < 2 + sum(self.sizes[name]):
                if at < 0:
                    return f"the {'end' if at == -1 else 'start'} of {name}"
                ends = np.cumsum(self.sizes[name])
                codebook = int(np.searchsorted(ends, at, side="right"))
                code = at - int(ends[codebook]) + self.sizes[name][codebook]
                return f"code {code} of codebook {codebook} of {name}"
        return f"not an id of this space, which has {self.size}"

    def told(self, number):
        """The former name of `meaning`."""
        warnings.warn("`TokenSpace.told` is `TokenSpace.meaning`.", DeprecationWarning, stacklevel=2)
        return self.meaning(number)

    def check_owner(self, name, sha256, codebook_sizes, what):
        """Raises an error if tokens come from a different model than those of a part.

        Args:
            name: str, name of the part.
            sha256: str, hash of the model that made the tokens; "" if unknown.
            codebook_sizes: sequence of int, codebook sizes of that model.
            what: str, description of the tokens for the message.

        Raises:
            ValueError: if the sizes differ, or both hashes are known and differ.
        """
        sizes = self._of(name)
        own = self.owners.get(name, "")
        if tuple(codebook_sizes) != sizes or (own and sha256 and own != sha256):
            raise ValueError(
                f"{what} come from a tokenizer with codebooks of {tuple(codebook_sizes)} codes (sha256 "
                f"{sha256[:12] or 'unknown'}). The part {name!r} expects one with {sizes} "
                f"({own[:12] or 'unknown'}), where the same tokens have another meaning. Encode with the "
                "tokenizer that the prior was trained with."
            )

    def _of(self, name):
        if name not in self.sizes:
            raise ValueError(f"This space has the parts {', '.join(self.sizes)}. Received: {name!r}")
        return self.sizes[name]

    def _offsets(self, name):
        return np.array([self.first(name, k) for k in range(len(self._of(name)))], "int32")

    def _checked(self, name, array, what):
        """The codebook sizes of the part. Raises an error if the array cannot hold its tokens."""
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
        # A list, because the order of the parts matters.
        return {"parts": [[name, list(of)] for name, of in self.sizes.items()], "owners": dict(self.owners)}

    @classmethod
    def from_config(cls, config):
        """Creates a space from its config."""
        return cls(**config)

    def __eq__(self, other):
        return isinstance(other, TokenSpace) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash(tuple(self.sizes.items()))
