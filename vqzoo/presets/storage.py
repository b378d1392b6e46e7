"""Saves and loads presets."""

import contextlib
import datetime
import importlib.metadata
import json
import math
import os
import pathlib
import platform
import re
import zipfile

import keras
from keras import ops

from vqzoo.files import atomic_path
from vqzoo.presets.card import CARD
from vqzoo.presets.changes import METADATA
from vqzoo.presets.changes import changed_preset
from vqzoo.presets.find import find_preset
from vqzoo.presets.hub import PREFIX
from vqzoo.presets.layout import LITERT_FILES
from vqzoo.presets.layout import PARTS_FOLDER
from vqzoo.presets.layout import PIECES_FILE
from vqzoo.presets.layout import PRIOR_FILE
from vqzoo.presets.layout import TOKENIZER_FILE
from vqzoo.presets.layout import is_model_file
from vqzoo.presets.manifest import FORMAT_VERSION
from vqzoo.presets.manifest import MANIFEST
from vqzoo.presets.manifest import check_json
from vqzoo.presets.manifest import check_metadata
from vqzoo.presets.manifest import folder_path
from vqzoo.presets.manifest import name_of
from vqzoo.presets.manifest import read_json
from vqzoo.presets.manifest import read_metadata
from vqzoo.presets.manifest import verify_preset
from vqzoo.presets.manifest import write_json

_RECIPE = "recipe.json"
_SAMPLES = ("samples.png", "samples.md", "samples", "neighbours.png")
_ITEM_BYTES = {"float64": 8, "int64": 8, "float32": 4, "int32": 4, "uint32": 4, "float16": 2, "bfloat16": 2}
# The parts of a prior go with it; of a tokenizer the pieces are an export.
_OF_PARTS = (PIECES_FILE, PARTS_FOLDER)
_EXPORTS = ("encoder.keras", "decoder.keras", "saved_model", *LITERT_FILES.values(), "generator", *_OF_PARTS)


