"""What `vqzoo evaluate` says that it measured, and that it measured that."""

import json
import re
import types

import keras
import numpy as np
import pytest
import soundfile

import vqzoo
from vqzoo.cli.main import main
from vqzoo.data import ImageCrops
from vqzoo.data import Pieces
from vqzoo.data import find_images
from vqzoo.data import load_image
from vqzoo.data import save_image
from vqzoo.data import write_image_shards
from vqzoo.metrics import evaluate_audio
from vqzoo.metrics import evaluate_images
from vqzoo.metrics.image import similarity
from vqzoo.modalities import AudioModality
from vqzoo.modalities import ImageModality
from vqzoo.modalities import Split
from vqzoo.modalities import modality_of
from vqzoo.runs import TokenizerRun
from vqzoo.runs.failures import failure_line

RNG = np.random.default_rng(0)
MEANS = "means over the files, and the bits of all of them together"


def evaluate_sample(tokenizer, *arguments):
    return modality_of(tokenizer).evaluate_sample(tokenizer, *arguments)


def evaluate_whole(tokenizer, *arguments):
    return modality_of(tokenizer).evaluate_whole(tokenizer, *arguments)


@pytest.fixture(scope="module")
def tokenizers():
    keras.utils.set_random_seed(0)
    pieces = Pieces.train(["the cat sat on the mat", "a dog and a cat"], 300, exact=False)
    quantizer = vqzoo.VectorQuantizer(16, keras.initializers.RandomNormal(stddev=0.3, seed=1))
    return {
        "image": vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=quantizer),
        "audio": _audio(),
        "text": vqzoo.text_vqvae(pieces, stride=2, filters=8, blocks=1, quantizer=vqzoo.EMAVectorQuantizer(16)),
    }


def _audio():
    """A tokenizer of sounds that only rounds: what matters here is what it is given."""
    encoder = types.SimpleNamespace(input_shape=(None, None, 1))

    class Rounding:
        modality, sample_rate, codebook_sizes, stride = "audio", 8000, (16,), 1

        def __init__(self):
            self.encoder = encoder

        def encode(self, signal, window=None):
            return np.rint(np.asarray(signal) * 7.5 + 7.5).astype("int32")

        def decode(self, tokens, length, window=None):
            return (tokens / 7.5 - 1.0).astype("float32")[:, :length]

    return Rounding()


@pytest.fixture
def folder(tmp_path):
    """Three pictures, sounds and texts of different sizes, one of each that is damaged, and a file of another kind."""
    random = np.random.default_rng(0)  # the same whichever tests ran before
    for i, size in enumerate([(40, 60), (170, 200), (24, 24)]):
        image = random.uniform(-1, 1, (*size, 3)).astype("float32")
        save_image(tmp_path / "image" / f"{i}.png", image)
    (tmp_path / "audio").mkdir()
    for i, length in enumerate([8000, 20_000, 12_345]):
        soundfile.write(tmp_path / "audio" / f"{i}.wav", random.uniform(-0.5, 0.5, length), 8000)
    (tmp_path / "text").mkdir()
    for i, lines in enumerate(["the cat sat\na dog\n", "the mat\n", "a cat and a dog\nthe dog\n"]):
        (tmp_path / "text" / f"{i}.txt").write_text(lines)
    for name, ending in (("image", "png"), ("audio", "wav"), ("text", "txt")):
        (tmp_path / name / f"bad.{ending}").write_bytes(b"\xff\xfebroken\0\0")
        (tmp_path / name / "notes.docx").write_bytes(b"")
    return tmp_path


def run(tokenizers, monkeypatch, capsys, modality, *arguments, status=1):  # one file is damaged
    """Standard output and standard error of the verb."""
    monkeypatch.setattr("vqzoo.cli.verbs.evaluate.find_preset", lambda name: name)
    monkeypatch.setattr("vqzoo.tokenizers.Tokenizer.from_preset", lambda name: tokenizers[modality])
    capsys.readouterr()
    assert main(["evaluate", "preset", *map(str, arguments)]) == status
    return capsys.readouterr()


