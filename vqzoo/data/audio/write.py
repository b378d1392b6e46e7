"""Waveforms to sound files."""

import wave

import keras
import numpy as np

from vqzoo.data.audio.read import LOUDEST
from vqzoo.data.stream import is_count
from vqzoo.files import atomic_path
from vqzoo.files import user_path

_SUFFIXES = (".flac", ".wav")


def save_audio(path, signal, sample_rate):
    """Writes a sound file of 16 bits whole or not at all, as wav or flac by the suffix.

    Values are clipped to [-1, 1] and rounded; what was read from 16 bits is written exactly. Missing folders are made.

    Args:
        path: str or path that ends in .wav or .flac. `~` is the home folder.
        signal: float array or tensor (samples, channels) in [-1, 1], 1 to 8 channels.
        sample_rate: int, Hz.

    Raises:
        ValueError: Suffix, shape, dtype, range or rate is wrong, or a value is not finite.

    Example:
    >>> import pathlib, tempfile
    >>> from vqzoo.data import load_audio
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.wav")
    >>> save_audio(path, np.array([[0.5], [-1.0]]), 8000)
    >>> load_audio(path)[:, 0]
    array([ 0.5, -1. ], dtype=float32)
    """
    path = user_path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise ValueError(f"Recordings are saved as {' '.join(_SUFFIXES)}. Received: {path}")
    if not is_count(sample_rate):
        raise ValueError(f"sample_rate must be an int, at least 1. Received: sample_rate={sample_rate}")
    signal = _checked(keras.ops.convert_to_numpy(signal))
    samples = np.clip(np.rint(signal * 32768.0), -32768, 32767).astype("<i2")
    with atomic_path(path) as temporary:
        if path.suffix.lower() == ".flac":
            import soundfile

            soundfile.write(temporary, samples, sample_rate, format="FLAC", subtype="PCM_16")
        else:
            with wave.open(str(temporary), "wb") as file:
                file.setparams((samples.shape[1], 2, sample_rate, len(samples), "NONE", ""))
                file.writeframes(samples.tobytes())


def _checked(signal):
    if signal.ndim != 2 or not 1 <= signal.shape[1] <= 8 or not len(signal):
        raise ValueError(
            "A signal is (samples, channels) with 1 to 8 channels: pass one of a batch, signal[:, None] if it has no "
            f"channels, and signal.T if they come first. Received shape: {signal.shape}"
        )
    way_out = "Samples are floats in [-1, 1]: pass signal / 32768 if they are whole numbers of 16 bits"
    if signal.dtype.kind in "biu":
        raise ValueError(f"{way_out}. Received dtype: {signal.dtype}")
    signal = signal.astype(np.float64)
    bad = int((~np.isfinite(signal)).sum())
    if bad:
        raise ValueError(f"The signal holds {bad} values that are NaN or infinite: np.nan_to_num(signal) has none.")
    peak = np.abs(signal).max()
    if peak > LOUDEST:
        raise ValueError(f"{way_out}. Received values up to {peak:g}")
    return signal
