"""Libraries that decode audio files: soundfile, otherwise tensorflow-io or TensorFlow; PyAV for other formats.

Each has `reads(header)`, `length(path, header)` -> (samples, sample rate, channels), and `read(path, header, start,
samples)` -> float32 (samples, channels), shorter at the end of the file.
"""

import contextlib
import functools
import os
import struct
import warnings

import numpy as np
import tensorflow as tf

from vqzoo.data.audio.formats.part import PartFile
from vqzoo.data.audio.formats.part import UnreadableAudio
from vqzoo.data.audio.formats.part import truncated
from vqzoo.data.audio.media import MediaDecoder
from vqzoo.data.audio.media import scaled
from vqzoo.data.audio.resample import Resampling
from vqzoo.data.audio.resample import check_ratio
from vqzoo.data.audio.resample import mixed
from vqzoo.data.audio.resample import repeated
from vqzoo.data.audio.resample import resampled_length

_BLOCK = 2**20
# Lossy formats are decoded from a while before: an mp3 frame uses bytes of up to nine frames before it, and Opus needs
# 80 ms to settle. libsndfile 1.2.2 seeks wrongly within the last page of Vorbis, which holds 255 blocks at most.
_LEAD = 2**15
_LAST_PAGE = 2**18
# The largest block of Vorbis, in a packet of one byte; all other formats hold less.
_MOST_OF_A_BYTE = 2**13


