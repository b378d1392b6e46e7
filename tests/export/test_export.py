import importlib.util
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import vqzoo
from vqzoo import export
from vqzoo.export import verify

FORMS = ("saved_model", "litert", "portable")


def make(seed=1):
    quantizer = vqzoo.VectorQuantizer(16, keras.initializers.RandomNormal(stddev=0.3, seed=seed), name="quantizer")
    network = {"filters": 8, "multipliers": (1, 2), "blocks": 1, "attention": (1,), "latent_dim": 4}
    return vqzoo.image_vqgan(**network, quantizer=quantizer)


def images(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("exported") / "preset"
    tokenizer = make()
    tokenizer.save_to_preset(folder)
    return tokenizer, folder, export.export_preset(tokenizer, folder, images(2, 9, 14, 3))


def test_signatures_take_any_batch_and_size(exported):
    tokenizer, folder, _ = exported
    model = tf.saved_model.load(str(folder / "saved_model"))
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(folder / "tokenizer.tflite"))
    for shape in ((1, 16, 16, 3), (3, 7, 33, 3)):
        x = images(*shape)
        tokens = np.asarray(tokenizer.encode(x))
        expected = tokenizer.decode(tokens, size=shape[1:3])
        size = np.array(shape[1:3], "int32")
        signatures = model.signatures
        np.testing.assert_array_equal(signatures["encode"](signal=tf.constant(x))["tokens"], tokens)
        cropped = signatures["decode_to_size"](tokens=tf.constant(tokens), size=tf.constant(size))["signal"]
        np.testing.assert_allclose(cropped, expected, atol=1e-5)
        runner = interpreter.get_signature_runner
        np.testing.assert_array_equal(runner("encode")(signal=x)["tokens"], tokens)
        cropped = runner("decode_to_size")(tokens=tokens, size=size)["signal"]
        np.testing.assert_allclose(cropped, expected, atol=1e-4)


def test_the_litert_file_has_builtin_operations_alone_and_its_weights(exported):
    tokenizer, folder, _ = exported
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(str(folder / "tokenizer.tflite"))._get_ops_details()
    assert len(details) > 20
    names = {d["op_name"] for d in details}
    assert not [name for name in names if name.startswith(("Flex", "CUSTOM"))]
    assert "DEPTH_TO_SPACE" in names and "TRANSPOSE_CONV" not in names  # in 8 bits it is thirty times as slow
    weights = 4 * tokenizer.count_params()
    assert 0.9 * weights < (folder / "tokenizer.tflite").stat().st_size


def test_a_litert_file_holds_nothing_twice(exported):
    tokenizer, folder, _ = exported
    from ai_edge_litert.interpreter import Interpreter
    from tensorflow.lite.python import schema_py_generated as schema

    data = (folder / "tokenizer.tflite").read_bytes()
    codebook = np.asarray(tokenizer.quantizer.codebook)
    places = [data.find(rows.tobytes()) for rows in (codebook, codebook - np.asarray(vqzoo.ops.central_code(codebook)))]
    assert sorted(place > 0 for place in places) == [False, True]  # what is searched is also what is looked up
    assert data.count((codebook - np.asarray(vqzoo.ops.central_code(codebook))).tobytes()) == 1
    assert max(places) % 16 == 0
    model = schema.Model.GetRootAs(data, 0)
    buffers = [model.Buffers(i).DataAsNumpy() for i in range(model.BuffersLength())]
    contents = [x.tobytes() for x in buffers if not np.isscalar(x) and len(x)]
    assert len(contents) == len(set(contents)) > 10
    names = {d["name"] for d in Interpreter(str(folder / "tokenizer.tflite")).get_tensor_details()}
    assert any("tokens" in name for name in names) and "" in names


def test_the_agreement_is_in_the_metadata_and_the_manifest_covers_all(exported):
    _, folder, agreements = exported
    assert vqzoo.presets.read_metadata(folder)["exports"]["litert"]["tokens_equal"] == 1.0
    assert {a.form for a in agreements} == set(export.verify.FORMS)
    files = vqzoo.presets.verify_preset(folder)["files"]
    assert {"encoder.keras", "decoder.keras", "tokenizer.tflite", "saved_model/saved_model.pb"} <= set(files)


