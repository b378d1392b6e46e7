import keras
import numpy as np
import pytest
from PIL import Image

from vqzoo.plots import picture_rows
from vqzoo.trainers import GeneratedPictures


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_stand_in_rows_behind_their_names(channels):
    pictures = np.full((3, 4, 6, channels), -1.0)
    pictures[1] = 0.0
    rows = picture_rows(pictures, columns=2, names=["one"])
    plain = picture_rows(pictures, columns=2)
    assert rows.shape[0] == plain.shape[0] and rows.shape[1] > plain.shape[1]
    factor = 16  # 96 pixels a side
    values = [0, 128] if channels < 4 else [255, 191]  # none and half of the opacity, on white
    for column, value in enumerate(values):
        cell = plain[8 : 8 + 4 * factor, 8 + column * 100 : 8 + column * 100 + 6 * factor]
        assert abs(int(cell.min()) - value) <= 1 and cell.std() < 1e-6
    assert plain.shape == (16 + 2 * 68 - 4, 8 + 2 * 100 - 4 + 8, 3)
    with pytest.raises(ValueError, match="columns=2, 3 names"):
        picture_rows(pictures, columns=2, names=["a", "b", "c"])


def test_names_of_other_alphabets_are_drawn():
    drawn = [picture_rows(np.ones((1, 8, 8, 3)), 1, [name])[:, :40] for name in ("ñ", "я", "ψ", "\ufffe")]
    assert all(not np.array_equal(one, drawn[-1]) for one in drawn[:-1])  # the last is no character


def test_an_epoch_writes_what_the_average_makes(tmp_path):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    callback = GeneratedPictures(tmp_path, lambda: (np.zeros((2, 8, 8, 3)), 2, ["it"]), every=2)
    model.fit(np.zeros((4, 2)), np.zeros((4, 1)), epochs=3, verbose=0, callbacks=[callback])
    assert [path.name for path in tmp_path.iterdir()] == ["epoch_0002.png"]
    assert np.asarray(Image.open(tmp_path / "epoch_0002.png")).ndim == 3
    with pytest.raises(ValueError, match="`every` must be a number of epochs, at least 1. Received: every=0"):
        GeneratedPictures(tmp_path, None, every=0)
