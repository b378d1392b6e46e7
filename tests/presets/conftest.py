import shutil

import keras
import pytest

from vqzoo.presets import save_preset

METADATA = {"modality": "image", "description": "A tiny one.", "licence": "apache-2.0"}


def tiny_model():
    return keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3, name="dense"), keras.layers.BatchNormalization(name="norm")]
    )


@pytest.fixture
def model():
    return tiny_model()


@pytest.fixture(scope="session")
def saved_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "image-tiny"
    return save_preset(tiny_model(), folder, metadata=METADATA, recipe={"steps": 100})


@pytest.fixture
def preset(saved_once, tmp_path):
    """A complete preset of its own for each test, to be damaged."""
    return shutil.copytree(saved_once, tmp_path / "image-tiny")
