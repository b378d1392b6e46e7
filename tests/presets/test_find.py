import os
import shutil

import pytest

from vqzoo.presets import find
from vqzoo.presets import find_preset
from vqzoo.presets import holds_prior
from vqzoo.presets import list_presets
from vqzoo.presets import read_metadata
from vqzoo.presets import seal_preset
from vqzoo.presets import update_metadata
from vqzoo.presets.suggest import inpainting_way_out
from vqzoo.presets.suggest import suggested_tokenizer


@pytest.fixture(autouse=True)
def only_these_roots(monkeypatch, tmp_path):
    """The real saved_models/ and environment stay out of the way, and the current folder is empty."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(find, "__file__", str(tmp_path / "checkout" / "vqzoo" / "presets" / "find.py"))
    monkeypatch.delenv("VQZOO_PRESETS", raising=False)


@pytest.fixture
def put(saved_once, tmp_path):
    def copy(root, name):
        return shutil.copytree(saved_once, tmp_path / root / name)

    return copy


def test_a_path_is_a_preset(put):
    folder = put("with spaces", "bilder-größe-f4")
    assert find_preset(folder) == folder
    assert find_preset(str(folder)) == folder


def test_a_relative_folder_is_a_preset(put, monkeypatch, tmp_path):
    put("cwd", "mine")
    assert find_preset("mine").resolve() == tmp_path / "cwd" / "mine"
    assert find_preset(os.path.join(".", "mine")).resolve() == tmp_path / "cwd" / "mine"


def test_home_is_expanded(put, monkeypatch, tmp_path):
    folder = put("home", "mine")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert find_preset("~/mine") == folder


def test_a_name_is_looked_for_beside_the_package(put):
    folder = put("checkout/saved_models", "image-tiny")
    assert find_preset("image-tiny") == folder


def test_the_environment_comes_before_the_package_and_in_its_order(put, monkeypatch, tmp_path):
    put("checkout/saved_models", "image-tiny")
    second = put("second", "image-tiny")
    monkeypatch.setenv("VQZOO_PRESETS", os.pathsep.join([str(tmp_path / "missing"), "", str(second.parent)]))
    assert find_preset("image-tiny") == second
    first = put("first", "image-tiny")
    monkeypatch.setenv("VQZOO_PRESETS", os.pathsep.join([str(first.parent), str(second.parent)]))
    assert find_preset("image-tiny") == first


def test_what_a_recipe_wrote_in_the_current_folder_is_found_last_by_its_name(put, monkeypatch, tmp_path):
    put("cwd/saved_models", "image_vqvae")
    assert find_preset("image_vqvae").resolve() == tmp_path / "cwd" / "saved_models" / "image_vqvae"
    assert [preset.name for preset in list_presets()] == ["image_vqvae"]
    shipped = put("checkout/saved_models", "image_vqvae")
    assert find_preset("image_vqvae") == shipped
    monkeypatch.chdir(tmp_path / "checkout")  # where both are one folder
    with pytest.raises(ValueError) as caught:
        find_preset("image_other")
    assert str(caught.value).count("saved_models/image_other") == 1


def test_a_complete_preset_wins_over_an_unfinished_one_of_the_name(put, monkeypatch, tmp_path):
    (tmp_path / "cwd" / "image-tiny").mkdir()
    monkeypatch.setenv("VQZOO_PRESETS", str(tmp_path / "first"))
    (put("first", "image-tiny") / "manifest.json").unlink()
    complete = put("checkout/saved_models", "image-tiny")
    assert find_preset("image-tiny") == complete


def test_list_names_each_complete_preset_once(put, monkeypatch, tmp_path):
    assert list_presets() == []
    monkeypatch.setenv("VQZOO_PRESETS", str(tmp_path / "first"))
    put("first", "b")
    put("first", "a")
    put("checkout/saved_models", "b")
    put("checkout/saved_models", "c")
    put("first", ".hidden")
    (put("first", "unfinished") / "manifest.json").unlink()
    (tmp_path / "first" / "a file").write_text("")
    assert [preset.name for preset in list_presets()] == ["a", "b", "c"]
    assert list_presets()[1].folder == str(tmp_path / "first" / "b")


def test_a_preset_in_the_list_tells_what_it_is(put):
    folder = put("checkout/saved_models", "image-tiny")
    example = {"signal": [64, 48, 3], "tokens": [16, 12, 1]}
    update_metadata(folder, modality="image", example=example, codebook_sizes=[512], metrics={"psnr": 24.5})
    (preset,) = list_presets()
    parameters = read_metadata(folder)["parameters"]
    known = ("image-tiny", str(folder), "image", (64, 48, 3), (16, 12, 1), (512,), parameters, {"psnr": 24.5})
    assert preset == known and parameters > 0


def test_a_preset_that_does_not_tell_is_listed(put):
    put("checkout/saved_models", "mine")
    (preset,) = list_presets()
    assert preset.name == "mine" and preset.tokens == () and preset.metrics == {}


def test_damaged_metadata_in_the_list_are_named(put):
    (put("checkout/saved_models", "mine") / "metadata.json").write_text("{")
    put("checkout/saved_models", "whole")
    shards = put("checkout/saved_models", "shards") / "manifest.json"
    shards.write_text('{"format_version": 1, "kind": "images", "shards": []}')
    with pytest.warns(UserWarning, match="mine.metadata.json' is damaged"):
        assert [preset.name for preset in list_presets()] == ["whole"]  # and nothing of the shards


def test_an_unknown_name_tells_near_and_known_names_and_where_it_looked(put, monkeypatch, tmp_path):
    monkeypatch.setenv("VQZOO_PRESETS", str(tmp_path / "first"))
    put("first", "image-vqgan-photos-f4")
    put("checkout/saved_models", "audio-other")
    with pytest.raises(ValueError) as caught:
        find_preset("image-vqgan-foto-f4")
    message = str(caught.value)
    assert "There is no preset 'image-vqgan-foto-f4'. Did you mean 'image-vqgan-photos-f4'?" in message
    assert str(tmp_path / "first" / "image-vqgan-foto-f4") in message
    assert str(tmp_path / "checkout" / "saved_models" / "image-vqgan-foto-f4") in message
    assert "Known presets: audio-other, image-vqgan-photos-f4." in message
    assert "$VQZOO_PRESETS" in message


def test_an_unknown_path(tmp_path):
    with pytest.raises(ValueError, match="no preset '.*nowhere'. Looked for: .*nowhere. Known presets: none"):
        find_preset(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("as_name", [True, False])
def test_a_folder_without_a_manifest_is_incomplete(put, as_name):
    folder = put("checkout/saved_models", "image-tiny")
    (folder / "manifest.json").unlink()
    with pytest.raises(ValueError, match="has no manifest.json, so it is incomplete.*Run the recipe"):
        find_preset("image-tiny" if as_name else folder)


def test_a_file_of_a_preset_names_its_folder(tmp_path):
    file = tmp_path / "mine" / "tokenizer.keras"
    file.parent.mkdir()
    file.touch()
    with pytest.raises(ValueError, match="A preset is a folder. Received: the file .* Give its folder, '.*mine'"):
        find_preset(file)


# === Presets that errors name ===


@pytest.fixture
def described(put):
    """Makes presets that say so much of themselves."""

    def make(name, signal, tokens, codebook_sizes, modality="image", file="tokenizer.keras"):
        folder, example = put("checkout/saved_models", name), {"signal": signal, "tokens": tokens}
        update_metadata(folder, modality=modality, example=example, codebook_sizes=codebook_sizes, model_file=file)
        (folder / file).touch()
        seal_preset(folder)
        return folder

    return make


def test_the_tokenizer_of_the_most_bits_is_suggested(described):
    assert suggested_tokenizer("image") is None
    described("a-small", [28, 28, 1], [16, 1], [512])
    described("b-emoji", [64, 64, 3], [16, 16, 1], [1024])
    described("c-photos-f8", [128, 128, 3], [16, 16, 1], [4096])
    described("d-photos-f4", [64, 64, 3], [16, 16, 1], [4096])
    described("e-prior", [999, 999, 3], [99, 99, 1], [4096], file="prior.keras")
    described("f-audio", [16000, 1], [500, 8], [1024] * 8, "audio")
    assert suggested_tokenizer("image") == "d-photos-f4"
    assert suggested_tokenizer("audio") == "f-audio" and suggested_tokenizer("text") is None


def test_priors_of_rows_and_columns_repair(described):
    assert inpainting_way_out() == "None is here: train one on your images with recipes/image_inpainting.py."
    assert not holds_prior(described("tokenizer", [64, 64, 3], [16, 16, 1], [1024]))
    described("flat", [28, 28, 1], [16, 1], [512], file="prior.keras")
    assert holds_prior(described("emoji", [48, 48, 3], [12, 12, 1], [1024], file="prior.keras"))
    assert "have rows and columns: emoji. Or train one" in inpainting_way_out()
