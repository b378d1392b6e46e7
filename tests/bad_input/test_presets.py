"""Preset folders as they come: how each is damaged, and that nothing is loaded, run or written."""

import base64
import json
import marshal
import os
import pathlib
import shutil
import zipfile

import keras
import numpy as np
import pytest

import vqzoo
from vqzoo.data import save_image
from vqzoo.presets import find_preset
from vqzoo.presets import list_presets
from vqzoo.presets import push_to_hub
from vqzoo.presets import seal_preset
from vqzoo.presets import verify_preset
from vqzoo.presets.manifest import write_manifest

FILES = ["README.md", "metadata.json", "recipe.json", "tokenizer.keras"]


def reseal(folder, name, data):
    """A bad file that the manifest agrees with, as from somebody who means harm."""
    (folder / name).write_text(data)
    write_manifest(folder)


def flip(path, place=0.5):
    data = bytearray(path.read_bytes())
    data[round(place * (len(data) - 1))] ^= 0xFF
    path.write_bytes(data)


def cut(folder, name, keep, sealed=False):
    data = (folder / name).read_bytes()[:keep]
    (folder / name).write_bytes(data)
    if sealed:
        write_manifest(folder)


def edit(folder, name, **changes):
    told = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**told, **changes}))
    if name != "manifest.json":
        write_manifest(folder)


def add_to_manifest(folder, name):
    files = json.loads((folder / "manifest.json").read_text())["files"]
    edit(folder, "manifest.json", files={**files, name: {"bytes": 3, "sha256": ""}})


def repack(folder, change, compression=zipfile.ZIP_STORED):
    """Replaces members of tokenizer.keras by `change(name, data)`."""
    path = folder / "tokenizer.keras"
    with zipfile.ZipFile(path) as archive:
        members = {name: change(name, archive.read(name)) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression, compresslevel=1) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    write_manifest(folder)


def config(folder, value):
    """Another configuration in tokenizer.keras."""
    text = value if isinstance(value, str) else json.dumps(value)
    repack(folder, lambda name, data: text if name == "config.json" else data)


def calls(folder, module, name, **arguments):
    """A configuration that names a function instead of a class."""
    config(folder, {"module": module, "class_name": name, "config": arguments, "registered_name": name})


def runs_a_lambda(folder):
    def touch(x):
        __import__("os").mkdir("canary")
        return x

    code = base64.b64encode(marshal.dumps(touch.__code__)).decode()
    value = {"class_name": "__lambda__", "config": {"value": code}}
    function = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "l", "function": value}}
    source = {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 2]}}
    config(folder, {"module": "keras", "class_name": "Sequential", "config": {"layers": [source, function]}})


def holds_nan(folder):
    tokenizer = keras.saving.load_model(folder / "tokenizer.keras", compile=False)
    variable = tokenizer.decoder.trainable_variables[0]
    variable.assign(np.full(variable.shape, np.nan))
    tokenizer.save(folder / "tokenizer.keras")
    write_manifest(folder)


def plain_model(folder):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]).save(folder / "tokenizer.keras")
    write_manifest(folder)


def other_weights(folder):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]).save(folder / "plain.keras")
    with zipfile.ZipFile(folder / "plain.keras") as archive:
        weights = archive.read("model.weights.h5")
    (folder / "plain.keras").unlink()
    repack(folder, lambda name, data: weights if name == "model.weights.h5" else data)


def bomb(folder):
    repack(
        folder,
        lambda name, data: data[:-1] + b" " * (330 * 2**20) + b"}" if name == "config.json" else data,
        zipfile.ZIP_DEFLATED,
    )


def huge_layer(folder):
    """Networks of a gigabyte in a file of kilobytes."""
    source = {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 2**14]}}
    layer = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 2**14, "name": "d"}}
    shape = {"input_shape": [None, 2**14]}
    model = {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [source, layer]}}
    config(folder, {**model, "build_config": shape})


def leads_outside(folder):
    """A link to a file elsewhere that is not the preset's."""
    (folder.parent / "elsewhere").write_text("a secret")
    (folder / "tokenizer.keras").unlink()
    (folder / "tokenizer.keras").symlink_to(folder.parent / "elsewhere")


