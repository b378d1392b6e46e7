"""The presets that come with the repository."""

import json
import pathlib

import numpy as np
import pytest
from PIL import Image

import vqzoo
from vqzoo.presets.card import card_text

ROOT = pathlib.Path(__file__).parents[2]
NAMES = [
    "audio-loops-44k",
    "audio-speech-16k",
    "image-vqgan-emoji-f4",
    "image-vqgan-photos-f4",
    "image-vqgan-photos-f8",
    "image-vqvae-fashion-28",
    "text-english",
]


@pytest.fixture(scope="module")
def photo():
    files = {path.stem: path for path in vqzoo.data.sample_images()}
    return vqzoo.data.load_image(files["astronaut"])[None, :256, 64:320]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_preset_is_whole_and_small(name):
    folder = ROOT / "saved_models" / name
    files = vqzoo.presets.verify_preset(folder)["files"]
    samples = "samples.md" if name.startswith("text") else "samples.png"
    assert {"tokenizer.keras", "README.md", samples, "metadata.json", "recipe.json"} == set(files)
    assert sum(file["bytes"] for file in files.values()) < 10e6
    card = (folder / "README.md").read_text()
    assert f'vqzoo.Tokenizer.from_preset("{name}")' in card
    for file in ("recipe.json", "metadata.json"):  # no path of the machine that it was trained on
        values = json.loads((folder / file).read_text()).values()
        assert not [value for value in values if isinstance(value, str) and pathlib.PurePath(value).is_absolute()]


@pytest.mark.parametrize("folder", sorted((ROOT / "saved_models").glob("*-*")), ids=lambda folder: folder.name)
def test_the_card_is_what_this_version_writes(folder):
    """Else seal the preset anew: `vqzoo.presets.seal_preset(folder)`."""
    assert (folder / "README.md").read_text(encoding="utf-8") == card_text(folder)


def snippet(text, name):
    """The block of code that loads a preset."""
    return next(
        block.split("```")[0] for block in text.split("```python\n")[1:] if f'("{name}"' in block.split("```")[0]
    )


@pytest.fixture
def beside_files(tmp_path, monkeypatch):
    """A folder of files by the names that cards use."""
    monkeypatch.chdir(tmp_path)
    colours = np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)
    Image.fromarray(colours).save("photo.jpg")
    return tmp_path


# The cards of the others have the code of the README, which tests/docs/ runs.
CODE = ["image-vqvae-fashion-28", "image-prior-fashion"]


@pytest.mark.parametrize("name", CODE)
def test_the_code_of_a_card_runs_as_it_stands(name, beside_files):
    before = set(beside_files.iterdir())
    exec(snippet((ROOT / "saved_models" / name / "README.md").read_text(), name), {})
    (made,) = set(beside_files.iterdir()) - before
    assert vqzoo.data.load_image(made).shape == (28, 28, 3)


@pytest.mark.parametrize("name", ["audio-speech-16k", "image-vqgan-photos-f4", "text-english"])
def test_the_readme_shows_the_code_of_the_card(name):
    card = (ROOT / "saved_models" / name / "README.md").read_text()
    assert snippet(card, name) == snippet((ROOT / "README.md").read_text(), name)


def test_the_shipped_prior_is_whole_and_small_and_makes_what_it_is_asked_for():
    folder = ROOT / "saved_models" / "image-prior-fashion"
    files = vqzoo.presets.verify_preset(folder)["files"]
    parts = {"prior.keras", "tokenizer.keras", "README.md", "samples.png", "neighbours.png", "metadata.json"}
    assert parts | {"recipe.json"} == set(files)
    assert sum(file["bytes"] for file in files.values()) < 10e6
    made = vqzoo.generate("image-prior-fashion", 16, ["sneaker", "trouser"], seed=1) > -0.5
    sneakers, trousers = made[0::2], made[1::2]
    # Above a sneaker is nothing; trousers begin at the top and have nothing beside them.
    assert sneakers[:, :6].mean() < 0.05 and trousers[:, :6].mean() > 0.2
    assert sneakers[:, :, :5].mean() > 0.05 and trousers[:, :, :5].mean() < 0.02
    assert sneakers.std(axis=0).mean() > 0.02  # not the same one eight times


