"""Tokens on disk: a `.npz` file without pickle that knows which preset made it."""

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
# Endings of what may be taken for its tokens.
_SIGNALS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".wav", ".flac", ".mp3", ".ogg", ".opus", ".txt")
# Of the tokens of one file: a small file can claim any size. The largest picture, 2**26 pixels, has as many at a stride
# of 4 with 16 codebooks.
_MOST_BYTES = 2**28
_LONGEST_TEXT = 4096  # characters of an entry, as a path has


class TokenFile(NamedTuple):
    """What a token file holds."""

    tokens: np.ndarray  # int32 (*grid, num_codebooks), of one signal
    size: tuple  # of the signal: (height, width) of a picture
    codebook_sizes: tuple
    modality: str
    preset: str  # name or folder that it was encoded with
    sha256: str  # of that preset's model


def save_tokens(path, tokens, *, size, preset, folder):
    """Writes the tokens of one signal, whole or not at all.

    Args:
        path: str or path ending in `.npz`.
        tokens: int array (*grid, num_codebooks).
        size: sequence of int, of the signal: height and width of a picture.
        preset: str, name or folder of the preset, by which `vqzoo decode` finds it again.
        folder: path of the preset's folder.

    Raises:
        ValueError: if the path has another ending or no file can have it, a token is not of the preset's codebooks, or
            the size is not of positive ints.
    """
    path = user_path(path)
    if path.suffix.lower() != ".npz":
        named = str(path.with_suffix(".npz") if path.name else path / "new.npz")
        raise ValueError(f"Token files end in .npz. Received: {str(path)!r}. Pass `{named!r}`.")
    told = describe_tokens(folder)
    tokens = np.asarray(tokens)
    _check(tokens, told["codebook_sizes"], str(path))
    size = [int(length) if isinstance(length, numbers.Integral) else length for length in size]
    if not _is_size(size):
        raise ValueError(f"`size` is the signal's, ints from 1 on. Received: size={shown(size)}")
    about = {
        "format": TOKEN_FORMAT,
        "size": size,
        "codebook_sizes": list(told["codebook_sizes"]),
        "modality": told["modality"],
        "preset": str(preset),
        "sha256": told["sha256"],
    }
    with atomic_path(path) as temporary, open(temporary, "wb") as file:  # beside a name numpy may write another
        np.savez_compressed(file, tokens=tokens.astype("int32"), about=np.array(json_text(about)))


def load_tokens(path):
    """Reads what `save_tokens` wrote.

    Args:
        path: str or path.

    Returns:
        `TokenFile`.

    Raises:
        ValueError: if the file is missing, damaged, no token file, of a newer format, or holds tokens that its own
            codebooks do not have.
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(
            f"A token file is read from a str or a pathlib.Path. Received: an object of type {type(path).__name__}. "
            "Call `[vqzoo.presets.load_tokens(path) for path in x]` for a list of them."
        )
    path = user_path(path)
    check_name(path)
    if not path.is_file():
        raise ValueError(f"{str(path)!r} does not exist or is no file. Token files are made by `vqzoo encode`.")
    if path.suffix.lower() in _SIGNALS:
        raise ValueError(
            f"{str(path)!r} is not a token file by its ending. Token files end in .npz, and `vqzoo encode` makes one."
        )
    try:
        tokens, about = _read(path)
        wrong = next((name for name, fits in _ENTRIES.items() if name not in about or not fits(about[name])), None)
        if wrong is not None:
            told = shown(about[wrong]) if wrong in about else "missing"
            raise ValueError(f"its {wrong} is {told}, which `vqzoo encode` does not write")
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{str(path)!r} is no whole token file: {error}. Encode the signal again with `vqzoo encode`."
        ) from error
    about = {
        name: tuple(about[name]) if isinstance(about[name], list) else about[name] for name in TokenFile._fields[1:]
    }
    _check(tokens, about["codebook_sizes"], str(path))
    return TokenFile(tokens.astype("int32"), **about)


def check_tokens_of(file, folder, path):
    """Raises where a token file is another model's.

    Args:
        file: `TokenFile`, or `vqzoo.data.TokenShards`.
        folder: path of the preset's folder that is to decode it.
        path: of the token file, for the message.

    Raises:
        ValueError: if the preset's model is not the one that encoded the tokens.
    """
    told = describe_tokens(folder)
    if told["sha256"] != file.sha256:
        raise ValueError(
            f"{str(path)!r} was encoded by another model ({file.preset!r}) than the one in {str(folder)!r}, or that "
            "one has been trained again since: its tokens mean something else there. Decode it with its own preset, "
            "or encode the signal again."
        )


def describe_tokens(folder):
    """What tells whose tokens a preset's are.

    Args:
        folder: path of the preset's folder.

    Returns:
        Dict with `codebook_sizes` (tuple of int), `modality` and `sha256` (of the model).

    Raises:
        ValueError: the folder is no whole preset.
    """
    manifest = verify_preset(folder, files=["metadata.json"])
    told = read_metadata(folder)
    tokenizer = found_part_file(manifest["files"], str(told.get("target", "")), TOKENIZER_FILE)
    model = told.get("model_file") or TOKENIZER_FILE
    if model not in manifest["files"]:
        raise ValueError(f"The preset in {str(folder)!r} has no {model}. Fetch it or train it again.")
    if tokenizer in manifest["files"]:
        model = tokenizer  # a prior's preset holds both
    return {
        "codebook_sizes": tuple(told.get("codebook_sizes") or ()),
        "modality": told.get("modality") or "",
        "sha256": manifest["files"][model]["sha256"],
    }


def _read(path):
    """The tokens of a file, and what it says about them."""
    arrays = read_arrays(path, ("tokens", "about"), _MOST_BYTES)
    if arrays["about"].dtype.kind != "U" or arrays["about"].ndim:
        raise ValueError("its about is not text")
    about = parse_json(str(arrays["about"]), any_text=True)  # a preset's folder need not have a name in UTF-8
    if not isinstance(about, dict):
        raise ValueError("its about is not a dict")
    if is_integer(about.get("format"), TOKEN_FORMAT + 1):
        raise ValueError(f"it has format {shown(about['format'])} of a newer vqzoo; upgrade vqzoo")
    return arrays["tokens"], about


def _is_size(value, most_axes=16):
    return isinstance(value, list) and len(value) <= most_axes and all(is_integer(x, 1, 2**31) for x in value)


def _is_text(value):
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT


# What a token file says about its tokens, and what each has to be.
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
            f"The tokens of {name} are integers (*grid, {len(codebook_sizes)}), and at least one. Received: "
            f"{tokens.dtype} {tokens.shape}. Encode one signal, and pass the tokens as they are."
        )
    if tokens.min() < 0 or (tokens >= np.asarray(codebook_sizes)).any():
        raise ValueError(
            f"{name} holds tokens from {tokens.min()} to {tokens.max()}, where the codebooks have {codebook_sizes} "
            "codes. It is damaged, or of another model: encode the signal again."
        )
