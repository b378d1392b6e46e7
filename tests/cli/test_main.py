"""The command line as a user types it, on a preset of a tiny tokenizer."""

import io
import json
import shutil
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import vqzoo
from vqzoo.cli.main import VERBS
from vqzoo.cli.main import main


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    keras.utils.set_random_seed(0)
    quantizer = vqzoo.VectorQuantizer(16, keras.initializers.RandomNormal(stddev=0.3, seed=1), name="quantizer")
    tokenizer = vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=quantizer)
    folder = tmp_path_factory.mktemp("presets") / "image-tiny"
    metadata = {"example": {"signal": [64, 64, 3], "tokens": [16, 16, 1]}, "metrics": {"psnr": 21.25}}
    tokenizer.save_to_preset(folder, metadata=metadata)
    return folder


@pytest.fixture(autouse=True)
def known(preset, monkeypatch):
    monkeypatch.setenv("VQZOO_PRESETS", str(preset.parent))
    monkeypatch.delenv("VQZOO_TRACEBACK", raising=False)


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    random = np.random.default_rng(0)
    for name, size in {"a.png": (20, 30), "b.png": (20, 30), "deep/c.jpg": (33, 17), "deep/c.png": (8, 8)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (*size, 3), "uint8")).save(folder / name)
    return folder


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_list_and_info(preset, capsys):
    assert main(["list"]) == 0
    told = capsys.readouterr().out
    assert "image-tiny" in told and "64x64x3" in told and "256 of 16" in told and "21.2 dB" in told
    assert main(["list", "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert {"image-tiny"} <= {preset["name"] for preset in about["presets"]} and about["failed"] == {}
    assert main(["info", "image-tiny", "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["folder"] == str(preset) and about["codebook_sizes"] == [16] and "tokenizer.keras" in about["files"]
    assert main(["info", str(preset)]) == 0
    assert "PSNR dB, higher is better: 21.25" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"example": {"signal": [2**31] * 16, "tokens": [2**31] * 16}, "codebook_sizes": [2**30]}, "16 axes"),
        ({"example": {"signal": [1] * 16, "tokens": [1]}, "codebook_sizes": list(range(2**20, 2**20 + 8))}, "8 sizes"),
        ({"codebook_sizes": [2**31] * 3, "parameters": 2**62, "example": {"tokens": [2**31]}}, "2e+09 of 3x2e+09"),
    ],
)
def test_no_preset_breaks_the_table(metadata, told, preset, tmp_path, capsys, monkeypatch):
    shutil.copytree(preset, tmp_path / "image-tiny")
    path = tmp_path / "image-tiny" / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **metadata}))
    main(["list"])
    table = len(capsys.readouterr().out.splitlines())  # with the preset as it was
    monkeypatch.setenv("VQZOO_PRESETS", str(tmp_path))
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "image-tiny" in line]
    assert told in line and max(map(len, lines)) <= 80 and len(lines) == table


