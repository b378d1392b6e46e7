"""Every recipe's `tiny`, run as a user runs it."""

import csv
import dataclasses
import importlib.util
import inspect
import json
import os
import pathlib
import re
import runpy
import subprocess
import sys
import types

import numpy as np
import pytest
from PIL import Image

import vqzoo
from vqzoo.data.audio.files import SYNTHETIC

ROOT = pathlib.Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.py"))
STARTED = ("image_vqgan", "audio_vqvae")
PRIORS = ("image_generation", "image_inpainting")
TEXTS = {
    "text_generation": "",
    "text_translation": "en\tes\nthe cat {0}\tel gato {0}\n",
    "text_dialogue": "conversation\ttext\n{0}\tHow old is the cat?\n{0}\tIt is {0}.\n{0}\tReally?\n",
}
TOKENIZERS = [path for path in RECIPES if path.stem not in (*PRIORS, *TEXTS, "image_style")]
FILES = ["tokenizer.keras", "tokenizer.tflite", "README.md", "metadata.json", "recipe.json", "manifest.json"]
FILES += ["run/metrics.csv", "run/metrics.jsonl", "run/curves.png", "run/usage.png"]
OF_FORMS = ["encoder.keras", "decoder.keras", "saved_model/saved_model.pb"]
ALL_FORMS = ("saved_model", "litert", "litert_float16", "litert_int8", "portable")
# One recipe makes all exports, the others one of them. `.ci/slow` makes all of one recipe of each modality.
CASES = [pytest.param(path, "all" if path.stem == "image_vqgan" else "litert", id=path.stem) for path in TOKENIZERS]
CASES += [
    pytest.param(path, "all", marks=pytest.mark.slow, id=f"{path.stem}-all")
    for path in TOKENIZERS
    if path.stem in ("audio_vqvae", "text_vqvae")
]
FILES_OF = {
    "image": ["run/pictures/epoch_0002.png", "samples.png"],
    "text": ["run/sentences/epoch_0002.md", "samples.md", "pieces.model"],
    "audio": ["run/sounds/epoch_0002/spectrograms.png", "run/sounds/epoch_0002/1_reconstruction.wav"],
}
FILES_OF["audio"] += ["samples.png", "samples/1_original.wav", "samples/1_reconstruction.wav"]
EXAMPLES = {
    "image": {"signal": [32, 32, 3], "tokens": [8, 8, 1]},
    "audio": {"signal": [8000, 1], "tokens": [32, 2]},
    "text": {"signal": [32], "tokens": [16, 2]},
}


@pytest.fixture
def run(fresh_python):
    """Callable that runs a recipe. The two that people are shown first are started as they start them."""

    def run(path, *arguments):
        if path.stem in STARTED:
            unset = ("TF_CPP_MIN_LOG_LEVEL", "VQZOO_QUIET", "VQZOO_TRACEBACK")  # a user has none of them
            environment = {name: value for name, value in os.environ.items() if name not in unset}
            command = [sys.executable, str(path), *arguments]
            ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
            assert [line for line in ended.stderr.splitlines() if not line.startswith(SYNTHETIC)] == []
            return ended
        return fresh_python(path, *arguments, cwd=ROOT)

    return run


def test_recipes_were_found():
    assert {path.stem for path in RECIPES} >= {"image_vqvae", "image_vqgan"}


