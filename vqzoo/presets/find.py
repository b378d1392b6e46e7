"""From a name to the preset's folder."""

import collections
import difflib
import os
import pathlib
import warnings
from typing import NamedTuple

from vqzoo.files import user_path
from vqzoo.jsons import shown
from vqzoo.presets.hub import PREFIX
from vqzoo.presets.hub import download_preset
from vqzoo.presets.manifest import MANIFEST
from vqzoo.presets.manifest import folder_path
from vqzoo.presets.manifest import read_about
from vqzoo.presets.manifest import read_json

# What a run or a download that did not end may have left.
_OF_A_RUN = ("tokenizer.keras", "prior.keras", "metadata.json", "recipe.json", "run", "README.md")
ENVIRONMENT = "VQZOO_PRESETS"  # folders of presets, separated like $PATH


class PresetInfo(NamedTuple):
    """What a preset tells about itself, in plain JSON values."""

    name: str  # as `find_preset` takes it
    folder: str
    modality: str  # image, audio or text; "" where the preset does not tell
    signal: tuple  # shape of the example that the next counts, such as (64, 64, 3); () where it does not tell
    tokens: tuple  # shape of its tokens, such as (16, 16, 1)
    codebook_sizes: tuple
    parameters: int
    metrics: dict  # name -> number, on pictures, clips or sentences held out from training


def find_preset(name):
    """The folder of a complete preset.

    Args:
        name: str or path. A folder's path, or a name looked for in the current folder, in each folder of
            `$VQZOO_PRESETS` (separated like `$PATH`) and in `saved_models/` beside the package, in this
            order; or `hf://user/name[@revision]`, which is downloaded from the Hugging Face Hub once.

    Returns:
        `pathlib.Path` of a folder that has a manifest.

    Raises:
        ValueError: nothing of that name (the message tells the nearest ones), a folder without a manifest,
            or a repository that cannot be fetched.

    Example:
    >>> find_preset("image-vqgan-of-nobody")
    Traceback (most recent call last):
        ...
    ValueError: There is no preset 'image-vqgan-of-nobody'...
    """
    text = str(folder_path(name)) if not isinstance(name, str) else name
    if text.startswith(PREFIX):
        return download_preset(text)
    candidates = [user_path(name)]
    if not _is_path(text):
        candidates += [root / text for root in _roots()]
    for folder in candidates:
        if _is_file(folder / MANIFEST):
            return folder
    for folder in candidates:
        if _is_folder(folder) and not any((folder / name).exists() for name in _OF_A_RUN):
            raise ValueError(_not_a_preset(folder))
        if _is_folder(folder):
            raise ValueError(
                f"The folder {str(folder)!r} has no {MANIFEST}, so it is incomplete: a run or a download "
                "that did not end, or not a preset at all. Let the recipe run to its end again, or, if you "
                "know that every file is good, call `vqzoo.presets.seal_preset(folder)`."
            )
        if _is_file(folder):
            raise ValueError(f"A preset is a folder. Received: the file {text!r}. {_way_out_of_file(folder)}")
    raise ValueError(_unknown(text, candidates))


def list_presets():
    """The complete presets in `$VQZOO_PRESETS` and in `saved_models/` beside the package.

    Returns:
        A list of `PresetInfo`, sorted by name; of two of one name that which `find_preset` takes. Their files are not
        verified; one whose metadata cannot be read is left out, with a warning. The list prints as a table, and in a
        notebook as HTML.

    Example:
    >>> all(find_preset(preset.name).name == preset.name for preset in list_presets())
    True
    """
    found, failed = read_presets()
    for reason in failed.values():
        warnings.warn(reason, stacklevel=2)
    return found


def read_presets():
    """What `list_presets` returns, and what it leaves out.

    Returns:
        `PresetList`, and a dict name -> reason of the presets whose metadata cannot be read.
    """
    from vqzoo.presets.listing import PresetList  # which imports rich

    found, failed = PresetList(), {}
    for name in _names():
        try:
            found.append(_info(name))
        except (ValueError, OSError) as error:  # of one preset, and no reason to leave out the others
            failed[name] = str(error)
    return found, failed


def _names():
    folders = (folder for root in _roots() for folder in _inside(root))
    return sorted({f.name for f in folders if _may_be_preset(f) and not f.name.startswith(".")})


def _inside(root):
    """What a folder holds; nothing where it is none, or is not for us to read."""
    try:
        return list(root.iterdir())
    except OSError:
        return []


def _is_file(path):
    try:
        return path.is_file()
    except OSError:  # a name that is too long, or a folder that is not for us to enter
        return False


def _is_folder(path):
    try:
        return path.is_dir()
    except OSError:
        return False


def _may_be_preset(folder):
    """Whether there is a manifest, and none of something else, such as shards."""
    if not _is_file(folder / MANIFEST):
        return False
    try:
        return "shards" not in read_json(folder / MANIFEST)
    except ValueError:
        return True  # damaged, which is told


def _info(name):
    folder = next(root / name for root in _roots() if _may_be_preset(root / name))
    told = read_about(folder)
    example = told.get("example") or {}
    return PresetInfo(
        name,
        str(folder),
        told.get("modality") or "",
        tuple(example.get("signal", ())),
        tuple(example.get("tokens", ())),
        tuple(told.get("codebook_sizes") or ()),
        told.get("parameters") or 0,
        told.get("metrics") or {},
    )


def _is_path(text):
    return os.sep in text or bool(os.altsep and os.altsep in text)


def _roots():
    """The folders that hold presets, which need not exist."""
    listed = os.environ.get(ENVIRONMENT, "").split(os.pathsep)
    beside_package = pathlib.Path(__file__).resolve().parents[2] / "saved_models"
    return [user_path(root) for root in listed if root] + [beside_package]


def _not_a_preset(folder):
    presets = sorted(child.name for child in folder.iterdir() if _may_be_preset(child))
    if presets:
        return f"The folder {str(folder)!r} holds presets. Give one of them, such as {str(folder / presets[0])!r}."
    endings = collections.Counter(child.suffix for child in folder.iterdir() if child.is_file())
    held = ", ".join(f"{count} {ending or 'without an ending'}" for ending, count in sorted(endings.items())[:5])
    return (
        f"The folder {str(folder)!r} is not a preset: it has neither {MANIFEST} nor a model. It holds "
        f"{held or 'no files'}. Known presets: {', '.join(_names()) or 'none'}. Give one of these names, or the folder "
        "that a recipe wrote."
    )


def _way_out_of_file(file):
    if any((file.parent / name).exists() for name in (MANIFEST, *_OF_A_RUN[:2])):
        return f"Give its folder, {str(file.parent)!r}."
    return (
        f"Known presets: {', '.join(_names()) or 'none'}. Give one of these names, or the folder that a recipe wrote."
    )


def _unknown(text, candidates):
    known = [name if name.isprintable() else shown(name) for name in _names()]
    near = difflib.get_close_matches(pathlib.PurePath(text).name, known)
    places = [
        str(place) if str(place).isprintable() and len(str(place)) < 300 else shown(str(place)) for place in candidates
    ]
    return (
        f"There is no preset {text!r:.300}."
        + (f" Did you mean {' or '.join(map(repr, near))}?" if near else "")
        + f" Looked for: {', '.join(places)}."
        + f" Known presets: {', '.join(known) or 'none'}."
        + f" Give one of these names or a folder's path, or add the folder that holds it to ${ENVIRONMENT}."
    )
