import datetime
import json
import pathlib
import zipfile

import keras
import numpy as np
import pytest

from vqzoo.presets import changes
from vqzoo.presets import check_folder
from vqzoo.presets import load_preset
from vqzoo.presets import read_metadata
from vqzoo.presets import remove_exports
from vqzoo.presets import save_preset
from vqzoo.presets import seal_preset
from vqzoo.presets import storage
from vqzoo.presets import update_metadata
from vqzoo.presets import verify_preset

X = np.array([[1.0, -2.0], [0.5, 0.25]], "float32")


def assert_same(loaded, model):
    np.testing.assert_array_equal(loaded(X), model(X))


def assert_incomplete(folder):
    with pytest.raises(ValueError, match="has no manifest.json, so it is incomplete"):
        load_preset(folder)


def reseal_with(folder, name, data):
    """A file that was bad before it was sealed: the manifest agrees with it."""
    (folder / name).write_bytes(data)
    seal_preset(folder)


# Saving


@pytest.mark.parametrize("name", ["image-tiny", "with spaces", "größe-画像"])
def test_a_saved_preset_loads_and_computes_the_same(model, tmp_path, name, monkeypatch):
    monkeypatch.setenv("VQZOO_PRESETS", str(tmp_path))
    folder = save_preset(model, tmp_path / name, metadata={})
    assert folder == tmp_path / name
    for given in (folder, str(folder), name):
        assert_same(load_preset(given), model)


def test_the_metadata_is_the_callers_and_the_facts(model, tmp_path):
    before = datetime.datetime.now(datetime.UTC)
    folder = save_preset(model, tmp_path / "a", metadata={"modality": "image", "signal_range": (-1, 1)})
    metadata = read_metadata(folder)
    created = datetime.datetime.fromisoformat(metadata.pop("created"))
    assert abs((created - before).total_seconds()) < 60 and created.tzinfo is not None
    versions = metadata.pop("versions")
    assert set(versions) == {"python", "vqzoo", "keras", "tensorflow", "numpy"}
    assert versions["keras"] == keras.__version__ and versions["numpy"] == np.__version__
    assert metadata == {
        "name": "a",
        "modality": "image",
        "signal_range": [-1, 1],
        "format_version": 1,
        "model_file": "tokenizer.keras",
        "parameters": 2 * 3 + 3 + 4 * 3,
    }


def test_an_unknown_version_is_no_error(monkeypatch):
    def missing(package):
        raise storage.importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(storage.importlib.metadata, "version", missing)
    assert storage._versions()["tensorflow"] == "unknown"


def test_the_recipe_is_kept(model, tmp_path):
    folder = save_preset(model, tmp_path, metadata={}, recipe={"steps": 5, "filters": [1, 2]})
    assert json.loads((folder / "recipe.json").read_text()) == {"steps": 5, "filters": [1, 2]}


def test_saving_again_replaces_everything_made_of_the_old_model(model, preset):
    exports = ["encoder.keras", "decoder.keras", "tokenizer.tflite", "saved_model/a.pb"]
    for name in [*exports, "samples.png", "run/log"]:
        (preset / name).parent.mkdir(exist_ok=True)
        (preset / name).write_text("of the old model")
    seal_preset(preset)
    save_preset(model, preset, metadata={})
    left = ["README.md", "metadata.json", "tokenizer.keras"]
    assert list(verify_preset(preset)["files"]) == left
    assert (preset / "run" / "log").exists() and not (preset / "saved_model").exists()
    assert_same(load_preset(preset), model)


def test_an_unsealed_preset_is_incomplete_until_it_is_sealed(model, preset):
    save_preset(model, preset, metadata={}, seal=False)
    assert (preset / "README.md").exists()
    assert_incomplete(preset)
    (preset / "samples.png").write_bytes(b"png")
    seal_preset(preset)
    assert "samples.png" in verify_preset(preset)["files"]
    load_preset(preset)


def test_an_interrupted_save_leaves_the_old_preset(model, preset, monkeypatch):
    old = verify_preset(preset)

    def half_a_save(path):
        pathlib.Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "save", half_a_save)
    with pytest.raises(KeyboardInterrupt):
        save_preset(model, preset, metadata={})
    assert verify_preset(preset) == old
    assert not list(preset.glob(".*"))


