"""One LiteRT (TFLite) file with the signatures of the SavedModel, for phones, browsers and small devices."""

import tempfile

import tensorflow as tf

from vqzoo.export.saved_model import export_saved_model
from vqzoo.files import atomic_path
from vqzoo.ops import distances_in_one_piece

SIGNATURES = ("encode", "decode", "decode_to_size")


def export_litert(tokenizer, path):
    """Writes a float32 `.tflite` file of builtin operations alone, with dynamic batch and sizes.

    Run it with `ai_edge_litert.interpreter.Interpreter(path).get_signature_runner("encode")(signal=x)["tokens"]`. The
    distances of all vectors to all codes are held at once: 4 bytes times positions times codebook size.

    Args:
        tokenizer: built `Tokenizer`.
        path: str or path ending in `.tflite`.

    Returns:
        The path.
    """
    with tempfile.TemporaryDirectory() as folder, distances_in_one_piece():
        export_saved_model(tokenizer, folder + "/saved_model")
        converter = tf.lite.TFLiteConverter.from_saved_model(folder + "/saved_model", signature_keys=list(SIGNATURES))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        model = converter.convert()
    with atomic_path(path) as temporary:
        temporary.write_bytes(model)
    return path