def test_smaller_litert_files_and_what_they_lose(exported):
    tokenizer, folder, agreements = exported
    by_form = {a.form: a for a in agreements}
    sizes = [by_form[form].bytes for form in ("litert", "litert_float16", "litert_int8")]
    files = ["tokenizer.tflite", "tokenizer_float16.tflite", "tokenizer_int8.tflite"]
    assert sizes == [(folder / file).stat().st_size for file in files] == sorted(sizes, reverse=True)
    assert by_form["litert_float16"].tokens > 0.9 and 0 < by_form["litert_float16"].signal < 0.01
    assert by_form["litert"].signal < by_form["litert_float16"].signal < by_form["litert_int8"].signal < 0.5
    x = images(2, 9, 14, 3)
    again = np.clip(tokenizer.decode(tokenizer.encode(x), size=(9, 14)), -1, 1)
    expected = 10 * np.log10(4 / np.mean((again - x) ** 2))
    assert by_form["tokenizer"].psnr == pytest.approx(expected, abs=1e-3)
    assert by_form["litert_int8"].psnr == pytest.approx(expected, abs=1.0)
    written = vqzoo.presets.read_metadata(folder)["exports"]
    assert written["litert_int8"]["bytes"] == sizes[2]
    assert written["portable"]["bytes"] == sum((folder / f"{name}.keras").stat().st_size for name in PARTS)


def test_the_search_of_an_8_bit_file_is_exact(tmp_path):
    keras.utils.set_random_seed(0)
    signal = keras.Input((None, None, 3))
    encoder = keras.Model(signal, keras.layers.AveragePooling2D(2)(signal))  # no weights that could be rounded
    tokens = keras.Input((None, None, 3))
    decoder = keras.Model(tokens, keras.layers.UpSampling2D(2)(tokens))
    tokenizer = vqzoo.ImageTokenizer(encoder, vqzoo.VectorQuantizer(1024), decoder)
    tokenizer.build((None, None, None, 3))
    tokenizer.quantizer.codebook.assign(np.random.default_rng(0).uniform(-1, 1, (1024, 3)))
    x = images(8, 32, 32, 3)
    expected = np.asarray(tokenizer.encode(x))
    assert len(np.unique(expected)) > 300
    export.export_litert(tokenizer, tmp_path / "tokenizer.tflite", "int8")
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(str(tmp_path / "tokenizer.tflite")).get_signature_runner("encode")
    np.testing.assert_array_equal(run(signal=x)["tokens"], expected)


def test_a_small_file_that_decodes_nan_is_refused(exported, monkeypatch):
    tokenizer, folder, _ = exported
    x = images(2, 16, 16, 3)
    forms = {"litert_int8": "tokenizer_int8.tflite"}
    truth = verify._run(folder, list(forms), x, np.asarray(tokenizer.encode(x)), "")
    monkeypatch.setattr(verify, "FORMS", forms)
    broken = {**truth, "litert_int8/signal": np.nan * truth["litert_int8/signal"]}
    monkeypatch.setattr(verify, "_run", lambda *_: broken)
    with pytest.raises(ValueError, match="must decode the same signals.*Received: a difference of nan"):
        verify.verify_exports(tokenizer, folder, x)


def test_no_such_precision(tmp_path):
    with pytest.raises(ValueError, match="`precision` must be one of float32, float16, int8. Received: 'int4'"):
        export.export_litert(make(), tmp_path / "tokenizer.tflite", "int4")
    assert not list(tmp_path.iterdir())


PARTS = ("encoder", "decoder")
PLAIN = """
import sys, numpy as np, keras
encoder, decoder = (keras.models.load_model(f"{sys.argv[1]}/{name}.keras") for name in ("encoder", "decoder"))
tokens = encoder.predict(np.load(sys.argv[2]), verbose=0)
np.savez(sys.argv[3], tokens=tokens, images=decoder.predict(tokens, verbose=0))
assert not [name for name in sys.modules if name.startswith("vqzoo")]
"""


