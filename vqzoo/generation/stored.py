"""The parts of a prior in its preset: what the metadata hold of them, and their files."""

from vqzoo.data import Pieces
from vqzoo.generation.parts import LABEL
from vqzoo.generation.parts import TEXT
from vqzoo.generation.parts import LabelPart
from vqzoo.generation.parts import Labels
from vqzoo.generation.signal_part import SignalPart
from vqzoo.generation.text.part import Captions
from vqzoo.generation.text.part import TextPart
from vqzoo.jsons import shown
from vqzoo.presets import changed_preset
from vqzoo.presets import load_preset
from vqzoo.presets import read_manifest
from vqzoo.presets import read_metadata
from vqzoo.presets import verify_preset
from vqzoo.presets.layout import PART_FILES
from vqzoo.presets.layout import PARTS_FOLDER
from vqzoo.presets.layout import PIECES_FILE
from vqzoo.presets.layout import TOKENIZER_FILE
from vqzoo.presets.layout import found_part_file
from vqzoo.presets.layout import part_file
from vqzoo.presets.storage import write_metadata
from vqzoo.tokenizers import Tokenizer

_LIKE = "like"  # of a description: the part whose tokenizer or pieces it has too


def described(parts):
    """What a preset's metadata hold of parts.

    Args:
        parts: sequence of `Part`.

    Returns:
        Dict name -> dict of JSON values.

    Example:
    >>> described([LabelPart("label", ["cat", "dog"])])
    {'label': {'kind': 'labels', 'names': ['cat', 'dog']}}
    """
    descriptions = {}
    for i, part in enumerate(parts):
        like = next((other.name for other in parts[:i] if part.same_codec(other)), None)
        descriptions[part.name] = part.describe() | ({} if like is None else {_LIKE: like})
    return descriptions


def save_parts(parts, folder, **more):
    """Writes the files of parts and their descriptions into a prior's preset, in place of those that it has.

    Args:
        parts: sequence of `Part`.
        folder: path of the preset's folder, with its metadata.
        **more: further entries of the metadata.

    Raises:
        ValueError: the name of a part cannot be a folder's name, or a file of a complete preset is damaged.
    """
    descriptions = described(parts)
    own = [part for part in parts if _LIKE not in descriptions[part.name]]
    with changed_preset(folder, (*PART_FILES, PARTS_FOLDER)) as new:
        saved = [(part, part.save(new / f".{i}")) for i, part in enumerate(own)]
        for i, (part, filename) in enumerate(saved):
            if filename is not None:
                target = new / part_file(part.name, filename, [name for _, name in saved].count(filename) == 1)
                target.parent.mkdir(parents=True, exist_ok=True)
                (new / f".{i}" / filename).rename(target)
                (new / f".{i}").rmdir()
        write_metadata(folder, new, parts=descriptions, **more)


def load_parts(folder, prior):
    """The parts of a prior's preset.

    Args:
        folder: path of the preset's folder.
        prior: `Prior` in it.

    Returns:
        Dict name -> `Part`, the target among them.

    Raises:
        ValueError: a file is missing or damaged, or the description of a part is not what vqzoo writes.
    """
    metadata, files = read_metadata(folder), read_manifest(folder)["files"]
    descriptions = metadata.get("parts") or _of_former(metadata, prior)
    parts = {}
    for name, description in descriptions.items():
        try:
            parts[name] = _part_of(folder, files, name, dict(description), parts)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"The metadata in {str(folder)!r} describe the part {name!r} as {shown(description)}, which vqzoo does "
                "not write. Fetch the preset or train it again."
            ) from error
    if prior.target not in parts:
        raise ValueError(f"The metadata in {str(folder)!r} do not describe the part {prior.target!r}. Train it again.")
    return parts


def _of_former(metadata, prior):
    """Descriptions of the parts of a preset that has none: labels or captions, and one tokenizer."""
    size = (metadata.get("example") or {}).get("signal", ())[:2] if metadata.get("modality") == "image" else ()
    target = {"kind": "signal", **({"size": list(size)} if size else {})}
    descriptions = {prior.target: target}
    if metadata.get("labels"):
        descriptions[LABEL] = {"kind": "labels", "names": metadata["labels"]}
    if metadata.get("captions"):
        descriptions[TEXT] = {"kind": "captions", **metadata["captions"]}
    return descriptions


def _part_of(folder, files, name, description, parts):
    kind, like = description.pop("kind"), parts.get(description.pop(_LIKE, None))
    if kind == "labels":
        return Labels(**description) if name == LABEL else LabelPart(name, **description)
    if kind in ("text", "captions"):
        pieces = like.pieces if isinstance(like, TextPart) else _pieces(folder, files, name)
        return Captions(pieces, **description) if kind == "captions" else TextPart(name, pieces, **description)
    if kind == "signal":
        description.pop("modality", None)
        shared = isinstance(like, SignalPart)
        tokenizer, file = (like.tokenizer, like.file) if shared else _tokenizer(folder, files, name)
        return SignalPart(name, tokenizer, **description, file=file)
    raise ValueError(
        f"The part {name!r} in {str(folder)!r} is of the kind {shown(kind)}, unknown to this vqzoo. Upgrade: `pip "
        "install --upgrade vqzoo`."
    )


def _pieces(folder, files, name):
    file = found_part_file(files, name, PIECES_FILE)
    verify_preset(folder, files=[file])
    return Pieces((folder / file).read_bytes())


def _tokenizer(folder, files, name):
    file = found_part_file(files, name, TOKENIZER_FILE)
    if file not in files:
        raise ValueError(
            f"The preset {str(folder)!r} has no {file}. A tokenizer generates nothing. Give the preset of a "
            "prior, such as `vqzoo list` shows."
        )
    tokenizer = load_preset(folder, filename=file)
    if not isinstance(tokenizer, Tokenizer):
        raise ValueError(f"{str(folder / file)!r} holds a {type(tokenizer).__name__}, not a Tokenizer.")
    return tokenizer, folder / file
