"""What a preset, a token file or a folder of shards is, as a dict, for the verb `info`."""

import math
import pathlib

from vqzoo.files import user_path
from vqzoo.measures import bits_of
from vqzoo.presets import describe_tokens
from vqzoo.presets import find_preset
from vqzoo.presets import load_tokens
from vqzoo.presets import read_metadata
from vqzoo.presets import verify_preset
from vqzoo.presets.hub import PREFIX

_OWN_OF_A_PRESET = "metadata.json"  # shards have a manifest too
_OF_SHARDS = ("manifest.json", "plan.json")


def described(name):
    """Describes what a name or a path leads to.

    Args:
        name: str, a preset's name; or a path of a preset's folder, of a token file, or of a folder of shards.

    Returns:
        Dict of plain values, whose `kind` is "preset", "tokens", "token shards" or "image shards".

    Raises:
        ValueError: it is not one of them, or damaged.
    """
    path = user_path(name)
    if path.suffix.lower() == ".npz" and path.is_file():
        return _token_file(path)
    if _holds_shards(path):
        return _shards(path)
    return _preset(find_preset(name))


# === Presets ===
def _preset(folder):
    metadata = read_metadata(folder)
    files = verify_preset(folder, files=[])["files"]
    about = {"kind": "preset", "folder": str(folder)}
    about |= {name: value for name, value in metadata.items() if name not in about}
    example = metadata.get("example") or {}
    counted = _of_example(metadata, example.get("signal"), example.get("tokens"), metadata.get("codebook_sizes") or [])
    about |= {name: value for name, value in counted.items() if name not in about}  # metadata may have a rate
    return {
        **about,
        "files": {name: file["bytes"] for name, file in files.items()},
        "bytes": sum(file["bytes"] for file in files.values()),
        "checksums": _checksums(folder),
    }


def _checksums(folder):
    """Whether the files of a preset are those of its manifest, in words."""
    try:
        verify_preset(folder)
    except (ValueError, OSError) as error:
        return f"wrong: {error}"
    return "all files match"


def _of_example(metadata, signal, tokens, codebook_sizes):
    """Tokens and bits of the example whose shapes are in a preset's metadata."""
    if not tokens or tokens[-1] != len(codebook_sizes):
        return {}
    size = (signal or [None])[:-1] if metadata.get("modality") != "text" else signal
    bits = bits_of(tokens, codebook_sizes)
    return {
        "tokens_per_example": math.prod(tokens),
        "bits_per_example": bits,
        **_rate(metadata, size, bits),
    }


def _rate(metadata, size, bits):
    """Bits of a pixel, or kbit/s; nothing of other modalities, or where the size or the rate is not known."""
    if metadata.get("modality") == "image" and size and len(size) == 2:
        return {"bits_per_pixel": bits / math.prod(size)}
    rate = metadata.get("sample_rate")
    if metadata.get("modality") == "audio" and size and len(size) == 1 and isinstance(rate, int | float) and rate > 0:
        return {"kilobits_per_second": bits * rate / size[0] / 1000}
    return {}


# === Tokens ===
def _token_file(path):
    file = load_tokens(path)
    bits = bits_of(file.tokens.shape, file.codebook_sizes)
    owner, metadata = _owner(file.preset, file.sha256)
    return {
        "kind": "tokens",
        "file": str(path),
        "modality": file.modality,
        "size": list(file.size),
        "shape": list(file.tokens.shape),
        "tokens": int(file.tokens.size),
        "codebook_sizes": list(file.codebook_sizes),
        "bits": bits,
        **_rate({**metadata, "modality": file.modality}, file.size, bits),
        "preset": file.preset,
        "sha256": file.sha256,
        "model": owner,
        "bytes": path.stat().st_size,
    }


def _owner(name, sha256):
    """Whether the model that made tokens is here, in words; and the metadata of its preset, {} where it is not."""
    if name.startswith(PREFIX):  # nothing is fetched because a file names it
        return "not compared: the preset is on the Hugging Face Hub", {}
    try:
        folder = find_preset(pathlib.Path(name) if name.startswith("~") else name)
        same = describe_tokens(folder)["sha256"] == sha256
        metadata = read_metadata(folder) if same else {}
    except (ValueError, OSError):
        return "the preset is not here, or damaged", {}
    return "the preset's, as it is here" if same else "another one than that of the preset that is here", metadata


# === Shards ===
def _holds_shards(path):
    """Whether a folder holds shards; looked at before TensorFlow, which reads them, is imported."""
    if (path / _OWN_OF_A_PRESET).exists() or not any((path / name).is_file() for name in _OF_SHARDS):
        return False
    from vqzoo.data import holds_shards

    return holds_shards(path)


def _shards(folder):
    from vqzoo.data.image.shards import KIND as IMAGES
    from vqzoo.data.shards import Shards
    from vqzoo.data.shards import json_or_none
    from vqzoo.data.tokens.shards import KIND as TOKENS

    manifest = json_or_none(folder / _OF_SHARDS[0])
    kind = manifest.get("kind") if isinstance(manifest, dict) else None
    manifest = Shards(folder, TOKENS if kind == TOKENS else IMAGES).manifest
    of_kind = _of_tokens(folder) if kind == TOKENS else {"kind": "image shards"}
    return {
        **of_kind,
        "folder": str(folder),
        "rows": manifest["rows"],
        "shards": len(manifest["shards"]),
        "bytes": sum(entry["bytes"] for entry in manifest["shards"]),
        "checksums": "manifest and indexes match; `vqzoo verify` checks every byte",
    }


def _of_tokens(folder):
    from vqzoo.data import TokenShards

    shards = TokenShards(folder)
    owner, metadata = _owner(shards.preset, shards.sha256)
    return {
        "kind": "token shards",
        "modality": shards.modality,
        "codebook_sizes": list(shards.codebook_sizes),
        "shapes": _shapes(shards, {**metadata, "modality": shards.modality}),
        "preset": shards.preset,
        "sha256": shards.sha256,
        "model": owner,
    }


def _shapes(shards, metadata):
    """A dict for each shape of tokens: how many rows have it, and its tokens and bits.

    Rows of one shape may be of signals of several sizes, which are rounded up to whole strides: the rate is that of the
    first of them.
    """
    firsts = {}
    for number, shape in enumerate(shards.row_shapes):
        firsts.setdefault(shape, number)
    found = []
    for shape, rows in shards.shapes.items():
        bits = bits_of(shape, shards.codebook_sizes)
        size = shards[firsts[shape]].size
        about = {"shape": list(shape), "rows": rows, "tokens": math.prod(shape), "bits": bits, "size": list(size)}
        found.append({**about, **_rate(metadata, size, bits)})
    return found
