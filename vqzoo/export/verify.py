"""Verifies that exported files give the tokens of their source, for exports, presets and the command line."""

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import NamedTuple

import numpy as np

from vqzoo.data.files import amount
from vqzoo.export import loaders
from vqzoo.export.litert import LITERT_FORMS
from vqzoo.presets.layout import LITERT_FILES

# The file or folder of each form.
FORMS = {
    "saved_model": "saved_model/saved_model.pb",
    **{form: LITERT_FILES[precision] for form, precision in LITERT_FORMS.items()},
    "portable": "encoder.keras",
    "tokenizer": "tokenizer.keras",
}

EXPORT_FORMS = tuple(form for form in FORMS if form != "tokenizer")
"""Names of the forms that a preset may have besides its own file."""

# Their weights differ from those of their source. Their agreement is reported, and they are not refused.
LOSSY = ("litert_float16", "litert_int8")

# Two forms round differently, and a latent midway between two codes may be assigned to either.
LEAST_AGREEMENT = 0.999
# For a few hundred tokens, one token is more than the remaining 0.1 %.
TOLERATED = 2
# Of decoded signals in [-1, 1]. Rounding errors are below a tenth of it, and half a step of 8 bits is twice it.
LARGEST_DIFFERENCE = 2e-3


class Agreement(NamedTuple):
    """The agreement of one exported form with its source."""

    form: str  # a key of FORMS
    verified: bool  # False if it could not be run here
    tokens: float  # fraction of equal tokens
    signal: float  # largest difference of the decoded signals in [-1, 1]; for text the fraction of different pieces
    psnr: float  # dB, of the reconstructions by this form; NaN for text
    bytes: int  # total size of its files
    accuracy: float = float("nan")  # for text, fraction of the pieces that this form reconstructs; otherwise NaN
    examples: int = 0  # number of examples that it was compared on

    @property
    def summary(self):
        """The size and the agreement of the form in one line, a str."""
        if not self.verified:
            return "not run, because ai-edge-litert is not installed"
        size, equal = f"{self.bytes / 1e6:.2f} MB", f"{self.tokens:.2%} of tokens equal"
        return f"{size}, {equal}, decoded within {self.signal:.0e}, {self.quality}"

    @property
    def quality(self):
        """The quality of the reconstructions, as a string."""
        measured = f"PSNR {self.psnr:.2f} dB" if np.isnan(self.accuracy) else f"{self.accuracy:.2%} of pieces right"
        return f"{measured} on {amount(self.examples, 'examples')}" if self.examples else measured


def verify_exports(tokenizer, folder, signal):
    """Loads every exported form in `folder` in a new process and compares it with `tokenizer`.

    Args:
        tokenizer: `Tokenizer`, the source.
        folder: str or path, a preset folder with exports.
        signal: float32 array (batch, *size, channels) in [-1, 1], or ids of pieces, int32 (batch, length): examples to
            compare on.

    Returns:
        List of `Agreement`, one for each form found. LiteRT is not verified if `ai-edge-litert` is not installed.

    Raises:
        ValueError: if there is no example, a form cannot be loaded, more than 0.1 % of its tokens and more than two
            differ, or a decoded signal differs by more than 0.002, for text that fraction of its pieces. For LiteRT
            files of less than float32 only the shapes are checked, and that decoded signals are finite.
    """
    folder = pathlib.Path(folder)
    tokenizer = tokenizer.in_float32()
    forms = [form for form, file in FORMS.items() if (folder / file).exists()]
    interpreter = importlib.util.find_spec("ai_edge_litert") is not None
    runnable = [form for form in forms if interpreter or not form.startswith("litert")]
    signal = np.asarray(signal, tokenizer.signal_dtype)
    if not signal.size:
        raise ValueError(f"At least one example is needed to verify exports. Received: signal.shape={signal.shape}")
    tokens = np.asarray(tokenizer.encode(signal))
    decoded = np.asarray(tokenizer.decode_signal(tokens))
    results = _run(folder, runnable, signal, tokens, _class_file(tokenizer))
    agreements = []
    for form in forms:
        if form not in runnable:
            agreements.append(Agreement(form, False, *3 * (float("nan"),), _bytes(folder, form)))
            continue
        same = results[f"{form}/tokens"] == tokens
        equal = float(np.mean(same))
        difference = _difference(results, form, decoded, signal.shape[1:-1])
        _check(form, folder, len(signal), same, difference)
        psnr, accuracy = _quality(tokenizer, signal, results[f"{form}/again"])
        size = _bytes(folder, form)
        agreements.append(Agreement(form, True, equal, difference, psnr, size, accuracy, len(signal)))
    return agreements


