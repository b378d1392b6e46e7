"""Fixes in errors about arrays: code that converts the received value to a signal.

In the code, `x` is the received value. The other names are common ones: `np`, `keras`, `vqzoo`, `tokenizer`.
"""

import os
from typing import NamedTuple

import keras
import numpy as np

from vqzoo.data.paths import missing_path
from vqzoo.data.paths import path_of_other_kind
from vqzoo.data.received import densely
from vqzoo.data.received import is_dense
from vqzoo.data.received import is_path
from vqzoo.data.received import key_of_signal
from vqzoo.data.received import plain_array
from vqzoo.data.received import rate_beside
from vqzoo.data.received import shape_of_any
from vqzoo.files import user_path
from vqzoo.ops import dtype_name
from vqzoo.ops import known_value

_NAMED = 4  # largest number of signals with individual fixes in a message
_LISTED = 12  # largest number of indices of signals that differ from the rest


class Draft(NamedTuple):
    """Code that computes an array, and the known properties of the array."""

    code: str
    shape: tuple  # of int, None if unknown in a graph
    dtype: str
    low: float | None  # the smallest finite value; None inside graphs
    high: float | None
    finite: bool
    library: str  # "np", inside graphs "keras.ops"
    values: np.ndarray | None  # the array before all steps
    rate: int | None = None  # Hz, if given together with the array
    rate_code: str | None = None

    def then(self, code, shape=None, dtype=None):
        """Appends a step.

        Args:
            code: str, in which {x} is the code so far.
            shape: tuple. Defaults to the current shape.
            dtype: str. Defaults to the current dtype.

        Returns:
            `Draft`.
        """
        code = code.format(x=self.code, np=self.library)
        return self._replace(code=code, shape=self.shape if shape is None else shape, dtype=dtype or self.dtype)


