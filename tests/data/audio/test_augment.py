"""Changes of recordings: their ranges, what they keep, and masks equal to tensorflow-io's."""

import numpy as np
import pytest
import tensorflow as tf

from vqzoo.data import freq_mask
from vqzoo.data import load_audio
from vqzoo.data import normalize_peak
from vqzoo.data import normalize_rms
from vqzoo.data import pitch_and_tempo
from vqzoo.data import random_gain
from vqzoo.data import random_noise
from vqzoo.data import random_polarity
from vqzoo.data import save_audio
from vqzoo.data import time_mask
from vqzoo.data import write_variants
from vqzoo.data.audio import variants

SPECTROGRAM = np.random.default_rng(0).uniform(0.1, 1, (20, 13)).astype("float32")


def tone(hertz=440.0, level=0.1, samples=16000, rate=16000):
    return (level * np.sin(2 * np.pi * hertz * np.arange(samples) / rate))[:, None].astype("float32")


def decibels(ratio):
    return 20 * np.log10(ratio)


def rms(signal):
    return np.sqrt(np.mean(np.square(signal, dtype="float64")))


def draws(function, count=400):
    return [function(np.random.default_rng(i)) for i in range(count)]


def test_the_peak_is_where_it_should_be():
    for level in (0.001, 0.5):
        peak = np.abs(normalize_peak(tone(level=level), largest=np.inf)).max()
        np.testing.assert_allclose(decibels(peak), -1, atol=1e-4)
    np.testing.assert_allclose(normalize_peak(tone(), -6.0), tone() * 10 ** (-0.3) / np.abs(tone()).max(), rtol=1e-5)


def test_the_rms_is_where_it_should_be_or_the_peak_is_full_scale():
    np.testing.assert_allclose(decibels(rms(normalize_rms(tone(), -25.0))), -25, atol=1e-4)
    click = np.zeros((16000, 1), "float32")
    click[7] = -0.5
    np.testing.assert_array_equal(normalize_rms(click), 2 * click)


@pytest.mark.parametrize("function", [normalize_peak, normalize_rms])
def test_the_noise_of_a_room_is_not_lifted_without_bound(function):
    room = tone(level=1e-4)
    np.testing.assert_allclose(function(room), room * 10**1.5, rtol=1e-6)
    np.testing.assert_allclose(function(room, largest=6.0), room * 10**0.3, rtol=1e-6)
    loud = tone(level=0.9)
    np.testing.assert_array_equal(function(loud, -20.0), function(loud, -20.0, largest=np.inf))  # of lifts alone


@pytest.mark.parametrize("function", [normalize_peak, normalize_rms])
def test_silence_stays_silence(function):
    silence = np.zeros((9, 1), "float32")
    np.testing.assert_array_equal(function(silence), silence)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(random_gain(silence, rng), silence)
    np.testing.assert_array_equal(random_noise(silence, rng), silence)


def test_gains_are_uniform_in_decibels_over_their_range():
    signal = tone(level=0.01)
    gains = [decibels(rms(changed) / rms(signal)) for changed in draws(lambda rng: random_gain(signal, rng, (-12, 6)))]
    np.testing.assert_allclose(np.quantile(gains, [0.0, 0.25, 0.5, 0.75, 1.0]), [-12, -7.5, -3, 1.5, 6], atol=1.2)
    assert min(gains) >= -12.001 and max(gains) <= 6.001


def test_a_gain_never_clips():
    loud = tone(level=0.9)
    changed = random_gain(loud, np.random.default_rng(0), (20.0, 20.0))
    np.testing.assert_allclose(changed, loud / np.abs(loud).max(), atol=1e-6)


def test_noise_has_its_distance_and_is_white():
    signal = tone()
    noises = [noisy - signal for noisy in draws(lambda rng: random_noise(signal, rng, (10, 40)), 200)]
    distances = [decibels(rms(signal) / rms(noise)) for noise in noises]
    assert 9.9 < min(distances) < 11 and 39 < max(distances) < 40.1
    spectrum = np.abs(np.fft.rfft(noises[0][:, 0])) ** 2
    low, high = spectrum[:4000].mean(), spectrum[4000:].mean()
    assert 0.9 < low / high < 1.1
    assert np.abs(random_noise(np.ones((99, 1), "float32"), np.random.default_rng(0), (0, 0))).max() == 1.0


def test_half_of_the_signals_are_turned():
    signal = tone()
    signs = [float(np.sign((changed * signal).sum())) for changed in draws(lambda rng: random_polarity(signal, rng))]
    assert 0.4 < np.mean(np.array(signs) < 0) < 0.6
    for i in range(5):
        np.testing.assert_array_equal(np.abs(random_polarity(signal, np.random.default_rng(i))), np.abs(signal))


@pytest.mark.slow  # librosa compiles
@pytest.mark.parametrize("semitones, tempo", [(0, 1.25), (12, 1.0), (-5, 0.8)])
def test_pitch_and_tempo_change_alone(semitones, tempo):
    signal = np.concatenate([tone(), tone()], axis=1)
    changed = pitch_and_tempo(signal, semitones, tempo)
    assert changed.shape == (round(16000 / tempo), 2) and changed.dtype == np.float32
    middle = changed[2000:-2000, 0] * np.hanning(len(changed) - 4000)
    peak = np.argmax(np.abs(np.fft.rfft(middle, 160_000))) * 16000 / 160_000
    np.testing.assert_allclose(peak, 440 * 2 ** (semitones / 12), rtol=0.005)
    np.testing.assert_allclose(rms(changed[2000:-2000]), rms(signal), rtol=0.2)


