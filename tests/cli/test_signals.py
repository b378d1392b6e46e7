"""Sounds of any length through the verbs: read and judged in pieces."""

import types

import numpy as np
import pytest
import soundfile

from vqzoo.cli.signals import AudioSignals
from vqzoo.data import load_audio
from vqzoo.data.audio import read
from vqzoo.metrics import mel_distance
from vqzoo.metrics import si_sdr

RNG = np.random.default_rng(0)


@pytest.fixture
def signals():
    encoder = types.SimpleNamespace(input_shape=(None, None, 1))
    return AudioSignals(types.SimpleNamespace(encoder=encoder, sample_rate=8000))


def test_sounds_are_loaded_in_pieces(signals, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", RNG.uniform(-0.5, 0.5, (400_000, 2)), 44100)
    whole = load_audio(tmp_path / "a.wav", 8000, 1)
    monkeypatch.setattr(read, "_PIECE", 2**17)
    monkeypatch.setattr(read.load_audio, "__defaults__", (None, None, 0, None, 600_000))
    np.testing.assert_array_equal(signals.load(tmp_path / "a.wav"), whole)


@pytest.mark.parametrize("noise", [0.3, 0.01])
def test_what_came_back_is_judged_in_pieces_as_in_one(signals, noise, monkeypatch):
    x = RNG.normal(0.05, 0.2, (50_001, 2)).clip(-1, 1).astype("float32")
    x[20_000:] *= 0.1
    y = (1.5 * x + noise * RNG.normal(size=x.shape) - 0.02).astype("float32")
    pair = x[None], y.clip(-1, 1)[None]
    expected = {"mel_distance": float(mel_distance(*pair, 8000)[0]), "si_sdr": float(si_sdr(*pair)[0])}
    assert signals.judge(x, y) == pytest.approx(expected, rel=1e-4)
    lengths = []

    def counted(a, b, sample_rate):
        lengths.append(a.shape[1])
        return mel_distance(a, b, sample_rate)

    monkeypatch.setattr("vqzoo.cli.signals.mel_distance", counted)
    monkeypatch.setattr(AudioSignals, "judged_at_once", 9_000)
    judged = signals.judge(x, y)
    assert lengths == [8334, 8334, 8334, 8333, 8333, 8333]
    assert judged["si_sdr"] == pytest.approx(expected["si_sdr"], rel=1e-4)
    assert judged["mel_distance"] == pytest.approx(expected["mel_distance"], rel=0.01)