class Repairs:
    """Writes the code for one kind of signal.

    Subclasses define the form of a signal by `noun`, `read`, `empty`, `layout` and `scale`.

    Args:
        batched: bool, whether a batch is expected, or one signal. Defaults to True.
        call: str, code of a function of one batch, for signals that need separate calls. Defaults to none.
    """

    kind = None
    """str, the modality, "image" or "audio"."""

    channels = None
    """int, the expected number of channels."""

    noun = "signal"
    files = "signals"
    """str, the suffix of the name of the function of `vqzoo.data` that lists files."""

    axes = 0
    """int, the number of axes of one signal without the batch."""

    def __init__(self, batched=True, call=None):
        self.batched = batched
        self.call = call

    def read(self, path):
        """Code that reads one signal from a file.

        Args:
            path: str, code of the path.

        Returns:
            str.
        """
        raise NotImplementedError

    def find(self, folder):
        """Code that lists the files of a folder.

        Args:
            folder: str, code of its path.

        Returns:
            str.
        """
        return f"vqzoo.data.find_{self.files}({folder})"

    def empty(self):
        """Code of an empty batch."""
        raise NotImplementedError

    def layout(self, draft):
        """The draft with the right axes; None if unknown.

        Args:
            draft: `Draft`.

        Returns:
            `Draft` or None.
        """
        raise NotImplementedError

    def scale(self, draft):
        """The draft as floats in [-1, 1]; None if unknown.

        Args:
            draft: `Draft`.

        Returns:
            `Draft` or None.
        """
        raise NotImplementedError

    def unwrapped(self, thing, code):
        """The array inside a container, and its expression.

        Args:
            thing: anything.
            code: str, its code.

        Returns:
            `(thing, code)`.
        """
        while (key := key_of_signal(thing)) is not None:
            if hasattr(thing, str(key)):
                thing, code = getattr(thing, key), f"{code}.{key}"
            else:
                thing, code = thing[key], f"{code}[{key!r}]"
        if hasattr(thing, "read") and is_path(getattr(thing, "name", None)) and os.path.isfile(thing.name):
            return thing.name, f"{code}.name"
        return plain_array(thing, code)

    def way_out(self, thing):
        """Last sentence of an error, which suggests the value to pass or the call to make.

        Args:
            thing: what was received.

        Returns:
            str, with the code in backticks.
        """
        whole, (thing, code) = thing, self.unwrapped(thing, "x")
        batch = "[None]" if self.batched else ""
        if is_path(thing):
            return self._of_paths([thing], code, one=True)
        if not is_dense(thing):
            return densely(thing, code)
        one_by_one = self._one_by_one(thing, code)
        if one_by_one:
            return one_by_one
        if isinstance(thing, list | tuple) and not len(thing) and self.batched:
            return f"Pass `{self.empty()}` for an empty batch."
        draft = self.draft(whole)
        if draft is not None and draft.code != "x":
            return f"Pass `{draft.code}`."
        if thing is not None and 0 in (shape_of_any(thing) or ()):
            return "It is empty: leave it out."
        return f"A file is read by `{self.read('path')}{batch}`."

    def _of_paths(self, paths, code, one=False):
        """Message for paths of files, of folders, or that do not exist."""
        batch = "[None]" if self.batched else ""
        refused = missing_path(paths) or path_of_other_kind(paths, self.kind)
        if refused:
            return refused
        read = f"{self.read('path')}{batch}"
        read = f"{self.call}({read})" if self.call else read
        if any(os.path.isdir(user_path(path)) for path in paths):
            find = self.find(code if one else "one")
            if not self.call:
                return f"It is a folder: take one of `{find}`."
            return f"Call `[{read} {'' if one else f'for one in {code} '}for path in {find}]`."
        return f"Pass `{self.read(code)}{batch}`." if one else f"Call `[{read} for path in {code}]`."

    def _stacked(self, code, one):
        """Message for an iterator, which was not inspected because it can be used only once."""
        if self.channels == 1:  # most have no channel axis
            one = f"np.reshape({one}, (*np.shape({one})[:{self.axes - 1}], -1))"
        made = f"[{one} for one in {code}]" if one != "one" else f"list({code})"
        return f"Pass `np.stack({made})`, if all have the same shape."

    def _mapped(self, spec):
        """Code of the end of a call that encodes a dataset, whose elements may have labels."""
        start, signal = "signal", "signal"
        if isinstance(spec, tuple):
            spec, start = spec[0], "signal, *others"
        elif isinstance(spec, dict):
            keys = sorted(spec, key=lambda key: -len(shape_of_any(spec[key]) or ()))
            spec, start, signal = spec[keys[0]], "row", f"row[{keys[0]!r}]"
        shape = shape_of_any(spec)
        if shape is None:
            return None
        batch = "".join(".unbatch()" for _ in shape[self.axes + 1 :])
        shape = shape[len(shape) - self.axes - 1 :] if batch else shape
        if len(shape) == self.axes and None not in shape:
            batch, shape = ".batch(16)", (None, *shape)
        draft = self.draft(keras.KerasTensor(shape, spec.dtype.name), signal) if hasattr(spec, "dtype") else None
        if draft is None:
            return None
        plain = draft.code == start
        return f"{batch}.map({self.call if plain else f'lambda {start}: {self.call}({draft.code})'})"

    def draft(self, thing, code="x"):
        """The complete fix of one array.

        Args:
            thing: what was received.
            code: str, its code.

        Returns:
            `Draft`, or None if unknown.
        """
        rate, rate_code = rate_beside(thing, code)
        draft = drafted(*self.unwrapped(thing, code))
        if draft is None or not draft.shape or 0 in draft.shape[self.batched and len(draft.shape) > self.axes :]:
            return None
        draft = draft._replace(rate=rate, rate_code=rate_code)
        if not draft.finite:
            draft = draft.then("{np}.nan_to_num({x}, posinf=0, neginf=0)")
        draft = self.layout(draft)
        return None if draft is None else self.scale(draft)

    def _one_by_one(self, thing, code):
        """Message for a collection of signals that is not one array; None if it is one."""
        if not self.call:
            return None
        if hasattr(thing, "map") and hasattr(thing, "element_spec"):
            mapped = self._mapped(thing.element_spec)
            return f"Call `{code}{mapped}`." if mapped else "Its elements are not batches of signals."
        if isinstance(thing, np.ndarray) and thing.dtype.kind in "OUS" and thing.ndim == 1:
            thing = list(thing)
        if isinstance(thing, zip | enumerate):
            place = int(isinstance(thing, enumerate))
            return self._stacked(code, f"one[{place}]")
        if hasattr(thing, "__next__") and not hasattr(thing, "read"):
            return self._stacked(code, "one")
        if not isinstance(thing, list | tuple) or not len(thing):
            return None
        if all(is_path(one) for one in thing):
            return self._of_paths(thing, code)
        drafts = [self.draft(one, "one") for one in thing]
        if None in drafts:
            empty = [i for i, one in enumerate(thing) if 0 in (shape_of_any(self.unwrapped(one, "")[0]) or ())]
            return f"Leave out the empty ones, such as {code}[{empty[0]}]." if empty else None
        if len({shape_of_any(one) for one in thing} - {None}) == 1 and not _are_mixed(drafts):
            return None  # a single array is sufficient
        places = {draft.code: [] for draft in drafts}
        for i, draft in enumerate(drafts):
            places[draft.code].append(i)
        if len(places) == 1:
            return f"Call `[{self.call}({drafts[0].code}) for one in {code}]`."
        if len(drafts) <= _NAMED:
            codes = [self.draft(one, f"{code}[{i}]").code for i, one in enumerate(thing)]
            return f"Call `[{', '.join(f'{self.call}({code})' for code in codes)}]`."
        (first, _), (other, rare) = sorted(places.items(), key=lambda item: -len(item[1]))[:2]
        if len(places) > 2 or len(rare) > _LISTED:
            return f"They are of {len(places)} kinds. Pass each separately, those like {code}[0] as `{drafts[0].code}`."
        return f"Call `[{self.call}({other} if i in {tuple(rare)} else {first}) for i, one in enumerate({code})]`."


