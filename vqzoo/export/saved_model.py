"""One SavedModel with the signatures `encode` and `decode`, for TensorFlow Serving, Java, C++ and Python."""

import keras
import tensorflow as tf

from vqzoo.files import atomic_path


def export_saved_model(tokenizer, folder):
    """Writes a SavedModel that loads with `tf.saved_model.load`, without vqzoo and without Keras.

    | signature | inputs | output |
    |---|---|---|
    | `encode` | `signal` float32 (batch, *size, channels) | `tokens` int32 (batch, *grid, num_codebooks) |
    | `decode` | `tokens` int32 | `signal` float32, whole strides large |
    | `decode_to_size` | `tokens`; `size` int32 (number of size axes,) | `signal`, cropped |

    Batch and sizes are dynamic where the tokenizer's are. Out-of-range tokens are clipped.

    Args:
        tokenizer: built `Tokenizer`.
        folder: str or path, replaced if it exists.

    Returns:
        Path of the folder.
    """
    with atomic_path(folder) as temporary:
        _archive(tokenizer).write_out(str(temporary), verbose=False)
    return folder


def _archive(tokenizer):
    signal, tokens = signal_spec(tokenizer), tokens_spec(tokenizer)
    size = tf.TensorSpec((len(signal.shape) - 2,), tf.int32, name="size")
    archive = keras.export.ExportArchive()
    archive.track(tokenizer)
    archive.add_endpoint("encode", lambda signal: {"tokens": tokenizer.encode(signal)}, [signal])
    archive.add_endpoint("decode", lambda tokens: {"signal": tokenizer.decode(tokens)}, [tokens])
    archive.add_endpoint("decode_to_size", _decode_to_size(tokenizer), [tokens, size])
    return archive


def _decode_to_size(tokenizer):
    def decode(tokens, size):
        return {"signal": tokenizer.decode(tokens, tf.unstack(size))}

    return decode


def signal_spec(tokenizer):
    """The `tf.TensorSpec` of the tokenizer's signal."""
    return tf.TensorSpec(tokenizer.encoder.input_shape, tf.float32, name="signal")


def tokens_spec(tokenizer):
    """The `tf.TensorSpec` of the tokenizer's tokens."""
    grid = tokenizer.encoder.output_shape[:-1]
    return tf.TensorSpec((*grid, tokenizer.num_codebooks), tf.int32, name="tokens")
