"""Verbs as processes: nothing stands on standard error beside their own lines."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import soundfile

import vqzoo
from vqzoo.networks import Transformer
from vqzoo.priors import TokenSpace

ROOT = pathlib.Path(vqzoo.__file__).parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny tokenizer of pictures, a prior on it, a picture and two recordings."""
    folder = tmp_path_factory.mktemp("silence")
    keras.utils.set_random_seed(0)
    quantizer = vqzoo.VectorQuantizer(16, keras.initializers.RandomNormal(stddev=0.3, seed=1), name="quantizer")
    images = vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=quantizer)
    example = {"signal": [16, 16, 3], "tokens": [4, 4, 1]}
    images.save_to_preset(folder / "image", metadata={"example": example})
    told = vqzoo.presets.describe_tokens(folder / "image")
    space = TokenSpace({"image": told["codebook_sizes"]}, owners={"image": told["sha256"]})
    prior = vqzoo.MaskedPrior(space, Transformer(1, 2), "image", 8, (4, 4), learnt_positions=16)
    prior.build_now()
    metadata = {"modality": "image", "example": example, "sampling": {"steps": 2}, "codebook_sizes": [16]}
    prior.save_to_preset(folder / "prior", metadata=metadata, seal=False)
    shutil.copyfile(folder / "image" / "tokenizer.keras", folder / "prior" / "tokenizer.keras")
    vqzoo.presets.seal_preset(folder / "prior")
    random = np.random.default_rng(0)
    vqzoo.data.save_image(folder / "a.png", random.uniform(-1, 1, (20, 24, 3)))
    soundfile.write(folder / "a.mp3", random.uniform(-0.1, 0.1, 32_000), 16_000)
    damaged = bytearray((folder / "a.mp3").read_bytes())
    damaged[3000:3400] = bytes(400)
    (folder / "damaged.mp3").write_bytes(damaged)
    return folder


def run(folder, *arguments, **variables):
    """The command in a process that knows none of the settings by which the tests are quiet."""
    unset = ("TF_CPP_MIN_LOG_LEVEL", "VQZOO_TRACEBACK")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-m", "vqzoo", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)


def without_progress(text):
    """Lines but for those of `vqzoo.cli.progress`, of which there is one every ten seconds."""
    work = r"\d+ of \d+ files(, \d+ failed)?|exporting|measuring|verifying|repairing|restyling|making \d+ images"
    line = rf"({work}), [\d.]+ (s|min).*"
    return [one for one in text.splitlines() if not re.fullmatch(line, one)]


def test_a_verb_writes_its_own_lines_alone(folder):
    ended = run(folder, "encode", "image", "a.png", "none.png", "--out", "one")
    assert ended.returncode == 1
    first, second = without_progress(ended.stderr)
    assert first == "encoded 1 file, 1 failed:" and "none.png" in second


@pytest.mark.slow
def test_the_variable_shows_what_tensorflow_writes(folder):
    ended = run(folder, "encode", "image", "a.png", "--out", "two", VQZOO_TRACEBACK="1")
    assert ended.returncode == 0 and "absl::InitializeLog()" in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "list --json",
        "info image",
        "reconstruct image a.png --out again --json",
        "evaluate image a.png --size 16 --crops 4",
        "evaluate image a.png --whole --json",
        "encode audio-speech-16k a.mp3 damaged.mp3 --out audio --json",
        "encode text-english text.txt --out text --json",
        "generate prior --count 2 --out made",
        "inpaint prior a.png --pad 4 --out repaired.png",
        "restyle image a.png a.png --out restyled.png",
        "export image --out exported",
        "export prior --out exported_prior",
        "shard a.png --out shards --json",
        "verify image",
        "doctor",
    ],
)
def test_standard_error_is_empty(words, folder):
    (folder / "text.txt").write_text("A sentence.\nAnother one.\n")
    ended = run(folder, *words.split())
    assert without_progress(ended.stderr) == []
    assert ended.returncode == ("damaged" in words)  # which is read as far as it goes, or named in the output


@pytest.mark.slow
def test_what_was_encoded_is_decoded_in_silence(folder):
    ended = run(folder, "encode", "image", "a.png", "--out", "tokens", "--json")
    assert without_progress(ended.stderr) == []
    ended = run(folder, "decode", "tokens", "--out", "decoded", "--json")
    assert (ended.returncode, without_progress(ended.stderr)) == (0, []) and (folder / "decoded" / "a.png").exists()
