"""All exports of a tokenizer into its preset folder, verified."""

import math
import pathlib

from vqzoo.export.litert import LITERT_FILES
from vqzoo.export.litert import export_litert_files
from vqzoo.export.portable import export_portable
from vqzoo.export.saved_model import export_saved_model
from vqzoo.export.verify import verify_exports
from vqzoo.presets import remove_exports
from vqzoo.presets import update_metadata


def export_preset(tokenizer, folder, signal, litert=tuple(LITERT_FILES)):
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
        litert: iterable of str, precisions of the LiteRT files, see `export_litert`. Defaults to all:
            `tokenizer.tflite`, `tokenizer_float16.tflite` and `tokenizer_int8.tflite`.

    Returns:
        List of `Agreement`, one for each form, `tokenizer.keras` included.

    Raises:
        ValueError: if there is no such precision, a form cannot be made, or does not agree with the tokenizer. The
            preset stays without exports.
    """
    folder = pathlib.Path(folder)
    remove_exports(folder)  # the manifest would name the old ones
    try:
        export_saved_model(tokenizer, folder / "saved_model")
        export_litert_files(tokenizer, {precision: folder / LITERT_FILES[precision] for precision in litert})
        if not getattr(tokenizer, "is_autoregressive", False):
            export_portable(tokenizer, folder)
        if tokenizer.modality == "text":
            tokenizer.save_assets(folder)
        agreements = verify_exports(tokenizer, folder, signal)
    except BaseException:
        remove_exports(folder)  # files that do not agree are not to be used
        raise
    update_metadata(folder, exports={a.form: _told(a) for a in agreements if a.verified})
    return agreements


def _told(agreement):
    measured = {"psnr": agreement.psnr, "accuracy": agreement.accuracy}
    measured = {name: value for name, value in measured.items() if not math.isnan(value)}
    told = {"tokens_equal": agreement.tokens, "largest_difference": agreement.signal}
    return {**told, **measured, "bytes": agreement.bytes}