def _check(form, folder, examples, same, difference):
    equal, lossy = float(np.mean(same)), form in LOSSY
    if not lossy and equal < LEAST_AGREEMENT and np.size(same) - np.sum(same) > TOLERATED:
        raise ValueError(
            f"The export {FORMS[form]!r} in {folder} must give at least {LEAST_AGREEMENT:.1%} of the tokens of its "
            f"source. Received: {equal:.2%} on {examples} examples. Do not use it. Export again, and report the error "
            "with the versions in metadata.json if it persists."
        )
    if not (np.isfinite(difference) if lossy else difference <= LARGEST_DIFFERENCE):  # also refuses NaN
        raise ValueError(
            f"The export {FORMS[form]!r} in {folder} must decode the same signals as its source, within "
            f"{LARGEST_DIFFERENCE}. Received: a difference of {difference:.2g}. Do not use it. Export again, and "
            "report the error with the versions in metadata.json if it persists."
        )


def _quality(tokenizer, signal, again):
    """PSNR and accuracy of a reconstruction, cropped to the size of the signal and clipped as in a file."""
    again = again[tuple(slice(0, length) for length in signal.shape)]
    name, value = tokenizer.likeness(signal, again)
    return tuple(value if name == field else float("nan") for field in ("psnr", "accuracy"))


def _bytes(folder, form):
    names = ("encoder.keras", "decoder.keras") if form == "portable" else (pathlib.PurePath(FORMS[form]).parts[0],)
    files = (file for name in names for file in [folder / name, *(folder / name).rglob("*")])
    return sum(file.stat().st_size for file in files if file.is_file())


def _difference(results, form, decoded, size):
    """The largest difference of the decoded signals of a form, whole and cropped."""
    cropped = decoded[(slice(None), *(slice(0, length) for length in size))]
    pairs = [(results[f"{form}/signal"], decoded), (results.get(f"{form}/cropped", cropped), cropped)]
    if any(one.shape != other.shape for one, other in pairs):
        return float("inf")
    if decoded.dtype.kind == "i":
        return float(np.mean(pairs[0][0] != decoded))
    return max(float(np.abs(one - other).max()) for one, other in pairs)


def _class_file(tokenizer):
    """The Python file of a tokenizer class outside vqzoo; "" for the classes of vqzoo, or without a file."""
    module = sys.modules[type(tokenizer).__module__]
    return "" if module.__name__.split(".")[0] == "vqzoo" else getattr(module, "__file__", None) or ""


def _run(folder, forms, signal, tokens, class_file=""):
    """The results of each form in a child process."""
    with tempfile.TemporaryDirectory() as scratch:
        examples, results = pathlib.Path(scratch, "examples.npz"), pathlib.Path(scratch, "results.npz")
        np.savez(examples, signal=signal, tokens=tokens)
        # -P keeps the script's folder off sys.path, where its other files would shadow modules.
        command = [sys.executable, "-P", loaders.__file__, str(folder), str(examples), str(results), *forms]
        environment = {**os.environ, loaders.CLASS_FILE: class_file}
        child = subprocess.run(command, capture_output=True, text=True, env=environment)
        if child.returncode:
            said = child.stderr.strip()[-2000:]
            killed = f"It was killed by signal {-child.returncode}. " if child.returncode < 0 else ""
            raise ValueError(f"The exports in {folder} do not load in a new process. {killed}Its output:\n{said}")
        with np.load(results) as arrays:
            return dict(arrays)
