"""Which recordings: what is found, where the first ones come from, how they are split."""

import importlib.machinery
import importlib.util

import librosa
import numpy as np
import pytest

from vqzoo.data import find_audio
from vqzoo.data import load_audio
from vqzoo.data import sample_audio
from vqzoo.data import save_audio
from vqzoo.data import split_audio
from vqzoo.data import split_images
from vqzoo.data import synthetic_audio
from vqzoo.data.audio import files as module
from vqzoo.data.audio.files import AUDIO_SUFFIXES
from vqzoo.data.audio.files import is_synthetic
from vqzoo.data.audio.media import MEDIA_SUFFIXES


@pytest.fixture(autouse=True)
def nothing_here(monkeypatch, tmp_path):
    """As on a machine without the wheel, without PyAV, without a network, with an empty cache."""

    def fail(name):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(librosa, "ex", fail)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    module._from_librosa.cache_clear()
    yield
    module._from_librosa.cache_clear()


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_recordings_are_found_by_suffix(tmp_path):
    touch(tmp_path, "b/a.wav", "a.MP3", "c.flac", "d.ogg", "e.opus", "f.oga", "a.txt", ".hidden.wav", ".git/a.wav")
    names = [str(file.relative_to(tmp_path)) for file in find_audio(tmp_path)]
    assert names == ["a.MP3", "b/a.wav", "c.flac", "d.ogg", "e.opus", "f.oga"]
    assert find_audio(tmp_path / "c.flac") == [tmp_path / "c.flac"]


@pytest.mark.parametrize("suffix", AUDIO_SUFFIXES)
def test_every_suffix(tmp_path, suffix):
    touch(tmp_path, f"a{suffix}", f"b{suffix.upper()}", "a.txt")
    assert [file.name for file in find_audio(tmp_path)] == [f"a{suffix}", f"b{suffix.upper()}"]


@pytest.mark.parametrize("suffix", MEDIA_SUFFIXES)
def test_what_only_pyav_reads_is_counted_where_it_is_missing(tmp_path, monkeypatch, suffix):
    touch(tmp_path, f"some/a{suffix}", f"some/b{suffix.upper()}", "some/c.wav", "some/d.txt", f"none/a{suffix}")
    found = find_audio(tmp_path / "some")
    assert found == [tmp_path / "some/c.wav"] and found.ignored == dict(sorted({".txt": 1, suffix: 2}.items()))
    for name in ("none", f"none/a{suffix}"):
        with pytest.raises(ValueError, match=r'read.*: pip install "vqzoo\[media\]"'):
            find_audio(tmp_path / name)
    spec = importlib.machinery.ModuleSpec("av", None)
    monkeypatch.setattr(importlib.util, "find_spec", {"av": spec}.get)
    found = find_audio(tmp_path / "some")
    assert len(found) == 3 and found.ignored == {".txt": 1}


@pytest.mark.parametrize(
    "name, message",
    [
        (
            "none",
            r"does not exist. Looked for .aif .*.flac .*.mp3 .*: give a folder or a recording, or .*sample_audio\(\)",
        ),
        ("a.txt", "is not a recording by its suffix. Looked for .aif .*.flac"),
        ("empty", "hold no recordings. It holds 1 .txt. Looked for .*.flac .*convert the recordings"),
    ],
)
def test_what_cannot_be_found_is_told(tmp_path, name, message):
    touch(tmp_path, "a.txt", "empty/a.txt")
    with pytest.raises(ValueError, match=message):
        find_audio(tmp_path / name)


def test_the_wheels_recordings_come_first(tmp_path, monkeypatch):
    spec = importlib.machinery.ModuleSpec("moonshine_voice", None, is_package=True)
    spec.submodule_search_locations.append(str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", {"moonshine_voice": spec}.get)
    assert sample_audio()[0].name.startswith("synthetic")  # a wheel without recordings
    touch(tmp_path, "assets/two_cities.wav", "assets/beckett.wav")
    assert sample_audio() == [tmp_path / "assets" / name for name in ("two_cities.wav", "beckett.wav")]


@pytest.mark.environment("main", "moonshine_voice")
def test_the_installed_wheel_has_recordings(monkeypatch):
    monkeypatch.undo()
    first, second = sample_audio()
    assert len(load_audio(first, 16000)) == 709_986
    assert len(load_audio(second, 16000)) == 159_414


def test_librosas_come_where_they_are_asked_for(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(librosa, "ex", lambda name: (asked.append(name), str(tmp_path / f"{name}.ogg"))[1])
    assert is_synthetic(sample_audio()) and is_synthetic(sample_audio(download=False)) and not asked
    assert [file.name for file in sample_audio(download=True)] == ["libri1.ogg", "libri2.ogg", "libri3.ogg"]
    assert asked == ["libri1", "libri2", "libri3"]


def test_without_a_network_nothing_is_fetched(monkeypatch):
    def fail(name):
        raise OSError("no network")

    monkeypatch.setattr(librosa, "ex", fail)
    assert is_synthetic(sample_audio(download=True))


def test_synthetic_ones_come_last_and_say_so(tmp_path, monkeypatch):
    files = sample_audio()
    assert files == synthetic_audio() == [tmp_path / f"cache/vqzoo/synthetic_vowels_{i}.wav" for i in range(4)]
    before = [file.stat().st_mtime_ns for file in files]
    assert [file.stat().st_mtime_ns for file in sample_audio()] == before  # written once
    signals = [load_audio(file) for file in files]
    for signal in signals:
        assert signal.shape == (160_000, 1)
        np.testing.assert_allclose(np.abs(signal).max(), 0.5, atol=1e-4)
        assert 0.05 < (np.abs(signal) == 0).mean() < 0.5  # pauses
        spectrum = np.abs(np.fft.rfft(signal[:, 0])) ** 2
        hertz = np.fft.rfftfreq(160_000, 1 / 16000)
        assert spectrum[(hertz > 70) & (hertz < 4000)].sum() > 0.95 * spectrum.sum()
    assert len({signal.tobytes() for signal in signals}) == 4


def test_without_a_home_they_are_written_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert [file.name for file in sample_audio()] == [f"synthetic_vowels_{i}.wav" for i in range(4)]


def test_files_are_split_by_name_as_pictures_are(tmp_path):
    files = [tmp_path / f"{i}.wav" for i in range(50)]
    train, validation = split_audio(files, validation=0.3, seed=1)
    assert sorted([*train, *validation]) == sorted(files)
    assert (train, validation) == split_images(files, validation=0.3, seed=1)
    assert 5 < len(validation) < 25
    moved = [tmp_path / "elsewhere" / file.name for file in validation]
    assert set(split_audio([*train, *moved], 0.3, 1)[1]) == set(moved)


def test_a_single_file_is_on_both_sides(tmp_path):
    with pytest.warns(UserWarning, match=r"a\.wav is the only recording: it trains and validates"):
        train, validation = split_audio([tmp_path / "a.wav"])
    assert train == validation == [tmp_path / "a.wav"]


def test_one_path_is_not_a_list():
    with pytest.raises(ValueError, match=r"files must be a list of paths: find_audio\('speech'\) makes one"):
        split_audio("speech")
    with pytest.raises(ValueError, match="files is empty: give at least one recording, such as find_audio"):
        split_audio([])


def test_saved_files_are_found(tmp_path):
    save_audio(tmp_path / "a.flac", np.zeros((9, 1)), 8000)
    assert find_audio(tmp_path) == [tmp_path / "a.flac"]
