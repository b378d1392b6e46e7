import numpy as np
import pytest
from PIL import Image

from vqzoo.data import load_audio
from vqzoo.plots import save_sounds
from vqzoo.plots import save_spectrograms
from vqzoo.trainers import Sounds

RATE = 8000


def tones(*hertz, seconds=0.5):
    time = np.arange(int(seconds * RATE)) / RATE
    return np.stack([0.5 * np.sin(2 * np.pi * f * time) for f in hertz])[..., None].astype("float32")


class Halves:
    """A tokenizer whose sounds come back at half their loudness."""

    sample_rate, codebook_sizes = RATE, (2,)

    def encode(self, signal):
        self.signal = np.asarray(signal)
        return np.zeros((len(signal), 1, 1), "int32")

    def decode(self, tokens, length):
        return 0.5 * self.signal[:, :length]


def test_a_tone_is_a_bright_line_at_its_pitch_and_silence_is_dark(tmp_path):
    sounds = tones(1000, 3000)
    path = save_spectrograms(tmp_path / "a.png", sounds, np.zeros_like(sounds), RATE)
    picture = np.asarray(Image.open(path).convert("L"), "float64")
    height, width = picture.shape
    left, right = picture[:, int(0.2 * width) : int(0.4 * width)], picture[:, int(0.65 * width) : int(0.9 * width)]
    for row, hertz in enumerate((1000, 3000)):
        band = left[int(height * (row + 0.15) / 2) : int(height * (row + 0.85) / 2)].mean(axis=1)
        inside = np.flatnonzero(band < 250)  # not the white around the panel
        place = 1 - (np.argmax(np.where(band < 250, band, 0)) - inside[0]) / (inside[-1] - inside[0])
        assert abs(place * 4000 - hertz) < 800
    assert right[int(0.3 * height) : int(0.4 * height)].max() < 40


def test_the_files_hold_what_was_decoded(tmp_path):
    sounds = tones(440, 880)
    paths = save_sounds(tmp_path / "folder", Halves(), sounds)
    assert [path.name for path in paths] == [
        "spectrograms.png",
        *("1_original.wav", "1_reconstruction.wav", "2_original.wav", "2_reconstruction.wav"),
    ]
    np.testing.assert_allclose(load_audio(paths[1]), sounds[0], atol=1e-4)
    np.testing.assert_allclose(load_audio(paths[4]), 0.5 * sounds[1], atol=1e-4)


def test_the_callback_takes_its_turns(tmp_path):
    callback = Sounds(tmp_path, Halves(), tones(440), every=2)
    for epoch in range(4):
        callback.on_epoch_end(epoch)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch_0002", "epoch_0004"]


def test_errors_tell_the_rule(tmp_path):
    with pytest.raises(ValueError, match="Audio must be .batch, samples, channels., not empty"):
        save_spectrograms(tmp_path / "a.png", np.zeros((1, 10)), np.zeros((1, 10)), RATE)
    with pytest.raises(ValueError, match="`every` must be a number of epochs, at least 1. Received: every=0"):
        Sounds(tmp_path, Halves(), tones(440), every=0)
    assert not list(tmp_path.iterdir())