def save_preset(model, folder, *, metadata, recipe=None, filename=TOKENIZER_FILE, seal=True):
    """Saves a model as a preset folder.

    A preset already in the folder stays complete until the model has been written. Then its exports and samples are
    deleted; other files stay.

    Args:
        model: a built Keras model.
        folder: str or path; created if it is missing. Its last part is the name of the preset.
        metadata: dict of plain JSON for the card (`name`, `modality`, `description`, `metrics`,
            `data`, `licence`, ... all optional). Added to it: `format_version`, `model_file`, `parameters`
            (their number), `versions` and `created` (ISO, UTC).
        recipe: dict of plain JSON, the resolved configuration of the training; None if there is none.
        filename: str, the model's file in the folder: "tokenizer.keras" or "prior.keras".
        seal: bool. False leaves the preset incomplete, for more files to be added before `seal_preset`.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        ValueError: `metadata` or `recipe` is not JSON, `filename` is not the plain name of a .keras file, or the
            folder holds other files that a preset would replace.

    Example:
    >>> import keras, tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> folder = save_preset(model, tempfile.mkdtemp(), metadata={"modality": "image"})
    >>> sorted(path.name for path in folder.iterdir())
    ['README.md', 'manifest.json', 'metadata.json', 'tokenizer.keras']
    """
    folder = folder_path(folder)
    check_metadata(metadata)
    check_json("recipe", recipe or {})
    _check_filename(filename)
    check_folder(folder)
    facts = {
        "format_version": FORMAT_VERSION,
        "model_file": filename,
        "parameters": sum(math.prod(variable.shape) for variable in model.weights),
        "versions": _versions(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    # Exports and samples of the replaced model are removed too, so that no remaining file has to be verified.
    with changed_preset(folder, (_RECIPE, *_SAMPLES, *_EXPORTS), sealed=seal, verified=False) as new:
        with atomic_path(new / filename) as temporary:
            model.save(temporary)
        if recipe is not None:
            write_json(new / _RECIPE, recipe)
        write_json(new / METADATA, {"name": name_of(folder), **metadata, **facts})
    return folder


def check_folder(folder, filename=None):
    """Raises an error if a preset would replace other files, or a preset of another kind.

    Args:
        folder: str or path, which need not exist.
        filename: str, "tokenizer.keras" or "prior.keras", of the new preset. Default None, unknown.

    Raises:
        ValueError: it is not a preset but has files with names of a preset's files; or it is the preset of a tokenizer
            instead of a prior, or the reverse; or the name is invalid.

    Example:
    >>> check_folder("no/such/folder")
    """
    folder = folder_path(folder)
    kind = PRIOR_FILE if (folder / PRIOR_FILE).exists() else TOKENIZER_FILE  # a prior has a tokenizer too
    if filename in (TOKENIZER_FILE, PRIOR_FILE) and filename != kind and (folder / kind).exists():
        held, coming = (pathlib.PurePath(name).stem for name in (kind, filename))
        raise ValueError(f"{str(folder)!r} holds the preset of a {held}, which a {coming} would destroy. Give another.")
    if _is_preset(folder):
        return
    names = (CARD, *_SAMPLES, _RECIPE, "saved_model", PARTS_FOLDER, MANIFEST, METADATA)
    taken = [name for name in names if (folder / name).exists()]
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is a file. A preset is a folder: give the name of a new one.")
    if taken:
        raise ValueError(
            f"{str(folder)!r} is not a preset and holds {', '.join(taken)}, which a preset would replace. Give a new "
            "or an empty folder."
        )


def _is_preset(folder):
    """Whether a folder holds a complete or unfinished preset. Other folders may have a manifest.json too."""
    if any((folder / name).exists() for name in (TOKENIZER_FILE, PRIOR_FILE)):
        return True
    for name, keys in ((MANIFEST, {"files", "format_version"}), (METADATA, {"format_version", "model_file"})):
        with contextlib.suppress(ValueError):
            if keys <= set(read_json(folder / name)):
                return True
    return False


def remove_exports(folder):
    """Deletes the exports of a preset, which stays complete if it was.

    Args:
        folder: str or path of a preset's folder.

    Raises:
        ValueError: another file of a complete preset is damaged.

    Example:
    >>> import keras, tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> folder = save_preset(model, tempfile.mkdtemp(), metadata={})
    >>> _ = (folder / "tokenizer.tflite").write_bytes(b"an export")
    >>> remove_exports(folder)
    >>> (folder / "tokenizer.tflite").exists()
    False
    """
    names = exports_of(folder)
    if any(os.path.lexists(pathlib.Path(folder, name)) for name in names):
        with changed_preset(folder, names):
            pass


def exports_of(folder):
    """The files that an export adds to a preset, whether they exist or not.

    Args:
        folder: str or path of a preset's folder.

    Returns:
        Tuple of str, names of files and folders.

    Example:
    >>> "saved_model" in exports_of("no/such/folder")
    True
    """
    # The parts of a prior are not an export.
    own = _OF_PARTS if (folder_path(folder) / PRIOR_FILE).exists() else (PARTS_FOLDER,)
    return tuple(name for name in _EXPORTS if name not in own)


def seal_preset(folder):
    """Marks a folder as a complete preset: writes the card, then the manifest of all files.

    Hidden files and `run/` (logs and checkpoints of a recipe) are not part of the preset.

    Args:
        folder: str or path of a folder that `save_preset` made.

    Raises:
        ValueError: the folder has no metadata, or metadata that cannot be read.

    Example:
    >>> import keras, tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> folder = save_preset(model, tempfile.mkdtemp(), metadata={}, seal=False)
    >>> _ = (folder / "tokenizer.tflite").write_bytes(b"an export")
    >>> seal_preset(folder)
    >>> list(verify_preset(folder)["files"])
    ['README.md', 'metadata.json', 'tokenizer.keras', 'tokenizer.tflite']
    """
    read_metadata(folder)
    with changed_preset(folder, sealed=True, verified=False):
        pass


def update_metadata(folder, **more):
    """Adds or replaces entries of a preset's metadata, and rewrites the card.

    A complete preset is verified first and sealed again afterwards. An incomplete one stays incomplete.

    Args:
        folder: str or path, the preset's folder.
        **more: plain JSON values; each replaces the whole entry of its name.

    Raises:
        ValueError: a value is not JSON, or the preset is damaged.

    Example:
    >>> import keras, tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> folder = save_preset(model, tempfile.mkdtemp(), metadata={"modality": "image"})
    >>> update_metadata(folder, metrics={"psnr": 21.5})
    >>> read_metadata(folder)["metrics"]
    {'psnr': 21.5}
    """
    read_metadata(folder)
    with changed_preset(folder) as new:
        write_metadata(folder, new, **more)


def write_metadata(folder, new, **more):
    """Writes a preset's metadata with additional entries into the folder of `changed_preset`.

    Args:
        folder: str or path, the preset's folder.
        new: path, the folder that `changed_preset` yields.
        **more: plain JSON values; each replaces the whole entry of its name.

    Raises:
        ValueError: a value is not JSON, or the preset has no metadata.
    """
    check_metadata(more)
    write_json(new / METADATA, {**read_metadata(folder), **more})


def load_preset(name, filename=TOKENIZER_FILE, files=None):
    """Loads the model of a preset, in safe mode and without its training configuration.

    Args:
        name: str or path, name or folder of a preset, as for `find_preset`.
        filename: str, the model's file in the folder.
        files: iterable of str, further files of the preset to verify. The model and `metadata.json` are always
            verified; `verify_preset` checks all files.

    Returns:
        The Keras model, of the class that was saved. Its attribute `preset_name` is the preset's name.

    Raises:
        ValueError: the preset or the file does not exist, a file is damaged, a class is not registered, or weights
            are not finite.

    Example:
    >>> import keras, tempfile
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> folder = save_preset(model, tempfile.mkdtemp(), metadata={})
    >>> load_preset(folder).count_params()
    9
    """
    _check_filename(filename)
    folder = find_preset(name)
    verify_preset(folder, files=[METADATA, filename, *(files or ())])
    model = _load_keras(folder / filename)
    for variable in model.weights:
        if keras.backend.is_float_dtype(variable.dtype) and not ops.all(ops.isfinite(variable)):
            raise ValueError(
                f"{str(folder / filename)!r} holds NaN or infinity in the weight {variable.path!r}: the "
                "training diverged before it was saved. Train it again, with a lower learning rate for "
                "instance."
            )
    model.preset_name = str(name) if str(name).startswith(PREFIX) else name_of(folder)
    return model


def _load_keras(path):
    if not zipfile.is_zipfile(path):  # Keras would say "File not found"
        raise ValueError(f"{str(path)!r} is truncated or not a .keras file. Fetch the preset or train it again.")
    held = _bytes_held(path)
    try:
        needed = _bytes_needed(path)
        model = None if needed > held else keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        unknown_class = re.search(r"Could not locate class '([^']*)'", str(error))
        if unknown_class:
            fault = (
                f"nothing imported so far defines its class {unknown_class[1]!r}. `import vqzoo` first, and "
                "the module of any class that is not vqzoo's; upgrade vqzoo if a newer one made the preset."
            )
        else:
            fault = f"Keras refuses it ({type(error).__name__}: {str(error)[:300]}). Fetch it or train it again."
        raise ValueError(f"{str(path)!r} cannot be loaded: {fault}") from error
    if model is None:
        raise ValueError(
            f"{str(path)!r} holds {held} bytes, and the networks that it describes need {needed} for their weights. It "
            "has those of another model, or was made to fill the memory. Fetch it or train it again."
        )
    return model


def _bytes_needed(path):
    """Bytes of the weights of the networks that a file describes, without creating them."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    with _nothing_to_initialize(), keras.StatelessScope(initialize_variables=False):
        model = keras.saving.deserialize_keras_object({**config, "compile_config": None}, safe_mode=True)
    return sum(math.prod(variable.shape) * _ITEM_BYTES.get(variable.dtype, 1) for variable in model.weights)


@contextlib.contextmanager
def _nothing_to_initialize():
    """Discards the variables that this context describes. Keras would create them when it next leaves a scope."""
    try:
        from keras.src.backend.common import global_state
    except ImportError:  # not part of the public interface
        yield
        return
    name = "uninitialized_variables"
    before = list(global_state.get_global_attribute(name, []))
    try:
        yield
    finally:
        global_state.set_global_attribute(name, before)


def _bytes_held(path):
    """Bytes of a file's contents. Raises an error if they are implausibly many, because Keras unpacks in memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            claim = sum(member.file_size for member in archive.infolist())
    except Exception as error:  # a damaged archive raises many types
        raise ValueError(
            f"{str(path)!r} is damaged ({type(error).__name__}: {error}). Fetch the preset or train it again."
        ) from error
    # Keras stores without compression. Other tools may compress, but weights do not shrink to a tenth.
    if claim > 10 * path.stat().st_size + 2**24:
        raise ValueError(
            f"{str(path)!r} has {path.stat().st_size} bytes and claims to hold {claim}: it is not a model, but made to "
            "fill the memory. Do not use it."
        )
    return claim


def _check_filename(filename):
    if not is_model_file(filename):
        raise ValueError(
            "A preset's model is a file of the Keras format in the folder itself, `tokenizer.keras` or "
            f"`prior.keras`. Received: filename={filename!r}"
        )


def _versions():
    versions = {"python": platform.python_version()}
    for package in ("vqzoo", "keras", "tensorflow", "numpy"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # run from a checkout, or "tensorflow-cpu"
            versions[package] = "unknown"
    return versions
