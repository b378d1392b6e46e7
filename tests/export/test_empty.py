"""Empty batches, signals and grids in every exported form: an empty result or an error, never the end of a process."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo
from vqzoo import export
from vqzoo.export import verify
from vqzoo.networks.text import AutoregressiveTextDecoder

# Runs each input in turn, and prints what came of it: a shape, or the kind of error.
CHILD = """
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
form, folder, inputs = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

def saved_model():
    import tensorflow as tf
    model = tf.saved_model.load(folder + "/saved_model")
    return lambda name, **x: model.signatures[name](**{key: tf.constant(value) for key, value in x.items()})

def litert():
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(f"{folder}/{form}")
    return lambda name, **x: interpreter.get_signature_runner(name)(**x)

def portable():
    import keras
    models = {name: keras.models.load_model(f"{folder}/{name}r.keras") for name in ("encode", "decode")}
    return lambda name, **x: {"y": models[name](*x.values())}

run = {"saved_model": saved_model, "portable": portable}.get(form, litert)()
for name, shape, dtype, size in inputs:
    x = {"signal" if name == "encode" else "tokens": np.zeros(shape, dtype)}
    x |= {} if size is None else {"size": np.array(size, "int32")}
    try:
        (y,) = run(name, **x).values()
        print(json.dumps([name, shape, list(y.shape)]), flush=True)
    except Exception as error:
        print(json.dumps([name, shape, f"{type(error).__name__}: {str(error)[:40]}"]), flush=True)
assert "vqzoo" not in sys.modules
"""
AUDIO = {"sample_rate": 8000, "frame_length": 64, "hop_length": 16, "bands": 8}
TEXT = {"stride": 2, "filters": 16, "embedding_dim": 16, "latent_dim": 4}
# Filters for more than the 1024 weights of a layer below which an int8 file keeps float32.
NETWORK = {"filters": 16, "blocks": 1, "latent_dim": 4}


def quantizer_of():
    return vqzoo.VectorQuantizer(16, keras.initializers.RandomNormal(stddev=0.3, seed=1), name="quantizer")


def image():
    tokenizer = vqzoo.image_vqvae(**NETWORK, quantizer=quantizer_of())
    tokenizer.build((None, None, None, 3))
    return tokenizer


def audio():
    tokenizer = vqzoo.spectrogram_vqvae(**AUDIO, **NETWORK, quantizer=quantizer_of())
    tokenizer.build((None, None, 1))
    return tokenizer


def text():
    pieces = vqzoo.data.Pieces.train(["the cat sat on the mat", "a dog and a cat"], size=300, exact=False)
    decoder = AutoregressiveTextDecoder(
        pieces.size, end=pieces.end, stride=2, filters=16, depth=1, heads=2, embedding_dim=6, max_length=32
    )
    tokenizer = vqzoo.text_vqvae(pieces, **TEXT, blocks=2, attention=0, quantizer=quantizer_of(), decoder=decoder)
    tokenizer.build((None, None))
    return tokenizer


def one_size():
    tokenizer = vqzoo.image_vqvae(**NETWORK, quantizer=quantizer_of())
    tokenizer.build((None, 8, 8, 3))
    return tokenizer


MAKERS = {"image": image, "audio": audio, "text": text, "one_size": one_size}
# Signature, shape of its input, size -> shape of what it makes. The last of each is not empty.
CASES = {
    "image": [
        ("encode", (0, 16, 8, 3), None, (0, 4, 2, 1)),
        ("encode", (1, 0, 8, 3), None, (1, 0, 2, 1)),
        ("encode", (2, 16, 0, 3), None, (2, 4, 0, 1)),
        ("encode", (0, 0, 0, 3), None, (0, 0, 0, 1)),
        ("encode", (2, 15, 9, 3), None, (2, 4, 3, 1)),
        ("decode", (0, 4, 2, 1), None, (0, 16, 8, 3)),
        ("decode", (1, 0, 4, 1), None, (1, 0, 16, 3)),
        ("decode", (1, 4, 0, 1), None, (1, 16, 0, 3)),
        ("decode", (0, 0, 0, 1), None, (0, 0, 0, 3)),
        ("decode", (2, 3, 2, 1), None, (2, 12, 8, 3)),
        ("decode_to_size", (0, 4, 2, 1), (7, 5), (0, 7, 5, 3)),
        ("decode_to_size", (1, 0, 4, 1), (7, 5), (1, 0, 5, 3)),
        ("decode_to_size", (1, 4, 2, 1), (0, 5), (1, 0, 5, 3)),
        ("decode_to_size", (1, 4, 2, 1), (7, 5), (1, 7, 5, 3)),
        ("decode_to_size", (1, 4, 2, 1), (-1, -1), (1, 0, 0, 3)),
    ],
    "audio": [
        ("encode", (0, 160, 1), None, (0, 10, 1)),
        ("encode", (1, 0, 1), None, (1, 0, 1)),
        ("encode", (0, 0, 1), None, (0, 0, 1)),
        ("encode", (2, 160, 1), None, (2, 10, 1)),
        ("decode", (0, 3, 1), None, (0, 48, 1)),
        ("decode", (1, 0, 1), None, (1, 0, 1)),
        ("decode", (2, 3, 1), None, (2, 48, 1)),
        ("decode_to_size", (0, 3, 1), (40,), (0, 40, 1)),
        ("decode_to_size", (1, 0, 1), (40,), (1, 0, 1)),
        ("decode_to_size", (1, 3, 1), (40,), (1, 40, 1)),
        ("decode_to_size", (1, 3, 1), (-(2**31),), (1, 0, 1)),
    ],
    "text": [
        ("encode", (0, 8), None, (0, 4, 1)),
        ("encode", (1, 0), None, (1, 0, 1)),
        ("encode", (0, 0), None, (0, 0, 1)),
        ("encode", (2, 7), None, (2, 4, 1)),
        ("decode", (0, 4, 1), None, (0, 8)),
        ("decode", (1, 0, 1), None, (1, 0)),
        ("decode", (2, 4, 1), None, (2, 8)),
    ],
    "one_size": [
        ("encode", (0, 8, 8, 3), None, (0, 2, 2, 1)),
        ("encode", (1, 8, 8, 3), None, (1, 2, 2, 1)),
        ("decode", (0, 2, 2, 1), None, (0, 8, 8, 3)),
        ("decode", (1, 2, 2, 1), None, (1, 8, 8, 3)),
    ],
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A function of a name in `MAKERS`: the folder with the exports of that tokenizer, made once."""
    made = {}

    def make(name):
        if name not in made:
            keras.utils.set_random_seed(0)
            tokenizer, folder = MAKERS[name](), tmp_path_factory.mktemp(name)
            export.export_saved_model(tokenizer, folder / "saved_model")
            if name != "one_size":
                files = {precision: folder / file for precision, file in export.LITERT_FILES.items()}
                export.litert.export_litert_files(tokenizer, files)
            if name == "image":
                export.export_portable(tokenizer, folder)
            made[name] = tokenizer, folder
        return made[name]

    return make


