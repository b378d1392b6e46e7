"""Loads exported files in a separate process: `python -P loaders.py FOLDER EXAMPLES RESULTS FORM...`.

It runs as a script that does not import vqzoo, to verify that the files do not need it. Only `tokenizer.keras` does,
and comes last. EXAMPLES holds `signal` and `tokens`. RESULTS receives for each form `FORM/tokens`, the encoded signal,
`FORM/signal`, the decoded given tokens, `FORM/again`, its reconstruction of the signal, and, for forms that crop,
`FORM/cropped`, the tokens decoded to the size of `signal`. For text, the signal is ids of pieces.
"""

import importlib.util
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

CLASS_FILE = "VQZOO_CLASS_FILE"
"""str, the environment variable with the Python file of a tokenizer class outside vqzoo."""


def saved_model(folder, signal, tokens):
    """Runs the SavedModel's signatures."""
    import tensorflow as tf

    model = tf.saved_model.load(os.path.join(folder, "saved_model"))  # kept, because its variables are deleted with it
    call, size = model.signatures, signal.shape[1:-1]
    signal, tokens = tf.constant(signal), tf.constant(tokens)
    own = call["encode"](signal=signal)["tokens"]
    outputs = {
        "tokens": own,
        "signal": call["decode"](tokens=tokens)["signal"],
        "again": call["decode"](tokens=own)["signal"],
    }
    if size:
        outputs["cropped"] = call["decode_to_size"](tokens=tokens, size=tf.constant(size))["signal"]
    return {name: value.numpy() for name, value in outputs.items()}


def litert(folder, signal, tokens, file="tokenizer.tflite"):
    """Runs a LiteRT file's signatures."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(os.path.join(folder, file))
    call, size = interpreter.get_signature_runner, np.array(signal.shape[1:-1], "int32")
    own = call("encode")(signal=signal)["tokens"]
    outputs = {
        "tokens": own,
        "signal": call("decode")(tokens=tokens)["signal"],
        "again": call("decode")(tokens=own)["signal"],
    }
    if size.size:
        outputs["cropped"] = call("decode_to_size")(tokens=tokens, size=size)["signal"]
    return outputs


def litert_float16(folder, signal, tokens):
    """Runs the signatures of the file with weights in float16."""
    return litert(folder, signal, tokens, "tokenizer_float16.tflite")


def litert_int8(folder, signal, tokens):
    """Runs the signatures of the file with weights in 8 bits."""
    return litert(folder, signal, tokens, "tokenizer_int8.tflite")


def portable(folder, signal, tokens):
    """Runs the plain Keras models."""
    import keras

    encoder, decoder = (keras.models.load_model(os.path.join(folder, f"{n}.keras")) for n in ("encoder", "decoder"))
    own = encoder.predict(signal, verbose=0)
    return {
        "tokens": own,
        "signal": decoder.predict(tokens, verbose=0),
        "again": decoder.predict(own, verbose=0),
    }


def tokenizer(folder, signal, tokens):
    """Runs the tokenizer itself."""
    import keras

    import vqzoo  # noqa: F401  registers the classes

    if os.environ.get(CLASS_FILE):  # of a tokenizer class outside vqzoo
        spec = importlib.util.spec_from_file_location("class_of_tokenizer", os.environ[CLASS_FILE])
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    model = keras.models.load_model(os.path.join(folder, "tokenizer.keras"), compile=False)
    own, decode = model.encode(signal), model.decode_signal
    outputs = {"tokens": own, "signal": decode(tokens), "again": decode(own)}
    return {name: np.asarray(value) for name, value in outputs.items()}


def main(folder, examples, results, *forms):
    """Runs each form on the examples."""
    with np.load(examples) as arrays:
        signal, tokens = arrays["signal"], arrays["tokens"]
    outputs = {}
    for form in sorted(forms, key=lambda form: form == "tokenizer"):
        outputs |= {f"{form}/{name}": value for name, value in globals()[form](folder, signal, tokens).items()}
        if form != "tokenizer" and "vqzoo" in sys.modules:
            raise RuntimeError(f"{form} imported vqzoo")
    np.savez(results, **outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
