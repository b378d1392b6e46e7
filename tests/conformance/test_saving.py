"""Config round trips, and `.keras`, portable, SavedModel and LiteRT forms in one new process."""

import pathlib
import sys

import keras
import numpy as np
import pytest

import vqzoo

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import zoo  # noqa: E402

each = pytest.mark.parametrize("entry", zoo.ALL, ids=lambda entry: entry.name)


FORMS = ("saved_model", "litert", "portable")


def config_of(thing):
    return without_build_config(keras.saving.serialize_keras_object(thing)["config"])


def without_build_config(value):
    """The settings alone: Keras adds the shapes on which the parts were built."""
    if isinstance(value, dict):
        return {key: without_build_config(v) for key, v in value.items() if key != "build_config"}
    return [without_build_config(v) for v in value] if isinstance(value, list | tuple) else value


@each
def test_config_is_the_constructor(entry):
    thing = entry.make()
    before = config_of(thing)
    copy = type(thing).from_config(thing.get_config())
    assert config_of(copy) == before
    if not thing.built:
        thing.build(entry.dynamic)
        assert config_of(thing) == before, "build changed an argument"


@each
def test_keras_file_gives_the_same_outputs(entry, tmp_path):
    thing = entry.built()
    signal = keras.Input(entry.dynamic[1:], dtype=entry.dtype)
    model = thing if isinstance(thing, keras.Model) else keras.Model(signal, thing(signal))
    if entry in zoo.TRAINERS:
        zoo.compiled(model)
        model.fit(entry.inputs(), batch_size=2, verbose=0, epochs=2)
    before = [v.numpy() for v in model.weights]
    zoo.stirred(model).save(tmp_path / "it.keras")
    again = keras.models.load_model(tmp_path / "it.keras")
    for value, variable in zip(before, again.weights, strict=True):
        assert (variable.numpy() != value).all(), f"{variable.path} lost what was assigned"
    for one, other in zip(zoo.flat(model(entry.inputs())), zoo.flat(again(entry.inputs())), strict=True):
        np.testing.assert_array_equal(one, other)
    assert [v.path.split("/")[-1] for v in model.variables] == [v.path.split("/")[-1] for v in again.variables]
    for one, other in zip(model.variables, again.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.slow
@pytest.mark.parametrize("entry", zoo.TRAINERS, ids=lambda entry: entry.name)
def test_optimizers_survive_a_keras_file(entry, tmp_path):
    trainer = zoo.compiled(entry.built())
    trainer.fit(entry.inputs(), batch_size=1, verbose=0)
    trainer.save(tmp_path / "it.keras")
    again = keras.models.load_model(tmp_path / "it.keras")
    for name in ("optimizer", "discriminator_optimizer"):
        if hasattr(trainer, name):
            saved, loaded = getattr(trainer, name).variables, getattr(again, name).variables
            assert len(saved) == len(loaded) > 5
            assert int(getattr(again, name).iterations.numpy()) == (4 if name == "optimizer" else 2)
            for one, other in zip(saved, loaded, strict=True):
                np.testing.assert_array_equal(one.numpy(), other.numpy())
    trainer.fit(entry.inputs(1), batch_size=1, verbose=0, shuffle=False)
    again.fit(entry.inputs(1), batch_size=1, verbose=0, shuffle=False)
    for one, other in zip(trainer.variables, again.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


CHILD = """
import sys, pathlib, numpy as np, keras, vqzoo
for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    it = keras.models.load_model(folder / "it.keras")
    inputs = np.load(folder / "inputs.npy")
    outputs = [keras.ops.convert_to_numpy(x) for x in keras.tree.flatten(it(inputs))]
    np.savez(folder / "outputs.npz", *outputs)
    np.savez(folder / "variables.npz", *[keras.ops.convert_to_numpy(v) for v in it.variables])
"""


@pytest.mark.slow  # `test_keras_file_gives_the_same_outputs` loads each of them here.
def test_all_keras_files_load_in_one_new_process(tmp_path, fresh_python):
    expected, variables = {}, {}
    for entry in zoo.ALL:
        thing = entry.built()
        signal = keras.Input(entry.dynamic[1:], dtype=entry.dtype)
        model = thing if isinstance(thing, keras.Model) else keras.Model(signal, thing(signal))
        (tmp_path / entry.name).mkdir()
        zoo.stirred(model).save(tmp_path / entry.name / "it.keras")
        np.save(tmp_path / entry.name / "inputs.npy", entry.inputs())
        expected[entry.name] = zoo.flat(model(entry.inputs()))
        variables[entry.name] = zoo.flat(model.variables)
    child = fresh_python("-c", CHILD, tmp_path)
    assert child.returncode == 0, child.stderr[-3000:]
    for name, outputs in expected.items():
        with np.load(tmp_path / name / "outputs.npz") as arrays:
            for one, other in zip(outputs, arrays.values(), strict=True):
                np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-6, err_msg=name)
        with np.load(tmp_path / name / "variables.npz") as arrays:
            for one, other in zip(variables[name], arrays.values(), strict=True):
                np.testing.assert_array_equal(other, one, err_msg=name)


# Each recipe's `tiny`, or tests/export, exports the same networks and checks them in a new process.
ELSEWHERE = ("image_vqvae", "image_vqgan", "AudioTokenizer", "spectrogram_vqvae", "spectrogram_vqgan")
ELSEWHERE += ("TextTokenizer", "text_vqvae", "text_vqgan")


@pytest.mark.parametrize(
    "entry",
    [pytest.param(e, marks=[pytest.mark.slow] if e.name in ELSEWHERE else [], id=e.name) for e in zoo.TOKENIZERS],
)
def test_every_export_agrees_in_a_new_process(entry, tmp_path):
    tokenizer = zoo.stirred(entry.built())
    tokenizer.save_to_preset(tmp_path / "preset")
    agreements = vqzoo.export.export_preset(tokenizer, tmp_path / "preset", entry.inputs(), FORMS)
    portable = [] if tokenizer.is_autoregressive else ["portable"]
    assert [a.form for a in agreements] == ["saved_model", "litert", *portable, "tokenizer"]
    assert all(a.verified and a.tokens == 1.0 and a.signal < 1e-4 for a in agreements), agreements
    vqzoo.presets.verify_preset(tmp_path / "preset")
    again = vqzoo.Tokenizer.from_preset(tmp_path / "preset")
    np.testing.assert_array_equal(again.encode(entry.inputs()), tokenizer.encode(entry.inputs()))
