"""Random clips of many recordings, for training."""

import concurrent.futures
import math
import threading

import numpy as np

from vqzoo.data.audio import augment
from vqzoo.data.audio.read import load_audio
from vqzoo.data.audio.read import load_long_audio
from vqzoo.data.audio.read import readable_length
from vqzoo.data.files import as_paths
from vqzoo.data.files import reason_of
from vqzoo.data.stream import Order
from vqzoo.data.stream import StepBatches
from vqzoo.data.stream import is_count

_NORMALIZE = {None: lambda clip: clip, "peak": augment.normalize_peak, "rms": augment.normalize_rms}
_TRIES = 5


class AudioClips(StepBatches):
    """Random clips of recordings. Batch `step` is a pure function of (files, seed, step).

    The clips of an epoch cover all recordings once, so that every second of audio has the same weight. A file of n
    samples gives ceil(n / samples) clips, each from a random position in its own part. A shorter file is one clip,
    padded with silence. A clip that is quieter than `silence` is drawn again from the whole file, up to four times. If
    all five are quiet, the loudest is used.

    Example number g of the endless stream is clip g % n of the permutation of epoch g // n, with its own random
    numbers. Batches are therefore the same in any order, from any thread, and after a resume. A file that cannot be
    read is skipped and recorded in `skipped`, and the next readable clip of the permutation replaces its clip. Headers
    are checked once, at the start. A file in memory that cannot be decoded is not tried again. For one that is not in
    memory, intact pieces are still used, because a batch must not depend on earlier failures.

    Files that fit in `cache_bytes`, in the order of `files`, are decoded once and kept. From others only the piece of a
    clip is read. Several workers (machines that train one model) share a batch. Worker w of `workers` loads the rows
    from w * batch_size / workers on, and together they load the batch of a single worker.

    For validation, leave the augmentations off, which is the default, and use `dataset(steps=...)`.

    Args:
        files: list of paths, as from `find_audio`.
        samples: int, the length of a clip at `sample_rate`.
        batch_size: int, clips per batch.
        sample_rate: int, Hz; other files are resampled.
        channels: int, as in `load_audio`. Default 1, the mean of all.
        normalize: "peak" (to -1 dB below full scale), "rms" (to -20 dB, without clipping) or None, as recorded. The
            gain is at most 30 dB. Default None.
        gain: (lowest, highest) random gain, dB, as in `random_gain`. Default None, none.
        noise: (lowest, highest) signal-to-noise ratio of white noise, dB, as in `random_noise`. Default None, none.
        polarity: bool, whether to invert the polarity of a random half of the clips. Default False.
        silence: float, dB below full scale; a clip with a lower root mean square is silent. -inf accepts all clips.
            Default -60.0.
        seed: int from 0 to 2**63 - 1. Default 0.
        cache_bytes: int, size of the cache of decoded recordings (4 bytes per sample). Default 2**30.

    Raises:
        ValueError: An argument is out of range, or no file can be read.

    Example:
    >>> from vqzoo.data import sample_audio
    >>> clips = AudioClips(sample_audio(), samples=8000, batch_size=4, sample_rate=16000, gain=(-6.0, 6.0))
    >>> clips.batch(0).shape
    (4, 8000, 1)
    >>> for batch in clips.dataset(start=100, steps=1):
    ...     bool((batch.numpy() == clips.batch(100)).all())
    True
    """

    def __init__(
        self,
        files,
        samples,
        batch_size,
        *,
        sample_rate,
        channels=1,
        normalize=None,
        gain=None,
        noise=None,
        polarity=False,
        silence=-60.0,
        seed=0,
        cache_bytes=2**30,
    ):
        self.files = as_paths(files, "recording")
        self.samples = samples
        self.batch_size = batch_size
        self.sample_rate = sample_rate
        self.channels = channels
        self.normalize = normalize
        self.gain = gain
        self.noise = noise
        self.polarity = polarity
        self.silence = silence
        self.seed = seed
        self.cache_bytes = cache_bytes
        for name, fits, rule in (
            ("samples", is_count(samples), "an int, at least 1"),
            ("sample_rate", is_count(sample_rate), "an int in Hz, at least 1"),
            ("channels", is_count(channels), "an int, at least 1"),
            ("normalize", normalize in _NORMALIZE, '"peak", "rms" or None'),
            ("gain", _is_range(gain), "an ascending pair of dB, or None"),
            ("noise", _is_range(noise), "an ascending pair of dB, or None"),
        ):
            if not fits:
                raise ValueError(f"{name} must be {rule}. Received: {name}={getattr(self, name)}")
        self._skipped = {}
        self._cache = {}
        self._lock, self._locks = threading.Lock(), {}
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self._lengths = np.array(list(pool.map(self._length, range(len(self.files)))), np.int64)
        if not self._lengths.any():
            raise ValueError(f"None of the {len(self.files)} files can be read. The first reasons:\n{self._reasons()}")
        # Decided here and not by thread order, because a clip of a whole file may differ in the last bit (mp3).
        self._kept = np.cumsum(self._lengths) * channels * 4 <= cache_bytes
        self._parts = -(-self._lengths // samples)
        self._firsts = np.cumsum(self._parts) - self._parts
        self._order = Order(int(self._parts.sum()), batch_size, seed)

    @property
    def skipped(self):
        """Files that could not be read so far: `{path: reason}`."""
        return {self.files[number]: reason for number, reason in sorted(self._skipped.items())}

    @property
    def lengths(self):
        """The samples of each file by its header, at `sample_rate`; 0 for skipped files."""
        return self._lengths.tolist()

    @property
    def clips(self):
        """The number of clips per epoch."""
        return self._order.count

    @property
    def _shape(self):
        return (self.samples, self.channels)

    def _length(self, number):
        """Samples of a file at `sample_rate`, by its header; 0 if it has to be skipped."""
        try:
            return readable_length(self.files[number], self.sample_rate, self.channels)
        except Exception as error:  # one file of many
            self._skipped[number] = reason_of(error)
            return 0

    def _reasons(self):
        return "\n".join(list(self._skipped.values())[:3])

    def _example(self, number, order, position):
        """One clip, random by its number, the first readable one from its position in the order on."""
        for turn in range(len(order)):
            clip = int(order[(position + turn) % len(order)])
            file = int(np.searchsorted(self._firsts + self._parts, clip, side="right"))
            if file in self._skipped and self._kept[file]:
                continue  # other pieces of the other files may be intact
            rng = self._order.random(number, stream=1 + turn)  # independent of earlier failures
            try:
                return self._changed(self._drawn(file, clip - self._firsts[file], rng), rng)
            except Exception as error:  # one file of many
                self._skipped[file] = reason_of(error)
        raise ValueError(f"None of the {len(self.files)} files can be read. The first reasons:\n{self._reasons()}")

    def _drawn(self, file, part, rng):
        """The first clip of a few that is not silent, or the loudest."""
        places = max(int(self._lengths[file]) - self.samples, 0) + 1
        best, loudest = None, -1.0
        for attempt in range(_TRIES if places > 1 else 1):
            share = rng.random()
            share = share if attempt else (part + share) / self._parts[file]
            clip = self._piece(file, int(share * places))
            level = augment.rms(clip)
            if level > loudest:
                best, loudest = clip, level
            if loudest >= 10 ** (self.silence / 20):
                break
        return np.pad(best, ((0, self.samples - len(best)), (0, 0)))

    def _changed(self, clip, rng):
        clip = _NORMALIZE[self.normalize](clip)
        if self.polarity:
            clip = augment.random_polarity(clip, rng)
        if self.gain:
            clip = augment.random_gain(clip, rng, self.gain)
        if self.noise:
            clip = augment.random_noise(clip, rng, self.noise)
        return clip

    def _piece(self, file, start):
        if not self._kept[file]:
            return load_audio(self.files[file], self.sample_rate, self.channels, start, self.samples)
        with self._lock:
            lock = self._locks.setdefault(file, threading.Lock())
        with lock:  # only one thread decodes it; if that fails, the others do not try
            if file in self._skipped:
                raise ValueError(self._skipped[file])
            if file not in self._cache:
                self._cache[file] = self._whole(file)
        return self._cache[file][start : start + self.samples]

    def _whole(self, file):
        try:
            return load_long_audio(self.files[file], self.sample_rate, self.channels, max_values=math.inf)
        except Exception as error:  # one file of many
            self._skipped[file] = reason_of(error)
            raise


def _is_range(pair):
    return pair is None or (len(pair) == 2 and np.isfinite(pair).all() and pair[0] <= pair[1])