@pytest.mark.parametrize(("path", "exports"), CASES)
def test_tiny_ends_with_a_complete_preset(path, exports, tmp_path, run):
    out = tmp_path / "some folder" / "tïny"
    ended = run(path, "tiny", "--out", str(out), "--exports", exports)
    assert ended.returncode == 0, ended.stderr[-3000:]
    modality = path.stem.split("_")[0]
    for file in FILES + FILES_OF[modality] + (OF_FORMS if exports == "all" else []):
        assert (out / file).stat().st_size > 0, file
    vqzoo.presets.verify_preset(out)
    forms = ALL_FORMS if exports == "all" else (exports,)
    for form in {"saved_model", "litert", "portable", "tokenizer"} & {*forms, "tokenizer"}:
        assert re.search(rf"export {form} +│[^│]*\b100\.00% of tokens", ended.stdout), form
    assert str(out / "tokenizer.tflite") in ended.stdout
    metadata = json.loads((out / "metadata.json").read_text())
    assert metadata["modality"] == modality and metadata["example"] == EXAMPLES[modality]
    assert {*forms, "tokenizer"} == set(metadata["exports"])
    recipe = json.loads((out / "recipe.json").read_text())
    assert recipe["recipe"] == path.stem and recipe["out"] == str(out)
    rows = list(csv.DictReader((out / "run" / "metrics.csv").read_text().splitlines()))
    assert len(rows) == recipe["epochs"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    if modality != "text":
        grid = np.asarray(Image.open(out / "samples.png"))
        assert grid.ndim == 3 and grid.std() > 10
    tokenizer = vqzoo.Tokenizer.from_preset(out)
    assert tokenizer.name == path.stem
    if modality == "image":
        assert 5.0 < metadata["metrics"]["psnr"] < 60.0
        image = vqzoo.data.load_image(vqzoo.data.sample_images()[1])[:50, :41]
        tokens = tokenizer.encode(image[None])
        assert tokenizer.decode(tokens, size=(50, 41)).shape == (1, 50, 41, 3)
    elif modality == "text":
        # The commonest pieces alone are right more often than one in ten.
        assert 0.15 < metadata["metrics"]["piece_accuracy"] <= 1.0
        assert len(tokenizer.decode(tokenizer.encode(["Returns the sum of an array.", ""]))) == 2
        assert vqzoo.data.Pieces((out / "pieces.model").read_bytes()) == tokenizer.pieces
    else:
        sound = vqzoo.data.load_audio(vqzoo.data.sample_audio()[0], 16000, start=8000, samples=12345)[None]
        again = tokenizer.decode(tokenizer.encode(sound), length=12345)
        assert again.shape == (1, 12345, 1)
        distance = [float(vqzoo.metrics.mel_distance(sound, x, 16000)[0]) for x in (again, np.zeros_like(sound))]
        assert 0.0 < distance[0] < 0.7 * distance[1], distance


@pytest.mark.parametrize("name", PRIORS)
def test_tiny_ends_with_a_prior_that_makes_pictures(name, tmp_path, run):
    out = tmp_path / "some folder" / "tïny"
    ended = run(ROOT / "recipes" / f"{name}.py", "tiny", "--out", str(out))
    assert ended.returncode == 0, ended.stderr[-3000:]
    files = {"prior.keras", "tokenizer.keras", "samples.png", "neighbours.png", "generator/saved_model.pb"}
    assert files <= set(vqzoo.presets.verify_preset(out)["files"])
    assert "100.00% of tokens equal" in ended.stdout
    rows = list(csv.DictReader((out / "run" / "metrics.csv").read_text().splitlines()))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) < 1.1 * np.log(4096)
    metrics = json.loads((out / "metadata.json").read_text())["metrics"]
    # Of another photograph than those four that it has seen, for some seconds.
    assert metrics["bits_per_token"] < 12.5 and metrics["bits_per_token_by_chance"] == 12.0
    pictures = vqzoo.generate(out, 2, seed=1)
    assert pictures.shape == (2, 32, 32, 3) and pictures.std() > 0.05
    if name == "image_inpainting":
        told = json.loads((out / "run" / "repairs.json").read_text())
        classical = "Telea" if importlib.util.find_spec("cv2") else "biharmonic"
        assert set(told) == {"mean fill", classical, "prior"}
        assert all(5.0 < of["psnr_in_holes"] < 40.0 for of in told.values())
        assert (out / "run" / "repairs.png").stat().st_size > 0


@pytest.mark.parametrize("name", TEXTS)
def test_tiny_ends_with_a_prior_that_writes(name, tmp_path, run):
    out, data = tmp_path / "some folder" / "tïny", tmp_path / "some folder" / "data.tsv"
    arguments = []
    if TEXTS[name]:
        data.parent.mkdir()
        head, *lines = TEXTS[name].splitlines(keepends=True)
        data.write_text(head + "".join(line.format(i) for i in range(200) for line in lines))
        arguments = ["--data", str(data)]
    ended = run(ROOT / "recipes" / f"{name}.py", "tiny", "--out", str(out), *arguments)
    assert ended.returncode == 0, ended.stderr[-3000:]
    files = set(vqzoo.presets.verify_preset(out)["files"])
    assert {"prior.keras", "samples.md", "generator/saved_model.pb"} <= files
    assert "100.00% of tokens equal" in ended.stdout
    rows = list(csv.DictReader((out / "run" / "metrics.csv").read_text().splitlines()))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    metadata = json.loads((out / "metadata.json").read_text())
    assert metadata["metrics"]["bits_per_token"] < metadata["metrics"]["bits_per_token_by_chance"]
    if name == "text_generation":
        assert vqzoo.generate(out, prompt="Returns the", length=8)[0].startswith("Returns the")
    elif name == "text_translation":
        assert len(vqzoo.generation.translate(out, ["the cat 3", ""], length=8)) == 2
    else:
        assert metadata["history"] == vqzoo.generation.Chat(out).history == 1


