"""`encoder.keras` and `decoder.keras` of Keras built-ins, which load without vqzoo."""

import contextlib
import pathlib

import keras

from vqzoo.files import atomic_path
from vqzoo.ops import masked_tokens


def export_portable(tokenizer, folder):
    """Writes `encoder.keras` (signal to tokens) and `decoder.keras` (tokens to signal).

    Both load with plain `keras.models.load_model`, on every Keras backend. Some Keras layers raise an error for empty
    batches, signals or grids.

    Args:
        tokenizer: built `Tokenizer` whose encoder and decoder are Functional models.
        folder: str or path.

    Returns:
        The two paths.

    Raises:
        ValueError: if a network has a layer that is not a Keras built-in and has no method `portable()`.
    """
    folder = pathlib.Path(folder)
    paths = []
    for model in portable_models(tokenizer):
        paths.append(folder / f"{model.name}.keras")
        with atomic_path(paths[-1]) as temporary:
            model.save(temporary)
    return tuple(paths)


def portable_models(tokenizer):
    """Builds the encoder and decoder as `keras.Model`s of Keras built-ins, with the tokenizer's weights.

    Args:
        tokenizer: built `Tokenizer` whose encoder and decoder are Functional models.

    Returns:
        Two `keras.Model`s: signal (batch, *size, channels) to int32 tokens (batch, *grid, num_codebooks), and back; the
        decoder's output has whole strides and is not clipped. For text, the signal is ids, int32 (batch, length).

    Raises:
        ValueError: if a network has a layer that is not a Keras built-in and has no method `portable()`.
    """
    tokenizer = tokenizer.in_float32()
    with _policy("float32"):
        encoder, decoder = _built_ins(tokenizer.encoder), _built_ins(tokenizer.decoder)
        # Not the encoder's grid, because the tokens of a multi-scale quantizer have another one.
        quantized = tokenizer.quantizer.compute_output_spec(keras.KerasTensor(encoder.output_shape))
        tokens = keras.Input(quantized.tokens.shape[1:], dtype="int32", name="tokens")
        # Not `encoder.input`, which raises for a copied Sequential before its first call.
        signal = encoder.inputs[0]
        found = tokenizer.quantizer.portable_encode(encoder.outputs[0])
        found = masked_tokens(found, tokenizer.real_positions(signal))
        made = decoder(tokenizer.quantizer.portable_decode(tokens))
        decoded = keras.Model(tokens, tokenizer.signal_of(made), name="decoder")
        return keras.Model(signal, found, name="encoder"), decoded


@contextlib.contextmanager
def _policy(name):
    """Sets the dtype policy of layers that are created without one."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _built_ins(network):
    """A copy of `network` in which each vqzoo layer is replaced by its portable form."""
    if getattr(network, "inputs", None) is None:
        raise ValueError(
            f"The portable form needs Functional models. Received: {type(network).__name__} {network.name!r}. Build it "
            "with `keras.Model(inputs, outputs)`, or export a SavedModel."
        )
    copy = keras.models.clone_model(network, clone_function=_built_in, recursive=True)
    copy.set_weights(network.get_weights())
    return copy


def _built_in(layer):
    if hasattr(layer, "portable"):
        return layer.portable()
    if not type(layer).__module__.startswith("keras."):
        raise ValueError(
            f"The layer {layer.name!r} is a {type(layer).__module__}.{type(layer).__name__}, which plain Keras cannot "
            "load. Give it a method `portable()` that returns a Keras layer with the same result, or export a "
            "SavedModel."
        )
    return type(layer).from_config(layer.get_config())