MODEL = "tokenizer.keras' "
NOT_WHOLE = "is not whole: tokenizer.keras"
REFUSED_BY_KERAS = "cannot be loaded: Keras refuses it"
OUTSIDE = "names files that are not inside the folder"
DAMAGES = {
    "truncated_model": (lambda f: cut(f, "tokenizer.keras", -100), NOT_WHOLE),
    "empty_model": (lambda f: cut(f, "tokenizer.keras", 0), NOT_WHOLE),
    "truncated_and_sealed": (lambda f: cut(f, "tokenizer.keras", -100, True), f"{MODEL}is truncated or not a .keras"),
    "flipped_byte_in_the_model": (lambda f: flip(f / "tokenizer.keras"), f"{NOT_WHOLE} .damaged."),
    "flipped_byte_in_metadata": (lambda f: flip(f / "metadata.json"), "is not whole: metadata.json"),
    "flipped_byte_in_manifest": (lambda f: flip(f / "manifest.json", 0.02), "manifest.json' is damaged"),
    "flipped_and_sealed": (lambda f: (flip(f / "tokenizer.keras"), write_manifest(f)), f"{MODEL}.*Fetch it or train"),
    "no_model": (lambda f: (f / "tokenizer.keras").unlink(), f"{NOT_WHOLE} .missing."),
    "no_metadata": (lambda f: (f / "metadata.json").unlink(), "is not whole: metadata.json .missing."),
    "no_manifest": (lambda f: (f / "manifest.json").unlink(), "has no manifest.json, so it is incomplete"),
    "no_folder": (lambda f: shutil.rmtree(f), "There is no preset"),
    "a_file": (lambda f: (shutil.rmtree(f), f.write_text("")), "A preset is a folder. Received: the file"),
    "empty_folder": (lambda f: (shutil.rmtree(f), f.mkdir()), "has neither manifest.json nor a model"),
    "newer_format": (lambda f: edit(f, "manifest.json", format_version=2), "made by a newer vqzoo.*pip install"),
    "manifest_is_a_list": (lambda f: (f / "manifest.json").write_text("[]"), "manifest.json' is damaged"),
    "manifest_is_deep": (lambda f: (f / "manifest.json").write_text("[" * 10**6), "manifest.json' is damaged"),
    "manifest_is_huge": (lambda f: os.truncate(f / "manifest.json", 2**31), "is damaged: it has 2147483648 bytes"),
    "manifest_leads_up": (lambda f: add_to_manifest(f, "../secret"), f"{OUTSIDE}: '../secret'"),
    "manifest_leads_up_inside": (lambda f: add_to_manifest(f, "a/../../secret"), OUTSIDE),
    "manifest_leads_to_the_root": (lambda f: add_to_manifest(f, "/etc/passwd"), OUTSIDE),
    "manifest_leads_up_on_windows": (lambda f: add_to_manifest(f, "..\\secret"), OUTSIDE),
    "manifest_names_a_drive": (lambda f: add_to_manifest(f, "C:secret"), OUTSIDE),
    "link_to_another_file": (leads_outside, f"{NOT_WHOLE} .8 bytes instead of"),
    "text_as_model": (
        lambda f: reseal(f, "tokenizer.keras", "oid sha256:12"),
        f"{MODEL}is truncated or not a .keras",
    ),
    "another_zip": (lambda f: repack(f, lambda name, data: b""), REFUSED_BY_KERAS),
    "config_is_no_json": (lambda f: config(f, "{"), REFUSED_BY_KERAS),
    "config_is_deep": (lambda f: config(f, "[" * 10**6), REFUSED_BY_KERAS),
    "bomb": (bomb, "claims to hold 3[0-9]*: it is not a model, but made to fill the memory"),
    "huge_layer": (huge_layer, "holds [0-9]* bytes, and the networks that it describes need 10738"),
    "weights_of_another": (other_weights, REFUSED_BY_KERAS),
    "weights_with_nan": (holds_nan, f"{MODEL}holds NaN or infinity in the weight"),
    "plain_keras_model": (plain_model, "is a Sequential, not a Tokenizer"),
    "lambda": (runs_a_lambda, f"{REFUSED_BY_KERAS} .*[Ll]ambda"),
    "os_mkdir": (lambda f: calls(f, "os", "mkdir", path="canary"), "cannot be loaded"),
    "subprocess": (lambda f: calls(f, "subprocess", "check_output", args=["touch", "canary"]), "cannot be loaded"),
    "get_file": (lambda f: calls(f, "keras.utils", "get_file", fname="canary", origin="file:"), "cannot be loaded"),
    "saved_model_inside": (lambda f: calls(f, "keras.layers", "TFSMLayer", filepath="canary"), "cannot be loaded"),
    "class_of_nobody": (lambda f: calls(f, "somebody", "Thing"), "cannot be loaded"),
}


