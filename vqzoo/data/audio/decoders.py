"""The libraries that decode sound files: soundfile, else tensorflow-io, else TensorFlow itself.

Each has `reads(header)`, `length(path, header)` -> (samples, sample rate, channels), and `read(path, header, start,
samples)` -> float32 (samples, channels), shorter at the end of the file.
"""

import functools
import struct
import warnings

import numpy as np
import tensorflow as tf

from vqzoo.data.audio.headers import UnreadableAudio

_BLOCK = 2**20
# Lossy formats are decoded from a while before: an mp3 frame uses bytes of up to nine frames before it, and Opus needs
# 80 ms to settle. libsndfile 1.2.2 seeks wrongly within the last page of Vorbis, which holds 255 blocks at most.
_LEAD = 2**15
_LAST_PAGE = 2**18


class SoundfileDecoder:
    """libsndfile: wav of every width, flac, ogg (Vorbis, Opus) and mp3. It seeks."""

    def __init__(self):
        import soundfile

        self._soundfile = soundfile

    def reads(self, header):
        """Whether it decodes such a file."""
        return True

    def length(self, path, header):
        """Samples, sample rate and channels."""
        if not header.tells_length:  # its own estimate may be wrong by half
            stat = path.stat()
            return self._counted(path, stat.st_size, stat.st_mtime_ns)
        with self._open(path) as file:
            return file.frames, file.samplerate, file.channels

    def read(self, path, header, start, samples):
        """Decodes a piece."""
        # A file each time: after some seeks, libsndfile's Vorbis goes on at a wrong place.
        with self._open(path) as file:
            place = start
            if header.kind in ("mp3", "ogg"):
                place = start - _LEAD if header.kind == "mp3" else min(start - _LEAD, file.frames - _LAST_PAGE)
            place = max(place, 0)
            try:
                if place:
                    file.seek(place)
                return file.read(start - place + samples, dtype="float32", always_2d=True)[start - place :]
            except (RuntimeError, self._soundfile.LibsndfileError) as error:
                raise UnreadableAudio(f"it is damaged or truncated ({error})") from error

    def _open(self, path):
        try:
            return self._soundfile.SoundFile(path)
        except (RuntimeError, self._soundfile.LibsndfileError) as error:
            raise UnreadableAudio(f"it is damaged ({getattr(error, 'error_string', error)})") from error

    @functools.lru_cache(maxsize=4096)  # noqa: B019 one decoder lives as long as the process
    def _counted(self, path, size, time):
        """Decodes all of a file to know how long it is."""
        with self._open(path) as file:
            block = np.empty((_BLOCK // file.channels, file.channels), np.float32)
            count = sum(iter(lambda: len(file.read(out=block)), 0))
            return count, file.samplerate, file.channels


class TfioDecoder:
    """tensorflow-io: wav of 8, 16, 24 bits and of floats, flac, ogg (Vorbis) and mp3."""

    def __init__(self, audio):
        self._audio = audio

    def reads(self, header):
        """Whether it decodes such a file."""
        wav = {("PCM", 8), ("PCM", 16), ("PCM", 24), ("float", 32)}
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
            return _scaled(sound[start : start + samples].numpy())
        except tf.errors.OpError as error:
            raise UnreadableAudio(f"it is damaged or truncated ({error.message})") from error

    def _open(self, path):
        try:
            return self._audio.AudioIOTensor(str(path))
        except (tf.errors.OpError, ValueError) as error:
            raise UnreadableAudio(f"it is damaged ({getattr(error, 'message', error)})") from error


class TensorFlowDecoder:
    """tf.audio: wav of 16 bits alone, the whole file each time."""

    def reads(self, header):
        """Whether it decodes such a file."""
        return header == ("wav", "PCM", 16, True)

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
                f"TensorFlow alone reads only plain wav files of 16 bits ({error.message})", "pip install soundfile"
            ) from error


def decoder_for(header):
    """The first library that is here and decodes a file.

    Args:
        header: `Header` of the file.

    Returns:
        A decoder.

    Raises:
        ValueError: None does.

    Example:
    >>> from vqzoo.data.audio.headers import Header
    >>> type(decoder_for(Header("flac"))).__name__
    'SoundfileDecoder'
    """
    for decoder in decoders():
        if decoder.reads(header):
            return decoder
    words = " ".join(str(word) for word in header[:3] if word)
    raise UnreadableAudio(f"soundfile, which reads {words}, is not installed", "pip install soundfile")


@functools.cache
def decoders():
    """Those that work here, best first.

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
    return [*found, TensorFlowDecoder()]


@functools.cache
def tfio_audio():
    """The module `tensorflow_io.audio`, if its kernels load.

    It imports with any TensorFlow and fails at the first call with most, so one call is tried.

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


def _scaled(values):
    if values.dtype == np.uint8:
        return (values.astype(np.float32) - 128.0) / 128.0
    if values.dtype.kind == "i":
        return (values / float(-np.iinfo(values.dtype).min)).astype(np.float32)
    return values.astype(np.float32)