@pytest.mark.parametrize("step", ["write_json", "write_card", "write_manifest"])
def test_an_error_after_the_model_leaves_the_old_preset(model, preset, monkeypatch, step):
    old = verify_preset(preset)

    def full_disk(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(storage if step == "write_json" else changes, step, full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_preset(model, preset, metadata={}, recipe={})
    assert verify_preset(preset) == old


NOT_JSON = [np.float32(1), np.zeros(2), {1, 2}, float("nan"), [float("inf")], pathlib.Path("a")]


@pytest.mark.parametrize("value", NOT_JSON)
def test_what_is_not_json_is_refused_before_anything_is_touched(model, preset, value):
    with pytest.raises(ValueError, match=r"`metadata` must be plain JSON.*Received: metadata\['b'\]="):
        save_preset(model, preset, metadata={"a": 1, "b": value})
    with pytest.raises(ValueError, match=r"`recipe` must be plain JSON.*Received: recipe\['b'\]="):
        save_preset(model, preset, metadata={}, recipe={"a": 1, "b": value})
    with pytest.raises(ValueError, match=r"`metadata` must be plain JSON"):
        update_metadata(preset, b=value)
    verify_preset(preset)


def test_metadata_must_be_a_dict(model, tmp_path):
    with pytest.raises(ValueError, match="`metadata` must be a dict. Received: 'image'"):
        save_preset(model, tmp_path, metadata="image")


@pytest.mark.parametrize("filename", ["model.h5", "../tokenizer.keras", "saved_model"])
def test_a_model_file_is_a_keras_file_in_the_folder(model, preset, filename):
    with pytest.raises(ValueError, match="a file of the Keras format in the folder.*Received: filename="):
        save_preset(model, preset, metadata={}, filename=filename)
    with pytest.raises(ValueError, match="a file of the Keras format in the folder.*Received: filename="):
        load_preset(preset, filename)


# Metadata


def test_an_update_replaces_whole_entries_and_seals_again(preset):
    before = read_metadata(preset)
    update_metadata(preset, metrics={"psnr": 20.0})
    update_metadata(preset, metrics={"ssim": 0.5}, data="photos")
    assert read_metadata(preset) == {**before, "metrics": {"ssim": 0.5}, "data": "photos"}
    verify_preset(preset)


def test_an_update_of_an_unsealed_preset_does_not_complete_it(preset):
    (preset / "manifest.json").unlink()
    update_metadata(preset, data="photos")
    assert read_metadata(preset)["data"] == "photos"
    assert "| data | photos |" in (preset / "README.md").read_text()
    assert_incomplete(preset)


def test_an_update_does_not_bless_damage(preset):
    (preset / "tokenizer.keras").write_bytes(b"x")
    with pytest.raises(ValueError, match="not whole: tokenizer.keras"):
        update_metadata(preset, data="photos")
    assert "data" not in read_metadata(preset)


def test_missing_and_damaged_metadata(preset, tmp_path):
    with pytest.raises(ValueError, match="has no metadata.json, so it is incomplete"):
        read_metadata(tmp_path)
    with pytest.raises(ValueError, match="has no metadata.json, so it is incomplete"):
        seal_preset(tmp_path)
    (preset / "metadata.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="metadata.json' is damaged: .*Fetch the preset or train it again"):
        read_metadata(preset)


# Loading


def test_a_prior_is_loaded_by_its_file(model, tmp_path):
    folder = save_preset(model, tmp_path, metadata={}, filename="prior.keras")
    assert_same(load_preset(folder, "prior.keras"), model)
    with pytest.raises(ValueError, match="no tokenizer.keras. It has: README.md, metadata.json, prior.keras"):
        load_preset(folder)


def test_what_is_needed_is_verified_and_more_on_request(preset):
    (preset / "recipe.json").write_text("{}")
    load_preset(preset)
    with pytest.raises(ValueError, match="recipe.json"):
        load_preset(preset, files=["recipe.json"])
    (preset / "metadata.json").write_text("{}")
    with pytest.raises(ValueError, match="metadata.json"):
        load_preset(preset)


@pytest.mark.parametrize("size", [0, 1, 5000, -1])
def test_a_truncated_model_is_refused(preset, size):
    data = (preset / "tokenizer.keras").read_bytes()[:size]
    (preset / "tokenizer.keras").write_bytes(data)
    with pytest.raises(ValueError, match=rf"not whole: tokenizer.keras \({len(data)} bytes instead of"):
        load_preset(preset)
    reseal_with(preset, "tokenizer.keras", data)
    with pytest.raises(ValueError, match="tokenizer.keras' is truncated or not a .keras file"):
        load_preset(preset)


def test_a_text_is_no_model(preset):
    reseal_with(preset, "tokenizer.keras", b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(ValueError, match="is truncated or not a .keras file. Fetch the preset"):
        load_preset(preset)


def test_a_zip_that_keras_refuses_is_reported_with_its_cause(preset):
    with zipfile.ZipFile(preset / "tokenizer.keras", "w") as archive:
        archive.writestr("hello.txt", "hello")
    seal_preset(preset)
    with pytest.raises(ValueError, match="cannot be loaded: Keras refuses it .*Fetch it or train") as caught:
        load_preset(preset)
    assert caught.value.__cause__ is not None


def test_code_in_a_model_is_refused(tmp_path):
    layer = keras.layers.Lambda(lambda x: x * 2)
    folder = save_preset(keras.Sequential([keras.Input((2,)), layer]), tmp_path, metadata={})
    with pytest.raises(ValueError, match="cannot be loaded: Keras refuses it .*[Ll]ambda"):
        load_preset(folder)


def test_an_unknown_class_says_what_to_import(tmp_path, monkeypatch):
    class Doubled(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    registered = keras.saving.get_custom_objects()
    monkeypatch.setitem(registered, "somebody>Doubled", Doubled)
    folder = save_preset(keras.Sequential([keras.Input((2,)), Doubled()]), tmp_path, metadata={})
    monkeypatch.delitem(registered, "somebody>Doubled")
    with pytest.raises(ValueError, match="nothing imported .* its class 'Doubled'. `import vqzoo` first"):
        load_preset(folder)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(model, tmp_path, bad):
    kernel, bias = model.get_layer("dense").get_weights()
    bias[1] = bad
    model.get_layer("dense").set_weights([kernel, bias])
    folder = save_preset(model, tmp_path, metadata={})
    with pytest.raises(ValueError, match="NaN or infinity in the weight .*dense/bias'.*diverged"):
        load_preset(folder)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "mixed_bfloat16"])
def test_half_precision_weights_are_checked_too(tmp_path, dtype):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, dtype=dtype, name="dense")])
    load_preset(save_preset(model, tmp_path, metadata={}))
    model.get_layer("dense").bias.assign([0, np.nan, 0])
    with pytest.raises(ValueError, match="dense/bias"):
        load_preset(save_preset(model, tmp_path, metadata={}))