def test_the_portable_form_needs_no_vqzoo(exported, tmp_path):
    tokenizer, folder, _ = exported
    x = images(2, 9, 14, 3)
    np.save(tmp_path / "x.npy", x)
    arguments = [str(folder), str(tmp_path / "x.npy"), str(tmp_path / "y.npz")]
    child = subprocess.run([sys.executable, "-P", "-c", PLAIN, *arguments], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr[-2000:]
    results = np.load(tmp_path / "y.npz")
    np.testing.assert_array_equal(results["tokens"], tokenizer.encode(x))
    np.testing.assert_allclose(results["images"], tokenizer.decode(results["tokens"]), atol=1e-5)


def test_an_export_of_other_weights_is_refused(exported, tmp_path):
    _, folder, _ = exported
    for name in PARTS:
        shutil.copy(folder / f"{name}.keras", tmp_path)
    with pytest.raises(
        ValueError, match=r"must give at least 99.9% of the tokens of its source. Received: .*% on 2 examples"
    ):
        export.verify_exports(make(seed=2), tmp_path, images(2, 16, 16, 3))


def test_of_few_tokens_two_may_fall_to_the_other_side(exported, monkeypatch):
    tokenizer, folder, _ = exported
    x = images(2, 16, 16, 3)
    truth = verify._run(folder, ["portable"], x, np.asarray(tokenizer.encode(x)), "")
    monkeypatch.setattr(verify, "FORMS", {"portable": "encoder.keras"})
    for other in (2, 3):
        tokens = truth["portable/tokens"].copy()
        tokens.reshape(-1)[:other] = (tokens.reshape(-1)[:other] + 1) % 4
        monkeypatch.setattr(verify, "_run", lambda *_, tokens=tokens: {**truth, "portable/tokens": tokens})
        if other == 2:
            (agreement,) = verify.verify_exports(tokenizer, folder, x)
            assert agreement.tokens == 1 - 2 / tokens.size
        else:
            with pytest.raises(ValueError, match=r"of the tokens of its source. Received: .*% on 2 examples"):
                verify.verify_exports(tokenizer, folder, x)


def test_an_export_that_does_not_load_is_refused(tmp_path):
    (tmp_path / "tokenizer.tflite").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"do not load in a new process. Its output:"):
        export.verify_exports(make(), tmp_path, images(1, 8, 8, 3))


def test_without_ai_edge_litert_the_file_is_called_unverified(exported, tmp_path, monkeypatch):
    tokenizer, folder, _ = exported
    shutil.copy(folder / "tokenizer.tflite", tmp_path)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ai_edge_litert" else find(name))
    (agreement,) = export.verify_exports(tokenizer, tmp_path, images(1, 8, 8, 3))
    assert (agreement.form, agreement.verified) == ("litert", False)


class Mine(keras.layers.Layer):
    def call(self, x):
        return 2.0 * x


def test_a_layer_that_plain_keras_cannot_load_is_told():
    signal = keras.Input((None, None, 3))
    encoder = keras.Model(signal, keras.layers.Conv2D(4, 4, 4, "same")(Mine(name="mine")(signal)))
    tokenizer = vqzoo.ImageTokenizer(encoder, vqzoo.VectorQuantizer(8), make().decoder)
    tokenizer.build((None, None, None, 3))
    with pytest.raises(ValueError, match=r"The layer 'mine' is a .*Mine, which plain Keras cannot load"):
        export.portable_models(tokenizer)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = keras.layers.Conv2D(4, 2, 2, "same")

    def call(self, x):
        return self.conv(x)


def test_a_subclassed_network_is_told():
    tokenizer = vqzoo.ImageTokenizer(Subclassed(), vqzoo.VectorQuantizer(8), make().decoder)
    tokenizer.build((None, 8, 8, 3))
    with pytest.raises(ValueError, match=r"The portable form needs Functional models. Received: Subclassed"):
        export.portable_models(tokenizer)


