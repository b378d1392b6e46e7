import sys

import numpy as np
import pytest

from vqzoo.metrics import evaluate_audio
from vqzoo.metrics import pesq
from vqzoo.metrics import stoi
from vqzoo.metrics import visqol

MEASURES = {"pystoi": stoi, "pesq": pesq, "visqol": visqol}


class Silent:
    codebook_sizes, sample_rate = (2,), 16000

    def encode(self, signal):
        return np.zeros((len(signal), 1, 1), "int32")

    def decode(self, tokens, length):
        return np.zeros((len(tokens), length, 1), "float32")


def speech_like(batch, samples=32000, channels=1):
    """A buzz of 120 Hz whose loudness comes and goes four times a second, with a little noise."""
    rng = np.random.default_rng(0)
    times = np.arange(samples) / 16000
    tones = sum(np.sin(2 * np.pi * 120 * k * times + rng.uniform(0, 6)) / k for k in range(1, 30))
    loudness = 0.1 * np.maximum(0.0, np.sin(2 * np.pi * 2 * times))
    return (tones * loudness + 0.001 * rng.normal(size=(batch, channels, samples))).transpose(0, 2, 1).astype("float32")


def noisy(signal, level):
    return signal + level * np.random.default_rng(1).normal(size=signal.shape).astype("float32")


@pytest.mark.environment("main", "pystoi")
def test_stoi_is_the_packages():
    import pystoi as package

    x = speech_like(2, channels=2)
    y = noisy(x, 0.05)
    expected = [[package.stoi(x[i, :, c], y[i, :, c], 16000) for c in (0, 1)] for i in (0, 1)]
    np.testing.assert_allclose(stoi(x, y, 16000), np.mean(expected, axis=1), rtol=1e-4)
    np.testing.assert_allclose(stoi(x, x, 16000), 1.0, rtol=1e-6)
    assert (stoi(x, y, 16000) > stoi(x, noisy(x, 0.5), 16000)).all()


@pytest.mark.environment("main", "pesq")
def test_pesq_is_the_packages():
    import pesq as package

    x = speech_like(2)
    y = noisy(x, 0.01)
    expected = [package.pesq(16000, a[:, 0], b[:, 0], "wb") for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(pesq(x, y), expected, rtol=1e-4)
    np.testing.assert_allclose(pesq(x, x), 4.644, atol=1e-3)
    assert (pesq(x, y) < 4.5).all()


@pytest.mark.slow  # the package compiles for long
@pytest.mark.filterwarnings("ignore")  # its own
@pytest.mark.environment("main", "visqol")
def test_visqol_is_the_packages():
    import visqol as package

    x = speech_like(1)
    y = noisy(x, 0.02)
    judge = package.VisqolApi()
    judge.create(mode="speech")
    expected = judge.measure_from_arrays(x[0, :, 0].astype("float64"), y[0, :, 0].astype("float64"), 16000).moslqo
    np.testing.assert_allclose(visqol(x, y, 16000), [expected], rtol=1e-6)
    assert visqol(x, x, 16000)[0] > expected + 0.5


def test_evaluate_audio_takes_them(monkeypatch):
    class Package:
        stoi = staticmethod(lambda x, y, sample_rate: float(np.abs(x - y).mean() * sample_rate))

    monkeypatch.setitem(sys.modules, "pystoi", Package)
    x = np.array([0.5, -0.25]).reshape(2, 1, 1) * np.ones((2, 800, 1))
    report = evaluate_audio(Silent(), [x], metrics={"stoi": lambda a, b: stoi(a, b, 16000)})
    assert report["stoi"] == pytest.approx(16000 * 0.375)


class Quiet:
    """The packages where speech is too little: where a channel stays below 0.1."""

    class NoUtterancesError(RuntimeError):
        pass

    class BufferTooShortError(RuntimeError):
        pass

    def stoi(x, y, sample_rate):
        return 1e-5 if np.abs(x).max() < 0.1 else float(np.abs(x).max())

    def pesq(sample_rate, x, y, mode):
        if np.abs(x).max() < 0.1:
            raise Quiet.BufferTooShortError if np.abs(x).max() == 0.0 else Quiet.NoUtterancesError
        return float(np.abs(x).max())


@pytest.mark.parametrize("measure", [lambda x, y: stoi(x, y, 16000), pesq])
def test_clips_without_speech_have_no_number(measure, monkeypatch):
    monkeypatch.setitem(sys.modules, "pystoi", Quiet)
    monkeypatch.setitem(sys.modules, "pesq", Quiet)
    levels = np.array([[0.5, 0.25], [0.0, 0.5], [0.05, 0.05], [0.75, 0.5]])  # of clips and channels
    x = levels[:, None] * np.ones((4, 100, 2))
    np.testing.assert_array_equal(measure(x, x), [0.375, np.nan, np.nan, 0.625])


@pytest.mark.parametrize("measure", [lambda x, y: stoi(x, y, 16000), pesq])
def test_the_report_is_of_the_clips_that_have_a_number(measure, monkeypatch):
    monkeypatch.setitem(sys.modules, "pystoi", Quiet)
    monkeypatch.setitem(sys.modules, "pesq", Quiet)
    x = np.array([0.5, 0.0, 0.25]).reshape(3, 1, 1) * np.ones((3, 800, 1))
    metrics = {"speech": measure, "none": lambda x, y: np.inf, "all": lambda x, y: x[:, 0, 0]}
    report = evaluate_audio(Silent(), [x, x[1:2], x[:1]], metrics=metrics)
    assert report["speech"] == pytest.approx(1.25 / 3)
    assert report["all"] == pytest.approx(0.25)
    assert "none" not in report
    assert "speech" not in evaluate_audio(Silent(), [x[1:2]], metrics=metrics)


@pytest.mark.parametrize("name", MEASURES)
def test_without_the_package_it_tells_how_to_get_it(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf'needs the package `{name}`: pip install "vqzoo\[metrics\]"'):
        MEASURES[name](speech_like(1), speech_like(1), 16000)


def test_rates_without_a_model():
    x = speech_like(1)
    with pytest.raises(ValueError, match="Wide-band PESQ expects speech at 16000 Hz. Received: sample_rate=8000"):
        pesq(x, x, 8000)
    with pytest.raises(ValueError, match="speech at 16000 Hz and of audio at 48000 Hz. Received: sample_rate=24000"):
        visqol(x, x, 24000)


def test_signals_of_one_shape(monkeypatch):
    monkeypatch.setitem(sys.modules, "pystoi", object())
    with pytest.raises(ValueError, match=r"the same shape, \(batch, samples, channels\). Received: a signal of shape"):
        stoi(speech_like(1), speech_like(2), 16000)
