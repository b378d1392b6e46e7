import hashlib
import json

import pytest

from vqzoo.presets import find_preset
from vqzoo.presets import seal_preset
from vqzoo.presets import verify_preset

FILES = ["README.md", "metadata.json", "recipe.json", "tokenizer.keras"]


def edit_manifest(folder, **changes):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))


def flip(path, position, mask=0x01):
    data = bytearray(path.read_bytes())
    data[position] ^= mask
    path.write_bytes(data)


def test_the_manifest_lists_size_and_sha256_of_every_file(preset):
    manifest = verify_preset(preset)
    assert manifest == json.loads((preset / "manifest.json").read_text())
    assert manifest["format_version"] == 1
    assert list(manifest["files"]) == FILES
    for name, entry in manifest["files"].items():
        data = (preset / name).read_bytes()
        assert entry == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_runs_and_hidden_files_are_no_part_of_a_preset(preset):
    for name in ["run/log.csv", "run/checkpoints/a.keras", ".DS_Store", ".cache/x", "saved_model/.x"]:
        (preset / name).parent.mkdir(parents=True, exist_ok=True)
        (preset / name).write_text("x")
    for name in ["saved_model/variables/run", "saved_model/größe.pb", "samples.png"]:
        (preset / name).parent.mkdir(parents=True, exist_ok=True)
        (preset / name).write_text("x")
    seal_preset(preset)
    added = ["saved_model/größe.pb", "saved_model/variables/run", "samples.png"]
    assert sorted(verify_preset(preset)["files"]) == sorted(FILES + added)


def test_a_file_that_the_manifest_does_not_list_is_ignored(preset):
    (preset / "notes.txt").write_text("mine")
    assert list(verify_preset(preset)["files"]) == FILES


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_a_flipped_bit_in_any_file_is_found(preset, name, place):
    path = preset / name
    flip(path, round(place * (path.stat().st_size - 1)))
    with pytest.raises(ValueError, match=rf"is not whole: {name} \(damaged\). Fetch it or train it again"):
        verify_preset(preset)


@pytest.mark.parametrize("mask", [0x01, 0x80])
def test_a_flipped_bit_anywhere_in_the_manifest_is_found(preset, mask):
    path = preset / "manifest.json"
    good = path.read_bytes()
    for position in range(len(good)):
        flip(path, position, mask)
        with pytest.raises(ValueError, match="damaged|not whole|newer vqzoo"):
            verify_preset(preset)
        path.write_bytes(good)
    verify_preset(preset)


def rewritten(preset, change, sealed):
    """A manifest that somebody changed; an old one, without a checksum, or with the one that it had."""
    manifest = json.loads((preset / "manifest.json").read_text())
    change(manifest)
    if not sealed:
        del manifest["checksum"]
    (preset / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("name", [*FILES, "saved_model/a.pb", "tokenizer_int8.tflite"])
def test_an_entry_that_was_removed_is_found(preset, name, sealed):
    (preset / name).parent.mkdir(exist_ok=True)
    (preset / name).touch()
    seal_preset(preset)
    verify_preset(preset)
    rewritten(preset, lambda manifest: manifest["files"].pop(name), sealed)
    with pytest.raises(
        ValueError, match="damaged: its 'checksum' is" if sealed else rf"{name} \(not in the manifest\)"
    ):
        verify_preset(preset)


CHANGES = {
    "an entry": lambda manifest: manifest["files"]["README.md"].update(bytes=3),
    "a file that is not there": lambda manifest: manifest["files"].update({"a": {"bytes": 1, "sha256": "0" * 64}}),
    "a name": lambda manifest: manifest["files"].update(README=manifest["files"].pop("README.md")),
    "a field": lambda manifest: manifest.update(more=1),
    "no checksum": lambda manifest: manifest.update(checksum=None),
    "no checksum under its name": lambda manifest: manifest.update(checksun=manifest.pop("checksum")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_manifest_that_was_changed_is_damaged_whatever_is_asked(preset, change):
    rewritten(preset, CHANGES[change], sealed=True) if change != "no checksum under its name" else edit_checksum(preset)
    with pytest.raises(ValueError, match="damaged: its .* is not that of the rest. Fetch the preset or train it again"):
        verify_preset(preset, files=["metadata.json"])


def edit_checksum(preset):
    path = preset / "manifest.json"
    path.write_text(path.read_text().replace('"checksum"', '"checksun"'))


def test_a_manifest_of_the_first_releases_is_read(preset):
    rewritten(preset, lambda manifest: None, sealed=False)
    assert list(verify_preset(preset)["files"]) == FILES


def test_every_fault_is_named(preset):
    (preset / "README.md").unlink()
    (preset / "recipe.json").write_text("{}")
    flip(preset / "tokenizer.keras", 100)
    with pytest.raises(ValueError) as caught:
        verify_preset(preset)
    assert "README.md (missing), recipe.json (2 bytes instead of " in str(caught.value)
    assert "tokenizer.keras (damaged)" in str(caught.value)
    assert "metadata.json" not in str(caught.value)


def test_only_the_chosen_files_are_checked(preset):
    flip(preset / "recipe.json", 0)
    verify_preset(preset, files=["tokenizer.keras"])
    with pytest.raises(ValueError, match="recipe.json .damaged."):
        verify_preset(preset, files=["tokenizer.keras", "recipe.json"])


def test_a_file_the_preset_never_had(preset):
    with pytest.raises(ValueError, match="has no prior.keras. It has: README.md, metadata.json, recipe.json"):
        verify_preset(preset, files=["prior.keras"])


def test_a_missing_manifest(preset):
    (preset / "manifest.json").unlink()
    with pytest.raises(ValueError, match="has no manifest.json, so it is incomplete .* Run the recipe again"):
        verify_preset(preset)


def test_a_newer_format(preset):
    edit_manifest(preset, format_version=2)
    with pytest.raises(ValueError, match="format version 2 .*newer vqzoo; this one reads up to 1. Upgrade"):
        verify_preset(preset)
    assert find_preset(preset) == preset  # found, so that the message tells the way out and not "incomplete"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format_version": 1, "files": []}', "[" * 100_000, "\ud83d"])
def test_a_manifest_that_is_none(preset, text):
    (preset / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match="manifest.json' is damaged: .*Fetch the preset or train it again"):
        verify_preset(preset)


@pytest.mark.parametrize("changes", [{"format_version": "1"}, {"format_version": 0}, {"files": {"README.md": 3}}])
def test_a_manifest_with_wrong_entries(preset, changes):
    edit_manifest(preset, **changes)
    with pytest.raises(ValueError, match="it is not a manifest"):
        verify_preset(preset)
