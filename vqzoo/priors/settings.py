"""The settings of generation in one table: type, range, and which priors support them.

Python and the command line share this table, so that both refuse the same values with the same messages.
"""

import argparse
import difflib
import math
import numbers
from typing import Any
from typing import NamedTuple

import numpy as np

from vqzoo.jsons import shown

# The ranges are wider than needed in practice. They keep float32 sums finite and below the mark of disallowed tokens.
_LARGEST = 2**31 - 1
SEEDS = 2**63
SCHEDULES = ("linear", "cosine", "square", "cubic", "square_root", "log", "exp")
RIM = 2  # width in tokens of the border of a hole that is not regenerated


class Setting(NamedTuple):
    """The type and range of a setting."""

    kind: Any  # int, float, str or callable
    low: Any = None
    high: Any = None
    zero: bool = False  # whether 0 is allowed in addition to `low` to `high`
    above: bool = False  # whether `low` itself is excluded
    optional: bool = False  # whether None disables it
    causal: Any = None  # True: only an `AutoregressivePrior` has it; False: only a `MaskedPrior`

    @property
    def range(self):
        """str, description of the allowed values."""
        if self.kind in (str, callable):
            return "a function" if self.kind is callable else f"one of {', '.join(SCHEDULES)}"
        noun = "an integer" if self.kind is int else "a number"
        if self.above:
            return f"{noun} above {self.low} and at most {self.high}"
        return f"{'0, or ' if self.zero else ''}{noun} from {self.low} to {self.high}"

    def allows(self, value):
        """Whether a plain value has the right type and range; NaN has not."""
        if self.kind in (str, callable):
            return callable(value) if self.kind is callable else isinstance(value, str) and value in SCHEDULES
        number = numbers.Integral if self.kind is int else numbers.Real
        # In NumPy, time intervals are integers too.
        if not isinstance(value, number) or isinstance(value, bool | np.timedelta64):
            return False
        try:  # as used later: the bounds overflow in float16, and a fraction may be 0 as a float
            value = self.kind(value)
        except (OverflowError, TypeError, ValueError):
            return False
        return bool(self.low <= value <= self.high and not (self.above and value == self.low)) or (
            self.zero and value == 0
        )


SETTINGS = {
    "guidance": Setting(float, -1000, 1000, optional=True),
    "temperature": Setting(float, 1e-6, 10**6, zero=True),
    "top_k": Setting(int, 1, _LARGEST, optional=True),
    "top_p": Setting(float, 0, 1, above=True, optional=True),
    "min_p": Setting(float, 0, 1, optional=True),
    "repetition_penalty": Setting(float, 0.001, 1000, optional=True, causal=True),
    "no_repeat": Setting(int, 1, _LARGEST, optional=True, causal=True),
    "beams": Setting(int, 1, 1000, optional=True, causal=True),
    "length_penalty": Setting(float, 0, 5, optional=True, causal=True),
    "steps": Setting(int, 1, 10**4, causal=False),
    "noise": Setting(float, 0, 10**6, causal=False),
    "schedule": Setting(str, optional=True, causal=False),
    "seed": Setting(int, 0, SEEDS - 1),
    "count": Setting(int, 1, 10**6, optional=True),
    "length": Setting(int, 1, 10**6, optional=True),
    "batch_size": Setting(int, 1, _LARGEST, optional=True),
    "callback": Setting(callable, optional=True),
    "every": Setting(int, 1, _LARGEST, causal=True),
}
# Settings of image editing, for every prior.
OF_PICTURES = {"rim": Setting(int, 0, _LARGEST), "pad": Setting(int, 0, 2**14), "strength": Setting(float, 0, 1)}
_ARRAYS = ("prefix", "context", "known")  # arguments of `generate` that are not settings
_NOT_WITH_BEAMS = ("temperature", "top_k", "top_p", "min_p", "callback")  # a beam search draws nothing, and looks back


def checked(name, value):
    """Checks a setting and converts it to a plain Python value.

    Args:
        name: str, name in the table.
        value: the given value: a number of Python or NumPy, or a tensor of one number.

    Returns:
        int, float or str; None if the setting is disabled.

    Raises:
        ValueError: the value has a wrong type or is out of range.

    Example:
    >>> checked("top_k", np.int64(5)), checked("top_p", np.float32(0.5)), checked("top_p", None)
    (5, 0.5, None)
    >>> checked("seed", 1.5)
    Traceback (most recent call last):
        ...
    ValueError: `seed` is an integer from 0 to 9223372036854775807. Received: seed=1.5
    """
    setting = {**SETTINGS, **OF_PICTURES}[name]
    if value is None and setting.optional:
        return None
    plain = _plain_number(value)
    if not setting.allows(plain):
        raise ValueError(f"`{name}` is {setting.range}. Received: {name}={shown(value)}")
    return setting.kind(plain) if setting.kind in (int, float) else plain


