"""The presets that come with the repository."""

import json
import pathlib

import numpy as np
import pytest

import vqzoo

ROOT = pathlib.Path(__file__).parents[2]
NAMES = ["image-vqgan-emoji-f4", "image-vqgan-photos-f4", "image-vqvae-fashion-28"]


@pytest.fixture(scope="module")
def photo():
    files = {path.stem: path for path in vqzoo.data.sample_images()}
    return vqzoo.data.load_image(files["astronaut"])[None, :256, 64:320]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_preset_is_whole_and_small(name):
    folder = ROOT / "saved_models" / name
    files = vqzoo.presets.verify_preset(folder)["files"]
    assert {"tokenizer.keras", "README.md", "samples.png", "metadata.json", "recipe.json"} == set(files)
    assert sum(file["bytes"] for file in files.values()) < 10e6
    card = (folder / "README.md").read_text()
    assert f'load_preset("{name}")' in card
    for file in ("recipe.json", "metadata.json"):  # no path of the machine that it was trained on
        values = json.loads((folder / file).read_text()).values()
        assert not [value for value in values if isinstance(value, str) and pathlib.PurePath(value).is_absolute()]


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


def test_a_drawing_comes_back():
    tokenizer = vqzoo.Tokenizer.from_preset("image-vqgan-emoji-f4")
    rows, columns = np.mgrid[-32:32, -32:32]
    face = np.ones((1, 64, 64, 3), "float32")
    face[0, rows**2 + columns**2 < 28**2] = [1.0, 0.6, -0.6]  # a yellow disc
    for x in (-10, 10):
        face[0, (rows + 8) ** 2 + (columns - x) ** 2 < 16] = [-0.4, -0.6, -0.8]  # its eyes
    again = np.clip(tokenizer.decode(tokenizer.encode(face)), -1, 1)
    assert float(vqzoo.metrics.psnr(face, again)[0]) > 20.0


def test_the_readme_tells_what_the_presets_tell():
    readme = (ROOT / "README.md").read_text()
    told = {preset.name: preset for preset in vqzoo.list_presets() if preset.folder.startswith(str(ROOT))}
    assert set(NAMES) <= set(told)
    for name in NAMES:
        preset = told[name]
        row = next(line for line in readme.splitlines() if line.startswith(f"| `{name}` |"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        height, width, _ = preset.signal
        perceptual = preset.metrics.get("perceptual_vgg16_hed")
        assert cells[1:] == [
            preset.modality,
            f"{height}x{width}",
            f"{np.prod(preset.tokens)} of {preset.codebook_sizes[0]:,}",
            f"{preset.metrics['bits_per_pixel']:.3f}",
            f"{preset.parameters / 1e6:.2f} M",
            f"{preset.metrics['psnr']:.1f} dB",
            f"{preset.metrics['ssim']:.3f}",
            "" if perceptual is None else f"{perceptual:.2f}",
        ]