def test_the_shipped_prior_of_emoji_is_whole_and_small_and_draws_by_name():
    files = vqzoo.presets.verify_preset(ROOT / "saved_models" / "image-prior-emoji")["files"]
    parts = {"prior.keras", "tokenizer.keras", "pieces.model", "README.md", "samples.png", "metadata.json"}
    assert parts | {"recipe.json"} == set(files)
    assert sum(file["bytes"] for file in files.values()) < 10e6
    made = vqzoo.generate("image-prior-emoji", 6, ["package", "left luggage", "Nine o’clock"], seed=1)
    boxes, signs, clocks = made[0::3], made[1::3], made[2::3]
    assert (boxes[:, 16:32, 16:32, 0] - boxes[:, 16:32, 16:32, 2]).mean() > 0.3  # brown
    assert (signs[..., 2] - signs[..., 0]).mean() > 0.3  # blue
    assert np.abs(clocks[:, 16:32, 16:32, 0] - clocks[:, 16:32, 16:32, 2]).mean() < 0.3  # white, with black hands
    assert made.std(axis=(1, 2, 3)).min() > 0.2


def test_a_photo_comes_back(photo):
    tokenizer = vqzoo.Tokenizer.from_preset("image-vqgan-photos-f4")
    tokens = tokenizer.encode(photo)
    again = np.clip(tokenizer.decode(tokens, size=photo.shape[1:3]), -1, 1)
    assert len(np.unique(tokens)) > 200
    assert float(vqzoo.metrics.psnr(photo, again)[0]) > 24.0


def test_a_small_picture_comes_back():
    tokenizer = vqzoo.Tokenizer.from_preset("image-vqvae-fashion-28")
    shirt = np.full((1, 28, 28, 1), -1.0, "float32")
    shirt[:, 4:26, 9:19] = shirt[:, 5:10, 4:24] = 0.5
    again = np.clip(tokenizer.decode(tokenizer.encode(shirt)), -1, 1)
    assert again.shape == (1, 28, 28, 1)
    assert float(vqzoo.metrics.psnr(shirt, again)[0]) > 14.0


def test_a_voice_comes_back():
    tokenizer = vqzoo.Tokenizer.from_preset("audio-speech-16k")
    seconds = np.arange(16000) / 16000
    pitch = 2 * np.pi * 120 * seconds
    # The harmonics of a low voice under two formants, as a vowel has them, with a pause in the middle.
    voice = sum(
        np.sin(n * pitch) * sum(np.exp(-(((120 * n - f) / 200) ** 2)) for f in (600, 1200)) for n in range(1, 30)
    )
    voice *= 0.1 * (np.abs(seconds - 0.5) > 0.1)
    sound = voice[None, :, None].astype("float32")
    again = np.asarray(tokenizer.decode(tokenizer.encode(sound), length=16000))
    loudness = np.sqrt(np.mean(np.square(again.reshape(10, 1600)), axis=1))
    assert loudness[[4, 5]].max() < 0.4 * loudness[[1, 2, 7, 8]].min()
    distances = [float(vqzoo.metrics.mel_distance(sound, x, 16000)[0]) for x in (again, np.zeros_like(sound))]
    assert distances[0] < 0.5 * distances[1]


def test_sentences_come_back():
    tokenizer = vqzoo.Tokenizer.from_preset("text-english")
    sentences = ["He went up into the mountain with his two sons.", "They took bread and fish, and gave thanks."]
    tokens = tokenizer.encode(sentences)
    assert tokens.shape[2] == 2 and tokenizer.codebook_sizes == (4000, 4000)
    assert tokenizer.decode(tokens) == sentences
    assert tokenizer.decode(np.zeros_like(tokens)) != sentences


def test_a_drawing_comes_back():
    tokenizer = vqzoo.Tokenizer.from_preset("image-vqgan-emoji-f4")
    rows, columns = np.mgrid[-32:32, -32:32]
    face = np.ones((1, 64, 64, 3), "float32")
    face[0, rows**2 + columns**2 < 28**2] = [1.0, 0.6, -0.6]  # a yellow disc
    for x in (-10, 10):
        face[0, (rows + 8) ** 2 + (columns - x) ** 2 < 16] = [-0.4, -0.6, -0.8]  # its eyes
    again = np.clip(tokenizer.decode(tokenizer.encode(face)), -1, 1)
    assert float(vqzoo.metrics.psnr(face, again)[0]) > 20.0
