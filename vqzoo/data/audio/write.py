"""Writes waveforms to audio files."""

import numbers
import wave

import keras
import numpy as np

from vqzoo.data.audio.read import LARGEST_RATE
from vqzoo.data.audio.read import LOUDEST
from vqzoo.data.audio.repair import AudioRepairs
from vqzoo.data.paths import target_path
from vqzoo.data.received import described
from vqzoo.data.repair import drafted
from vqzoo.data.stream import is_count
from vqzoo.files import atomic_path
from vqzoo.jsons import shown

_LARGEST_RATES = {".flac": 655_350, ".wav": LARGEST_RATE}  # Hz; the limit of flac


def save_audio(path, signal, sample_rate):
    """Writes an audio file of 16 bits atomically, as wav or flac by the suffix.

    Values are clipped to [-1, 1] and rounded. Values read from 16 bits are written exactly. Missing folders are
    created.

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
    path = target_path(path, signal, "signal", "save_audio", tuple(_LARGEST_RATES), ".wav", ", sample_rate")
    _check_rate(sample_rate, path.suffix.lower())
    signal = _checked(signal)
    samples = np.clip(np.rint(signal * 32768.0), -32768, 32767).astype("<i2")
    with atomic_path(path) as temporary:
        if path.suffix.lower() == ".flac":
            import soundfile

            soundfile.write(temporary, samples, sample_rate, format="FLAC", subtype="PCM_16")
        else:
            with wave.open(str(temporary), "wb") as file:
                file.setparams((samples.shape[1], 2, sample_rate, len(samples), "NONE", ""))
                file.writeframes(samples.tobytes())


def _check_rate(sample_rate, suffix):
    most, flac = _LARGEST_RATES[suffix], suffix == ".flac"
    if is_count(sample_rate) and sample_rate <= most and not (flac and sample_rate >= 2**16 and sample_rate % 10):
        return
    number = isinstance(sample_rate, numbers.Real) and not isinstance(sample_rate, numbers.Integral)
    whole = number and 1 <= sample_rate <= most and sample_rate == int(sample_rate)
    way_out = f"Pass `{int(sample_rate)}`." if whole else "Pass the rate of the samples, such as `16000`."
    more = ", and in flac of whole tens above 65535" if flac else ""
    raise ValueError(
        f"sample_rate must be an int from 1 to {most}, in Hz{more}. Received: sample_rate={shown(sample_rate)}. "
        f"{way_out}"
    )


def _checked(signal):
    way_out = AudioRepairs(batched=False).way_out
    array = drafted(signal, "x")
    if array is None:
        raise ValueError(f"A signal is an array. Received: {described(signal)}. {way_out(signal)}")
    shape = array.shape
    if len(shape) != 2 or not 1 <= shape[1] <= 8 or not shape[0]:
        raise ValueError(
            f"A signal is (samples, channels) with 1 to 8 channels. Received: shape={shape}, dtype={array.dtype}. "
            f"{way_out(signal)}"
        )
    rule = "Samples are floats in [-1, 1]. Received:"
    if "float" not in array.dtype:
        raise ValueError(f"{rule} dtype={array.dtype}. {way_out(signal)}")
    if not array.finite:
        raise ValueError(f"{rule} values that are NaN or infinite. {way_out(signal)}")
    if max(-array.low, array.high) > LOUDEST:
        raise ValueError(f"{rule} values up to {max(-array.low, array.high):g}. {way_out(signal)}")
    return keras.ops.convert_to_numpy(signal).astype(np.float64)