def test_a_compiled_model_loads_without_its_optimizer(model, tmp_path):
    model.compile(optimizer="adam", loss="mse")
    model.fit(X, np.zeros((2, 3)), verbose=0)
    loaded = load_preset(save_preset(model, tmp_path, metadata={}))
    assert not loaded.compiled
    assert_same(loaded, model)


@pytest.mark.parametrize("name", ["README.md", "samples.png", "saved_model"])
def test_somebody_s_files_are_not_replaced(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=f"is not a preset and holds {name}.*Give a new or an empty folder"):
        save_preset(keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]), tmp_path, metadata={})
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(ValueError, match="is a file. A preset is a folder"):
        check_folder(tmp_path / "taken")


def test_a_prior_and_a_tokenizer_do_not_replace_each_other(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    save_preset(model, tmp_path, metadata={})
    check_folder(tmp_path, "tokenizer.keras")
    with pytest.raises(ValueError, match="holds the preset of a tokenizer, which a prior would destroy. Give another"):
        check_folder(tmp_path, "prior.keras")
    (tmp_path / "tokenizer.tflite").write_bytes(b"an export")
    save_preset(model, tmp_path, metadata={}, filename="prior.keras")
    assert not (tmp_path / "tokenizer.tflite").exists()  # or the prior's manifest would list it
    check_folder(tmp_path, "prior.keras")
    with pytest.raises(ValueError, match="holds the preset of a prior, which a tokenizer would destroy"):
        check_folder(tmp_path, "tokenizer.keras")


def test_removed_exports_leave_a_complete_preset(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    save_preset(model, tmp_path, metadata={})
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "saved_model.pb").write_bytes(b"an export")
    seal_preset(tmp_path)
    remove_exports(tmp_path)
    assert "saved_model/saved_model.pb" not in verify_preset(tmp_path)["files"]


def test_a_folder_of_somebody_else_s_manifest_is_no_preset(tmp_path):
    (tmp_path / "manifest.json").write_text('{"name": "a web page"}')
    (tmp_path / "README.md").write_text("of the page")
    with pytest.raises(
        ValueError, match="is not a preset and holds README.md, manifest.json, which a preset would replace"
    ):
        check_folder(tmp_path)
