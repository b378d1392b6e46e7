"""Waveforms that are written: exact in 16 bits, clipped, whole or not at all."""

import numpy as np
import pytest
import soundfile

from vqzoo.data import audio_info
from vqzoo.data import load_audio
from vqzoo.data import save_audio


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".WAV"])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_what_16_bits_hold_comes_back_exactly(tmp_path, suffix, channels):
    samples = np.random.default_rng(0).integers(-32768, 32768, (500, channels))
    samples[:2] = [[-32768], [32767]]
    path = tmp_path / "new folder" / f"a{suffix}"
    save_audio(path, (samples / 32768).astype("float32"), 22050)
    assert audio_info(path) == (22050, 500, channels)
    np.testing.assert_array_equal(load_audio(path) * 32768, samples)
    assert soundfile.info(path).subtype == "PCM_16"


def test_values_are_rounded_and_clipped(tmp_path):
    save_audio(tmp_path / "a.wav", np.array([[1.4 / 32768], [1.6 / 32768], [1.0], [2.0], [-2.0]]), 8000)
    assert (load_audio(tmp_path / "a.wav")[:, 0] * 32768).tolist() == [1, 2, 32767, 32767, -32768]


def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.flac"
    save_audio(path, np.zeros((100, 1)), 8000)
    before = path.read_bytes()
    monkeypatch.setattr(soundfile, "write", lambda file, *_, **__: [file.write_bytes(b"half"), 1 / 0])
    with pytest.raises(ZeroDivisionError):
        save_audio(path, np.ones((100, 1)), 8000)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.flac"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ("a.mp3", np.zeros((9, 1)), 8000),
            r"saved as .flac .wav. Received: .*a\.mp3.*Pass `.a.wav.`",
        ),
        (
            ("a.wav", np.zeros((9, 1)), 0),
            "sample_rate must be an int from 1 to 10000000, in Hz. Received: sample_rate=0",
        ),
        (("a.wav", np.zeros((2, 9, 1)), 8000), r"Received: shape=\(2, 9, 1\).*Pass `x.0.`"),
        (("a.wav", np.zeros(9), 8000), r"Received: shape=\(9,\).*Pass `x\[:, None\]`"),
        (("a.wav", np.zeros((1, 9)), 8000), r"Received: shape=\(1, 9\).*Pass `x.T`"),
        (("a.wav", np.zeros((0, 1)), 8000), r"Received: shape=\(0, 1\).*It is empty"),
        (("a.wav", np.zeros((9, 1), "int16"), 8000), "Received: dtype=int16. Pass `x / 32768`"),
        (("a.wav", np.full((9, 1), 99.0), 8000), "Received: values up to 99. Pass `x / 32768`"),
        (("a.wav", np.full((9, 1), np.nan), 8000), "values that are NaN or infinite. Pass `np.nan_to_num"),
    ],
)
def test_arguments_are_checked(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        save_audio(*arguments)
    assert not list(tmp_path.iterdir())
