import shutil

import pytest

from vqzoo.presets import find
from vqzoo.presets import update_metadata
from vqzoo.presets.suggest import inpainting_way_out
from vqzoo.presets.suggest import is_prior
from vqzoo.presets.suggest import suggested_tokenizer


@pytest.fixture
def put(saved_once, tmp_path, monkeypatch):
    """Makes presets, and there are no others."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(find, "__file__", str(tmp_path / "nowhere" / "vqzoo" / "presets" / "find.py"))
    monkeypatch.setenv("VQZOO_PRESETS", str(tmp_path / "presets"))

    def make(name, signal, tokens, codebook_sizes, modality="image", file="tokenizer.keras"):
        folder = tmp_path / "presets" / name
        shutil.copytree(saved_once, folder)
        example = {"signal": signal, "tokens": tokens}
        update_metadata(folder, modality=modality, example=example, codebook_sizes=codebook_sizes, model_file=file)
        return folder

    return make


def test_the_tokenizer_of_the_most_bits_is_suggested(put):
    assert suggested_tokenizer("image") is None
    put("a-small", [28, 28, 1], [16, 1], [512])
    put("b-emoji", [64, 64, 3], [16, 16, 1], [1024])
    put("c-photos-f8", [128, 128, 3], [16, 16, 1], [4096])
    put("d-photos-f4", [64, 64, 3], [16, 16, 1], [4096])
    put("e-prior", [999, 999, 3], [99, 99, 1], [4096], file="prior.keras")
    put("f-audio", [16000, 1], [500, 8], [1024] * 8, "audio")
    assert suggested_tokenizer("image") == "d-photos-f4"
    assert suggested_tokenizer("audio") == "f-audio" and suggested_tokenizer("text") is None


def test_priors_of_rows_and_columns_repair(put):
    assert inpainting_way_out() == "None is here: train one on your images with recipes/image_inpainting.py."
    assert not is_prior(put("tokenizer", [64, 64, 3], [16, 16, 1], [1024]))
    put("flat", [28, 28, 1], [16, 1], [512], file="prior.keras")
    assert is_prior(put("emoji", [48, 48, 3], [12, 12, 1], [1024], file="prior.keras"))
    assert "have rows and columns: emoji. Or train one" in inpainting_way_out()