def _are_mixed(drafts):
    """Whether arrays of one shape mix integers and floats, or values inside and outside of [-1, 1]."""
    if len({draft.code for draft in drafts}) == 1:
        return False
    floats = [draft for draft in drafts if "float" in draft.dtype]
    if floats and len(floats) < len(drafts):
        return True
    return any(draft.low is not None and draft.low < 0 and max(-draft.low, draft.high) <= 1.5 for draft in floats)


def drafted(thing, code):
    """The draft of an unchanged array; None if it does not hold numbers.

    Args:
        thing: array, tensor, or list of numbers.
        code: str, its code.

    Returns:
        `Draft` or None.

    Example:
    >>> drafted([1, 2], "x")[:5]
    ('np.asarray(x)', (2,), 'int64', 1.0, 2.0)
    """
    if isinstance(thing, np.ndarray) and thing.dtype == object and thing.size:
        array_code, thing = f"np.stack({code})" if thing.ndim == 1 else f'{code}.astype("float32")', thing.tolist()
    else:
        array_code = code if isinstance(thing, np.ndarray) else f"np.asarray({code})"
    try:
        array = thing if hasattr(thing, "dtype") and hasattr(thing, "shape") else np.asarray(thing)
        shape = tuple(array.shape)
    except (ValueError, TypeError):  # ragged rows, or an unknown rank
        return None
    dtype = dtype_name(array)
    if not dtype.startswith(("int", "uint", "float", "bfloat", "bool")):
        return None
    values = known_value(array)
    if values is None:  # inside a graph
        code = code if "float" in dtype else f'keras.ops.cast({code}, "float32")'
        return Draft(code, shape, dtype, None, None, True, "keras.ops", None)
    finite = np.isfinite(values) if values.dtype.kind == "f" else np.ones((), bool)
    good = values if finite.all() else values[finite]
    low, high = (float(good.min()), float(good.max())) if good.size else (0.0, 0.0)
    return Draft(array_code, shape, dtype, low, high, bool(finite.all()), "np", values)
