"""One SavedModel with the signatures `encode` and `decode`, for TensorFlow Serving, Java, C++ and Python."""

import keras
import tensorflow as tf

from vqzoo.export.empty import of_any_size
from vqzoo.files import atomic_path
from vqzoo.ops import crop


def export_saved_model(tokenizer, folder):
    """Writes a SavedModel that loads with `tf.saved_model.load`, without vqzoo and without Keras.

    | signature | inputs | output |
    |---|---|---|
    | `encode` | `signal` float32 (batch, *size, channels) | `tokens` int32 (batch, *grid, num_codebooks) |
    | `decode` | `tokens` int32 | `signal` float32, whole strides large |
    | `decode_to_size` | `tokens`; `size` int32 (number of size axes,) | `signal`, cropped |

    The signal of text are ids of pieces, int32 (batch, length), which end in the end piece and have no other size: it
    has no `decode_to_size`. Batch and sizes are dynamic where the tokenizer's are. Out-of-range tokens are clipped, and
    so are sizes: below 0 is 0, and above what is decoded all of it. An empty batch, signal or grid gives an empty
    result.

    Args:
        tokenizer: built `Tokenizer`.
        folder: str or path, replaced if it exists.

    Returns:
        Path of the folder.
    """
    module, signatures = _endpoints(tokenizer.in_float32())
    with atomic_path(folder) as temporary:
        tf.saved_model.save(module, str(temporary), signatures=signatures)
    return folder


def _endpoints(tokenizer):
    """A module of the tokenizer's variables, and the functions on them; nothing else would be saved with it."""
    # keras.export.ExportArchive saves also every layer and every function that it ever traced: ten times as slow here.
    module = tf.Module()
    module.tokenizer_variables = [variable.value for variable in tokenizer.variables]
    signal, tokens = signal_spec(tokenizer), tokens_spec(tokenizer)

    @tf.function(input_signature=[signal], autograph=False)
    def encode(signal):
        return {"tokens": of_any_size(tokenizer.encode, signal)}

    @tf.function(input_signature=[tokens], autograph=False)
    def decode(tokens):
        return {"signal": of_any_size(tokenizer.decode_signal, tokens)}

    module.encode, module.decode = encode, decode
    if "decode_to_size" not in signature_names(tokenizer):
        return module, {"encode": encode, "decode": decode}
    size = tf.TensorSpec((len(signal.shape) - 2,), tf.int32, name="size")

    @tf.function(input_signature=[tokens, size], autograph=False)
    def decode_to_size(tokens, size):
        return {"signal": crop(decode(tokens)["signal"], tf.unstack(tf.maximum(size, 0)))}

    module.decode_to_size = decode_to_size
    return module, {"encode": encode, "decode": decode, "decode_to_size": decode_to_size}


def signal_spec(tokenizer):
    """The `tf.TensorSpec` of the tokenizer's signal."""
    return tf.TensorSpec((None, *tokenizer.expected_shape[1:]), tokenizer.signal_dtype, name="signal")


def signature_names(tokenizer):
    """The signatures that a tokenizer's SavedModel has."""
    has_size = len(signal_spec(tokenizer).shape) > 2
    return ["encode", "decode", "decode_to_size"] if has_size else ["encode", "decode"]


def tokens_spec(tokenizer):
    """The `tf.TensorSpec` of the tokenizer's tokens."""
    # Not the encoder's grid: a multi-scale quantizer's tokens have a grid of their own.
    signal = keras.KerasTensor(signal_spec(tokenizer).shape, tokenizer.signal_dtype)
    latents = tokenizer.encoder.compute_output_spec(signal)
    quantized = tokenizer.quantizer.compute_output_spec(latents)
    return tf.TensorSpec(quantized.tokens.shape, tf.int32, name="tokens")