@pytest.mark.parametrize("row", DAMAGES)
def test_a_preset_that_is_refused(row, preset, tmp_path, refused, little_memory, monkeypatch):
    damage, told = DAMAGES[row]
    damage(preset)
    save_image(tmp_path / "a.png", np.zeros((8, 8, 3)))
    monkeypatch.chdir(tmp_path)
    with little_memory():
        with pytest.raises(ValueError, match=told) as caught:
            vqzoo.Tokenizer.from_preset(preset)
        assert str(preset) in str(caught.value)
        line = refused(["encode", preset, tmp_path / "a.png", "--out", tmp_path / "out"])
        with keras.StatelessScope():  # where Keras makes what was only described before
            pass
    assert line.startswith("error: ") and line.count("error: ") == 1
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [flip, pathlib.Path.unlink], ids=["flipped", "missing"])
def test_verify_names_every_file(name, damage, preset, refused):
    damage(preset / name)
    refused(["verify", preset], f"error: The preset in {str(preset)!r} is not whole: {name} (", "Fetch it or train it")


def test_export_and_push_follow_no_name_out_of_the_folder(preset, tmp_path, refused):
    (tmp_path / "secret").write_text("abc")
    add_to_manifest(preset, "../secret")
    refused(["export", preset, "--out", tmp_path / "copy" / "deep"], "names files that are not inside the folder")
    with pytest.raises(ValueError, match="not inside the folder|need huggingface_hub"):
        push_to_hub(preset, "somebody/tiny")


@pytest.mark.parametrize(
    "changes",
    [
        {"modality": 5},
        {"example": [1]},
        {"example": {"signal": "64x64", "tokens": [1]}},
        {"metrics": [1]},
        {"parameters": "many"},
        {"codebook_sizes": ["a"]},
        {"codebook_sizes": 16},
        {"versions": [1]},
        {"model_file": ["tokenizer.keras"]},
    ],
    ids=str,
)
def test_metadata_of_other_types_are_named(changes, preset, refused, monkeypatch):
    edit(preset, "metadata.json", **changes)
    monkeypatch.setenv("VQZOO_PRESETS", str(preset.parent))
    told = f"metadata.json' is damaged: {next(iter(changes))}="
    with pytest.warns(UserWarning, match=f"{told}.* has a wrong type and must be"):
        list_presets()
    with pytest.raises(ValueError, match=f"{told}.* has a wrong type and must be"):
        seal_preset(preset)
    write_manifest(preset)
    refused(["list"], "error: ", told)
    refused(["info", preset], told)


def test_metadata_that_name_another_model(preset, tmp_path, refused):
    edit(preset, "metadata.json", model_file="../../model.keras")
    save_image(tmp_path / "a.png", np.zeros((8, 8, 3)))
    arguments = ["encode", preset, tmp_path / "a.png", "--out", tmp_path / "out"]
    refused(arguments, "has no ../../model.keras. Fetch it or train it again")


@pytest.mark.parametrize("name", ["with spaces", "größe-画像 🙂", 'quote\'d "name"', "$(touch canary);", "-x"])
def test_names_of_any_kind(name, saved_once, tmp_path, monkeypatch):
    folder = shutil.copytree(saved_once, tmp_path / name)
    monkeypatch.setenv("VQZOO_PRESETS", str(tmp_path))
    assert find_preset(name) == folder
    vqzoo.Tokenizer.from_preset(name)


def test_files_that_are_no_part_are_left_alone(preset):
    (preset / "notes.txt").write_text("mine")
    vqzoo.Tokenizer.from_preset(preset)
    assert "notes.txt" not in verify_preset(preset)["files"]


def test_a_link_with_the_right_content_is_followed(preset):
    """The Hub's cache is made of such links: what counts is the content."""
    (preset / "tokenizer.keras").rename(preset.parent / "blob")
    (preset / "tokenizer.keras").symlink_to(preset.parent / "blob")
    vqzoo.Tokenizer.from_preset(preset)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_the_right_to_write(preset, tokenizer, refused):
    preset.chmod(0o555)
    with pytest.raises(OSError, match="Permission denied"):
        tokenizer.save_to_preset(preset)
    verify_preset(preset)
    refused(["export", preset], "Permission denied")
    preset.chmod(0o755)
