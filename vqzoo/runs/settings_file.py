"""Reads settings of a recipe from a TOML file, or from the recipe.json of an earlier run."""

import difflib
import tomllib
import typing

from vqzoo.files import check_regular
from vqzoo.files import shown_path
from vqzoo.files import user_path
from vqzoo.jsons import parse_json
from vqzoo.jsons import shown

_MAX_BYTES = 2**20


def read_settings(path, hints, recipe):
    r"""The settings that a file holds, each of its field's type.

    Args:
        path: str or path of a `.toml` or `.json` file.
        hints: dict name of a field -> its type: bool, int, float, str, or tuple of one of them.
        recipe: str, the recipe's name. A file whose entry `recipe` is another's is refused.

    Returns:
        Dict name -> value.

    Raises:
        ValueError: if the file cannot be read, or holds an unknown name or a value of another type.

    Example:
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "run.toml")
    >>> _ = path.write_text('size = 32\nmultipliers = [1, 2]')
    >>> read_settings(path, {"size": int, "multipliers": tuple[int, ...]}, "image_vqgan")
    {'size': 32, 'multipliers': (1, 2)}
    """
    name = shown_path(path)
    held = _parsed(user_path(path), name)
    of = held.pop("recipe", recipe)
    if of != recipe:
        raise ValueError(f"{name} holds settings of {shown(of)}. This is {recipe}.")
    values = {}
    for key, value in held.items():
        if key not in hints:
            nearest = difflib.get_close_matches(key, hints, n=1, cutoff=0.5)
            hint = f" Did you mean {nearest[0]}?" if nearest else ""
            raise ValueError(f"{name} holds an unknown setting, {shown(key)}.{hint} --help lists the settings.")
        try:
            values[key] = _of_type(value, hints[key])
        except TypeError:
            kind = getattr(hints[key], "__name__", None) if not typing.get_args(hints[key]) else None
            wanted = kind or f"list of {typing.get_args(hints[key])[0].__name__}"
            raise ValueError(f"{name}: {key} is of the type {wanted}. Received: {shown(value)}") from None
    return values


def _parsed(path, name):
    readers = {".toml": lambda data: tomllib.loads(data.decode("utf-8")), ".json": parse_json}
    if path.suffix.lower() not in readers:
        raise ValueError(f"Settings are read from .toml and .json. Received: {name}")
    try:
        check_regular(path)
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it has more than {_MAX_BYTES} bytes")
        held = readers[path.suffix.lower()](path.read_bytes())
        if not isinstance(held, dict):
            raise ValueError("it holds no names with values")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"Cannot read the settings {name}: {reason}") from None
    return held


def _of_type(value, hint):
    """The value as its field has it; raises TypeError where it is another type's."""
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise TypeError
        return tuple(_of_type(item, typing.get_args(hint)[0]) for item in value)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise TypeError
    return value
