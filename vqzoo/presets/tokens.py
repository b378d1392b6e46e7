"""Tokens on disk: a `.npz` file without pickle that knows which preset made it."""

import json
import zipfile
from typing import NamedTuple

import numpy as np

from vqzoo.files import atomic_path
from vqzoo.files import user_path
from vqzoo.presets.manifest import verify_preset
from vqzoo.presets.storage import read_metadata

TOKEN_FORMAT = 1
# Of the tokens of one file: a small file can claim any size. The largest picture, 2**26 pixels, has as many at a stride
# of 4 with 16 codebooks.
_MOST_BYTES = 2**28


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
        ValueError: if a token is not of the preset's codebooks.
    """
    told = describe_tokens(folder)
    tokens = np.asarray(tokens)
    _check(tokens, told["codebook_sizes"], str(path))
    about = {
        "format": TOKEN_FORMAT,
        "size": [int(length) for length in size],
        "codebook_sizes": list(told["codebook_sizes"]),
        "modality": told["modality"],
        "preset": str(preset),
        "sha256": told["sha256"],
    }
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, tokens=tokens.astype("int32"), about=np.array(json.dumps(about)))


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
    path = user_path(path)
    if not path.is_file():
        raise ValueError(f"{str(path)!r} does not exist or is no file. Token files are made by `vqzoo encode`.")
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MOST_BYTES:
                raise ValueError(f"it claims more than {_MOST_BYTES} bytes")
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            tokens, about = arrays["tokens"], json.loads(str(arrays["about"]))
        known = {name: about[name] for name in ("size", "codebook_sizes", "modality", "preset", "sha256", "format")}
        if not isinstance(known["format"], int) or known["format"] > TOKEN_FORMAT:
            raise ValueError(f"it has format {known['format']!r} of a newer vqzoo; upgrade vqzoo")
        size, codebook_sizes = tuple(map(int, known["size"])), tuple(map(int, known["codebook_sizes"]))
        if min(size, default=1) < 1 or min(codebook_sizes, default=1) < 1 or not codebook_sizes:
            raise ValueError("its sizes are not positive")
        names = {name: str(known[name]) for name in ("modality", "preset", "sha256")}
    except Exception as error:  # what a damaged archive raises has no end
        raise ValueError(
            f"{str(path)!r} is no whole token file: {error}. Encode the signal again with `vqzoo encode`."
        ) from error
    _check(tokens, codebook_sizes, str(path))
    return TokenFile(tokens.astype("int32"), size, codebook_sizes, **names)


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
    tokenizer = "tokenizer.keras"
    model = told.get("model_file") or tokenizer
    if model not in manifest["files"]:
        raise ValueError(f"The preset in {str(folder)!r} has no {model}. Fetch it or train it again.")
    if tokenizer in manifest["files"]:
        model = tokenizer  # a prior's preset holds both
    return {
        "codebook_sizes": tuple(told.get("codebook_sizes") or ()),
        "modality": told.get("modality") or "",
        "sha256": manifest["files"][model]["sha256"],
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