MEASURED = {
    "image": (
        ["--size", "32", "--crops", "20", "--scale", "0.7"],
        "20 crops of 32x32 pixels, cut at random from 3 of 4 files at 0.7 to 1.33 of their resolution (13 of images "
        "that are too small for 0.7), 6 of the crops enlarged, images beyond 1024 "
        "pixels a side being reduced to that first (--whole measures each file as it is)",
        ("crops", 20),
        f"3 of 4 files, every pixel of each; {MEANS}",
        ("images", 3),
    ),
    "audio": (
        ["--size", "4000", "--crops", "20"],
        "20 clips of 4000 samples (0.5 s), cut at random from 4 files (--whole measures each file as it is)",
        ("clips", 20),
        f"3 of 4 files, every sample of each; {MEANS}",
        ("recordings", 3),
    ),
    "text": (
        ["--crops", "3"],
        "3 of the 5 sentences in 4 files, drawn at random (--whole measures all)",
        ("sentences", 3),
        "all 5 sentences of 3 of 4 files",
        ("sentences", 5),
    ),
}


@pytest.mark.parametrize("modality", MEASURED)
def test_the_report_says_what_it_was_measured_on(tokenizers, folder, monkeypatch, capsys, modality):
    flags, sampled, drawn, whole, each = MEASURED[modality]
    bad = next((folder / modality).glob("bad.*"))
    for arguments, measured, (name, count) in ((flags, sampled, drawn), (["--whole"], whole, each)):
        printed = run(tokenizers, monkeypatch, capsys, modality, folder / modality, *arguments)
        assert printed.out.splitlines()[0] == f"measured on {measured}"
        assert re.search(r"^files skipped, lower is better +1$", printed.out, re.MULTILINE)
        assert printed.err.splitlines()[0] == "ignored 1 .docx"
        (line,) = [line for line in printed.err.splitlines() if str(bad) in line]
        assert line.count(str(bad)) == 1 or "iconv" in line  # a command that mends it names it, too
        printed = run(tokenizers, monkeypatch, capsys, modality, folder / modality, *arguments, "--json")
        report = json.loads(printed.out)
        assert report["measured"] == measured and report[name] == count
        assert report["files"] == 4 and report["skipped"] == 1 and report["ignored"] == {".docx": 1}
        assert list(report["failed"]) == [str(bad)] and printed.err == ""
        assert report["whole"] == (arguments == ["--whole"])


@pytest.mark.parametrize(
    ("sides", "scale", "told"),
    [
        ([64], 0.5, "at 0.5 of their resolution, images"),
        ([32], 0.5, "at 1 of their resolution (4 of images that are too small for 0.5), images"),
        ([16], 1, "at 2 of their resolution (4 of images that are too small for 1), 4 of the crops e"),
        ([64], 2, "at 2 of their resolution, 4 of the crops enlarged, images"),
        ([16, 64], 0.5, "at 0.5 to 2 of their resolution (2 of images that are too small for 0.5), 2"),
    ],
)
def test_crops_are_said_to_be_of_the_resolution_that_they_are_of(sides, scale, told, tokenizers, tmp_path, monkeypatch):
    for side in sides:
        save_image(tmp_path / f"{side}.png", np.zeros((side, side, 3), "float32"))
    tokenizer = tokenizers["image"]
    monkeypatch.setattr(
        "vqzoo.modalities.image.evaluate_images", lambda tokenizer, batches: {"images": sum(map(len, batches))}
    )
    measured = evaluate_sample(tokenizer, tmp_path, 32, scale, 4, 0).measured
    assert told in measured and len(sides) == int(measured.split(" files")[0].split()[-1])


