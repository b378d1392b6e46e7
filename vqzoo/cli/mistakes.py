"""Commands whose arguments are in each other's place: the one that was meant, before anything is loaded."""

import functools
import itertools
import os
import pathlib
import shlex

from vqzoo.files import user_path
from vqzoo.presets import MANIFEST
from vqzoo.presets import find_preset
from vqzoo.presets import read_metadata
from vqzoo.presets.layout import RUN_FILES
from vqzoo.presets.suggest import suggested_tokenizer

_NOUNS = {"image": "pictures", "audio": "recordings", "text": "text", "tokens": "tokens"}
_ENCODING = ("encode", "reconstruct", "evaluate")
_OF_PRESETS = ("verify", "info", "export", "push", "generate")
# A folder of texts has a README.md too.
_OF_PRESET_FOLDERS = (MANIFEST, *(name for name in RUN_FILES if name != "README.md"))
_LOOKED_AT = 1000  # files of a folder


def check_command(given, words):
    """Raises where a verb was given what another one takes, or a preset and files in each other's place.

    Args:
        given: the parsed arguments, with `verb`.
        words: list of str, the command line behind `vqzoo`.

    Raises:
        ValueError: it names the command that was meant.
    """
    preset, paths = getattr(given, "preset", None), _paths(given)
    found = _found(given, words, preset, paths)
    if found:
        what, command = found
        raise ValueError(f"{what} Run `{shlex.join(['vqzoo', *command])}`.")


def _paths(given):
    names = ("paths", "path", "picture", "content", "style")
    values = [getattr(given, name, None) for name in names]
    return [path for value in values for path in (value if isinstance(value, list) else [value]) if path]


def _found(given, words, preset, paths):
    """What is wrong, and the words of the command that was meant; None where nothing is."""
    verb = given.verb
    named = [path for path in paths if path != "-" and _is_preset(path)]
    if verb == "decode":
        if named and len(paths) > len(named):
            rest = [word for word in words if word != named[0]]
            return "Token files know their preset; another place of it is --preset.", [*rest, "--preset", named[0]]
        return _of_signals(paths, words)
    if verb == "shard":
        if named and len(paths) > len(named):
            rest = [word for word in words[1:] if word != named[0]]
            what = "Shards of pictures need no preset, and those of tokens are made by encode."
            return what, ["encode", named[0], *rest, "--shards"]
        return None
    if preset is None:
        return None
    if named and not _is_preset(preset):
        return f"The preset comes first. Received: {preset!r} in its place.", _with_first(named[0], preset, words)
    kinds = {path: _kind(path) for path in paths}
    if verb == "info" and _kind(preset) == "tokens" and os.path.isfile(user_path(preset)):
        return None
    if verb in _OF_PRESETS and not _is_preset(preset) and not _is_of_shards(preset):
        return _not_a_preset(preset)
    if verb in _ENCODING:
        return _of_other_files(preset, kinds, words)
    return None


def _of_signals(paths, words):
    """Of `decode`: files that are to be encoded first."""
    kinds = {path: _kind(path) for path in paths}
    wrong = next((path for path, kind in kinds.items() if kind not in (None, "tokens")), None)
    if wrong is None:
        return None
    kind = kinds[wrong]
    command = ["encode", _preset_of(kind), *(path for path in paths if kinds[path] == kind), "--out", _free("tokens")]
    return f"Token files are decoded. Received: {wrong!r}, {_NOUNS[kind]}.", command


def _of_other_files(preset, kinds, words):
    """Of `encode` and its like: tokens, or files of another modality than the preset's."""
    for path, kind in kinds.items():
        if kind == "tokens":
            return f"Tokens are decoded. Received: {path!r}, tokens.", ["decode", path, "--out", _free("decoded")]
    modality = _modality(preset)
    kind = next(iter(kinds.values()), None)
    if modality in _NOUNS and kind is not None and {*kinds.values()} == {kind} and kind != modality:
        what = f"{preset!r} takes {_NOUNS[modality]}. Received: {_NOUNS[kind]}, such as {next(iter(kinds))!r}."
        return what, _replaced(words, preset, _preset_of(kind))
    return None


def _not_a_preset(path):
    kind = _kind(path)
    if kind == "tokens":
        return f"{path!r} is not a preset but tokens.", ["decode", path, "--out", _free("decoded")]
    if kind is not None:
        return f"{path!r} is not a preset but {_NOUNS[kind]}.", ["evaluate", _preset_of(kind), path]
    return None


def _kind(path):
    """What a path holds by its endings: a modality, or "tokens"; None if unknown."""
    path = user_path(path)
    if os.path.isfile(path):  # False also of names that no file can have
        return _kinds().get(path.suffix.lower())
    if not os.path.isdir(path) or any(os.path.exists(path / name) for name in _OF_PRESET_FOLDERS):
        return None
    names = (name for _, _, files in os.walk(path) for name in files if not name.startswith("."))
    endings = {pathlib.PurePath(name).suffix.lower() for name in itertools.islice(names, _LOOKED_AT)}
    kinds = {_kinds().get(ending) for ending in endings} - {None}
    return kinds.pop() if len(kinds) == 1 else None


@functools.cache
def _kinds():
    """Dict of endings -> what they say."""
    from vqzoo.data.audio.files import AUDIO_SUFFIXES
    from vqzoo.data.image.formats import readable_suffixes
    from vqzoo.data.text.corpus import TEXT_SUFFIXES

    kinds = {**dict.fromkeys(readable_suffixes(), "image"), **dict.fromkeys(AUDIO_SUFFIXES, "audio")}
    return {**kinds, **dict.fromkeys(TEXT_SUFFIXES, "text"), ".npz": "tokens"}


def _is_preset(name):
    if str(name).startswith("hf://"):
        return True
    try:
        find_preset(name)
    except (ValueError, OSError):
        return False
    return True


def _is_of_shards(folder):
    if not os.path.isdir(user_path(folder)):
        return False
    from vqzoo.data import holds_shards

    return holds_shards(user_path(folder))


def _modality(preset):
    try:
        return read_metadata(find_preset(preset)).get("modality")
    except (ValueError, OSError):
        return None


def _preset_of(kind):
    """A tokenizer's preset for files of a kind."""
    return suggested_tokenizer(kind) or "PRESET"


def _free(name):
    """A name that nothing in the current folder has."""
    names = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
    return next(one for one in names if not os.path.lexists(one))


def _with_first(word, before, words):
    """The words with one of them moved to the place of another, which comes behind it."""
    rest = [one for one in words if one != word]
    place = rest.index(before)
    return [*rest[:place], word, *rest[place:]]


def _replaced(words, one, other):
    return [other if word == one else word for word in words]
