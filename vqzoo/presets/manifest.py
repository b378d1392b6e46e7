"""The manifest: the files of a preset with their sizes and hashes."""

import hashlib
import json
import os
import pathlib
import re

from vqzoo.files import atomic_path
from vqzoo.jsons import is_integer
from vqzoo.jsons import json_text
from vqzoo.jsons import parse_json
from vqzoo.jsons import shown
from vqzoo.names import check_name
from vqzoo.presets.entries import wrong_entries
from vqzoo.presets.layout import PARTS_FOLDER
from vqzoo.presets.layout import PIECES_FILE
from vqzoo.presets.layout import PRIOR_FILE

FORMAT_VERSION = 1  # of the preset folder; increased when a newer vqzoo changes the folder
MANIFEST = "manifest.json"
_MOST_BYTES = 2**24  # of a JSON file
_LONGEST_NAME, _LONGEST_PATH = 255, 1024  # bytes of a file's name and of its relative path, on common systems
_OURS = ("metadata.json", "recipe.json", "README.md", PIECES_FILE, PARTS_FOLDER, "saved_model", "generator")
_RUN = "run"  # logs and checkpoints of a recipe, which are not part of the preset


def folder_path(folder):
    """Converts the folder of a preset to a path, for functions that do not accept names.

    Args:
        folder: str or path.

    Returns:
        `pathlib.Path`.

    Raises:
        ValueError: it is neither, or it is not a valid name of a folder.

    Example:
    >>> folder_path(3)
    Traceback (most recent call last):
        ...
    ValueError: A preset is a name or a folder, as a str or a pathlib.Path. Received: 3. `vqzoo list` shows those ...
    """
    if not isinstance(folder, str | os.PathLike):
        raise ValueError(
            f"A preset is a name or a folder, as a str or a pathlib.Path. Received: {shown(folder)}. `vqzoo list` "
            "shows those that are here."
        )
    check_name(folder)
    return pathlib.Path(folder)


def verify_preset(folder, files=None):
    """Checks that a preset's files are present and unchanged.

    Args:
        folder: str or path, the preset's folder.
        files: iterable of str, the files to check. None checks all of them, and that the manifest lists all files of
            the preset. Other files, such as notes, are ignored.

    Returns:
        The manifest, a dict: `format_version` (int), `files`, {relative path: {`bytes`: int, `sha256`: str}}, and
        `checksum` (str, of the rest; manifests of the first releases have none).

    Raises:
        ValueError: there is no manifest, it cannot be read or was written by a newer vqzoo, a file in `files` is not
            part of the preset, or a file is missing or damaged (the message names all of them).

    Example:
    >>> import keras, tempfile
    >>> from vqzoo.presets import save_preset
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> folder = save_preset(model, tempfile.mkdtemp(), metadata={})
    >>> _ = (folder / "metadata.json").write_text("{}")
    >>> verify_preset(folder)
    Traceback (most recent call last):
        ...
    ValueError: The preset in ... is not whole: metadata.json (2 bytes instead of ...). Fetch it or...
    """
    folder = folder_path(folder)
    manifest = read_manifest(folder)
    listed = manifest["files"]
    chosen = listed if files is None else list(files)
    unknown = [name for name in chosen if name not in listed]
    if unknown:
        named = ", ".join(map(_named, unknown))
        raise ValueError(f"The preset in {str(folder)!r} has no {named}. It has: {', '.join(map(_named, listed))}.")
    faults = {name: _fault(folder / name, listed[name]) for name in chosen}
    if files is None:
        faults |= {name: "not in the manifest" for name in _present(folder) if name not in listed and _is_ours(name)}
    faults = [f"{_named(name)} ({fault})" for name, fault in faults.items() if fault]
    if faults:
        raise ValueError(
            f"The preset in {str(folder)!r} is not whole: {', '.join(faults)}. Fetch it or train it again."
        )
    return manifest


def holds_prior(folder):
    """Whether a preset is of a prior; otherwise it is of a tokenizer.

    Args:
        folder: path, the preset's folder.

    Returns:
        bool.

    Raises:
        ValueError: as `read_manifest`.
    """
    return PRIOR_FILE in read_manifest(folder)["files"]


