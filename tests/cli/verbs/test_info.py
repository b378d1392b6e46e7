"""`vqzoo info` of presets, token files and shards."""

import json
import math
import shutil

import numpy as np
import pytest

import vqzoo
from vqzoo.cli.main import main


def info(name, capsys):
    capsys.readouterr()
    assert main(["info", str(name), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def text(name, capsys):
    capsys.readouterr()
    assert main(["info", str(name)]) == 0
    return capsys.readouterr().out


@pytest.fixture
def tokens(pictures, tmp_path):
    assert main(["encode", "image-tiny", str(pictures), "--out", str(tmp_path / "tokens")]) == 0
    return tmp_path / "tokens"


def test_a_preset(tiny_preset, capsys):
    about = info("image-tiny", capsys)
    assert about["kind"] == "preset" and about["folder"] == str(tiny_preset) and about["checksums"] == "all files match"
    assert (about["tokens_per_example"], about["bits_per_example"]) == (256, 1024)
    assert about["bits_per_pixel"] == 1024 / 64**2 and about["bytes"] == sum(about["files"].values())


def test_a_damaged_file_of_a_preset_is_named(tiny_preset, tmp_path, capsys):
    copy = shutil.copytree(tiny_preset, tmp_path / "copy")
    with open(copy / "tokenizer.keras", "ab") as file:
        file.write(b"more")
    assert info(copy, capsys)["checksums"].startswith("wrong: ") and "tokenizer.keras" in text(copy, capsys)


@pytest.mark.parametrize(
    ("name", "rate", "value"),
    [("audio-speech-16k", "kilobits_per_second", 2.5), ("image-vqgan-photos-f4", "bits_per_pixel", 0.75)],
)
def test_shipped_presets_have_rates(name, rate, value, capsys):
    about = info(name, capsys)
    assert about[rate] == value and about["checksums"] == "all files match"
    assert about["bits_per_example"] == about["tokens_per_example"] * math.log2(about["codebook_sizes"][0])


def test_a_token_file(tiny_preset, tokens, capsys):
    about = info(tokens / "a.npz", capsys)
    assert about["kind"] == "tokens" and about["shape"] == [5, 8, 1] and about["size"] == [20, 30]
    assert (about["tokens"], about["bits"], about["codebook_sizes"]) == (40, 160, [16])
    assert about["bits_per_pixel"] == 160 / 600 and about["modality"] == "image" and about["preset"] == "image-tiny"
    assert about["model"] == "the preset's, as it is here" and about["bytes"] == (tokens / "a.npz").stat().st_size
    assert about["sha256"] == vqzoo.presets.describe_tokens(tiny_preset)["sha256"]
    shown = text(tokens / "a.npz", capsys)
    assert "shape: 5x8x1\n" in shown and "bits: 160 bits\n" in shown and "bits_per_pixel: 0.266667\n" in shown


def test_a_token_file_of_another_model(tiny_preset, tokens, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("VQZOO_PRESETS", str(tmp_path / "elsewhere"))
    assert info(tokens / "a.npz", capsys)["model"] == "the preset is not here, or damaged"
    quantizer = vqzoo.VectorQuantizer(16, name="quantizer")
    other = vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=quantizer)
    other.save_to_preset(tmp_path / "elsewhere" / "image-tiny")
    assert info(tokens / "a.npz", capsys)["model"] == "another one than that of the preset that is here"


def test_nothing_is_fetched_because_a_file_names_it(tiny_preset, tmp_path, capsys):
    values = np.zeros((2, 2, 1), "int32")
    options = {"size": (8, 8), "preset": "hf://somebody/mine", "folder": tiny_preset}
    vqzoo.presets.save_tokens(tmp_path / "a.npz", values, **options)
    about = info(tmp_path / "a.npz", capsys)
    assert about["model"] == "not compared: the preset is on the Hugging Face Hub"


def test_tokens_of_audio_have_a_bit_rate(tmp_path, capsys):
    folder = vqzoo.presets.find_preset("audio-speech-16k")
    options = {"size": (32000,), "preset": "audio-speech-16k", "folder": folder}
    vqzoo.presets.save_tokens(tmp_path / "a.npz", np.zeros((125, 4), "int32"), **options)
    about = info(tmp_path / "a.npz", capsys)
    assert about["bits"] == 5000 and about["kilobits_per_second"] == 2.5
    assert "kilobits_per_second: 2.5 kbit/s\n" in text(tmp_path / "a.npz", capsys)


def test_token_shards(pictures, tmp_path, capsys):
    assert main(["encode", "image-tiny", str(pictures), "--out", str(tmp_path / "out"), "--shards", "3"]) == 0
    about = info(tmp_path / "out", capsys)
    assert about["kind"] == "token shards" and (about["rows"], about["shards"]) == (7, 3)
    first, second = about["shapes"]
    assert first == {
        "shape": [5, 8, 1],
        "rows": 4,
        "tokens": 40,
        "bits": 160,
        "size": [20, 30],
        "bits_per_pixel": 160 / 600,
    }
    assert second["rows"] == 3 and second["size"] == [28, 30]
    assert about["preset"] == "image-tiny" and about["model"] == "the preset's, as it is here"
    assert about["bytes"] == sum(path.stat().st_size for path in (tmp_path / "out").glob("*.tfrecord"))
    assert "shape 5x8x1, rows 4, tokens 40, bits 160 bits, size 20x30, " in text(tmp_path / "out", capsys)


def test_image_shards(pictures, tmp_path, capsys):
    assert main(["shard", str(pictures), "--out", str(tmp_path / "out")]) == 0
    about = info(tmp_path / "out", capsys)
    assert about["kind"] == "image shards" and (about["rows"], about["shards"]) == (7, 1)
    assert about["checksums"].startswith("manifest and indexes match")


@pytest.mark.parametrize("kind", ["tokens", "shards", "unfinished", "junk"])
def test_what_is_damaged_is_an_error(kind, tokens, pictures, tmp_path, capsys):
    path = tokens / "a.npz"
    if kind == "tokens":
        path.write_bytes(path.read_bytes()[:100])
    elif kind == "junk":
        path = tmp_path / "junk.npz"
        np.savez(path, a=np.zeros(3))
    else:
        path = tmp_path / "out"
        assert main(["shard", str(pictures), "--out", str(path)]) == 0
        next(path.glob("*.index.json")).write_text("{}")
        if kind == "unfinished":
            (path / "manifest.json").unlink()
    capsys.readouterr()
    with pytest.raises(SystemExit, match="1"):
        main(["info", str(path), "--json"])
    out, err = capsys.readouterr()
    assert set(json.loads(out)) == {"error"} and err.startswith("error: ") and err.count("\n") == 1
