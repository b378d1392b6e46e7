"""Token files: a `.npz` file without pickle that records which preset made it."""

import numbers
import os
from typing import NamedTuple

import numpy as np

from vqzoo.files import atomic_path
from vqzoo.files import user_path
from vqzoo.jsons import is_integer
from vqzoo.jsons import json_text
from vqzoo.jsons import parse_json
from vqzoo.jsons import shown
from vqzoo.names import check_name
from vqzoo.npz import read_arrays
from vqzoo.presets.layout import TOKENIZER_FILE
from vqzoo.presets.layout import found_part_file
from vqzoo.presets.manifest import read_metadata
from vqzoo.presets.manifest import verify_preset

TOKEN_FORMAT = 1
# Endings of files that may be mistaken for token files.
_SIGNALS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".wav", ".flac", ".mp3", ".ogg", ".opus", ".txt")
# The largest number of tokens of one file, because a small file can claim any size. It is that of the largest image,
# 2**26 pixels, at a stride of 4 with 16 codebooks.
_MOST_BYTES = 2**28
_LONGEST_TEXT = 4096  # characters of an entry, enough for a path


class TokenFile(NamedTuple):
    """The contents of a token file."""

    tokens: np.ndarray  # int32 (*grid, num_codebooks), of one signal
    size: tuple  # of the signal: (height, width) of an image
    codebook_sizes: tuple
    modality: str
    preset: str  # name or folder of the preset that encoded it
    sha256: str  # of the model of that preset


def save_tokens(path, tokens, *, size, preset, folder):
    """Writes the tokens of one signal atomically.

    Args:
        path: str or path ending in `.npz`.
        tokens: int array (*grid, num_codebooks).
        size: sequence of int, size of the signal: height and width of an image.
        preset: str, name or folder by which `vqzoo decode` finds the preset.
        folder: path of the preset's folder.

    Raises:
        ValueError: if the path is invalid or has another ending, a token is outside the preset's codebooks, or the
            size does not consist of positive ints.
    """
    path = user_path(path)
    if path.suffix.lower() != ".npz":
        named = str(path.with_suffix(".npz") if path.name else path / "new.npz")
        raise ValueError(f"Token files end in .npz. Received: {str(path)!r}. Pass `{named!r}`.")
    description = describe_tokens(folder)
    tokens = np.asarray(tokens)
    _check(tokens, description["codebook_sizes"], str(path))
    size = [int(length) if isinstance(length, numbers.Integral) else length for length in size]
    if not _is_size(size):
        raise ValueError(f"`size` must be that of the signal, positive ints. Received: size={shown(size)}")
    about = {
        "format": TOKEN_FORMAT,
        "size": size,
        "codebook_sizes": list(description["codebook_sizes"]),
        "modality": description["modality"],
        "preset": str(preset),
        "sha256": description["sha256"],
    }
    with atomic_path(path) as temporary, open(temporary, "wb") as file:  # given a name, numpy may append an ending
        np.savez_compressed(file, tokens=tokens.astype("int32"), about=np.array(json_text(about)))