def test_a_folder_becomes_the_same_tree_of_tokens_and_of_pictures(preset, pictures, tmp_path, capsys):
    assert main(["encode", "image-tiny", str(pictures), "--out", str(tmp_path / "tokens")]) == 0
    assert tree(tmp_path / "tokens") == ["a.npz", "b.npz", "deep/c.jpg.npz", "deep/c.png.npz"]
    assert capsys.readouterr() == ("encoded 4 files\n", "")
    tokenizer = vqzoo.Tokenizer.from_preset(preset)
    image = vqzoo.data.load_image(pictures / "b.png")
    tokens = vqzoo.presets.load_tokens(tmp_path / "tokens" / "b.npz")
    np.testing.assert_array_equal(tokens.tokens, np.asarray(tokenizer.encode(image[None]))[0])
    assert tokens.size == (20, 30) and tokens.preset == "image-tiny"
    assert main(["decode", str(tmp_path / "tokens"), "--out", str(tmp_path / "again"), "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert (about["done"], about["failed"], about["ignored"]) == (4, {}, {})
    assert len(about["files"]) == 4 and all(set(file) == {"file", "decoded"} for file in about["files"])
    again = vqzoo.data.load_image(tmp_path / "again" / "b.png")
    expected = np.clip(tokenizer.decode(tokenizer.encode(image[None]), size=(20, 30))[0], -1, 1)
    np.testing.assert_allclose(again, expected, atol=1 / 127)


def test_one_bad_file_is_named_and_the_rest_is_done(pictures, tmp_path, capsys):
    (pictures / "bad.png").write_text("no picture")
    out = tmp_path / "tokens"
    assert main(["encode", "image-tiny", str(pictures), str(tmp_path / "none.png"), "--out", str(out)]) == 1
    told = capsys.readouterr().err
    assert "encoded 4 files, 2 failed:" in told and "bad.png" in told and "none.png" in told
    assert len(tree(out)) == 4
    assert main(["encode", "image-tiny", str(pictures / "a.png"), "--out", str(out)]) == 1
    assert "is there already. Give --force to overwrite it" in capsys.readouterr().err
    assert main(["encode", "image-tiny", str(pictures / "a.png"), "--out", str(out), "--force"]) == 0


def test_large_pictures_go_in_tiles(preset, tmp_path, monkeypatch):
    monkeypatch.setattr("vqzoo.modalities.ImageModality.at_once", 2_000)
    monkeypatch.setattr("vqzoo.modalities.ImageModality.tile_size", 64)
    rows, columns = np.mgrid[:96, :130]
    waves = np.stack([np.sin(rows / 9), np.cos(columns / 7), np.sin((rows + columns) / 11)], -1).astype("float32")
    vqzoo.data.save_image(tmp_path / "large.png", waves)
    assert main(["encode", str(preset), str(tmp_path / "large.png"), "--out", str(tmp_path)]) == 0
    tokens = vqzoo.presets.load_tokens(tmp_path / "large.npz")
    whole = vqzoo.Tokenizer.from_preset(preset).encode(vqzoo.data.load_image(tmp_path / "large.png")[None])
    assert np.mean(tokens.tokens == np.asarray(whole)[0]) > 0.99
    assert tokens.preset == str(preset.resolve())


def test_standard_input_and_output(pictures, monkeypatch, tmp_path):
    class Pipe(io.BytesIO):
        buffer = property(lambda self: self)

    monkeypatch.setattr(sys, "stdin", Pipe((pictures / "a.png").read_bytes()))
    monkeypatch.setattr(sys, "stdout", Pipe())
    assert main(["encode", "image-tiny", "-"]) == 0
    tokens = sys.stdout.getvalue()
    monkeypatch.setattr(sys, "stdin", Pipe(tokens))
    monkeypatch.setattr(sys, "stdout", Pipe())
    assert main(["decode", "-"]) == 0
    assert Image.open(io.BytesIO(sys.stdout.getvalue())).size == (30, 20)


def test_two_sources_of_one_name_are_refused(pictures, tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(pictures / "a.png", tmp_path / name / "1.png")
    with pytest.raises(SystemExit):
        main(["encode", "image-tiny", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "out")])
    assert "Two sources are called '1.png'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_hidden_files_are_no_token_files_and_stay(preset, pictures, tmp_path):
    out = tmp_path / "tokens"
    assert main(["encode", str(preset), str(pictures / "a.png"), "--out", str(out)]) == 0
    (out / ".b.999999999.tmp.npz").write_bytes(b"somebody's")
    (out / ".hidden.npz").write_bytes(b"somebody's")
    assert main(["decode", str(out), "--out", str(tmp_path / "again")]) == 0
    assert main(["encode", str(preset), str(pictures / "a.png"), "--out", str(out), "--force"]) == 0
    assert {path.name for path in out.iterdir()} == {"a.npz", ".hidden.npz", ".b.999999999.tmp.npz"}


def test_export_does_not_replace_a_folder_of_other_files(preset, tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(SystemExit):
        main(["export", "image-tiny", "--out", str(tmp_path), "--force"])
    assert "holds files that are no preset's, such as thesis.tex" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text() == "years"


def test_reconstruct_and_evaluate(pictures, tmp_path, capsys):
    assert main(["reconstruct", "image-tiny", str(pictures), "--out", str(tmp_path / "again"), "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert len(tree(tmp_path / "again")) == len(files) == 4 and all(0 < file["psnr"] < 40 for file in files)
    assert main(["evaluate", "image-tiny", str(pictures), "--size", "16", "--crops", "8", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["crops"] == 8 and report["skipped"] == 0 and 0 < report["psnr"] < 40


def test_export_into_a_copy_and_verify(preset, tmp_path, capsys):
    copy = tmp_path / "copy"
    assert main(["export", "image-tiny", "--out", str(copy), "--litert", "int8"]) == 0
    assert "litert_int8: " in capsys.readouterr().out
    assert not (preset / "saved_model").exists() and (copy / "tokenizer_int8.tflite").exists()
    assert main(["verify", str(copy)]) == 0
    assert "100.00% of tokens equal" in capsys.readouterr().out
    with open(copy / "encoder.keras", "r+b") as file:
        file.write(b"damaged")
    with pytest.raises(SystemExit) as caught:
        main(["verify", str(copy)])
    assert caught.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith("error: The preset in ") and "encoder.keras" in told and "Traceback" not in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "image-tyni"], "error: There is no preset 'image-tyni'. Did you mean 'image-tiny'?"),
        (["encode", "image-tiny", "a.png"], "error: --out DIR is the folder for the tokens"),
        (["decode", "a.npz"], "error: --out DIR is the folder for what is decoded"),
        (["evaluate", "image-tiny", "nowhere"], "nowhere does not exist. Check its name."),
        (["evaluate", "image-tiny", ".", "--scale", "1e-2", "--whole"], "leave out --scale"),
        (["generate", "image-tiny", "--grid", "a.jpg"], "saved as .png. Received: 'a.jpg'. Pass `'a.png'`"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(arguments, message, pictures, capsys, monkeypatch):
    monkeypatch.chdir(pictures)
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 1
    told = capsys.readouterr().err
    assert message in told and "Traceback" not in told


def test_doctor(capsys):
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["packages"]["keras"] == keras.__version__ and report["backend"] == "tensorflow"
    assert report["extras"]["ai_edge_litert"] == "yes"
    assert report["extras"]["tensorflow_io"] == "yes" or report["extras"]["tensorflow_io"].startswith("no: ")
    assert main(["doctor"]) == 0
    assert "keras computes with tensorflow" in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    assert len(told.splitlines()) > 4 and "exit status: 0 where all was done; 1 where" in told


def test_names_that_recipes_have_imported_from_here_are_found():
    import vqzoo.cli

    with pytest.warns(DeprecationWarning, match="`vqzoo.cli.ImageRun` is `vqzoo.runs.ImageRun` now"):
        assert vqzoo.cli.ImageRun is vqzoo.runs.ImageRun
    with pytest.raises(AttributeError, match="module 'vqzoo.cli' has no attribute 'VideoRun'"):
        vqzoo.cli.VideoRun  # noqa: B018