@pytest.mark.parametrize("mask, axis", [(freq_mask, 1), (time_mask, 0)])
def test_masks_have_their_widths_and_places(mask, axis):
    widths, firsts = set(), set()
    for i in range(600):
        masked = mask(SPECTROGRAM, 5, np.random.default_rng(i))
        zero = (masked == 0).all(axis=1 - axis)
        np.testing.assert_array_equal(masked, np.where(masked == 0, 0, SPECTROGRAM))
        assert (masked == 0).sum() == zero.sum() * SPECTROGRAM.shape[1 - axis]
        widths.add(int(zero.sum()))
        if zero.any():
            firsts.add(int(np.argmax(zero)))
    assert widths == {0, 1, 2, 3, 4}
    assert firsts == set(range(SPECTROGRAM.shape[axis] - 1))  # a width w begins before size - w


@pytest.mark.environment("tfio", "tensorflow_io")
@pytest.mark.parametrize("name", ["freq_mask", "time_mask"])
def test_masks_are_tensorflow_ios(name, monkeypatch):
    import tensorflow_io as tfio

    ours = {"freq_mask": freq_mask, "time_mask": time_mask}[name]
    for i in range(50):
        rng = np.random.default_rng(i)

        def uniform(shape, minval, maxval, dtype, rng=rng):
            return tf.constant(rng.integers(int(minval), int(maxval)), dtype)

        monkeypatch.setattr(tf.random, "uniform", uniform)
        theirs = getattr(tfio.audio, name)(SPECTROGRAM, 7).numpy()
        np.testing.assert_array_equal(ours(SPECTROGRAM, 7, np.random.default_rng(i)), theirs)


@pytest.mark.parametrize("param", [0, 14])
def test_masks_have_a_width(param):
    with pytest.raises(
        ValueError, match=f"param must be the width of a mask, from 1 to 13 here. Received: param={param}"
    ):
        freq_mask(SPECTROGRAM, param, np.random.default_rng(0))


# === Variants ===


@pytest.fixture
def marked(monkeypatch):
    """Instead of a vocoder: a constant that tells the changes, and the list of calls."""
    calls = []

    def change(signal, semitones, tempo):
        calls.append((semitones, tempo))
        return np.full_like(signal[:100], semitones / 10)

    monkeypatch.setattr(variants, "pitch_and_tempo", change)
    return calls


def test_variants_are_written_once_and_follow_from_name_and_content(tmp_path, marked):
    files = [tmp_path / f"{i}.wav" for i in range(20)]
    for file in files:
        save_audio(file, tone(samples=200), 16000)
    written = write_variants(files, tmp_path / "out", copies=3)
    assert len(written) == len(set(written)) == len(marked) == 60
    pitches, tempos = np.array(marked).T
    assert -2 <= pitches.min() < -1.7 and 1.7 < pitches.max() <= 2
    assert 0.9 <= tempos.min() < 0.92 and 1.08 < tempos.max() <= 1.1
    np.testing.assert_allclose([load_audio(path)[0, 0] for path in written], pitches / 10, atol=1e-4)
    assert write_variants(files, tmp_path / "out", copies=3) == written and len(marked) == 60
    # One file anywhere else gets the same changes; another seed others.
    moved = tmp_path / "moved" / "7.wav"
    save_audio(moved, tone(samples=200), 16000)
    again = write_variants([moved], tmp_path / "again", copies=3)
    assert [path.name for path in again] == [path.name for path in written[21:24]]
    assert marked[60:63] == marked[21:24]
    assert {path.name for path in write_variants([moved], tmp_path, seed=1)}.isdisjoint(path.name for path in written)


def test_files_of_one_name_have_variants_of_their_own(tmp_path, marked):
    files = [tmp_path / folder / "vocals.wav" for folder in "abcd"]
    signals = [tone(440, samples=90000), tone(660, samples=90000), tone(440, samples=90001), tone(440, samples=90000)]
    signals[3][45000:] = 0.0  # begins as the first, and is as long
    for file, signal in zip(files, signals, strict=True):
        save_audio(file, signal, 16000)
    written = write_variants(files, tmp_path / "out")
    assert len(set(written)) == len(marked) == len(set(marked)) == 8
    np.testing.assert_allclose([load_audio(path)[0, 0] * 10 for path in written], [m[0] for m in marked], atol=1e-3)
    assert write_variants(files[1:2], tmp_path / "out") == written[2:4] and len(marked) == 8


def test_unreadable_files_have_no_variants(tmp_path, marked):
    save_audio(tmp_path / "a.wav", tone(samples=200), 16000)
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    with pytest.warns(UserWarning, match=r"bad\.wav: its content is none of wav"):
        written = write_variants([tmp_path / "bad.wav", tmp_path / "a.wav"], tmp_path / "out")
    assert [path.name[:2] for path in written] == ["a-", "a-"]
    with pytest.warns(UserWarning, match=r"Cannot read the recording .*gone\.wav: No such file"):
        assert write_variants([tmp_path / "gone.wav", tmp_path / "a.wav"], tmp_path / "out") == written
