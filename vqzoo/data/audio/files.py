"""Lists recordings and sample speech, and splits them."""

import functools
import importlib.util
import os
import pathlib
import tempfile

import numpy as np

from vqzoo.data.audio.media import MEDIA_SUFFIXES
from vqzoo.data.audio.media import has_media
from vqzoo.data.audio.write import save_audio
from vqzoo.data.files import listed_files
from vqzoo.data.files import split_files
from vqzoo.data.paths import checked_folder
from vqzoo.files import user_path

AUDIO_SUFFIXES = (
    *(".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".snd", ".w64"),
    *(".wav", ".wave"),
)
# Read aloud: 44 s of Dickens at 48 kHz, 10 s of Beckett at 16 kHz.
_WHEEL_SAMPLES = ("two_cities.wav", "beckett.wav")
_SYNTHETIC = "synthetic_vowels"
SYNTHETIC = 'These are synthetic vowels, not speech: pip install "vqzoo[samples]" has recorded speech.'
"""The message if `sample_audio` has no recordings."""
_LIBROSA_SAMPLES = ("libri1", "libri2", "libri3")


def find_audio(path):
    """Lists the recordings of a folder and its subfolders, by suffix.

    The suffixes are wav, flac, mp3, ogg, oga, opus, aiff, au, w64 and caf. With PyAV (`pip install "vqzoo[media]"`)
    they also are m4a, m4b, mp4, aac, wma, webm and mka. Files and folders whose name starts with a dot are skipped. No
    file is opened.

    Args:
        path: str or path, a folder or one recording. Text that begins with `~/` is below the home folder.

    Returns:
        `FileList` of `pathlib.Path`, sorted. Its `ignored` holds the number of other files by ending.

    Raises:
        ValueError: The path does not exist, is a file of another kind, or is a folder without recordings.

    Example:
    >>> file = sample_audio()[0]
    >>> find_audio(file) == [file]
    True
    """
    path = checked_folder(path, "find_audio")
    instead = "take sample_audio(), as recipes without --data do"
    if has_media():
        return listed_files(path, tuple(sorted(AUDIO_SUFFIXES + MEDIA_SUFFIXES)), "recording", instead)
    readers = dict.fromkeys(MEDIA_SUFFIXES, 'pip install "vqzoo[media]"')
    return listed_files(path, AUDIO_SUFFIXES, "recording", instead, readers=readers)


def split_audio(files, validation=0.2, seed=0):
    """Splits recordings into training and validation files.

    The side of a file follows from a hash of (seed, its name), as in `split_images`. Cut one long recording into files
    first, because a single file is on both sides.

    Args:
        files: list of paths, as from `find_audio`.
        validation: float in (0, 1), the expected fraction of validation files. Default 0.2.
        seed: int, seed of the split. Default 0.

    Returns:
        `(train, validation)`, two lists of `pathlib.Path` in the order of `files`. A single file is on both sides, with
        a warning.

    Raises:
        ValueError: `files` is empty or one path instead of a list, or `validation` is outside (0, 1).

    Example:
    >>> train, validation = split_audio(sample_audio())
    >>> set(train) & set(validation)
    set()
    """
    return split_files(files, validation, seed, "recording")


def sample_audio(download=False):
    """Sample recordings of speech, or a synthetic replacement.

    In this order: the recordings inside the wheel of moonshine-voice (`pip install "vqzoo[samples]"`, no download at
    run time); where `download` is True those of librosa (LibriSpeech, CC BY 4.0), from its cache or the network; four
    files of synthetic vowels, whose names begin with "synthetic".

    Args:
        download: bool, whether librosa may download its recordings. Default False, which never uses the network.

    Returns:
        List of at least two `pathlib.Path`. Use the last for validation.

    Example:
    >>> len(sample_audio()) >= 2
    True
    """
    return _from_wheel() or (download and _from_librosa()) or synthetic_audio()


def is_synthetic(files):
    """Whether files are those of `synthetic_audio`.

    Args:
        files: list of paths.

    Returns:
        bool.

    Example:
    >>> is_synthetic(synthetic_audio())
    True
    """
    return all(pathlib.Path(file).name.startswith(_SYNTHETIC) for file in files)


def synthetic_audio():
    """Writes four synthetic files of ten seconds at 16 kHz: vowels of changing pitch with pauses.

    Returns:
        List of four `pathlib.Path` in the user's cache folder, or in a temporary one where that cannot be written.

    Example:
    >>> synthetic_audio()[0].name
    'synthetic_vowels_0.wav'
    """
    cache = user_path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "vqzoo"
    try:
        return _written(cache)
    except (OSError, ValueError):
        return _written(pathlib.Path(tempfile.mkdtemp(prefix="vqzoo-")))


def _from_wheel():
    spec = importlib.util.find_spec("moonshine_voice")  # finds the folder without an import
    folders = spec.submodule_search_locations if spec else None
    files = [pathlib.Path(folders[0], "assets", name) for name in _WHEEL_SAMPLES] if folders else []
    return files if all(file.is_file() for file in files) else []


@functools.cache  # an unavailable network is tried only once
def _from_librosa():
    try:
        import librosa

        return [pathlib.Path(librosa.ex(name)) for name in _LIBROSA_SAMPLES]
    except (ImportError, OSError, ValueError):  # no network, or unknown to librosa
        return []


def _written(folder):
    files = [folder / f"{_SYNTHETIC}_{number}.wav" for number in range(4)]
    for number, file in enumerate(files):
        if not file.is_file():
            save_audio(file, _vowels(number), 16000)
    return files


def _vowels(seed, sample_rate=16000, syllables=25, length=6400):
    """Harmonics of a gliding pitch, with amplitudes by the current formants."""
    rng = np.random.default_rng(seed)
    # First and second formant of a, e, i, o, u in Hz (Peterson and Barney 1952, about).
    vowels = np.array([(730, 1090), (530, 1840), (270, 2290), (570, 840), (300, 870)])
    time = np.arange(syllables * length) / length
    places = np.arange(syllables + 1)
    pitch = np.interp(time, places, (90 + 60 * seed) * 2 ** rng.uniform(-0.3, 0.3, syllables + 1))
    formants = vowels[rng.integers(0, 5, syllables + 1)]
    first, second = (np.interp(time, places, formants[:, i]).astype(np.float32) for i in range(2))
    phase = 2 * np.pi * (np.cumsum(pitch) / sample_rate)
    pitch = pitch.astype(np.float32)
    signal = np.zeros_like(time)
    for harmonic in range(1, 33):
        hertz = harmonic * pitch
        level = 1 / (1 + ((hertz - first) / 90) ** 2) + 0.5 / (1 + ((hertz - second) / 120) ** 2)
        signal += np.where(hertz < 0.45 * sample_rate, level, 0.0) * np.sin(
            (harmonic * phase % (2 * np.pi)).astype(np.float32)
        )
    voiced = np.repeat(rng.random(syllables) < 0.8, length)
    envelope = voiced * np.sin(np.pi * (time % 1.0)) ** 0.5
    signal = signal * envelope + 0.003 * rng.standard_normal(len(time)) * voiced
    return 0.5 * signal[:, None] / np.abs(signal).max()