@pytest.mark.parametrize(
    "name, flags, message",
    [
        ("image_generation", "--tokens shards --data it --flip", "--data, --flip: decided by --tokens. Leave it out"),
        ("image_inpainting", "--tokens shards --data it --examples 9", "--examples: decided by --tokens"),
        ("image_inpainting", "--tokens shards", "--tokens has no images to repair. Also give the encoded images"),
        ("image_inpainting", "--prior it --epochs 9 --size 8", "--epochs, --size: decided by --prior"),
        ("image_inpainting", "--share 1.5", "Received: --share 1.5 --repaired 32"),
        ("image_inpainting", "--repaired 0", "--repaired at least 1"),
        (
            "image_inpainting",
            "--features no.keras",
            "--features must be a .keras file that exists. Received",
        ),
    ],
)
def test_priors_refuse_what_would_have_no_effect_or_fail_later(name, flags, message, monkeypatch, capsys):
    path = str(ROOT / "recipes" / f"{name}.py")
    monkeypatch.setattr(sys, "argv", [path, *flags.split()])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(path, run_name="__main__")
    told = capsys.readouterr().err
    assert ended.value.code == 2 and message in told, told


def test_inpainting_learns_also_without_labels_and_repairs_with_its_settings(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("inpainting", ROOT / "recipes" / "image_inpainting.py")
    monkeypatch.setitem(sys.modules, "inpainting", recipe := importlib.util.module_from_spec(spec))
    spec.loader.exec_module(recipe)
    for parts, dropout in (({"label": 2}, 0.1), ({}, 0.0)):
        space = vqzoo.priors.TokenSpace({**parts, "image": 8})
        context = types.SimpleNamespace(settings=recipe.VARIANTS["tiny"], space=space, grid=(2, 2), start=None)
        assert recipe.build(context).prior.condition_dropout == dropout
    encoder = types.SimpleNamespace(input_shape=(None, None, None, 3))
    stub = types.SimpleNamespace(size=(32, 32), tokenizer=types.SimpleNamespace(encoder=encoder))
    monkeypatch.setattr(recipe.Generator, "from_preset", lambda name: stub)
    seen = []
    monkeypatch.setattr(vqzoo, "inpaint", lambda generator, x, mask, **options: seen.append(options) or x)
    recipe.main(
        recipe.Config(prior="it", out=str(tmp_path), repaired=2, temperature=0.3, sampling_steps=5, rim=1, seed=4)
    )
    assert seen == [{"temperature": 0.3, "steps": 5, "noise": 1.0, "rim": 1, "seed": 4}] * 2
    # A worker that writes nothing has nothing to repair with.
    monkeypatch.setattr(recipe, "PriorRun", lambda *args: types.SimpleNamespace(fit=id, finish=lambda trainer: None))
    recipe.main(recipe.Config(out=str(tmp_path)))
    assert len(seen) == 2
    usual = inspect.signature(vqzoo.generation.inpaint).parameters["rim"].default
    assert recipe.Config().rim == usual


def test_generation_asks_for_guidance_where_there_is_some(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    recipe = importlib.import_module("image_generation")
    seen = []
    run = types.SimpleNamespace(fit=lambda build: None, finish=lambda trainer: None)
    monkeypatch.setattr(recipe, "PriorRun", lambda config, name, data, sampling, start: seen.append(sampling) or run)
    tiny = recipe.VARIANTS["tiny"]
    for guidance in (1.0, 2.5):
        recipe.main(dataclasses.replace(tiny, guidance=guidance))
    recipe.main(dataclasses.replace(tiny, kind="masked", sampling_steps=5, noise=2.0, temperature=0.5))
    assert [told["guidance"] for told in seen] == [None, 2.5, 2.5]  # None: without the second pass that it takes
    assert [seen[2][name] for name in ("steps", "noise", "temperature")] == [5, 2.0, 0.5]
    assert "steps" not in seen[0]


def test_pictures_are_restyled(tmp_path, run):
    ended = run(ROOT / "recipes" / "image_style.py", "tiny", "--out", str(tmp_path))
    assert ended.returncode == 0, ended.stderr[-3000:]
    told = json.loads((tmp_path / "distances.json").read_text())
    contents, styles = zip(*(told[f"strength {s}"] for s in ("0", "0.5", "1")), strict=True)
    assert contents[0] < contents[2] < 1.4
    assert told["the two pictures"][1] > styles[1] > styles[2]
    assert (tmp_path / "restyled.png").stat().st_size > 0


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_help_tells_every_setting(path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert "--data DATA" in told and "tiny" in told
    assert "(default:" in told.split("--seed")[-1]


@pytest.mark.slow
def test_dense28_runs_and_an_init_continues(tmp_path, run):
    recipe = ROOT / "recipes" / "image_vqvae.py"
    short = ["--epochs", "2", "--steps_per_epoch", "40", "--validation_crops", "16"]
    ended = run(recipe, "dense28", "--out", str(tmp_path / "dense"), *short)
    assert ended.returncode == 0, ended.stderr[-3000:]
    tokenizer = vqzoo.Tokenizer.from_preset(tmp_path / "dense")
    assert tokenizer.encode(np.zeros((2, 28, 28, 1), "float32")).shape == (2, 16, 1)
    again = run(recipe, "dense28", "--init", str(tmp_path / "dense"), "--out", str(tmp_path / "tuned"), *short)
    assert again.returncode == 0, again.stderr[-3000:]
    losses = []
    for name in ("dense", "tuned"):
        rows = csv.DictReader((tmp_path / name / "run" / "metrics.csv").read_text().splitlines())
        losses.append([float(row["loss"]) for row in rows])
    # From the first epoch on it is about as good as what it started from, and better than a fresh start.
    assert losses[1][0] < 1.25 * losses[0][1] and losses[1][0] < 0.75 * losses[0][0], losses


def test_the_published_networks_are_one_flag_away(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    recipe = importlib.import_module("image_vqgan")
    small = {"filters": 8, "size": 32, "codebook_size": 16, "latent_dim": 4}
    config = dataclasses.replace(recipe.VARIANTS["f16"], blocks=1, **small)
    tokenizer = recipe.build(types.SimpleNamespace(settings=config)).tokenizer
    assert tokenizer.encode(np.zeros((1, 32, 48, 3), "float32")).shape == (1, 2, 3, 1)
    layers = [layer.name for layer in tokenizer.encoder.layers]
    assert any("down_4_attn" in name for name in layers) and any("norm" in name for name in layers), layers


def test_sentences_are_decoded_one_piece_after_another_by_a_flag(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    recipe = importlib.import_module("text_vqvae")
    pieces = vqzoo.data.Pieces.train(["the cat sat on the mat", "a dog and a cat"], size=300, exact=False)
    config = dataclasses.replace(recipe.VARIANTS["tiny"], decoder="autoregressive", decoder_word_dropout=0.5)
    config = dataclasses.replace(config, stride=3, length=900)  # 512 pieces are no multiple of 3
    tokenizer = recipe.build_tokenizer(config, pieces)
    assert tokenizer.is_autoregressive and tokenizer.decoder.word_dropout == 0.5
    assert tokenizer.decoder.max_length == 900
    assert isinstance(tokenizer.decode(tokenizer.encode(["a cat"]))[0], str)
    with pytest.raises(ValueError, match="--decoder must be parallel or autoregressive. Received: both"):
        dataclasses.replace(config, decoder="both")


@pytest.mark.slow
def test_a_frozen_encoder_keeps_its_tokens(tmp_path, run):
    tokenizer = vqzoo.image_vqvae(filters=16, blocks=1, latent_dim=4, quantizer=vqzoo.EMAVectorQuantizer(16))
    tokenizer.save_to_preset(tmp_path / "vqvae")
    out = tmp_path / "out"
    flags = ["--init", str(tmp_path / "vqvae"), "--freeze_encoder", "--out", str(out), "--epochs", "1"]
    ended = run(ROOT / "recipes" / "image_vqgan.py", "tiny", *flags)
    assert ended.returncode == 0, ended.stderr[-3000:]
    sharpened = vqzoo.Tokenizer.from_preset(out)
    for part in ("encoder", "quantizer"):
        for one, other in zip(getattr(sharpened, part).weights, getattr(tokenizer, part).weights, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=one.path)
    assert np.abs(sharpened.decoder.get_weights()[0] - tokenizer.decoder.get_weights()[0]).max() > 1e-3
    assert sharpened.encoder.trainable_variables  # for the next run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "no/such/folder"], "no/such/folder"),
        (["--init", "no-such-preset"], "no-such-preset"),
        (["--freeze_encoder"], "--freeze_encoder needs a preset: give one with --init"),
    ],
)
def test_what_is_missing_is_named(arguments, message, tmp_path, monkeypatch, capsys):
    recipe = str(ROOT / "recipes" / "image_vqgan.py")
    monkeypatch.setattr(sys, "argv", [recipe, "tiny", "--out", str(tmp_path / "out"), *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(recipe, run_name="__main__")
    assert ended.value.code != 0 and message in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "out" / "manifest.json").exists()
