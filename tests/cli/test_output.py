"""With --json every verb prints one strict document on standard output, and nothing else there."""

import io
import json
import shutil

import keras
import numpy as np
import pytest

import vqzoo
from vqzoo.cli import progress
from vqzoo.cli.main import VERBS
from vqzoo.cli.main import main
from vqzoo.data import Pieces
from vqzoo.generation import Generator
from vqzoo.generation import TextPart
from vqzoo.jsons import parse_json
from vqzoo.networks import Transformer
from vqzoo.priors import TokenSpace


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A tiny tokenizer, a prior on it, two images of which one is damaged, and what belongs to neither."""
    folder = tmp_path_factory.mktemp("output")
    keras.utils.set_random_seed(0)
    quantizer = vqzoo.VectorQuantizer(16, keras.initializers.RandomNormal(stddev=0.3, seed=1), name="quantizer")
    images = vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=quantizer)
    example = {"signal": [16, 16, 3], "tokens": [4, 4, 1]}
    images.save_to_preset(folder / "image", metadata={"example": example})
    owner = vqzoo.presets.describe_tokens(folder / "image")
    space = TokenSpace({"image": owner["codebook_sizes"]}, owners={"image": owner["sha256"]})
    prior = vqzoo.MaskedPrior(space, Transformer(1, 2), "image", 8, (4, 4), learnt_positions=16)
    prior.build_now()
    metadata = {"modality": "image", "example": example, "sampling": {"steps": 2}, "codebook_sizes": [16]}
    prior.save_to_preset(folder / "prior", metadata=metadata, seal=False)
    shutil.copyfile(folder / "image" / "tokenizer.keras", folder / "prior" / "tokenizer.keras")
    vqzoo.presets.seal_preset(folder / "prior")
    pieces = Pieces.train(["the old house", "a cat and a dog"], 290, exact=False)
    writer = vqzoo.AutoregressivePrior(
        TokenSpace({"source": pieces.size, "text": pieces.size}), Transformer(1, 2, causal=True), "text", 8
    )
    Generator(writer, TextPart("text", pieces), TextPart("source", pieces, length=9)).save_to_preset(folder / "writer")
    (folder / "in").mkdir()
    for name in "ab":
        vqzoo.data.save_image(folder / "in" / f"{name}.png", np.random.default_rng(0).uniform(-1, 1, (20, 24, 3)))
    (folder / "in" / "bad.png").write_bytes(b"no image")
    (folder / "in" / "notes.txt").write_text("a")
    return folder


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.delenv("VQZOO_TRACEBACK", raising=False)
    monkeypatch.setattr(progress, "SECONDS", 600)  # a slow machine shows its progress


def document(words, capsys, status=0):
    """The one document that the command prints."""
    assert main([*words.split(), "--json"]) == status
    out, err = capsys.readouterr()
    assert out.count("\n") == 1 and err == ""
    return parse_json(out)


# The command, its status, and what its document holds.
COMMANDS = {
    "list": (0, {"presets", "failed"}),
    "info image": (0, {"kind", "folder", "files", "codebook_sizes"}),
    "encode image in --out tokens": (1, {"files", "done", "failed", "ignored"}),
    "decode tokens --out decoded": (0, {"files", "done", "failed", "ignored"}),
    "encode image in --out token_shards --shards": (1, {"files", "done", "failed", "ignored", "shards", "folder"}),
    "reconstruct image in --out again": (1, {"files", "done", "failed", "ignored"}),
    "generate prior --count 2 --out made --grid grid.png": (0, {"results", "grid", "count", "seed"}),
    "translate writer in/notes.txt --out notes.txt --length 4": (0, {"files", "done", "failed", "ignored"}),
    "chat writer --length 4": (0, {"text", "reply"}),
    "inpaint prior in/a.png --pad 4 --out larger.png": (0, {"file", "made", "pixels", "seed"}),
    "restyle image in/a.png in/b.png --out restyled.png": (0, {"file", "strength"}),
    "shard in --out shards": (1, {"files", "done", "failed", "ignored", "shards", "folder"}),
    "evaluate image in --size 16 --crops 4": (1, {"psnr", "measured", "files", "skipped", "failed", "ignored"}),
    "evaluate image in --whole": (1, {"psnr", "measured", "files", "skipped", "failed", "ignored"}),
    "verify image": (0, {"folder", "files", "forms"}),
    "verify shards": (0, {"form", "kind", "shards", "rows"}),
    "doctor": (0, {"packages", "backend", "devices"}),
}


def test_every_verb_prints_one_document(capsys, monkeypatch):
    """In one test, because the later commands read what the earlier ones wrote."""
    found = {}
    monkeypatch.setattr("sys.stdin", io.StringIO("a cat\n"))
    for words, (status, keys) in COMMANDS.items():
        found[words] = document(words, capsys, status)
        assert keys <= set(found[words]), words
    assert {words.split()[0] for words in COMMANDS} == {*VERBS} - {"push", "export"}
    for words, (status, _) in COMMANDS.items():
        if "failed" in found[words]:
            assert len(found[words]["failed"]) == status
            assert all("bad.png" in name for name in found[words]["failed"])
            assert found[words].get("ignored", {}) in ({".txt": 1}, {})
    assert found["encode image in --out tokens"]["done"] == 2
    assert found["encode image in --out tokens"]["files"][0]["shape"] == [5, 6, 1]
    assert [form["form"] for form in found["verify image"]["forms"]] == ["tokenizer"]


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["image", "prior"])
def test_an_export_prints_its_forms(preset, capsys):
    about = document(f"export {preset} --out exported_{preset}", capsys)
    assert about["folder"] == f"exported_{preset}" and bool(about["forms"])
    verified = document(f"verify exported_{preset}", capsys)
    assert set(verified) == {"folder", "files", "forms"}
    if preset == "image":
        assert [form["form"] for form in verified["forms"]] == [form["form"] for form in about["forms"]]


def test_an_upload_prints_its_place(capsys, monkeypatch):
    monkeypatch.setattr("vqzoo.cli.verbs.push.push_to_hub", lambda *arguments, **options: "https://hub/a/b")
    assert document("push image a/b", capsys) == {"url": "https://hub/a/b"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("info nothing", "There is no preset 'nothing'"),
        ("encode image in/a.png", "--out DIR is the folder for the tokens"),
        ("encode image - ", "The path - writes the result to standard output, where --json writes"),
        ("decode -", "The path - writes the result to standard output, where --json writes"),
        ("evaluate image nowhere", "nowhere does not exist"),
        ("generate image --out made2", "has no prior.keras"),
        ("verify in", "not a preset"),
    ],
)
def test_an_error_is_a_document_too(words, message, capsys):
    with pytest.raises(SystemExit, match="1"):
        main([*words.split(), "--json"])
    out, err = capsys.readouterr()
    assert message in json.loads(out)["error"] and out.count("\n") == 1
    assert err == f"error: {json.loads(out)['error']}\n"


def test_an_unexpected_error_is_a_document_and_raises(capsys, monkeypatch):
    def fail(arguments):
        raise KeyError("a mistake of vqzoo")

    monkeypatch.setattr("vqzoo.cli.verbs.list.run", fail)
    with pytest.raises(KeyError):
        main(["list", "--json"])
    assert json.loads(capsys.readouterr().out) == {"error": "KeyError: 'a mistake of vqzoo'"}


def test_without_json_an_error_prints_nothing_on_standard_output(capsys):
    with pytest.raises(SystemExit):
        main(["info", "nothing"])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_the_flag(verb, capsys):
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    assert "print one JSON document in place of text" in capsys.readouterr().out