@pytest.mark.parametrize("scale", ["inf", "nan", "-inf", "0", "-1", "1e300", "1001"])
def test_a_scale_that_is_none(scale, tokenizers, folder, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(tokenizers, monkeypatch, capsys, "image", folder / "image", f"--scale={scale}")
    assert "--scale: a number above 0 and at most 1000. Received: " in capsys.readouterr().err


def test_short_sounds_are_said_to_be_padded(tokenizers, folder):
    tokenizer = tokenizers["audio"]
    for samples, told in (
        (16_000, "from 4 files, 2 of which are shorter and padded with silence ("),
        (4000, "4 files ("),
    ):
        assert told in evaluate_sample(tokenizer, folder / "audio", samples, None, 4, 0).measured


def test_rates_are_of_all_files_together(tokenizers, folder):
    pixels, positions = zip(
        *[(h * w, -(-h // 4) * -(-w // 4)) for h, w in [(40, 60), (170, 200), (24, 24)]], strict=True
    )
    report = evaluate_whole(tokenizers["image"], str(folder / "image")).report
    assert report["bits_per_pixel"] == pytest.approx(4 * sum(positions) / sum(pixels))


@pytest.mark.parametrize("at_once", [2**20, 1000])
def test_whole_pictures_are_measured_each_once_also_in_tiles(tokenizers, folder, monkeypatch, at_once):
    tokenizer = tokenizers["image"]
    monkeypatch.setattr(ImageModality, "at_once", at_once)
    monkeypatch.setattr(ImageModality, "tile_size", 64)
    report = evaluate_whole(tokenizer, str(folder / "image")).report
    batches = [load_image(folder / "image" / f"{i}.png")[None] for i in range(3)]
    expected = evaluate_images(tokenizer, batches)
    assert set(expected) - set(report) == {"images_per_second"}
    for name, value in report.items():
        assert value == pytest.approx(expected[name], rel=1e-3), name
    assert report["ms_ssim"] == pytest.approx(evaluate_images(tokenizer, batches[1:2])["ms_ssim"], rel=1e-3)


def test_large_pictures_are_given_to_the_networks_in_tiles_alone(tokenizers, folder, monkeypatch):
    tokenizer, seen = tokenizers["image"], []
    monkeypatch.setattr(ImageModality, "at_once", 1000)
    monkeypatch.setattr(ImageModality, "tile_size", 32)
    latents = tokenizer._compiled_latents
    monkeypatch.setattr(tokenizer, "_compiled_latents", lambda x: seen.append(x.shape) or latents(x))
    evaluate_whole(tokenizer, str(folder / "image" / "1.png"))
    assert len(seen) > 10 and max(shape[1] * shape[2] for shape in seen) < 170 * 200 / 2


def test_whole_pictures_of_shards(tokenizers, folder):
    write_image_shards([(folder / "image" / f"{i}.png", f"{i}.png") for i in range(3)], folder / "shards")
    tokenizer = tokenizers["image"]
    found, expected = (evaluate_whole(tokenizer, str(folder / name)) for name in ("shards", "image"))
    assert found.report == pytest.approx(expected.report) and found.files == 3 and expected.files == 4


def test_as_many_crops_as_were_asked_for(tokenizers, folder, monkeypatch, capsys):
    files = find_images(folder / "image")
    report = evaluate_sample(tokenizers["image"], folder / "image", 32, 1.0, 21, 0).report
    crops = ImageCrops(files, 32, 16, scale=(1.0, 1.0), flip=False, max_side=1024)
    expected = evaluate_images(tokenizers["image"], [crops.batch(0), crops.batch(1)[:5]])
    assert report["crops"] == 21 and "images" not in report and report["psnr"] == pytest.approx(expected["psnr"])


def test_whole_sounds_also_in_pieces(tokenizers, folder, monkeypatch):
    tokenizer = tokenizers["audio"]
    expected = evaluate_audio(
        tokenizers["audio"], [AudioModality().load(tokenizer, folder / "audio" / f"{i}.wav")[None] for i in range(3)]
    )
    for at_once in (2**20, 6000):
        monkeypatch.setitem(evaluate_audio.__globals__, "_AT_ONCE", at_once)
        monkeypatch.setattr(AudioModality, "at_once", at_once)
        report = evaluate_whole(tokenizer, str(folder / "audio")).report
        assert report.pop("recordings") == 3 and set(expected) - set(report) == {"times_real_time", "clips"}
        for name, value in report.items():
            assert value == pytest.approx(expected[name], rel=1e-5 if at_once == 2**20 else 0.03), name


@pytest.mark.parametrize("rows", [1, 7, 100, 149])
def test_similarity_in_bands_is_that_of_the_whole(rows, monkeypatch):
    x = RNG.uniform(0, 2, (2, 170, 180, 3)).astype("float32")
    y = (x + RNG.normal(0, 0.3, x.shape)).astype("float32")
    expected = [np.asarray(f(x, y)) for f in (similarity.ssim, similarity.ms_ssim)]
    monkeypatch.setattr(similarity, "_AT_ONCE", rows * 2 * 180 * 3)
    for function, values in zip((similarity.ssim, similarity.ms_ssim), expected, strict=True):
        np.testing.assert_allclose(function(x, y), values, rtol=1e-5)


@pytest.mark.parametrize("flags", [["--size", "64"], ["--crops", "3"], ["--scale", "1"], ["--seed", "0"]])
def test_whole_takes_no_settings_of_samples(tokenizers, folder, capsys, flags):
    with pytest.raises(SystemExit):
        main(["evaluate", "preset", str(folder / "image"), "--whole", *flags])
    assert f"--whole measures files as they are: leave out {flags[0]}." in capsys.readouterr().err


@pytest.mark.parametrize("modality", ["image", "audio", "text"])
def test_a_folder_of_damaged_files_alone(tokenizers, tmp_path, modality):
    suffix = {"image": "png", "audio": "wav", "text": "txt"}[modality]
    (tmp_path / f"a.{suffix}").write_bytes(b"\xff\xfebroken\0\0")
    with pytest.raises(ValueError, match=r"None of the 1 files can be (measured|read)\. The first.*"):
        evaluate_whole(tokenizers[modality], str(tmp_path))


def test_a_file_that_the_preset_does_not_take_is_skipped(folder, tokenizers):
    keras.utils.set_random_seed(0)
    fixed = vqzoo.tokenizers.image_vqvae_dense((24, 24, 3), 4, (16,), 8, vqzoo.VectorQuantizer(16))
    found = evaluate_whole(fixed, str(folder / "image"))
    assert found.report["images"] == 1 and len(found.skipped) == 3


# === Names in lines ===


@pytest.mark.parametrize(
    "name, reason, line",
    [
        ("a.png", "it is empty", "a.png: it is empty"),
        (
            "/x/a.png",
            "Cannot read the picture /x/a.png: it is empty.",
            "Cannot read the picture /x/a.png: it is empty.",
        ),
        ("/x/a.png", "/x/a.png has more than 3 bytes", "/x/a.png has more than 3 bytes"),
        ("a", "Cannot read a picture", "Cannot read a picture"),
        ("n", "it is not one", "n: it is not one"),
        ("a.png", "Cannot read /x/a.png", "a.png: Cannot read /x/a.png"),
        ("table.csv, line 3", "it has no caption", "table.csv, line 3: it has no caption"),
        ("a(1).wav", "The recording a(1).wav is empty", "The recording a(1).wav is empty"),
    ],
)
def test_a_failure_names_its_file_once(name, reason, line):
    assert failure_line(name, reason) == line


def test_skipped_files_of_a_run_are_named_once(capsys, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"broken")
    with pytest.raises(ValueError) as caught:
        load_image(bad)
    run = TokenizerRun(types.SimpleNamespace(out=str(tmp_path)), "image", "test")
    run.split = Split([], [], skipped={bad: str(caught.value)})
    run.batches = run.validation_batches = types.SimpleNamespace(skipped={})
    run._print_skipped()
    assert capsys.readouterr().out.count(str(bad)) == 1
