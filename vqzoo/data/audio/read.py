"""Reads audio files to waveforms, float32 (samples, channels) in [-1, 1]."""

import contextlib
from typing import NamedTuple

import numpy as np

from vqzoo.data.audio.decoders import decoder_for
from vqzoo.data.audio.formats.part import UnreadableAudio
from vqzoo.data.audio.headers import read_header
from vqzoo.data.audio.resample import Resampling
from vqzoo.data.audio.resample import check_ratio
from vqzoo.data.audio.resample import mixed
from vqzoo.data.audio.resample import repeated
from vqzoo.data.audio.resample import resampled_length
from vqzoo.data.paths import checked_path
from vqzoo.data.stream import is_count
from vqzoo.files import shown_path
from vqzoo.jsons import shown

# One GiB of float32. A flac of silence decodes to a thousand times its size.
MAX_VALUES = 2**28
# 18 dB above full scale, which no mix and no decoder reaches. Larger values are integers stored as floats.
LOUDEST = 8.0
# Values that `load_long_audio` decodes at a time.
_PIECE = 2**23
# Hydrophones and scopes have a few million.
LARGEST_RATE = 10**7


class AudioInfo(NamedTuple):
    """Properties from the header of an audio file: `sample_rate` in Hz, `samples` and `channels`."""

    sample_rate: int
    samples: int
    channels: int


def audio_info(path):
    """Reads the header of an audio file. Nothing is decoded, except an mp3 without a declared length.

    Args:
        path: str or path of the file. `~` is the home folder.

    Returns:
        `AudioInfo`.

    Raises:
        ValueError: As `load_audio`, if the header shows it.

    Example:
    >>> import pathlib, tempfile
    >>> from vqzoo.data import save_audio
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.wav")
    >>> save_audio(path, np.zeros((500, 2)), 8000)
    >>> audio_info(path)
    AudioInfo(sample_rate=8000, samples=500, channels=2)
    """
    path = checked_path(path, "recording", "audio_info", "find_audio")
    with _named(path):
        header = read_header(path)
        return _info(path, header, decoder_for(header))


def readable_length(path, sample_rate, channels):
    """Number of samples that `load_audio` returns, according to the header.

    Args:
        path: path of the file.
        sample_rate: int, Hz.
        channels: int, or None for those of the file.

    Returns:
        int.

    Raises:
        ValueError: As `load_audio`, if the header shows it.

    Example:
    >>> from vqzoo.data import sample_audio
    >>> path = sample_audio()[0]
    >>> readable_length(path, 8000, 1) == len(load_audio(path, 8000, 1))
    True
    """
    with _named(path):
        header = read_header(path)
        info = _info(path, header, decoder_for(header))
        check_ratio(info.sample_rate, sample_rate, info.channels)
        _check_channels(info.channels, channels)
        return resampled_length(info.samples, info.sample_rate, sample_rate)


def load_audio(path, sample_rate=None, channels=None, start=0, samples=None, max_values=MAX_VALUES):
    """Loads an audio file, or a piece of it, at any rate: wav of every width, flac, ogg, mp3, aiff, au, w64 or caf.

    The format is detected from the content, not from the suffix. Pieces equal those of the whole file:
    `load_audio(path, rate, start=a, samples=n)` equals `load_audio(path, rate)[a : a + n]`, exactly for formats with
    exact seeking (wav, flac, ogg), and within 1e-6 for mp3. A file that does not fit in memory can be read piece by
    piece. `load_long_audio` reads one that fits only at the requested rate and channels.

    Values above full scale, which occur in floats and lossy formats, are clipped, as in players. A file without a
    declared length, such as that of a program that writes into a pipe or was killed, is read to its end. Concatenated
    recordings in one file are read one after another, with the rate and the channels of the first. With PyAV (`pip
    install "vqzoo[media]"`) m4a, mp4, aac, wma, webm and mka are supported too. Their pieces are decoded from the
    start.

    Args:
        path: str or path of the file. `~` is the home folder.
        sample_rate: int, Hz, resampled by soxr to ceil(samples * sample_rate / file rate) samples. Default None, the
            rate of the file, see `audio_info`.
        channels: int. 1 is the mean of all channels; mono is repeated for more. Default None, those of the file.
        start: int, the first sample, at `sample_rate`. Default 0.
        samples: int, number of samples, fewer at the end of the file. Default None, all.
        max_values: int, a larger number of values in memory is refused before decoding. Default 2**28.

    Returns:
        float32 numpy array (samples, channels) in [-1, 1].

    Raises:
        ValueError: The file is missing, empty, not a regular file, truncated, damaged, too long, of an unsupported
            coding (ADPCM), or not audio; its rate is more than 256 times `sample_rate`, or less than a 64th; it holds
            NaN, infinity or integers as floats; or an argument is invalid.

    Example:
    >>> from vqzoo.data import sample_audio
    >>> load_audio(sample_audio()[0], sample_rate=16000, samples=8000).shape
    (8000, 1)
    """
    path = checked_path(path, "recording", "load_audio", "find_audio")
    _check_arguments(sample_rate, channels, start, samples)
    with _named(path):
        header = read_header(path)
        decoder = decoder_for(header)
        info = _info(path, header, decoder)
        rate = sample_rate or info.sample_rate
        check_ratio(info.sample_rate, rate, info.channels)
        _check_channels(info.channels, channels)
        length = resampled_length(info.samples, info.sample_rate, rate)
        stop = length if samples is None else min(start + samples, length)
        resampling = Resampling(info.sample_rate, rate)
        first, last = (min(max(place, 0), info.samples) for place in resampling.needed(min(start, stop), stop))
        values = max((last - first) * info.channels, (stop - start) * (channels or info.channels))
        if values > max_values:
            raise UnreadableAudio(
                f"{values} values are more than max_values={max_values}",
                "Read it in pieces, by start and samples, or raise max_values.",
            )
        signal = _read(path, header, decoder, first, last - first)
        signal = mixed(_checked(signal, first), channels)  # fewer channels before resampling, more afterwards
        signal = resampling.piece(signal, first, min(start, stop), stop)
        return np.clip(repeated(signal, channels), -1.0, 1.0)


