"""One SavedModel with the signatures `encode` and `decode`, for TensorFlow Serving, Java, C++ and Python."""

import keras
import tensorflow as tf

from vqzoo.export.empty import of_any_size
from vqzoo.files import atomic_path
from vqzoo.ops import crop


def export_saved_model(tokenizer, folder):
    """Writes a SavedModel that loads with `tf.saved_model.load`, without vqzoo and without Keras.

    | signature | inputs | output | |---|---|---| | `encode` | `signal` float32 (batch, *size, channels) | `tokens`
    int32 (batch, *grid, num_codebooks) | | `decode` | `tokens` int32 | `signal` float32, with whole strides | |
    `decode_to_size` | `tokens`; `size` int32 (number of size axes,) | `signal`, cropped |

    For text, the signal is ids of pieces, int32 (batch, length), with end-of-sequence tokens, and there is no
    `decode_to_size`. Batch and sizes are dynamic if those of the tokenizer are. Tokens out of range are clipped. Sizes
    are clipped to the size of the decoded signal, and to 0. An empty batch, signal or grid gives an empty result.

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
    """A module with only the variables of the tokenizer, and the functions that use them."""
    # keras.export.ExportArchive also saves every layer and every traced function, which is ten times slower here.
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
    """The signatures of the SavedModel of a tokenizer."""
    has_size = len(signal_spec(tokenizer).shape) > 2
    return ["encode", "decode", "decode_to_size"] if has_size else ["encode", "decode"]


def tokens_spec(tokenizer):
    """The `tf.TensorSpec` of the tokenizer's tokens."""
    # Not the encoder's grid, because the tokens of a multi-scale quantizer have another one.
    signal = keras.KerasTensor(signal_spec(tokenizer).shape, tokenizer.signal_dtype)
    latents = tokenizer.encoder.compute_output_spec(signal)
    quantized = tokenizer.quantizer.compute_output_spec(latents)
    return tf.TensorSpec(quantized.tokens.shape, tf.int32, name="tokens")
