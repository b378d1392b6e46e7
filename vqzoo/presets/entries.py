"""Types of the metadata entries that functions depend on.

The table is checked when metadata is written and when it is read, so that no other function has to check. Other
entries may be any JSON, and the card prints them.
"""

import math

from vqzoo.jsons import is_integer

_LARGEST = 2**31  # of lengths and sizes of codebooks, which are int32
_MOST_AXES = 16
_MOST_CODEBOOKS = 2**12


def wrong_entries(metadata):
    """Finds the metadata entries of a wrong type. A null entry counts as missing.

    Args:
        metadata: dict.

    Returns:
        Dict name -> description of the expected type.

    Example:
    >>> wrong_entries({"metrics": {"psnr": 21.5}, "parameters": "many", "mine": [None]})
    {'parameters': 'an int from 0 to 2**63 - 1'}
    """
    known = {name: row for name, row in _ENTRIES.items() if metadata.get(name) is not None}
    return {name: what for name, (fits, what) in known.items() if not fits(metadata[name])}


def _is_number(value):
    """Whether a value is a finite number, also as a float."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _is_text(value):
    return isinstance(value, str)


def _are_texts(value):
    return isinstance(value, list) and all(map(_is_text, value))


def _are_codebooks(value):
    return isinstance(value, list) and len(value) <= _MOST_CODEBOOKS and all(is_integer(x, 1, _LARGEST) for x in value)


def _is_shape(value):
    return isinstance(value, list) and len(value) <= _MOST_AXES and all(is_integer(x, 1, _LARGEST) for x in value)


def _is_dict_of(fits):
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


def _is_setting(value):
    return value is None or isinstance(value, bool | str) or _is_number(value)


def _are_captions(value):
    if not isinstance(value, dict) or not set(value) <= {"length", "examples"}:
        return False
    return not value or (is_integer(value.get("length"), 2, _LARGEST) and _are_texts(value.get("examples", [])))


def _is_part(value):
    """Whether a value describes a part by its kind; what a kind has is known where parts are made."""
    return isinstance(value, dict) and _is_text(value.get("kind"))


# name -> (check, description)
_ENTRIES = {
    "modality": (_is_text, "a str"),
    "model_file": (_is_text, "a str"),
    "parameters": (is_integer, "an int from 0 to 2**63 - 1"),
    "metrics": (_is_dict_of(lambda value: value is None or _is_number(value)), "a dict of name to number or null"),
    "versions": (_is_dict_of(_is_text), "a dict of package to version, two strs"),
    "codebook_sizes": (_are_codebooks, f"a list of at most {_MOST_CODEBOOKS} ints from 1 to 2**31"),
    "example": (
        _is_dict_of(_is_shape),
        f"a dict of name to shape, a list of at most {_MOST_AXES} ints from 1 to 2**31",
    ),
    "labels": (_are_texts, "a list of str"),
    "captions": (_are_captions, "a dict of `length`, an int of at least 2, and `examples`, a list of str"),
    "parts": (_is_dict_of(_is_part), "a dict of name to dict, with a `kind` each"),
    "target": (_is_text, "a str"),
    "sampling": (_is_dict_of(_is_setting), "a dict of name to number, str, bool or null"),
}
