"""Strict JSON, without NaN and infinity, and with limits when reading.

It belongs to the bottom row of the package like `files`, because data, presets, trainers, export and the command line
write JSON.
"""

import json
import math
import re

import numpy as np

_MOST_LEVELS = 100  # of nested lists and dicts; more than vqzoo writes, and far below Python's recursion limit


def json_text(value, indent=None):
    r"""Serialises a value as strict JSON, in ASCII.

    A non-finite float becomes null, because JSON cannot represent it. Numpy numbers and arrays become plain ones.
    Characters beyond ASCII are escaped, so that any terminal and any file accepts the text.

    Args:
        value: None, bool, int, float, str, numpy numbers and arrays of these, and lists, tuples and dicts of them.
        indent: int, spaces per level. Default None, all in one line.

    Returns:
        str.

    Raises:
        TypeError: A value is of another type.
        ValueError: Lists or dicts are nested more than 100 times, or hold themselves.

    Example:
    >>> json_text({"accuracy": float("nan"), "psnr": np.float32(21.5), "name": "größe"})
    '{"accuracy": null, "psnr": 21.5, "name": "gr\\u00f6\\u00dfe"}'
    """
    return json.dumps(_plain(value), indent=indent, allow_nan=False)


def parse_json(data, any_text=False):
    """Parses a strict JSON text.

    Args:
        data: bytes in UTF-8, with or without a byte order mark; or str.
        any_text: bool, whether a str may hold lone surrogates, as in file names that are not UTF-8. Default False.

    Returns:
        None, bool, int, float, str, list or dict.

    Raises:
        ValueError: It is not JSON or not UTF-8, holds NaN, infinity, a number beyond the range of float or lone
            surrogates, or has more than 100 levels.

    Example:
    >>> parse_json(b'{"psnr": 21.5}')
    {'psnr': 21.5}
    >>> parse_json('{"psnr": NaN}')
    Traceback (most recent call last):
        ...
    ValueError: NaN is not a number of JSON
    """
    text = data if isinstance(data, str) else data.decode("utf-8-sig")
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        value = None
        text = "["  # too deep in any case
        levels = _MOST_LEVELS + 1
    else:
        levels = _levels(value)
    if levels > _MOST_LEVELS:
        raise ValueError(f"its lists and dicts are nested more than {_MOST_LEVELS} times")
    if not any_text and re.search(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]", text):
        _check_text(value)
    return value


def is_integer(value, least=0, most=2**63 - 1):
    """Whether a value is an int in a range. True and False are not.

    Args:
        value: anything.
        least: int. Default 0.
        most: int. Default 2**63 - 1.

    Returns:
        bool.

    Example:
    >>> is_integer(3), is_integer(True), is_integer(3.0), is_integer(-1), is_integer(10**400)
    (True, False, False, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def shown(value):
    r"""Formats any value for an error message, in one short line.

    Args:
        value: anything.

    Returns:
        str, of at most 80 characters.

    Example:
    >>> shown("a\nb"), shown([0] * 1000)[-3:]
    ("'a\\nb'", '...')
    """
    try:
        text = ascii(value)
    except (ValueError, RecursionError):  # an int of more than 4300 digits, or endless nesting
        return f"a {type(value).__name__}"
    text = " ".join(text.split())  # the text of an array may span several lines
    return text if len(text) <= 80 else f"{text[:77]}..."


def _plain(value, level=0):
    """Converts to lists, dicts and numbers that JSON supports."""
    if level > _MOST_LEVELS:
        raise ValueError(f"Lists and dicts are nested at most {_MOST_LEVELS} times in JSON that vqzoo writes.")
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
        value = float(value) if isinstance(value, np.generic) else value  # bfloat16
    if isinstance(value, dict):
        return {_plain(key): _plain(item, level + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, level + 1) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _refuse(constant):
    raise ValueError(f"{constant} is not a number of JSON")


def _finite(text):
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is beyond the range of numbers")
    return number


def _levels(value):
    """The nesting depth of lists and dicts, computed without recursion."""
    found, level = 0, [value]
    while level := [one for one in level if isinstance(one, list | dict)]:
        found += 1
        level = [one for group in level for one in (group.values() if isinstance(group, dict) else group)]
    return found


def _check_text(value):
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"it holds {error.object[error.start]!a}, half of a character") from error
