"""LiteRT (TFLite) files with the signatures of the SavedModel, for phones, browsers and small devices."""

import tempfile

import tensorflow as tf

from vqzoo.export.compact import compact_litert
from vqzoo.export.saved_model import export_saved_model
from vqzoo.export.saved_model import signature_names
from vqzoo.files import atomic_path
from vqzoo.ops import for_litert
from vqzoo.presets.layout import LITERT_FILES

# Name of the export form -> precision.
LITERT_FORMS = {"litert": "float32", "litert_float16": "float16", "litert_int8": "int8"}


def export_litert(tokenizer, path, precision="float32"):
    """Writes a `.tflite` file that only uses builtin operations, with dynamic batch and sizes.

    Run it with `ai_edge_litert.interpreter.Interpreter(path).get_signature_runner("encode")(signal=x)["tokens"]`. The
    distances of all vectors to all codes take 4 bytes × positions × codebook size of memory.

    An empty batch, signal or grid gives an empty result. The Python interpreter does not return empty tensors and
    raises "ValueError: Invalid tensor size". Files of earlier versions fail on them, and those of 8 bits end the
    process by a division by zero.

    Args:
        tokenizer: built `Tokenizer`.
        path: str or path ending in `.tflite`.
        precision: str, precision of the stored weights. "float32"; "float16", half the size, computed in float32 unless
            the device uses float16; "int8", a quarter of the size ("dynamic range": weights of convolutions and
            products in 8 bits, one scale per channel, their inputs rounded to 8 bits at run time), which changes the
            codes of some latents. Defaults to "float32".

    Returns:
        The path.

    Raises:
        ValueError: if `precision` is unknown.
    """
    if precision not in LITERT_FILES:
        raise ValueError(f"`precision` must be one of {', '.join(LITERT_FILES)}. Received: {precision!r}")
    export_litert_files(tokenizer, {precision: path})
    return path


def export_litert_files(tokenizer, paths):
    """Writes LiteRT files of several precisions from one trace of the tokenizer.

    Args:
        tokenizer: built `Tokenizer`.
        paths: dict precision -> str or path ending in `.tflite`, as `export_litert` takes them.

    Raises:
        ValueError: if `precision` is unknown.
    """
    for precision in paths:
        if precision not in LITERT_FILES:
            raise ValueError(f"`precision` must be one of {', '.join(LITERT_FILES)}. Received: {precision!r}")
    with tempfile.TemporaryDirectory() as folder:
        with for_litert():
            export_saved_model(tokenizer, folder + "/saved_model")
        signatures = signature_names(tokenizer)
        for precision, path in paths.items():
            converter = tf.lite.TFLiteConverter.from_saved_model(folder + "/saved_model", signature_keys=signatures)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
            if precision != "float32":
                converter.optimizations = [tf.lite.Optimize.DEFAULT]  # which means int8
            if precision == "float16":
                converter.target_spec.supported_types = [tf.float16]
            with atomic_path(path) as temporary:
                temporary.write_bytes(compact_litert(converter.convert()))
