"""Random clips: what is cut out, that a batch depends on nothing but its step, and what happens to bad files."""

import concurrent.futures

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from vqzoo.data import AudioClips
from vqzoo.data import load_audio
from vqzoo.data import load_long_audio
from vqzoo.data.audio import clips
from vqzoo.data.audio import read


def write(path, signal, rate=8000, **options):
    soundfile.write(path, signal, rate, **{"subtype": "FLOAT", **options})
    return path


@pytest.fixture
def ramp(tmp_path):
    """A recording whose value tells the sample: 1000 samples from 0.1 up."""
    return write(tmp_path / "ramp.wav", 0.1 + np.arange(1000) / 10000)


@pytest.fixture
def flat(tmp_path):
    """Six recordings of 200, 400 ... 1200 samples, of the values 0.1 to 0.6."""
    return [write(tmp_path / f"{i}.wav", np.full(200 * i, i / 10)) for i in range(1, 7)]


def starts(batch):
    return np.rint((batch[:, 0, 0] - 0.1) * 10000).astype(int)


# === What is cut out ===


def test_clips_are_windows_of_the_recording(ramp):
    batch = AudioClips([ramp], 90, 500, sample_rate=8000).batch(0)
    assert batch.shape == (500, 90, 1) and batch.dtype == np.float32
    expected = load_audio(ramp)[:, 0]
    for clip, start in zip(batch[:, :, 0], starts(batch), strict=True):
        np.testing.assert_array_equal(clip, expected[start : start + 90])


def test_windows_reach_both_ends_and_are_spread_evenly(ramp):
    found = starts(AudioClips([ramp], 100, 9000, sample_rate=8000).batch(0))
    assert set(found) == set(range(901))
    np.testing.assert_allclose(np.histogram(found, 9, (0, 901))[0], 1000, atol=100)


def test_each_epoch_goes_over_all_parts(ramp):
    clips = AudioClips([ramp], 100, 10, sample_rate=8000)
    assert clips.clips == 10
    for step in range(5):
        found = np.sort(starts(clips.batch(step)))
        np.testing.assert_allclose(found, np.arange(10) * 90.1 + 45, atol=46)


def test_every_second_counts_the_same(flat):
    clips = AudioClips(flat, 100, 42, sample_rate=8000)
    assert clips.clips == 2 + 4 + 6 + 8 + 10 + 12
    values, counts = np.unique(clips.batch(3)[:, 0, 0].round(1), return_counts=True)
    assert values.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert counts.tolist() == [2, 4, 6, 8, 10, 12]


def test_short_files_end_in_silence(flat):
    batch = AudioClips(flat[:1], 500, 3, sample_rate=8000).batch(0)
    assert (batch[:, :200] == np.float32(0.1)).all() and (batch[:, 200:] == 0).all()


def test_rate_and_channels(tmp_path):
    time = np.arange(44100) / 44100
    stereo = np.stack([np.sin(2 * np.pi * 300 * time), 0 * time], axis=1) / 2
    file = write(tmp_path / "a.wav", stereo, 44100)
    mono = AudioClips([file], 16000, 1, sample_rate=16000).batch(0)[0]
    np.testing.assert_array_equal(mono, load_audio(file, 16000, 1))
    both = AudioClips([file], 16000, 1, sample_rate=16000, channels=2).batch(0)[0]
    np.testing.assert_array_equal(both, load_audio(file, 16000))


def test_silent_clips_are_drawn_again_and_the_loudest_of_five_stays(tmp_path):
    signal = np.zeros(10000)
    signal[7000:] = 0.5
    file = write(tmp_path / "a.wav", signal)
    arguments = {"files": [file], "samples": 100, "batch_size": 1000, "sample_rate": 8000}
    silent = (AudioClips(**arguments, silence=-np.inf).batch(0) == 0).all(axis=(1, 2)).mean()
    np.testing.assert_allclose(silent, 0.69, atol=0.04)  # none is drawn again
    silent = (AudioClips(**arguments, silence=-60.0).batch(0) == 0).all(axis=(1, 2)).mean()
    np.testing.assert_allclose(silent, 0.69 * 0.69**4, atol=0.04)
    quiet = write(tmp_path / "b.wav", np.linspace(1e-6, 1e-5, 1000))
    levels = AudioClips([quiet], 10, 2000, sample_rate=8000).batch(0).mean(axis=(1, 2))
    np.testing.assert_allclose(levels.mean(), 1e-6 + 9e-6 * 5 / 6, rtol=0.05)  # the largest of five