class SoundfileDecoder:
    """libsndfile: wav of every width, flac, ogg (Vorbis, Opus), mp3, aiff, au, w64 and caf. It seeks."""

    def __init__(self):
        import soundfile

        self._soundfile = soundfile

    def reads(self, header):
        """Whether it decodes such a file."""
        return header.kind != "media"

    def length(self, path, header):
        """Samples, sample rate and channels; for several recordings the total, with the rate of the first."""
        layout = self._layout(path, header)
        _, sample_rate, channels = layout[0]
        for _, rate, width in layout[1:]:
            check_ratio(rate, sample_rate, width)
            if width != channels and min(width, channels) > 1:
                raise UnreadableAudio(
                    f"it is several recordings, one after another, of {channels} and of {width} channels", "Split it"
                )
        return sum(resampled_length(samples, rate, sample_rate) for samples, rate, _ in layout), sample_rate, channels

    def read(self, path, header, start, samples):
        """Decodes a piece."""
        if not header.parts:
            return self._decode(path, None, header.kind, start, samples)
        layout = self._layout(path, header)
        _, sample_rate, channels = layout[0]
        pieces, begin = [np.zeros((0, channels), np.float32)], 0
        for part, (length, rate, _) in zip(header.parts, layout, strict=True):
            resampling = Resampling(rate, sample_rate)
            end = begin + resampled_length(length, rate, sample_rate)
            low, high = max(start, begin) - begin, min(start + samples, end) - begin
            if low < high:
                first, last = (min(max(place, 0), length) for place in resampling.needed(low, high))
                signal = self._decode(path, part, part.kind, first, last - first)
                if len(signal) < last - first:
                    raise truncated(length, first + len(signal))
                signal = resampling.piece(mixed(signal, channels), first, low, high)
                pieces.append(repeated(signal, channels))
            begin = end
        return np.concatenate(pieces)

    def _decode(self, path, part, kind, start, samples):
        # Opened each time, because after some seeks libsndfile's Vorbis continues at a wrong position.
        with self._open(path, part) as file:
            place = start
            if kind in ("mp3", "ogg"):
                place = start - _LEAD if kind == "mp3" else min(start - _LEAD, file.frames - _LAST_PAGE)
            place = max(place, 0)
            try:
                if place:
                    file.seek(place)
                return file.read(start - place + samples, dtype="float32", always_2d=True)[start - place :]
            except (RuntimeError, self._soundfile.LibsndfileError) as error:
                raise UnreadableAudio(f"it is damaged or truncated ({error})") from error

    def _layout(self, path, header):
        """(samples, sample rate, channels) of each recording in the file."""
        stat = path.stat()
        return self._measured(path, header, stat.st_size, stat.st_mtime_ns)

    @functools.lru_cache(maxsize=4096)  # noqa: B019 one decoder lives as long as the process
    def _measured(self, path, header, size, time):
        if header.parts:
            return [self._length(path, part, part.tells_length, size) for part in header.parts]
        return [self._length(path, None, header.tells_length, size)]

    def _length(self, path, part, tells_length, size):
        with self._open(path, part) as file:
            count = file.frames
            if not tells_length:  # the estimate of libsndfile may be wrong by half
                block = np.empty((_BLOCK // file.channels, file.channels), np.float32)
                count = sum(iter(lambda: len(file.read(out=block)), 0))
            elif count > size * _MOST_OF_A_BYTE:
                raise UnreadableAudio(f"it is damaged: its {size} bytes cannot hold the {count} samples that it claims")
            return count, file.samplerate, file.channels

    @contextlib.contextmanager
    def _open(self, path, part):
        with contextlib.ExitStack() as stack:
            try:
                # Bytes, because a file name may not be valid text.
                name = os.fsencode(path) if os.name != "nt" else os.fspath(path)
                source = stack.enter_context(PartFile(path, part)) if part else name
                file = stack.enter_context(self._soundfile.SoundFile(source))
            except (RuntimeError, self._soundfile.LibsndfileError) as error:
                raise UnreadableAudio(f"it is damaged ({getattr(error, 'error_string', error)})") from error
            yield file


class TfioDecoder:
    """tensorflow-io: wav of 8, 16, 24 bits and of floats, flac, ogg (Vorbis) and mp3."""

    def __init__(self, audio):
        self._audio = audio

    def reads(self, header):
        """Whether it decodes such a file."""
        wav = {("PCM", 8), ("PCM", 16), ("PCM", 24), ("float", 32)}
        if header.parts or header.kind not in ("wav", "flac", "ogg", "mp3"):
            return False
        return header.kind != "wav" or (header.coding, header.bits) in wav

    def length(self, path, header):
        """Samples, sample rate and channels."""
        sound = self._open(path)
        samples, channels = sound.shape.numpy()
        return int(samples), int(sound.rate), int(channels)

    def read(self, path, header, start, samples):
        """Decodes a piece."""
        sound = self._open(path)
        try:
            return scaled(sound[start : start + samples].numpy())
        except tf.errors.OpError as error:
            raise UnreadableAudio(f"it is damaged or truncated ({error.message})") from error

    def _open(self, path):
        try:
            return self._audio.AudioIOTensor(str(path))
        except (tf.errors.OpError, ValueError) as error:
            raise UnreadableAudio(f"it is damaged ({getattr(error, 'message', error)})") from error


class TensorFlowDecoder:
    """tf.audio: only wav of 16 bits, the whole file each time."""

    def reads(self, header):
        """Whether it decodes such a file."""
        return header == ("wav", "PCM", 16, True, ())

    def length(self, path, header):
        """Samples, sample rate and channels."""
        signal, sample_rate = self._decoded(path)
        return signal.shape[0], int(sample_rate), signal.shape[1]

    def read(self, path, header, start, samples):
        """Decodes a piece."""
        return self._decoded(path)[0].numpy()[start : start + samples]

    def _decoded(self, path):
        try:
            return tf.audio.decode_wav(tf.io.read_file(str(path)))
        except tf.errors.OpError as error:
            raise UnreadableAudio(
                f"TensorFlow itself reads only plain wav files of 16 bits ({error.message})", "pip install soundfile"
            ) from error


def decoder_for(header):
    """The first installed library that decodes a file.

    Args:
        header: `Header` of the file.

    Returns:
        A decoder.

    Raises:
        ValueError: There is none.

    Example:
    >>> from vqzoo.data.audio.headers import Header
    >>> type(decoder_for(Header("flac"))).__name__
    'SoundfileDecoder'
    """
    for decoder in decoders():
        if decoder.reads(header):
            return decoder
    if header.kind == "media":
        raise UnreadableAudio(
            f"PyAV, which reads {header.coding} files, is not installed", 'pip install "vqzoo[media]"'
        )
    words = " ".join(str(word) for word in header[:3] if word)
    raise UnreadableAudio(f"soundfile, which reads {words}, is not installed", "pip install soundfile")


@functools.cache
def decoders():
    """The available decoders, best first.

    Returns:
        List.
    """
    found = []
    try:
        found.append(SoundfileDecoder())
    except (ImportError, OSError):  # not installed, or without a libsndfile for this machine
        audio = tfio_audio()
        if audio is not None:
            found.append(TfioDecoder(audio))
    return [*found, MediaDecoder(), TensorFlowDecoder()]


@functools.cache
def tfio_audio():
    """The module `tensorflow_io.audio`, if its kernels load.

    It can be imported with any TensorFlow, but with most versions the first call fails. One call is therefore tried.

    Returns:
        Module, or None.
    """
    fields = (b"RIFF", 40, b"WAVE", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16, b"data", 4)
    wav = struct.pack("<4sI4s4sIHHIIHH4sI", *fields) + bytes(4)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow_io
        tensorflow_io.audio.decode_wav(tf.constant(wav), dtype=tf.int16)
    except (ImportError, NotImplementedError, AttributeError, tf.errors.OpError):
        return None
    return tensorflow_io.audio
