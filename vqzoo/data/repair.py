"""The way out of an error about an array: code that makes a signal of what was received.

In that code `x` is what was received, and the names are those of any program: `np`, `keras`, `vqzoo`, `tokenizer`.
"""

import os
from typing import NamedTuple

import numpy as np

from vqzoo.ops import dtype_name
from vqzoo.ops import known_value

_NAMED = 4  # signals that each need something else, one by one in a message


class Draft(NamedTuple):
    """Code that makes an array, and what is known of the array."""

    code: str
    shape: tuple  # of int, None where a graph does not know
    dtype: str
    low: float | None  # the smallest finite value; None inside graphs
    high: float | None
    finite: bool
    library: str  # "np", inside graphs "keras.ops"
    values: np.ndarray | None  # the array before all steps

    def then(self, code, shape=None, dtype=None):
        """The next step.

        Args:
            code: str, in which {x} is the code so far.
            shape: tuple. Defaults to the same.
            dtype: str. Defaults to the same.

        Returns:
            `Draft`.
        """
        code = code.format(x=self.code, np=self.library)
        return self._replace(code=code, shape=self.shape if shape is None else shape, dtype=dtype or self.dtype)


def is_dense(thing):
    """Whether a thing is no sparse or ragged tensor or matrix.

    Args:
        thing: anything.

    Returns:
        bool.

    Example:
    >>> is_dense(np.zeros(2))
    True
    """
    return not any(hasattr(thing, name) for name in ("row_splits", "dense_shape", "toarray"))


def _densely(thing, code):
    """The sentence for sparse and ragged tensors and matrices."""
    if hasattr(thing, "row_splits"):
        return f"Pass `{code}.to_tensor()` where all have one size, or give them one by one."
    return f"Pass `{code}.toarray()`." if hasattr(thing, "toarray") else f"Pass `tf.sparse.to_dense({code})`."


class Repairs:
    """Writes the code for one kind of signal.

    Subclasses know what a signal looks like: `noun`, `read`, `empty`, `layout` and `scale`.

    Args:
        batched: bool, whether a batch is wanted, or one signal. Defaults to True.
        call: str, code of a function of one batch, for what has to be done one by one. Defaults to none.
    """

    noun = "signal"
    axes = 0
    """int, of one signal without its batch."""

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

    def empty(self):
        """Code of a batch without signals."""
        raise NotImplementedError

    def layout(self, draft):
        """The draft with the right axes; None where there is no telling.

        Args:
            draft: `Draft`.

        Returns:
            `Draft` or None.
        """
        raise NotImplementedError

    def scale(self, draft):
        """The draft as floats in [-1, 1]; None where there is no telling.

        Args:
            draft: `Draft`.

        Returns:
            `Draft` or None.
        """
        raise NotImplementedError

    def unwrapped(self, thing, code):
        """What holds the array inside something else, and its code.

        Args:
            thing: anything.
            code: str, its code.

        Returns:
            `(thing, code)`.
        """
        while True:
            key = _key_of_signal(thing)
            if key is None:
                return thing, code
            thing, code = (
                (getattr(thing, key), f"{code}.{key}")
                if hasattr(thing, str(key))
                else (
                    thing[key],
                    f"{code}[{key!r}]",
                )
            )

    def way_out(self, thing):
        """The last sentence of an error: what to pass, or to call, instead of `x`.

        Args:
            thing: what was received.

        Returns:
            str, with the code in backticks.
        """
        thing, code = self.unwrapped(thing, "x")
        batch = "[None]" if self.batched else ""
        if is_path(thing):
            return f"Pass `{self.read(code)}{batch}`."
        if not is_dense(thing):
            return _densely(thing, code)
        one_by_one = self._one_by_one(thing, code)
        if one_by_one:
            return one_by_one
        if isinstance(thing, list | tuple) and not len(thing) and self.batched:
            return f"Pass `{self.empty()}` for a batch of none."
        draft = self.draft(thing, code)
        if draft is None or draft.code == "x":
            if isinstance(thing, np.ndarray) and not thing.size:
                return "It is empty: leave it out."
            return f"A file is read by `{self.read('path')}{batch}`."
        return f"Pass `{draft.code}`."

    def _mapped(self, spec):
        """Code of the end of a call that encodes a data set, whose elements may have labels beside them."""
        function = self.call
        if isinstance(spec, tuple):
            spec, function = spec[0], f"lambda signal, *others: {self.call}(signal)"
        elif isinstance(spec, dict):
            keys = sorted(spec, key=lambda key: -len(spec[key].shape or ()))
            spec, function = spec[keys[0]], f"lambda row: {self.call}(row[{keys[0]!r}])"
        shape = getattr(spec, "shape", None)
        single = shape is not None and shape.rank == self.axes
        return f"{'.batch(16)' if single else ''}.map({function})"

    def draft(self, thing, code="x"):
        """The whole repair of one array.

        Args:
            thing: what was received.
            code: str, its code.

        Returns:
            `Draft`, or None where there is no telling.
        """
        draft = drafted(thing, code)
        if draft is None or not draft.shape or 0 in draft.shape[self.batched :]:
            return None
        if not draft.finite:
            draft = draft.then("{np}.nan_to_num({x}, posinf=0, neginf=0)")
        draft = self.layout(draft)
        return None if draft is None else self.scale(draft)

    def _one_by_one(self, thing, code):
        """The sentence for many signals that are no one array; None where it is one."""
        if not self.call:
            return None
        if hasattr(thing, "map") and hasattr(thing, "element_spec"):
            return f"Call `{code}{self._mapped(thing.element_spec)}`."
        if isinstance(thing, np.ndarray) and thing.dtype.kind in "OUS" and thing.ndim == 1:
            thing = list(thing)
        if hasattr(thing, "__next__"):
            return f"Pass `np.stack(list({code}))`, where all have one shape."
        if not isinstance(thing, list | tuple) or not len(thing):
            return None
        if all(is_path(one) for one in thing):
            return f"Call `[{self.call}({self.read('path')}[None]) for path in {code}]`."
        drafts = [self.draft(*self.unwrapped(one, "one")) for one in thing]
        if None in drafts or len({draft.shape for draft in drafts} | {np.shape(one) for one in thing}) == 1:
            return None
        if len({np.shape(self.unwrapped(one, "")[0]) for one in thing}) == 1 and np.ndim(thing[0]):
            return None  # one array of them is enough
        if len({draft.code for draft in drafts}) > 1 and len(drafts) <= _NAMED:
            drafts = [self.draft(*self.unwrapped(one, f"{code}[{i}]")) for i, one in enumerate(thing)]
            return f"Call `[{', '.join(f'{self.call}({draft.code})' for draft in drafts)}]`."
        return f"Call `[{self.call}({drafts[0].code}) for one in {code}]`."


