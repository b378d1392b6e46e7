"""All exports of a tokenizer into its preset folder, verified."""

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

    Each is loaded in a new process and its tokens compared with the tokenizer's; the agreement, the PSNR of what comes
    back (of text the share of right pieces) and the size go into the metadata, and the manifest is written anew. These
    forms of text take and give ids of pieces: the sentencepiece model is beside them as `pieces.model`. There is no
    portable form of an autoregressive decoder.

    Args:
        tokenizer: `Tokenizer` that the folder's `tokenizer.keras` holds.
        folder: str or path, a preset folder.
        signal: float32 array (batch, *size, channels) in [-1, 1], or ids of pieces, int32 (batch, length): examples to
            verify on.
        forms: iterable of str, of "saved_model", "litert", "litert_float16", "litert_int8" (see `export_litert`) and
            "portable". Defaults to all. Other forms that the folder had are removed.

    Returns:
        List of `Agreement`, one for each form, `tokenizer.keras` included.

    Raises:
        ValueError: if there is no such form, one cannot be made, or does not agree with the tokenizer, or
            another file of the preset is damaged. The preset then stays as it was, with the exports it had.
    """
    folder = pathlib.Path(folder)
    forms = tuple(forms)
    unknown = sorted(set(forms) - set(EXPORT_FORMS))
    if unknown:
        raise ValueError(f"`forms` are of {', '.join(EXPORT_FORMS)}. Received: {', '.join(unknown)}")
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
        write_metadata(folder, new, exports={a.form: _told(a) for a in agreements if a.verified})
    return agreements


def _verified(tokenizer, folder, new, signal):
    """Verifies the new files, beside the preset's own model."""
    source = folder / "tokenizer.keras"
    if not source.is_file():
        return verify_exports(tokenizer, new, signal)
    shutil.copyfile(source, new / source.name)
    agreements = verify_exports(tokenizer, new, signal)
    (new / source.name).unlink()  # the preset's stays
    return agreements


def _told(agreement):
    measured = {"psnr": agreement.psnr, "accuracy": agreement.accuracy}
    measured = {name: value for name, value in measured.items() if not math.isnan(value)}
    told = {"tokens_equal": agreement.tokens, "largest_difference": agreement.signal}
    return {**told, **measured, "bytes": agreement.bytes}
