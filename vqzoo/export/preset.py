"""All exports of a tokenizer into its preset folder, verified."""

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
    back and the size go into the metadata, and the manifest is written anew.

    Args:
        tokenizer: `Tokenizer` that the folder's `tokenizer.keras` holds.
        folder: str or path, a preset folder.
        signal: float32 array (batch, *size, channels) in [-1, 1], examples to verify on.
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
        export_portable(tokenizer, folder)
        agreements = verify_exports(tokenizer, folder, signal)
    except BaseException:
        remove_exports(folder)  # files that do not agree are not to be used
        raise
    exports = {
        a.form: {"tokens_equal": a.tokens, "largest_difference": a.signal, "psnr": a.psnr, "bytes": a.bytes}
        for a in agreements
        if a.verified
    }
    update_metadata(folder, exports=exports)
    return agreements