def results_of(form, folder, cases, is_text):
    """What a form makes of the cases in a child process: list of shapes or names of errors."""
    dtypes = {"encode": "int32" if is_text else "float32"}
    inputs = [(name, shape, dtypes.get(name, "int32"), size) for name, shape, size, _ in cases]
    command = [sys.executable, "-P", "-c", CHILD, form, str(folder), json.dumps(inputs)]
    child = subprocess.run(command, capture_output=True, text=True)
    # A negative one is the signal that ended it: 8 is a division by zero.
    assert child.returncode == 0, (child.returncode, child.stdout, child.stderr[-2000:])
    return [json.loads(line)[2] for line in child.stdout.splitlines() if line.startswith("[")]


FORMS = ["saved_model", *export.LITERT_FILES.values()]
QUICK = [("image", "saved_model"), ("image", "tokenizer_int8.tflite")]
PAIRS = [(name, form) for name in ("image", "audio", "text") for form in FORMS]
PAIRS += [("image", "portable"), ("one_size", "saved_model")]
PAIRS = [pytest.param(*pair, marks=() if pair in QUICK else pytest.mark.slow) for pair in PAIRS]


@pytest.mark.parametrize(("name", "form"), PAIRS)
def test_nothing_ends_the_process(name, form, exported):
    _, folder = exported(name)
    cases = [case for case in CASES[name] if form != "portable" or case[0] != "decode_to_size"]
    found = results_of(form, folder, cases, name == "text")
    assert len(found) == len(cases)
    for (*case, expected), result in zip(cases, found, strict=True):
        if form == "portable" and 0 in expected:  # plain layers, some of which raise
            assert isinstance(result, str) or result == list(expected), (case, result)
        elif form.endswith(".tflite") and 0 in expected:
            # The graph has run. Python's interpreter hands no empty tensor out.
            assert result == "ValueError: Invalid tensor size.", (case, result)
        else:
            assert result == list(expected), (case, result)


@pytest.mark.parametrize("name", ["image", pytest.param("audio", marks=pytest.mark.slow), "text"])
def test_what_is_not_empty_is_as_it_was(name, exported):
    tokenizer, folder = exported(name)
    shape = CASES[name][{"image": 4, "audio": 3, "text": 3}[name]][1]
    rng = np.random.default_rng(0)
    x = rng.integers(3, 200, shape) if name == "text" else rng.uniform(-0.5, 0.5, shape)
    x = x.astype(tokenizer.signal_dtype)
    tokens = np.asarray(tokenizer.encode(x))
    call = tf.saved_model.load(str(folder / "saved_model"))
    np.testing.assert_array_equal(call.signatures["encode"](signal=tf.constant(x))["tokens"], tokens)
    made = call.signatures["decode"](tokens=tf.constant(tokens))["signal"].numpy()
    np.testing.assert_allclose(made, tokenizer.decode_signal(tokens), atol=1e-6)
    for key in ("encode", "decode"):
        (output,) = call.signatures[key].structured_outputs.values()
        assert output.shape[-1] is not None or (name, key) == ("text", "decode")


def test_exports_are_not_verified_on_nothing(exported):
    tokenizer, folder = exported("image")
    for shape in ((0, 8, 8, 3), (1, 0, 8, 3)):
        with pytest.raises(ValueError, match="example is needed to verify exports. Received: signal.shape="):
            verify.verify_exports(tokenizer, folder, np.zeros(shape, "float32"))


def test_a_process_that_is_ended_is_told(tmp_path, monkeypatch):
    script = tmp_path / "loaders.py"
    script.write_text("import os, signal; os.kill(os.getpid(), signal.SIGFPE)")
    monkeypatch.setattr(verify.loaders, "__file__", str(script))
    with pytest.raises(ValueError, match="do not load in a new process. It was killed by signal 8. Its output:"):
        verify._run(tmp_path, [], np.zeros(1), np.zeros(1), "")
