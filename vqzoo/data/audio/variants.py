"""Writes copies of recordings with another pitch and tempo, which are too slow to compute for every clip."""

import hashlib
import warnings

import numpy as np

from vqzoo.data.audio.augment import pitch_and_tempo
from vqzoo.data.audio.read import audio_info
from vqzoo.data.audio.read import load_audio
from vqzoo.data.audio.write import save_audio
from vqzoo.data.files import as_paths
from vqzoo.files import check_regular
from vqzoo.files import user_path
from vqzoo.names import make_folder

_PART = 2**16  # bytes


def write_variants(files, folder, copies=2, semitones=(-2.0, 2.0), tempo=(0.9, 1.1), seed=0):
    """Writes copies of recordings with random changes of pitch and tempo, as additional training data.

    The changes and the name of a copy depend only on the name and content of the file and on (number of the copy,
    semitones, tempo, seed), not on its folder. Of the content, the size, 64 KiB from the start and 64 KiB from the
    middle count. Existing copies are kept, so that a second call decodes nothing. Split before, because a copy of a
    validation file must not be a training file.

    Args:
        files: list of paths, as from `split_audio`.
        folder: str or path, created if it is missing.
        copies: int, copies per file. Default 2.
        semitones: (lowest, highest) change of pitch, uniform. Default (-2.0, 2.0).
        tempo: (slowest, fastest) change of tempo, log-uniform; 1 is no change. Default (0.9, 1.1).
        seed: int. Default 0.

    Returns:
        List of `pathlib.Path`, flac files of 16 bits. Files that cannot be read have none, with a warning.

    Raises:
        ValueError: `files` is empty or one path instead of a list, or the folder is invalid.

    Example:
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> save_audio(folder / "a.wav", np.sin(np.arange(8000) / 9.0)[:, None], 8000)
    >>> [path.suffix for path in write_variants([folder / "a.wav"], folder / "variants", copies=1)]
    ['.flac']
    """
    files = as_paths(files, "recording")
    folder = make_folder(user_path(folder))
    written = []
    for file in files:
        signal = None
        try:
            content = _fingerprint(file)
        except OSError as error:
            warnings.warn(f"Cannot read the recording {file}: {error.strerror}", stacklevel=2)
            continue
        for copy in range(copies):
            text = f"{seed}/{copy}/{semitones}/{tempo}/{content}/{file.name}"
            key = hashlib.sha256(text.encode(errors="surrogateescape"))
            path = folder / f"{file.stem}-{key.hexdigest()[:8]}.flac"
            if not path.is_file():
                try:
                    signal = load_audio(file) if signal is None else signal
                except ValueError as error:
                    warnings.warn(str(error), stacklevel=2)
                    break
                rng = np.random.default_rng(int.from_bytes(key.digest()[:8], "big"))
                pace = float(np.exp(rng.uniform(*np.log(tempo))))
                changed = pitch_and_tempo(signal, rng.uniform(*semitones), pace)
                save_audio(path, changed, audio_info(file).sample_rate)
            written.append(path)
    return written


def _fingerprint(path):
    """The size of a file and a hash of parts of it."""
    check_regular(path)
    size = path.stat().st_size
    with open(path, "rb") as file:
        parts = [file.read(_PART)]
        file.seek(size // 2)  # parts of a song, or takes of equal length, often begin with the same silence
        parts.append(file.read(_PART))
    return f"{size}-{hashlib.sha256(b''.join(parts)).hexdigest()}"