def read_manifest(folder):
    """Reads the manifest of a preset without checking the files.

    Args:
        folder: path, the preset's folder.

    Returns:
        dict, as of `verify_preset`.

    Raises:
        ValueError: there is none, it cannot be read, a newer vqzoo wrote it, or it names a file outside of the folder.
    """
    folder = folder_path(folder)
    path = folder / MANIFEST
    manifest = read_json(path)
    version, files = manifest.get("format_version"), manifest.get("files")
    if is_integer(version) and version > FORMAT_VERSION:
        raise ValueError(
            f"The preset in {str(folder)!r} has format version {version} and was made by a newer vqzoo; this "
            f"one reads up to {FORMAT_VERSION}. Upgrade: `pip install --upgrade vqzoo`."
        )
    if "shards" in manifest:
        raise ValueError(f"The folder {str(folder)!r} holds shards, not a preset. Give the folder of a preset.")
    if not is_integer(version, 1, FORMAT_VERSION) or not isinstance(files, dict):
        raise ValueError(f"{str(path)!r} is damaged: it is not a manifest. Fetch the preset or train it again.")
    outside = [name for name in files if not _is_inside(name)]
    if outside:  # copies and uploads use these names
        raise ValueError(
            f"{str(path)!r} names files that are not inside the folder: {', '.join(map(shown, outside[:3]))}. No vqzoo "
            "wrote it: do not use this preset."
        )
    wrong = next((name for name, entry in files.items() if not _is_entry(entry)), None)
    if wrong is not None:
        raise ValueError(
            f"{str(path)!r} is damaged: it is not a manifest. Its entry of {_named(wrong)} is {shown(files[wrong])}, "
            "not its `bytes` and `sha256`. Fetch the preset or train it again."
        )
    if manifest.keys() - {"format_version", "files"}:  # manifests of the first releases have no checksum
        whole = manifest_of(files)
        changed = [shown(name) for name in manifest | whole if manifest.get(name) != whole.get(name)]
        if changed:
            raise ValueError(
                f"{str(path)!r} is damaged: its {', '.join(changed[:3])} is not that of the rest. Fetch the preset or "
                "train it again."
            )
    return manifest


def write_manifest(folder):
    """Writes the manifest of all files except hidden ones, `run/` and the manifest itself.

    Args:
        folder: path, the preset's folder.
    """
    names = _present(folder)
    wrong = next((name for name in names if not _is_inside(name)), None)
    if wrong is not None:
        raise ValueError(
            f"File names of a preset must be valid on every system. Received: {shown(wrong)} in {str(folder)!r}. "
            "Rename it or remove it."
        )
    write_json(folder / MANIFEST, manifest_of({name: _fingerprint(folder / name) for name in names}))


def manifest_of(files):
    """The manifest of files, with a checksum of itself.

    Args:
        files: dict, relative path -> {`bytes`: int, `sha256`: str}.

    Returns:
        dict.

    Example:
    >>> sorted(manifest_of({}))
    ['checksum', 'files', 'format_version']
    """
    manifest = {"format_version": FORMAT_VERSION, "files": files}
    return {**manifest, "checksum": hashlib.sha256(json_text(manifest).encode()).hexdigest()}


def read_json(path):
    """Reads a JSON file of a preset.

    Args:
        path: path of a JSON file.

    Returns:
        dict.

    Raises:
        ValueError: the file is missing or does not hold a JSON object.
    """
    if not path.is_file():
        raise ValueError(
            f"The folder {str(path.parent)!r} has no {path.name}, so it is incomplete (a run that did not "
            "finish?) or not a preset. Run the recipe again, or give the path of a preset's folder."
        )
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(
            f"{str(path)!r} is damaged: it has {path.stat().st_size} bytes, far too many for this file. Fetch "
            "the preset or train it again."
        )
    try:
        value = parse_json(path.read_bytes())
    except (ValueError, OSError) as error:  # ValueError: neither JSON nor text
        raise ValueError(f"{str(path)!r} is damaged: {error}. Fetch the preset or train it again.") from error
    if not isinstance(value, dict):
        raise ValueError(f"{str(path)!r} is damaged: it does not hold a dict. Fetch the preset or train it again.")
    return value