@pytest.mark.slow
def test_a_tokenizer_of_half_precision_is_exported_in_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        tokenizer = vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=vqzoo.VectorQuantizer(16))
    finally:
        keras.config.set_dtype_policy("float32")
    assert tokenizer.encoder.layers[-1].compute_dtype != "float32"
    tokenizer.save_to_preset(tmp_path / "preset")
    agreements = export.export_preset(tokenizer, tmp_path / "preset", images(2, 9, 14, 3), forms=FORMS)
    assert all(a.tokens == 1.0 and a.signal < 1e-4 for a in agreements)
    again = vqzoo.Tokenizer.from_preset(tmp_path / "preset")
    assert again.in_float32() is again
    for one, other in zip(tokenizer.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_policy_around_an_export_does_not_reach_it():
    sizes = {"frame_length": 64, "hop_length": 16, "bands": 8, "filters": 8, "blocks": 1, "latent_dim": 4}
    tokenizer = vqzoo.spectrogram_vqvae(sample_rate=8000, quantizer=vqzoo.VectorQuantizer(16), **sizes)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        encoder, decoder = export.portable_models(tokenizer)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    tokens = tokenizer.encode(np.random.default_rng(0).uniform(-0.1, 0.1, (1, 160, 1)).astype("float32"))
    assert {layer.compute_dtype for layer in (*encoder.layers, *decoder.layers)} <= {"float32", "int32"}
    np.testing.assert_allclose(decoder(tokens), tokenizer.decode(tokens), atol=1e-5)


@pytest.mark.slow
def test_a_decoder_of_other_weights_is_refused(exported, tmp_path):
    tokenizer, folder, _ = exported
    decoder = keras.models.load_model(folder / "decoder.keras")
    decoder.layers[-1].set_weights([w + 0.1 for w in decoder.layers[-1].get_weights()])
    for name in ("encoder.keras", "tokenizer.keras"):
        shutil.copy(folder / name, tmp_path / name)
    decoder.save(tmp_path / "decoder.keras")
    with pytest.raises(ValueError, match=r"must decode the same signals as its source.*Received: a difference of "):
        export.verify_exports(tokenizer, tmp_path, images(2, 16, 16, 3))


def test_an_export_that_fails_leaves_a_complete_preset_without_exports(exported, tmp_path, monkeypatch):
    tokenizer, _, _ = exported
    tokenizer.save_to_preset(tmp_path)

    def fail(tokenizer, folder):
        raise ValueError("no portable form")

    monkeypatch.setattr(export.preset, "export_saved_model", lambda tokenizer, folder: folder.mkdir())
    monkeypatch.setattr(
        export.preset, "export_litert_files", lambda tokenizer, paths: paths["int8"].write_bytes(b"a file")
    )
    monkeypatch.setattr(export.preset, "export_portable", fail)
    with pytest.raises(ValueError, match="no portable form"):
        export.export_preset(tokenizer, tmp_path, images(1, 8, 8, 3))
    assert "tokenizer_int8.tflite" not in vqzoo.presets.verify_preset(tmp_path)["files"]
    assert not (tmp_path / "saved_model").exists()


def test_a_subclassed_network_becomes_a_saved_model(tmp_path):
    tokenizer = vqzoo.ImageTokenizer(Subclassed(), vqzoo.VectorQuantizer(8), make().decoder)
    tokenizer.build((None, 8, 8, 3))
    export.export_saved_model(tokenizer, tmp_path / "saved_model")
    model = tf.saved_model.load(str(tmp_path / "saved_model"))
    x = images(2, 8, 8, 3)
    np.testing.assert_array_equal(model.encode(x)["tokens"], tokenizer.encode(x))


def test_a_layer_of_ours_inside_a_nested_model_becomes_a_built_in():
    inner = keras.Sequential([keras.Input((None, None, 4)), vqzoo.networks.normalization.FastGroupNormalization(2)])
    signal = keras.Input((None, None, 3))
    encoder = keras.Model(signal, inner(keras.layers.Conv2D(4, 4, 4, "same")(signal)))
    tokenizer = vqzoo.ImageTokenizer(encoder, vqzoo.VectorQuantizer(8), make().decoder)
    tokenizer.build((None, None, None, 3))
    portable, _ = export.portable_models(tokenizer)
    assert "vqzoo" not in portable.to_json()
    x = images(2, 8, 8, 3)
    np.testing.assert_array_equal(portable(x), tokenizer.encode(x))


@pytest.mark.slow
def test_sequential_networks_of_the_user_export(tmp_path):
    encoder = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 4, 2, "same")])
    decoder = keras.Sequential([keras.Input((None, None, 4)), keras.layers.Conv2DTranspose(3, 4, 2, "same")])
    quantizer = vqzoo.VectorQuantizer(8, keras.initializers.RandomNormal(seed=1))
    tokenizer = vqzoo.ImageTokenizer(encoder, quantizer, decoder)
    tokenizer.build((None, None, None, 3))
    tokenizer.save_to_preset(tmp_path / "mine")
    loaded = vqzoo.Tokenizer.from_preset(tmp_path / "mine")
    agreements = export.export_preset(loaded, tmp_path / "mine", images(2, 8, 8, 3), forms=FORMS)
    assert [agreement.tokens for agreement in agreements] == 4 * [1.0]
