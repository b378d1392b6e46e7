"""All exports of a tokenizer into its preset folder, verified."""

import pathlib

from vqzoo.export.litert import export_litert
from vqzoo.export.portable import export_portable
from vqzoo.export.saved_model import export_saved_model
from vqzoo.export.verify import verify_exports
from vqzoo.presets import remove_exports
from vqzoo.presets import update_metadata


def export_preset(tokenizer, folder, signal):
    """Adds `saved_model/`, `tokenizer.tflite`, `encoder.keras` and `decoder.keras` to a preset folder.

    Each is loaded in a new process and its tokens compared with the tokenizer's; the agreement goes into the metadata
    and the manifest is written anew.

    Args:
        tokenizer: `Tokenizer` that the folder's `tokenizer.keras` holds.
        folder: str or path, a preset folder.
        signal: float32 array (batch, *size, channels) in [-1, 1], examples to verify on.

    Returns:
        List of `Agreement`, one for each form, `tokenizer.keras` included.

    Raises:
        ValueError: if a form cannot be made, or does not agree with the tokenizer. The preset stays without exports.
    """
    folder = pathlib.Path(folder)
    remove_exports(folder)  # the manifest would name the old ones
    try:
        export_saved_model(tokenizer, folder / "saved_model")
        export_litert(tokenizer, folder / "tokenizer.tflite")
        export_portable(tokenizer, folder)
        agreements = verify_exports(tokenizer, folder, signal)
    except BaseException:
        remove_exports(folder)  # files that do not agree are not to be used
        raise
    exports = {a.form: {"tokens_equal": a.tokens, "largest_difference": a.signal} for a in agreements if a.verified}
    update_metadata(folder, exports=exports)
    return agreements