def load_tokens(path):
    """Reads a token file written by `save_tokens`.

    Args:
        path: str or path.

    Returns:
        `TokenFile`.

    Raises:
        ValueError: if the file is missing, damaged, not a token file, of a newer format, or holds tokens outside its
            own codebooks.
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(
            f"A path must be a str or a pathlib.Path. Received: an object of type {type(path).__name__}. "
            "Call `[vqzoo.presets.load_tokens(path) for path in x]` for a list of them."
        )
    path = user_path(path)
    check_name(path)
    if not path.is_file():
        raise ValueError(f"{str(path)!r} does not exist or is not a file. `vqzoo encode` writes token files.")
    if path.suffix.lower() in _SIGNALS:
        raise ValueError(
            f"{str(path)!r} is not a token file by its ending. Token files end in .npz, and `vqzoo encode` writes them."
        )
    try:
        tokens, about = _read(path)
        wrong = next((name for name, fits in _ENTRIES.items() if name not in about or not fits(about[name])), None)
        if wrong is not None:
            description = shown(about[wrong]) if wrong in about else "missing"
            raise ValueError(f"its {wrong} is {description}, which `vqzoo encode` does not write")
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{str(path)!r} is not an intact token file: {error}. Encode the signal again with `vqzoo encode`."
        ) from error
    about = {
        name: tuple(about[name]) if isinstance(about[name], list) else about[name] for name in TokenFile._fields[1:]
    }
    _check(tokens, about["codebook_sizes"], str(path))
    return TokenFile(tokens.astype("int32"), **about)


def check_tokens_of(file, folder, path):
    """Raises an error if a token file comes from a different model.

    Args:
        file: `TokenFile`, or `vqzoo.data.TokenShards`.
        folder: path, folder of the preset that decodes it.
        path: path of the token file, for the message.

    Raises:
        ValueError: if the preset's model is not the one that encoded the tokens.
    """
    description = describe_tokens(folder)
    if description["sha256"] != file.sha256:
        raise ValueError(
            f"{str(path)!r} was encoded by another model ({file.preset!r}) than the one in {str(folder)!r}, or that "
            "one has been trained again since. Its tokens have another meaning there. Decode it with its own preset, "
            "or encode the signal again."
        )


def describe_tokens(folder):
    """Describes the tokens of a preset by their model.

    Args:
        folder: path of the preset's folder.

    Returns:
        Dict with `codebook_sizes` (tuple of int), `modality` and `sha256` (of the model).

    Raises:
        ValueError: the preset is incomplete.
    """
    manifest = verify_preset(folder, files=["metadata.json"])
    description = read_metadata(folder)
    tokenizer = found_part_file(manifest["files"], str(description.get("target", "")), TOKENIZER_FILE)
    model = description.get("model_file") or TOKENIZER_FILE
    if model not in manifest["files"]:
        raise ValueError(f"The preset in {str(folder)!r} has no {model}. Fetch it or train it again.")
    if tokenizer in manifest["files"]:
        model = tokenizer  # the preset of a prior holds both
    return {
        "codebook_sizes": tuple(description.get("codebook_sizes") or ()),
        "modality": description.get("modality") or "",
        "sha256": manifest["files"][model]["sha256"],
    }


def _read(path):
    """The tokens of a file, and its description of them."""
    arrays = read_arrays(path, ("tokens", "about"), _MOST_BYTES)
    if arrays["about"].dtype.kind != "U" or arrays["about"].ndim:
        raise ValueError("its about is not text")
    about = parse_json(str(arrays["about"]), any_text=True)  # the name of a preset's folder may not be UTF-8
    if not isinstance(about, dict):
        raise ValueError("its about is not a dict")
    if is_integer(about.get("format"), TOKEN_FORMAT + 1):
        raise ValueError(f"it has format {shown(about['format'])} of a newer vqzoo; upgrade vqzoo")
    return arrays["tokens"], about


def _is_size(value, most_axes=16):
    return isinstance(value, list) and len(value) <= most_axes and all(is_integer(x, 1, 2**31) for x in value)


def _is_text(value):
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT


# The entries of the description in a token file, and their types.
_ENTRIES = {
    "format": lambda value: is_integer(value, 1, TOKEN_FORMAT),
    "size": _is_size,
    "codebook_sizes": lambda value: bool(value) and _is_size(value, most_axes=2**12),
    "modality": _is_text,
    "preset": _is_text,
    "sha256": _is_text,
}


def _check(tokens, codebook_sizes, name):
    if tokens.dtype.kind not in "iu" or tokens.ndim < 2 or tokens.shape[-1] != len(codebook_sizes) or not tokens.size:
        raise ValueError(
            f"The tokens of {name} must be integers (*grid, {len(codebook_sizes)}), and not empty. Received: "
            f"{tokens.dtype} {tokens.shape}. Encode one signal, and pass the tokens as they are."
        )
    if tokens.min() < 0 or (tokens >= np.asarray(codebook_sizes)).any():
        raise ValueError(
            f"{name} holds tokens from {tokens.min()} to {tokens.max()}, where the codebooks have {codebook_sizes} "
            "codes. It is damaged, or comes from another model. Encode the signal again."
        )