def read_metadata(folder):
    """The metadata of a preset.

    Args:
        folder: str or path, the preset's folder.

    Returns:
        The dict of `metadata.json`.

    Raises:
        ValueError: the file is missing or damaged.

    Example:
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "metadata.json").write_text('{"modality": "image"}')
    >>> read_metadata(folder)
    {'modality': 'image'}
    """
    return read_about(folder_path(folder))


def read_about(folder):
    """Reads the metadata of a preset, with the types of `vqzoo.presets.entries` checked.

    Args:
        folder: path, the preset's folder.

    Returns:
        dict.

    Raises:
        ValueError: the file is missing or damaged, or an entry has a wrong type.
    """
    path = folder / "metadata.json"
    about = read_json(path)
    wrong = wrong_entries(about)
    if wrong:
        faults = "; ".join(
            f"{name}={shown(about[name])} has a wrong type and must be {what}" for name, what in wrong.items()
        )
        raise ValueError(f"{str(path)!r} is damaged: {faults}. Fetch the preset or train it again.")
    return about


def write_json(path, value):
    """Writes a dict as indented JSON, atomically.

    Args:
        path: path of the file.
        value: dict that passes `check_json`.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def name_of(folder):
    """The name of a preset from its folder, in characters that are valid in JSON and cards.

    Args:
        folder: path.

    Returns:
        str.
    """
    return folder.absolute().name.encode(errors="replace").decode()


def check_json(what, value):
    """Raises an error unless a dict can be written as strict JSON.

    Args:
        what: str, the name of the dict in the message.
        value: dict.

    Raises:
        ValueError: it is not a dict, or a value is not JSON; the message names its key.
    """
    if not isinstance(value, dict):
        raise ValueError(f"`{what}` must be a dict. Received: {value!r}")
    for key, item in value.items():
        try:
            parse_json(json.dumps({key: item}, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(
                f"`{what}` must be plain JSON: None, bool, int, finite float, str, and lists and dicts of "
                f"these; make arrays and numpy numbers plain with `.tolist()`. Received: "
                f"{what}[{key!r}]={shown(item)} ({error})"
            ) from error


def check_metadata(metadata):
    """Raises an error unless a dict is valid metadata of a preset, which can be read again.

    Args:
        metadata: dict.

    Raises:
        ValueError: it is not strict JSON, or an entry of `vqzoo.presets.entries` has a wrong type.
    """
    check_json("metadata", metadata)
    plain = json.loads(json.dumps(metadata))  # tuples become lists
    for name, what in wrong_entries(plain).items():
        raise ValueError(f"metadata[{name!r}] must be {what}. Received: {shown(metadata[name])}")


def _present(folder):
    """The files of a folder that belong to its preset."""
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(name.as_posix() for name in names if _is_part(name))


def _is_ours(name):
    """Whether a name is that of a preset's file, unlike a user's notes."""
    first = name.split("/")[0]
    return first in _OURS or first.endswith((".keras", ".tflite"))


def _is_part(name):
    return name.parts[0] not in (_RUN, MANIFEST) and not any(part.startswith(".") for part in name.parts)


def _is_inside(name):
    """Whether a name is a plain relative path on every system."""
    parts = re.split(r"[/\\]", name)
    plain = "\0" not in name and not re.search("[\ud800-\udfff]", name) and not re.match(r"[A-Za-z]:", name)
    if not plain or {"", ".", ".."} & set(parts):
        return False
    return len(name.encode()) <= _LONGEST_PATH and max(len(part.encode()) for part in parts) <= _LONGEST_NAME


def _is_entry(entry):
    if not isinstance(entry, dict) or not is_integer(entry.get("bytes")) or not isinstance(entry.get("sha256"), str):
        return False
    return re.fullmatch("[0-9a-f]{64}", entry["sha256"]) is not None


def _named(name):
    """The name of a file for a message, in one line."""
    return name if name.isprintable() and len(name) <= _LONGEST_NAME else shown(name)


def _fingerprint(path):
    with open(path, "rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _fault(path, expected):
    """The fault of a file, or None."""
    if not path.is_file():
        return "missing"
    if path.stat().st_size != expected["bytes"]:  # cheap, and avoids reading a huge wrong file
        return f"{path.stat().st_size} bytes instead of {expected['bytes']}"
    return None if _fingerprint(path) == expected else "damaged"
