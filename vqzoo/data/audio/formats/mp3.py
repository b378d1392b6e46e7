"""MP3: its frames, one after another, against the number that its first frame claims."""

import re

from vqzoo.data.audio.formats.part import Part
from vqzoo.data.audio.formats.part import read_at
from vqzoo.data.audio.formats.part import skip_tags
from vqzoo.data.audio.formats.part import truncated

_SYNC = re.compile(b"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")
_BITRATES = {
    True: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
# Bytes of something else before the first frame, as where a stream was cut out of a longer one.
_SEARCHED = 2**17
_IN_A_ROW = 4
_BLOCK = 2**20


def _frame_lengths():
    """Second and third byte of a header of layer III -> bytes of the frame."""
    lengths = {}
    for version, rates in ((3, (44100, 48000, 32000)), (2, (22050, 24000, 16000)), (0, (11025, 12000, 8000))):
        for i, rate in enumerate(rates):
            for j, bitrate in enumerate(_BITRATES[version == 3], start=1):
                for padding in (0, 1):
                    for protection in (0, 1):
                        key = (0xE2 | version << 3 | protection) << 8 | j << 4 | i << 2 | padding << 1
                        lengths[key] = (144000 if version == 3 else 72000) * bitrate // rate + padding
    return lengths


_LENGTHS = _frame_lengths()


class _Frames:
    """Headers of frames by their place; the file is read block by block."""

    def __init__(self, file):
        self._file = file
        self._begin, self._content = 0, b""

    def at(self, place):
        """(bytes of the frame, what does not change within a recording, the place of its tag), or None."""
        header = self.bytes(place, 4)
        if len(header) < 4 or header[0] != 0xFF:
            return None
        length = _LENGTHS.get(header[1] << 8 | header[2] & 0xFE)
        if length is None:
            return None
        mono = header[3] >> 6 == 3
        return length, (header[1] & 0x18, header[2] & 0x0C, mono)

    def bytes(self, place, count):
        offset = place - self._begin
        if offset < 0 or offset + count > len(self._content):
            self._begin, offset = place, 0
            self._content = read_at(self._file, place, _BLOCK)
        return self._content[offset : offset + count]

    def tag(self, place, key):
        """The Xing or VBRI header of a frame: (kind, place of the kind) or None. It takes the place of audio data."""
        version, _, mono = key
        where = place + 4 + ((17 if mono else 32) if version == 0x18 else 9 if mono else 17)
        for offset in (where, where + 2):  # behind a checksum
            if (name := self.bytes(offset, 4)) in (b"Xing", b"Info"):
                return name, offset
        return (b"VBRI", place + 36) if self.bytes(place + 36, 4) == b"VBRI" else None


def find_mp3(file, begin, size):
    """The first frame, a little behind `begin` where something else stands before it.

    Args:
        file: binary file.
        begin: int.
        size: int, of the file.

    Returns:
        int, or -1 if there is none.
    """
    frames = _Frames(file)
    if (first := frames.at(begin)) and _follows(file, frames, begin, first, size, 1):
        return begin
    for match in _SYNC.finditer(read_at(file, begin, _SEARCHED)):
        place = begin + match.start()
        if (first := frames.at(place)) and _follows(file, frames, place, first, size, _IN_A_ROW):
            return place
    return -1


def _follows(file, frames, place, first, size, count):
    """Whether enough frames of the same kind follow, or the end."""
    frame = first
    for done in range(count):
        place += frame[0]
        if place >= size:
            return count == 1 or done > 1
        frame = frames.at(place)
        if frame is None or frame[1] != first[1]:
            return count == 1 and skip_tags(file, place, size) == size
    return True


def read_mp3(file, begin, size):
    """Walks over the frames of one recording, up to the first frame of the next.

    Args:
        file: binary file.
        begin: int, where its first frame is.
        size: int, of the file.

    Returns:
        `Part`. A number of frames that is too small is patched.

    Raises:
        ValueError: It is truncated.
    """
    frames = _Frames(file)
    place, count, key, is_cut = begin, 0, None, False
    while (frame := frames.at(place)) and key in (None, frame[1]):
        if count and frames.tag(place, frame[1]):
            break
        if place + frame[0] > size:
            is_cut = True
            break
        key = frame[1]
        place += frame[0]
        count += 1
    if not count:
        return Part("mp3", begin, size, tells_length=False)  # one that is cut: the decoder will say so
    end = size if is_cut else place
    claims = _claims(frames, begin, key)
    if claims is None:
        return Part("mp3", begin, end, tells_length=False)
    claimed, where, bytes_at = claims
    count -= 1  # the first holds no sound
    if claimed > count + (0 if is_cut else 1):  # some count the first one too
        samples = 1152 if key[0] == 0x18 else 576
        raise truncated(claimed * samples, count * samples)
    patches = ()
    if claimed != count:
        patches = ((where, count.to_bytes(4, "big")),)
        if bytes_at:
            patches += ((bytes_at, (place - begin).to_bytes(4, "big")),)
    return Part("mp3", begin, end, patches=patches)


def _claims(frames, place, key):
    """The number of frames that the first one claims, its place, and that of the byte count; None without a claim."""
    found = frames.tag(place, key)
    if found is None:
        return None
    name, where = found
    if name == b"VBRI":
        return int.from_bytes(frames.bytes(where + 14, 4), "big"), where + 14, where + 10
    flags = int.from_bytes(frames.bytes(where + 4, 4), "big")
    if not flags & 1:
        return None
    claimed = int.from_bytes(frames.bytes(where + 8, 4), "big")
    return claimed, where + 8, where + 12 if flags & 2 else None
