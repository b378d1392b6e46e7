import keras
import numpy as np
import pytest
from PIL import Image

import vqzoo


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory):
    keras.utils.set_random_seed(0)
    quantizer = vqzoo.VectorQuantizer(16, keras.initializers.RandomNormal(stddev=0.3, seed=1), name="quantizer")
    tokenizer = vqzoo.image_vqvae(filters=8, blocks=1, latent_dim=4, quantizer=quantizer)
    folder = tmp_path_factory.mktemp("presets") / "image-tiny"
    tokenizer.save_to_preset(folder, metadata={"example": {"signal": [64, 64, 3], "tokens": [16, 16, 1]}})
    return folder


@pytest.fixture(autouse=True)
def known(tiny_preset, monkeypatch):
    monkeypatch.setenv("VQZOO_PRESETS", str(tiny_preset.parent))
    monkeypatch.delenv("VQZOO_TRACEBACK", raising=False)


@pytest.fixture
def pictures(tmp_path):
    """Seven pictures of two sizes, two of them in a subfolder."""
    folder = tmp_path / "pictures"
    random = np.random.default_rng(0)
    (folder / "deep").mkdir(parents=True)
    for i, name in enumerate(["a.png", "b.png", "c.jpg", "d.png", "deep/a.png", "deep/b.png", "e.png"]):
        Image.fromarray(random.integers(0, 256, (20 + i // 4 * 8, 30, 3), "uint8")).save(folder / name)
    return folder
