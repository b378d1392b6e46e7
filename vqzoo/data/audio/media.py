"""PyAV, the libraries of FFmpeg: m4a, mp4, aac, wma, webm, mka and caf. An extra: `pip install "vqzoo[media]"`."""

import functools
import importlib.util
import threading

import numpy as np

from vqzoo.data.audio.formats.part import UnreadableAudio
from vqzoo.data.audio.formats.part import truncated

MEDIA_SUFFIXES = (".aac", ".m4a", ".m4b", ".mka", ".mp4", ".webm", ".wma")
# Samples kept after the last piece, because the next one begins a little before its end.
_KEPT = 2**18
# Largest number of open files, each at the end of its last piece.
_CURSORS = 4
# The duration of a stream is rounded, and may include the encoder delay before the first sample.
_TOLERANCE = 0.5  # s


def has_media():
    """Whether PyAV is installed.

    Returns:
        bool.

    Example:
    >>> has_media() in (True, False)
    True
    """
    return importlib.util.find_spec("av") is not None


class MediaDecoder:
    """PyAV. It decodes from the start, so that pieces equal those of the whole file, and continues after a piece."""

    def __init__(self):
        self._idle = {}
        self._lock = threading.Lock()

    def reads(self, header):
        """Whether it decodes such a file."""
        return header.kind == "media" and has_media()

    def length(self, path, header):
        """Samples, sample rate and channels. The whole file is decoded, because durations are rounded."""
        stat = path.stat()
        return self._counted(path, header.coding, stat.st_size, stat.st_mtime_ns)

    def read(self, path, header, start, samples):
        """Decodes a piece."""
        stat = path.stat()
        key = (path, stat.st_size, stat.st_mtime_ns)
        with self._lock:
            cursor = self._idle.pop(key, None)
        if cursor is not None and cursor.begin > start:
            cursor.close()
            cursor = None
        cursor = cursor or _Cursor(path, header.coding)
        try:
            signal = cursor.read(start, samples)
        except BaseException:
            cursor.close()
            raise
        with self._lock:
            replaced = self._idle.pop(key, None)
            self._idle[key] = cursor
            oldest = self._idle.pop(next(iter(self._idle))) if len(self._idle) > _CURSORS else None
        for unused in filter(None, (replaced, oldest)):
            unused.close()
        return signal

    @functools.lru_cache(maxsize=4096)  # noqa: B019 one decoder lives as long as the process
    def _counted(self, path, name, size, time):
        cursor = _Cursor(path, name)
        try:
            count, rate, channels = 0, 0, 0
            for signal in cursor.frames:
                count, rate, channels = count + len(signal), cursor.sample_rate, signal.shape[1]
            claimed = cursor.seconds
        finally:
            cursor.close()
        if rate and claimed and count / rate < claimed - _TOLERANCE:
            raise truncated(round(claimed * rate), count)
        return count, rate, channels


class _Cursor:
    """An open file and the position in it."""

    def __init__(self, path, name):
        import av

        self._av, self._error = av, av.error.FFmpegError
        self.begin = 0
        self.sample_rate = None
        self._file = open(path, "rb")  # so that no library opens other files by a name in this file
        self._blocks, self._length = [], 0
        self._container = None
        try:
            self._container = av.open(self._file, format=name)
            streams = self._container.streams.audio
            if not streams:
                raise UnreadableAudio("it holds no audio")
            stream = streams[0]
            self.seconds = self._seconds(stream, name)
            self.frames = self._decoded(stream)
        except self._error as error:
            self.close()
            raise UnreadableAudio(f"it is damaged ({error.strerror})") from error
        except BaseException:
            self.close()
            raise

    def read(self, start, samples):
        """Samples from `start` on, which must not be before `begin`; fewer at the end."""
        while self.begin + self._length < start + samples:
            block = next(self.frames, None)
            if block is None:
                break
            self._blocks.append(block)
            self._length += len(block)
            while self._blocks and self.begin + len(self._blocks[0]) <= start:
                self._drop()
        signal = np.concatenate(self._blocks) if self._blocks else np.zeros((0, 1), np.float32)
        piece = signal[start - self.begin : start - self.begin + samples]
        while self._blocks and self._length - len(self._blocks[0]) > _KEPT:
            self._drop()
        return piece

    def close(self):
        if self._container is not None:
            self._container.close()
        self._file.close()

    def _seconds(self, stream, name):
        """The claimed length; None if it is an estimate, or that of a film."""
        if name in ("mp4", "caf"):
            return float(stream.duration * stream.time_base) if stream.duration else None
        if name in ("matroska", "asf") and len(self._container.streams) == 1 and self._container.duration:
            return self._container.duration / self._av.time_base
        return None

    def _drop(self):
        block = self._blocks.pop(0)
        self.begin += len(block)
        self._length -= len(block)

    def _decoded(self, stream):
        """float32 arrays (samples, channels), one after another."""
        channels = None
        try:
            for frame in self._container.decode(stream):
                signal = scaled(frame.to_ndarray())
                count = len(frame.layout.channels)
                signal = signal.T if frame.format.is_planar else signal.reshape(-1, count)
                self.sample_rate = self.sample_rate or frame.sample_rate
                channels = channels or count
                if (frame.sample_rate, count) != (self.sample_rate, channels):
                    raise UnreadableAudio(
                        f"it changes from {channels} channels at {self.sample_rate} Hz to {count} at "
                        f"{frame.sample_rate} Hz",
                        "Convert it: ffmpeg -i IN OUT.flac",
                    )
                yield np.ascontiguousarray(signal)
        except self._error as error:
            raise UnreadableAudio(f"it is damaged or truncated ({error.strerror})") from error


def scaled(values):
    """Converts samples of any type to float32 in [-1, 1].

    Args:
        values: array of unsigned bytes, ints or floats.

    Returns:
        float32 array.

    Example:
    >>> scaled(np.array([0, -16384], np.int16))
    array([ 0. , -0.5], dtype=float32)
    """
    if values.dtype == np.uint8:
        return (values.astype(np.float32) - 128.0) / 128.0
    if values.dtype.kind == "i":
        return (values / float(-np.iinfo(values.dtype).min)).astype(np.float32)
    return values.astype(np.float32)