@pytest.mark.parametrize("changes", [{"normalize": "peak"}, {"normalize": "rms"}, {"gain": (6, 6)}, {"polarity": True}])
def test_changes_are_switched_by_arguments(ramp, changes):
    arguments = {"files": [ramp], "samples": 100, "batch_size": 50, "sample_rate": 8000}
    plain, changed = AudioClips(**arguments).batch(0), AudioClips(**arguments, **changes).batch(0)
    ratio = changed / plain
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), rtol=1e-5)
    if "gain" in changes:
        np.testing.assert_allclose(ratio, 10 ** (6 / 20), rtol=1e-5)
    if "polarity" in changes:
        assert 10 < (ratio[:, 0, 0] == -1).sum() < 40 and (np.abs(ratio) == 1).all()
    if changes.get("normalize") == "peak":
        np.testing.assert_allclose(np.abs(changed).max(axis=1), 10 ** (-1 / 20), rtol=1e-5)
    if changes.get("normalize") == "rms":
        np.testing.assert_allclose((changed**2).mean(axis=1) ** 0.5, 0.1, rtol=1e-5)


def test_noise_is_added(ramp):
    arguments = {"files": [ramp], "samples": 900, "batch_size": 1, "sample_rate": 8000}
    noise = AudioClips(**arguments, noise=(30, 30)).batch(0) - AudioClips(**arguments).batch(0)
    level = np.sqrt((AudioClips(**arguments).batch(0) ** 2).mean())
    np.testing.assert_allclose(noise.std() / level, 10 ** (-30 / 20), rtol=0.1)


# === A pure function of the step ===


def test_batches_are_equal_in_any_order_from_any_thread(flat):
    def make():
        return AudioClips(flat, 150, 6, sample_rate=16000, gain=(-6, 6), noise=(20, 40), polarity=True)

    expected = [make().batch(step) for step in range(12)]
    clips = make()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        received = dict(zip(reversed(range(12)), pool.map(clips.batch, reversed(range(12))), strict=True))
    for step in range(12):
        np.testing.assert_array_equal(received[step], expected[step])
    assert not np.array_equal(expected[0], expected[7])
    other = AudioClips(flat, 150, 6, sample_rate=16000, gain=(-6, 6), noise=(20, 40), polarity=True, seed=1)
    assert not np.array_equal(other.batch(0), expected[0])


@pytest.mark.parametrize("suffix, options", [("wav", {}), ("flac", {"subtype": "PCM_16"}), ("ogg", {"subtype": None})])
def test_the_cache_changes_nothing(tmp_path, suffix, options):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 60000))
    files = [write(tmp_path / f"{i}.{suffix}", signal, 22050, **options) for i, signal in enumerate(noise)]
    arguments = {"files": files, "samples": 4000, "batch_size": 5, "sample_rate": 16000}
    kept, read = AudioClips(**arguments), AudioClips(**arguments, cache_bytes=0)
    first = AudioClips(**arguments, cache_bytes=60000 * 4)
    for step in range(3):
        np.testing.assert_array_equal(kept.batch(step), read.batch(step))
        np.testing.assert_array_equal(kept.batch(step), first.batch(step))
    assert (len(kept._cache), len(first._cache), len(read._cache)) == (2, 1, 0)


def test_files_in_memory_are_decoded_once_in_pieces(tmp_path, monkeypatch):
    file = write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 30000), 44100)
    expected = AudioClips([file], 1000, 8, sample_rate=16000).batch(0)
    monkeypatch.setattr(read, "_PIECE", 3000)  # values: 1088 samples at 16000 Hz
    calls = []
    monkeypatch.setattr(read, "load_audio", lambda *a, **k: (calls.append(a), load_audio(*a, **k))[1])
    clips = AudioClips([file], 1000, 8, sample_rate=16000)
    np.testing.assert_array_equal(clips.batch(0), expected)
    clips.batch(1)
    assert len(calls) == 11


def test_the_dataset_is_the_batches(flat):
    clips = AudioClips(flat, 100, 4, sample_rate=8000, gain=(-6, 0))
    dataset = clips.dataset(start=5, steps=3)
    assert dataset.element_spec == tf.TensorSpec((4, 100, 1), tf.float32)
    for step, batch in enumerate(dataset, start=5):
        np.testing.assert_array_equal(batch, clips.batch(step))
    assert len(dataset) == 3


def test_workers_share_a_batch(flat):
    clips = AudioClips(flat, 100, 6, sample_rate=8000, noise=(20, 40))
    parts = [clips.batch(3, worker, 3) for worker in range(3)]
    np.testing.assert_array_equal(np.concatenate(parts), clips.batch(3))
    (batch,) = clips.dataset(3, 1, worker=1, workers=3)
    np.testing.assert_array_equal(batch, parts[1])


