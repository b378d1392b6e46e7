"""Finds the folder of a preset by its name."""

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
from vqzoo.presets.layout import PRIOR_FILE
from vqzoo.presets.layout import RUN_FILES
from vqzoo.presets.layout import TOKENIZER_FILE
from vqzoo.presets.manifest import MANIFEST
from vqzoo.presets.manifest import folder_path
from vqzoo.presets.manifest import read_about
from vqzoo.presets.manifest import read_json

ENVIRONMENT = "VQZOO_PRESETS"  # folders of presets, separated like $PATH


class PresetInfo(NamedTuple):
    """Description of a preset, from its metadata."""

    name: str  # as `find_preset` expects it
    folder: str
    modality: str  # image, audio or text; "" if unknown
    signal: tuple  # shape of the example that `tokens` refers to, such as (64, 64, 3); () if unknown
    tokens: tuple  # shape of its tokens, such as (16, 16, 1)
    codebook_sizes: tuple
    parameters: int
    metrics: dict  # name -> number, on held-out data


def find_preset(name):
    """The folder of a complete preset.

    Args:
        name: str or path. The path of a folder; or a name, which is searched in the current folder, in each folder of
            `$VQZOO_PRESETS` (separated like `$PATH`), in `saved_models/` beside the package and in `saved_models/` of
            the current folder, where recipes write, in this order; or
            `hf://user/name[@revision]`, which is downloaded from the Hugging Face Hub once.

    Returns:
        `pathlib.Path` of a folder that has a manifest.

    Raises:
        ValueError: no preset of that name (the message lists similar names), a folder without a manifest,
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
        if _is_folder(folder) and not any((folder / name).exists() for name in RUN_FILES):
            raise ValueError(_not_a_preset(folder))
        if _is_folder(folder):
            raise ValueError(
                f"The folder {str(folder)!r} has no {MANIFEST}, so it is incomplete: a run or a download "
                "that did not finish, or not a preset at all. Run the recipe to its end again. If you know that "
                "every file is intact, call `vqzoo.presets.seal_preset(folder)`."
            )
        if _is_file(folder):
            raise ValueError(f"A preset is a folder. Received: the file {text!r}. {_way_out_of_file(folder)}")
    raise ValueError(_unknown(text, candidates))


def list_presets():
    """The complete presets in `$VQZOO_PRESETS`, and in `saved_models/` beside the package and in the current folder.

    Returns:
        A list of `PresetInfo`, sorted by name. If several presets have the same name, it holds the one that
        `find_preset` returns. Files are not verified. A preset with unreadable metadata is left out with a warning.
        The list prints as a table, and in a notebook as HTML.

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
        except (ValueError, OSError) as error:  # concerns one preset; the others are still listed
            failed[name] = str(error)
    return found, failed


def _names():
    folders = (folder for root in _roots() for folder in _inside(root))
    return sorted({f.name for f in folders if _may_be_preset(f) and not f.name.startswith(".")})


def _inside(root):
    """The contents of a folder; empty if it is not a folder or not readable."""
    try:
        return list(root.iterdir())
    except OSError:
        return []


def _is_file(path):
    try:
        return path.is_file()
    except OSError:  # a name that is too long, or a folder without permission
        return False


def _is_folder(path):
    try:
        return path.is_dir()
    except OSError:
        return False


def _may_be_preset(folder):
    """Whether there is a manifest of a preset, and not of something else, such as shards."""
    if not _is_file(folder / MANIFEST):
        return False
    try:
        return "shards" not in read_json(folder / MANIFEST)
    except ValueError:
        return True  # damaged, which is reported later


def _info(name):
    folder = next(root / name for root in _roots() if _may_be_preset(root / name))
    about = read_about(folder)
    example = about.get("example") or {}
    return PresetInfo(
        name,
        str(folder),
        about.get("modality") or "",
        tuple(example.get("signal", ())),
        tuple(example.get("tokens", ())),
        tuple(about.get("codebook_sizes") or ()),
        about.get("parameters") or 0,
        about.get("metrics") or {},
    )


def _is_path(text):
    return os.sep in text or bool(os.altsep and os.altsep in text)


def _roots():
    """The folders to search for presets, which need not exist."""
    listed = os.environ.get(ENVIRONMENT, "").split(os.pathsep)
    beside_package = pathlib.Path(__file__).resolve().parents[2] / "saved_models"
    written_here = pathlib.Path("saved_models")  # by recipes, unless they are told another folder
    roots = [user_path(root) for root in listed if root] + [beside_package]
    return roots if any(_is_same(root, written_here) for root in roots) else [*roots, written_here]


def _is_same(one, other):
    try:
        return one.samefile(other)
    except OSError:  # one of them is missing
        return False


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
    if any((file.parent / name).exists() for name in (MANIFEST, TOKENIZER_FILE, PRIOR_FILE)):
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
