"""Exports a tokenizer into its preset folder, and verifies the exports."""

import math
import pathlib
import shutil

from vqzoo.export.litert import LITERT_FORMS
from vqzoo.export.litert import export_litert_files
from vqzoo.export.portable import export_portable
from vqzoo.export.saved_model import export_saved_model
from vqzoo.export.verify import EXPORT_FORMS
from vqzoo.export.verify import verify_exports
from vqzoo.presets import changed_preset
from vqzoo.presets import exports_of
from vqzoo.presets import write_metadata
from vqzoo.presets.layout import LITERT_FILES


def export_preset(tokenizer, folder, signal, forms=EXPORT_FORMS):
    """Adds `saved_model/`, `encoder.keras`, `decoder.keras` and LiteRT files to a preset folder.

    Each form is loaded in a new process, and its tokens are compared with those of the tokenizer. The agreement, the
    PSNR of the reconstructions (for text the fraction of equal pieces) and the size are added to the metadata, and the
    manifest is rewritten. For text, the inputs and outputs are ids of pieces, and the sentencepiece model is saved as
    `pieces.model`. An autoregressive decoder has no portable form.

    Args:
        tokenizer: `Tokenizer`, the one in `tokenizer.keras` of the folder.
        folder: str or path, a preset folder.
        signal: float32 array (batch, *size, channels) in [-1, 1], or ids of pieces, int32 (batch, length): examples to
            verify on.
        forms: iterable of str, of "saved_model", "litert", "litert_float16", "litert_int8" (see `export_litert`) and
            "portable". Defaults to all. Other forms in the folder are removed.

    Returns:
        List of `Agreement`, one for each form, `tokenizer.keras` included.

    Raises:
        ValueError: if a form is unknown, cannot be exported, or does not agree with the tokenizer, or another file of
            the preset is damaged. The preset is then unchanged.
    """
    folder = pathlib.Path(folder)
    forms = tuple(forms)
    unknown = sorted(set(forms) - set(EXPORT_FORMS))
    if unknown:
        raise ValueError(f"`forms` must be of {', '.join(EXPORT_FORMS)}. Received: {', '.join(unknown)}")
    with changed_preset(folder, exports_of(folder)) as new:
        if "saved_model" in forms:
            export_saved_model(tokenizer, new / "saved_model")
        precisions = [precision for form, precision in LITERT_FORMS.items() if form in forms]
        if precisions:
            export_litert_files(tokenizer, {precision: new / LITERT_FILES[precision] for precision in precisions})
        if "portable" in forms and not tokenizer.is_autoregressive:
            export_portable(tokenizer, new)
        for name, content in tokenizer.asset_files.items():
            (new / name).write_bytes(content)
        agreements = _verified(tokenizer, folder, new, signal)
        write_metadata(folder, new, exports={a.form: _description(a) for a in agreements if a.verified})
    return agreements


def _verified(tokenizer, folder, new, signal):
    """Verifies the new files together with the model of the preset."""
    source = folder / "tokenizer.keras"
    if not source.is_file():
        return verify_exports(tokenizer, new, signal)
    shutil.copyfile(source, new / source.name)
    agreements = verify_exports(tokenizer, new, signal)
    (new / source.name).unlink()  # the preset keeps its own
    return agreements


def _description(agreement):
    """The metadata of an export."""
    measured = {"psnr": agreement.psnr, "accuracy": agreement.accuracy}
    measured = {name: value for name, value in measured.items() if not math.isnan(value)}
    agreed = {"tokens_equal": agreement.tokens, "largest_difference": agreement.signal}
    return {**agreed, **measured, "bytes": agreement.bytes}