def checked_settings(prior, given, decided=()):
    """Checks the settings of a prior's `generate` and converts them to plain Python values.

    Args:
        prior: `Prior`.
        given: dict name -> value; arrays such as `known` are not changed.
        decided: names that the caller sets and that must not be given. Defaults to none.

    Returns:
        Dict like `given`.

    Raises:
        ValueError: this kind of prior has no such setting, a value has a wrong type or is out of range, or settings do
            not combine.

    Example:
    >>> import types
    >>> checked_settings(types.SimpleNamespace(causal=False, grid=(4, 4)), {"steps": np.int64(8), "top_k": None})
    {'steps': 8, 'top_k': None}
    """
    own = [name for name, setting in SETTINGS.items() if setting.causal in (None, bool(prior.causal))]
    own = [name for name in own if name not in decided and not (name == "length" and prior.grid is not None)]
    arrays = [name for name in _ARRAYS if name not in decided]
    for name, value in given.items():
        if name in own or name in arrays or (name == "length" and value is None):
            continue
        near = difflib.get_close_matches(str(name), [*own, *arrays], n=1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        if name == "length" and prior.grid is not None:
            hint = f" It generates its grid of {prior.grid}."
        elif name in SETTINGS and SETTINGS[name].causal not in (None, bool(prior.causal)):
            kind = "an `AutoregressivePrior`" if SETTINGS[name].causal else "a `MaskedPrior`"
            hint = f" Only {kind} has it."
        called = shown(str(name))[1:-1]
        raise ValueError(
            f"This {type(prior).__name__} has no setting `{called}` here.{hint} Its settings are {', '.join(own)}. "
            f"Received: {called}={shown(value)}"
        )
    settings = {name: value if name in arrays else checked(name, value) for name, value in given.items()}
    drawn = [name for name in _NOT_WITH_BEAMS if settings.get(name) is not None]
    if drawn and (settings.get("beams") or 1) > 1:
        raise ValueError(
            f"`{drawn[0]}` does not combine with `beams`: a beam search draws no tokens, and changes its mind about "
            f"earlier ones. Received: {drawn[0]}={shown(settings[drawn[0]])}, beams={settings['beams']}. Leave one of "
            "them out."
        )
    return settings


def compatible(defaults, asked):
    """The defaults that combine with what is asked for: sampling and beam search replace each other.

    Args:
        defaults: dict name -> value, settings of a preset.
        asked: dict name -> value, settings of a call.

    Returns:
        Dict, some of the defaults.

    Example:
    >>> compatible({"top_k": 50, "guidance": 2.0}, {"beams": 4})
    {'guidance': 2.0}
    >>> compatible({"beams": 4, "length_penalty": 0.6, "guidance": 2.0}, {"temperature": 0.7})
    {'guidance': 2.0}
    """
    if (asked.get("beams") or 1) > 1:
        replaced = _NOT_WITH_BEAMS
    elif "beams" in asked or any(asked.get(name) is not None for name in _NOT_WITH_BEAMS):
        replaced = ("beams", "length_penalty")
    else:
        replaced = ()
    return {name: value for name, value in defaults.items() if name not in replaced}


def frames_of(grid, length=None):
    """Number of positions to generate.

    Args:
        grid: tuple of int, grid of the prior's tokens, or None.
        length: int without a grid, None with a grid.

    Returns:
        int.

    Raises:
        ValueError: both or neither are given, or the length is out of range.

    Example:
    >>> frames_of((2, 3)), frames_of(None, 5)
    (6, 5)
    """
    length = checked("length", length)
    if (length is None) == (grid is None):
        raise ValueError(
            "Give `length`, the number of positions, if and only if the prior has no grid. Received: "
            f"length={length}, grid={grid}"
        )
    return math.prod(grid) if length is None else length


def reader(name):
    """A function that parses the text of a setting, for argparse.

    Args:
        name: str, name in the table; or a numeric `Setting` that is not in it.

    Returns:
        Callable str -> int or float, which raises `argparse.ArgumentTypeError` where `checked` raises ValueError.

    Example:
    >>> reader("top_k")("7")
    7
    """
    setting = name if isinstance(name, Setting) else {**SETTINGS, **OF_PICTURES}[name]

    def read(text):
        try:
            value = setting.kind(text)
        except (ValueError, OverflowError):
            value = None
        if not setting.allows(value):
            raise argparse.ArgumentTypeError(f"{setting.range}. Received: {shown(text)}")
        return value

    return read


def _plain_number(value):
    """The number in an array or a tensor of rank 0; anything else unchanged."""
    if isinstance(value, np.generic | type) or getattr(value, "shape", None) != () or np.ma.is_masked(value):
        return value
    try:
        return np.asarray(value)[()]
    except Exception:  # a symbolic tensor, whose value is unknown
        return value