def load_long_audio(path, sample_rate=None, channels=None, max_values=2**30):
    """Loads a whole audio file piece by piece, so that memory holds only the result and one piece.

    The signal equals that of `load_audio` exactly (for mp3 within 1e-6). An hour of stereo at 44100 Hz decodes to
    1.2 GiB. As one channel at 16000 Hz it needs only 220 MiB here.

    Args:
        path: str or path of the file. `~` is the home folder.
        sample_rate: int, Hz, as in `load_audio`. Default None, the file's.
        channels: int, as in `load_audio`. Default None, those of the file.
        max_values: int, a signal of more values is refused before decoding. Default 2**30, which is 4 GiB.

    Returns:
        float32 numpy array (samples, channels) in [-1, 1].

    Raises:
        ValueError: As `load_audio`.

    Example:
    >>> from vqzoo.data import sample_audio
    >>> path = sample_audio()[0]
    >>> bool((load_long_audio(path, 8000) == load_audio(path, 8000)).all())
    True
    """
    _check_arguments(sample_rate, channels)
    path = checked_path(path, "recording", "load_long_audio", "find_audio")
    info = audio_info(path)
    rate, width = sample_rate or info.sample_rate, channels or info.channels
    length = readable_length(path, rate, channels)
    if length * width > max_values:
        raise ValueError(
            f"Cannot read the recording {shown_path(path)}: {length * width} values are more than "
            f"max_values={max_values}. Read it in pieces, by start and samples of load_audio, or raise max_values."
        )
    # The number of samples at the new rate for which both the decoded samples and the result fit in a piece.
    step = max(1, _PIECE * rate // (max(rate, info.sample_rate) * max(width, info.channels)))
    with _named(path):
        signal = np.empty((length, width), np.float32)
    for start in range(0, length, step):
        signal[start : start + step] = load_audio(path, sample_rate, channels, start, step)
    return signal


@contextlib.contextmanager
def _named(path):
    """Adds the name of the file to every error of reading it."""
    try:
        yield
    except UnreadableAudio as error:
        raise ValueError(f"Cannot read the recording {shown_path(path)}: {error}") from error
    except MemoryError as error:
        raise ValueError(
            f"Cannot read the recording {shown_path(path)}: it does not fit in memory. Cut it in pieces."
        ) from error
    except OSError as error:
        raise ValueError(f"Cannot read the recording {shown_path(path)}: {error.strerror or error}.") from error


def _check_arguments(sample_rate, channels, start=0, samples=None):
    for name, value, fits in (
        ("sample_rate", sample_rate, sample_rate is None or is_count(sample_rate)),
        ("channels", channels, channels is None or is_count(channels)),
        ("start", start, is_count(start, 0)),
        ("samples", samples, samples is None or is_count(samples)),
    ):
        if not fits:
            least = 0 if name == "start" else 1
            raise ValueError(f"{name} must be an int, at least {least}. Received: {name}={shown(value)}")


def _info(path, header, decoder):
    samples, sample_rate, channels = decoder.length(path, header)
    if samples < 1 or sample_rate < 1 or channels < 1:
        raise UnreadableAudio("it holds no samples")
    if sample_rate > LARGEST_RATE:
        raise UnreadableAudio(
            f"its header claims {sample_rate} Hz, and {LARGEST_RATE} are read at most", "Correct its header."
        )
    return AudioInfo(sample_rate, samples, channels)


def _read(path, header, decoder, start, samples):
    signal = decoder.read(path, header, start, samples)
    if len(signal) < samples:
        raise UnreadableAudio(
            f"it is truncated: of the {start + samples} samples that its header claims, {start + len(signal)} are there"
        )
    return signal


def _checked(signal, first):
    finite = np.isfinite(signal)
    if not finite.all():
        place = first + int(np.argmin(finite.all(axis=1)))
        raise UnreadableAudio(
            f"{int((~finite).sum())} of its values are NaN or infinite, the first at sample {place}",
            "Repair it with np.nan_to_num and save_audio, or leave it out.",
        )
    peak = float(np.abs(signal).max(initial=0.0))
    if peak > LOUDEST:
        raise UnreadableAudio(
            f"its floats go up to {peak:g}, where 1 is full scale",
            "It was written without dividing: divide by 32768 and save it again.",
        )
    return signal


def _check_channels(has, wanted):
    if wanted not in (None, 1, has) and has != 1:
        raise UnreadableAudio(
            f"it has {has} channels, not {wanted}", "Pass channels=1, the mean of all, or None, as it is."
        )
