import importlib.util
import pathlib

import numpy as np
import pytest
import soundfile
from PIL import Image


@pytest.fixture
def beside_files(tmp_path, monkeypatch):
    """A folder with small files by the names that pages use, as the working directory."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("photo.jpg", "house.jpg", "sunset.jpg", "holidays/1.png", "holidays/2.png"):
        pathlib.Path(name).parent.mkdir(exist_ok=True)
        colours = np.repeat(np.repeat(rng.integers(0, 256, (8, 8, 3), np.uint8), 8, axis=0), 8, axis=1)
        Image.fromarray(colours).save(name)
    soundfile.write("talk.wav", 0.5 * np.sin(np.arange(8000) / 9.0), 8000)
    pathlib.Path("sentences.txt").write_text("He went up into the mountain.\nThey took bread and fish.\n")
    return tmp_path


def _module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def results():
    """tests/benchmarks/results.py, which writes the tables."""
    return _module(pathlib.Path(__file__).parents[1] / "benchmarks" / "results.py")


@pytest.fixture
def house():
    """tests/benchmarks/house.py, which measures the order of the code."""
    return _module(pathlib.Path(__file__).parents[1] / "benchmarks" / "house.py")