# === Bad files and arguments ===


def test_bad_files_are_replaced_whatever_came_before(tmp_path, flat):
    header = tmp_path / "header.wav"
    header.write_bytes(b"no sound")
    late = write(tmp_path / "late.flac", np.random.default_rng(0).uniform(-1, 1, 90000), subtype="PCM_16")
    content = late.read_bytes()
    late.write_bytes(content[:100000] + bytes(99) + content[100099:])  # found out in the middle only
    for cache_bytes in (2**30, 0):
        arguments = {"files": [*flat, header, late], "samples": 1000, "batch_size": 9, "sample_rate": 8000}
        clips = AudioClips(**arguments, cache_bytes=cache_bytes)
        assert set(clips.skipped) == {header}
        batches = [clips.batch(step) for step in range(12)]
        assert set(clips.skipped) == {header, late}
        assert "damaged or truncated" in clips.skipped[late]
        again = AudioClips(**arguments, cache_bytes=cache_bytes)
        for step in reversed(range(12)):
            np.testing.assert_array_equal(again.batch(step), batches[step])


def test_a_file_that_cannot_be_decoded_is_tried_once(tmp_path, flat, monkeypatch):
    bad = write(tmp_path / "bad.flac", np.random.default_rng(0).uniform(-1, 1, 90000), subtype="PCM_16")
    content = bad.read_bytes()
    bad.write_bytes(content[:100000] + bytes(99) + content[100099:])
    tried = []
    monkeypatch.setattr(
        clips, "load_long_audio", lambda path, *a, **k: (tried.append(path), load_long_audio(path, *a, **k))[1]
    )
    batches = AudioClips([bad, *flat], 100, 100, sample_rate=8000)
    for batch in batches.dataset(steps=30):  # on several threads
        assert (np.abs(batch).max(axis=(1, 2)) > 0).all()
    assert sorted(tried) == sorted([bad, *flat])
    assert set(batches.skipped) == {bad}


@pytest.mark.parametrize(
    "signal, rate, options, reason",
    [
        (np.zeros((900, 3)), 8000, {}, "it has 3 channels, not 2"),
        (np.zeros(900), 8, {}, "its sample rate is 8 Hz by its header, and 8000 Hz are wanted"),
        (np.zeros(900), 2**31 - 1, {}, "its header claims 2147483647 Hz"),
    ],
)
def test_what_the_header_shows_is_found_before_the_first_batch(
    tmp_path, flat, monkeypatch, signal, rate, options, reason
):
    bad = write(tmp_path / "bad.wav", signal, rate, **options)
    for cache_bytes in (2**30, 0):
        batches = AudioClips([bad, *flat], 100, 4, sample_rate=8000, channels=2, cache_bytes=cache_bytes)
        assert list(batches.skipped) == [bad] and reason in batches.skipped[bad]
        assert batches.clips == 42


def test_no_good_file_at_all(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"no sound")
    with pytest.raises(ValueError, match=r"(?s)None of the 1 files can be read. The first reasons:.*a\.wav"):
        AudioClips([tmp_path / "a.wav"], 100, 1, sample_rate=8000)
    late = write(tmp_path / "late.flac", np.random.default_rng(0).uniform(-1, 1, 9000), subtype="PCM_16")
    late.write_bytes(late.read_bytes()[:9000] + bytes(99) + late.read_bytes()[9099:])
    with pytest.raises(ValueError, match="(?s)None of the 1 files can be read. The first reasons:.*damaged"):
        AudioClips([late], 9000, 1, sample_rate=8000).batch(0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"samples": 0}, "samples must be an int, at least 1. Received: samples=0"),
        ({"sample_rate": 0.5}, "sample_rate must be an int in Hz"),
        ({"channels": None}, "channels must be an int, at least 1"),
        ({"normalize": "loud"}, 'normalize must be "peak", "rms" or None. Received: normalize=loud'),
        ({"gain": (6, -6)}, "gain must be an ascending pair of dB, or None"),
        ({"noise": (1,)}, "noise must be an ascending pair of dB"),
        ({"batch_size": 0}, "batch_size must be an int, at least 1"),
        ({"seed": -1}, "seed must be an int from 0"),
        ({"files": "folder"}, r"find_audio\('folder'\)"),
    ],
)
def test_arguments_are_checked(ramp, arguments, message):
    with pytest.raises(ValueError, match=message):
        AudioClips(**{"files": [ramp], "samples": 10, "batch_size": 1, "sample_rate": 8000, **arguments})
