"""Fixes in errors about texts: code that converts the received value `x` to a list of texts."""

import os

import numpy as np

from vqzoo.data.paths import missing_path
from vqzoo.data.paths import path_of_other_kind
from vqzoo.files import user_path

_EXAMPLE = 'Pass `["A sentence."]`, or another list of str.'


def texts_way_out(texts):
    """Last sentence of an error about texts.

    Args:
        texts: the received value.

    Returns:
        str, with the code in backticks.

    Example:
    >>> texts_way_out("a"), texts_way_out([b"a"])
    ('Pass `[x]`.', 'Pass `[one.decode() for one in x]`.')
    """
    paths = [texts] if isinstance(texts, os.PathLike) else texts if isinstance(texts, list | tuple) else []
    paths = [path for path in paths if isinstance(path, os.PathLike)]
    refused = missing_path(paths) or path_of_other_kind(paths, "text")
    if refused:
        return refused
    if any(os.path.isdir(user_path(path)) for path in paths):
        several = "[file for one in x for file in vqzoo.data.find_text(one)]"
        found = several if isinstance(texts, list | tuple) else "vqzoo.data.find_text(x)"
        return f"Pass `vqzoo.data.read_sentences({found})`."
    code = _of_one(texts) or _of_array(texts) or _of_many(texts)
    return f"Pass `{code}`." if code else _EXAMPLE


def _of_one(text):
    if isinstance(text, str):
        return "[x]"
    if isinstance(text, bytes | bytearray):
        return "[x.decode()]"
    if isinstance(text, os.PathLike):
        return "vqzoo.data.read_sentences([x])"
    return "[str(x)]" if isinstance(text, int | float | np.number) else None


def _of_array(texts):
    """Code for arrays and tensors of strings."""
    if hasattr(texts, "as_numpy_iterator"):
        return _of_data_set(texts.element_spec)
    if hasattr(texts, "row_splits"):
        return "[one.decode() for one in x.flat_values.numpy()]"
    if hasattr(texts, "numpy") and hasattr(texts, "dtype"):
        return "[one.decode() for one in np.ravel(x.numpy())]"
    if hasattr(texts, "to_numpy"):  # of pandas
        return "[one for one in x if isinstance(one, str)]" if hasattr(texts, "dtype") else None
    if not isinstance(texts, np.ndarray) or texts.dtype.kind not in "USO":
        return None
    kinds = {type(one) for one in texts.ravel().tolist()}
    if kinds <= {str}:
        return "np.ravel(x).tolist()"
    if kinds <= {bytes}:
        return "[one.decode() for one in np.ravel(x).tolist()]"
    return "[one for one in np.ravel(x) if isinstance(one, str)]" if str in kinds else None


def _of_data_set(spec):
    """Code for a `tf.data.Dataset` with strings, also in tuples and batches; None for any other."""
    place = ""
    if isinstance(spec, tuple | dict):
        keys = spec if isinstance(spec, dict) else range(len(spec))
        key = next((key for key in keys if getattr(spec[key], "dtype", None) == "string"), None)
        if key is None:
            return None
        spec, place = spec[key], f"[{key!r}]"
    if getattr(spec, "dtype", None) != "string":
        return None
    return f"[one.decode() for row in x.as_numpy_iterator() for one in np.ravel(row{place}).tolist()]"


def _of_many(texts):
    if isinstance(texts, dict):
        lists = [
            key for key, value in texts.items() if isinstance(value, list) and all(isinstance(v, str) for v in value)
        ]
        return f"x[{lists[0]!r}]" if lists else "list(x.values())"
    if isinstance(texts, tuple) and len(texts) == 2 and _strings(texts[0]):  # together with labels
        return "x[0]"
    if not isinstance(texts, list | tuple) or not texts:
        return None
    if all(isinstance(one, dict) for one in texts):
        keys = [key for key, value in texts[0].items() if all(isinstance(one.get(key), str) for one in texts)]
        return f"[one[{keys[0]!r}] for one in x]" if keys else None
    if all(isinstance(one, bytes) for one in texts):
        return "[one.decode() for one in x]"
    if all(isinstance(one, os.PathLike) for one in texts):
        return "vqzoo.data.read_sentences(x)"
    if all(isinstance(one, str | bytes) for one in texts):
        return "[one.decode() if isinstance(one, bytes) else one for one in x]"
    if all(_strings(one) for one in texts):
        return "[one for row in x for one in row]"
    if all(isinstance(one, str | int | float) and one == one for one in texts):
        return "[str(one) for one in x]"
    return "[one for one in x if isinstance(one, str)]" if any(isinstance(one, str) for one in texts) else None


def _strings(row):
    return isinstance(row, list | tuple | np.ndarray) and len(row) > 0 and all(isinstance(one, str) for one in row)