def is_path(thing):
    """Whether something is the path of a file.

    Args:
        thing: anything.

    Returns:
        bool.

    Example:
    >>> is_path("a.png"), is_path(["a.png"])
    (True, False)
    """
    return isinstance(thing, str | os.PathLike)


def described(thing):
    """What was received, in a few words.

    Args:
        thing: anything.

    Returns:
        str.

    Example:
    >>> described(["a.png", "b.png"]), described(np.zeros((2, 3))), described(None)
    ('a list of 2 str', 'float64 (2, 3)', 'None')
    """
    if thing is None or is_path(thing) or isinstance(thing, bytes | int | float | bool):
        text = repr(thing)
        return text if len(text) <= 60 else f"{text[:57]}..."
    if hasattr(thing, "dtype") and hasattr(thing, "shape"):
        return f"{dtype_name(thing)} {tuple(thing.shape)}"
    if isinstance(thing, list | tuple | dict | set):
        kinds = sorted({type(one).__name__ for one in thing})
        return f"a {type(thing).__name__} of {len(thing)}" + (f" {', '.join(kinds[:3])}" if kinds else "")
    return f"an object of type {type(thing).__name__}"


def drafted(thing, code):
    """The draft of an array as it is; None where it is none of numbers.

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
    except (ValueError, TypeError):  # rows of several lengths, or an unknown rank
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


def _key_of_signal(thing):
    """The key or the name under which the signal is in something larger; None where it is the signal itself."""
    if isinstance(thing, tuple) and hasattr(thing, "signal"):  # a `Reconstruction`
        return "signal"
    if isinstance(thing, dict) and thing:
        sizes = {key: np.size(value) for key, value in thing.items() if np.ndim(value)}
        return max(sizes, key=sizes.get) if sizes else None
    if not isinstance(thing, tuple) or len(thing) != 2:
        return None
    ranks = [_rank(one) for one in thing]
    if None in ranks or max(ranks) == 0:
        return None
    # A signal beside its sample rate or its label, and a batch of signals beside a row of labels.
    if ranks[0] > ranks[1] and ranks[1] <= 1:
        return 0
    return 1 if ranks[0] == 0 else None


def _rank(thing):
    if thing is None or is_path(thing):
        return None
    shape = getattr(thing, "shape", None)
    if shape is not None:
        return len(shape)
    try:
        return np.ndim(thing)
    except ValueError:
        return None
