"""One recording inside a file, and the error for files that cannot be read."""

import errno
import io
import os
import re
from typing import NamedTuple

_AGAIN = "Get the file again, or leave it out."
_BLOCK = 2**20
_APE = b"APETAGEX"
_LYRICS_END = re.compile(b"LYRICS(200|END)")
_ZEROS = bytes(_BLOCK)
# Lyrics3 writes its length with six digits.
_LONGEST_LYRICS = 2**20
_KEPT_ZEROS = 64
# More tags than this in a row indicate damage.
_MOST_TAGS = 1000
# Fewer bytes than this after a recording are not another recording.
JUNK = 4096


class UnreadableAudio(ValueError):
    """The reason why a file cannot be read, and the fix. `load_audio` adds the name of the file.

    Args:
        reason: str, the end of "Cannot read the recording NAME: ...".
        way_out: str, a sentence that suggests a fix. Default: get it again, or leave it out.
    """

    def __init__(self, reason, way_out=_AGAIN):
        super().__init__(f"{reason}. {way_out}")


class Part(NamedTuple):
    """One recording inside a file.

    `kind` is its format. `begin` and `end` are the positions of its first byte and after its last byte. `coding` and
    `bits` are those of a wav. `tells_length` is False if no header declares the length. `patches` are ((place, bytes),
    ...), bytes that a decoder must read instead, because a length in the file is unknown or wrong. `sound_end` is the
    required end of the file for a decoder that reads all bytes to the end as samples, if it is not `end`.
    """

    kind: str
    begin: int
    end: int
    coding: str | None = None
    bits: int | None = None
    tells_length: bool = True
    patches: tuple = ()
    sound_end: int | None = None


class PartFile(io.RawIOBase):
    """The bytes of one part as a separate file.

    Args:
        path: path of the file.
        part: `Part`.

    Example:
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a")
    >>> _ = path.write_bytes(b"0123456789")
    >>> with PartFile(path, Part("flac", 2, 8, patches=((4, b"xy"),))) as file:
    ...     file.read(), file.seek(-1, 2), file.read()
    (b'23xy67', 5, b'7')
    """

    def __init__(self, path, part):
        self._file = open(path, "rb")
        self._part = part
        self._end = part.end if part.sound_end is None else part.sound_end
        self._place = 0

    def readable(self):
        """True."""
        return True

    def seekable(self):
        """True."""
        return True

    def seek(self, offset, whence=io.SEEK_SET):
        """As of any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._end - self._part.begin}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self):
        """As of any file."""
        return self._place

    def readinto(self, buffer):
        """As of any file."""
        place = self._part.begin + self._place
        self._file.seek(place)
        content = bytearray(self._file.read(max(0, min(len(buffer), self._end - place))))
        for where, patch in self._part.patches:
            first, last = max(where, place), min(where + len(patch), place + len(content))
            if first < last:
                content[first - place : last - place] = patch[first - where : last - where]
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)

    def close(self):
        """As of any file."""
        self._file.close()
        super().close()


def read_at(file, place, count):
    """Reads bytes from a place on.

    Args:
        file: binary file.
        place: int.
        count: int.

    Returns:
        bytes, fewer at the end of the file.
    """
    file.seek(place)
    return file.read(count)


def find_bytes(file, patterns, begin, end):
    """The first place of one of some patterns, read block by block.

    Args:
        file: binary file.
        patterns: iterable of compiled `re.Pattern` of bytes, whose matches are 64 bytes at most. Each is quick if it
            begins with plain bytes.
        begin: int, where to begin.
        end: int, where to end.

    Returns:
        int, or -1.

    Example:
    >>> find_bytes(io.BytesIO(b"abcfLaC"), [re.compile(b"fLaC"), re.compile(b"OggS")], 0, 7)
    3
    """
    place = begin
    while (place := max(place, next_data(file, place, end))) < end:
        block = read_at(file, place, min(_BLOCK + 64, end - place))
        found = [match.start() for pattern in patterns if (match := pattern.search(block))]
        if found and min(found) < _BLOCK:
            return place + min(found)
        place += _BLOCK
    return -1


def next_data(file, place, end):
    """The position of the next stored bytes. The holes of a sparse file are zeros, whatever their size.

    Args:
        file: binary file.
        place: int.
        end: int.

    Returns:
        int from `place` to `end`; `place` if the system does not report it.

    Example:
    >>> next_data(io.BytesIO(bytes(9)), 3, 9)
    3
    """
    try:
        number = file.fileno()
        before = os.lseek(number, 0, os.SEEK_CUR)  # where the buffer of `file` continues
    except (AttributeError, OSError):
        return place
    try:
        return min(end, os.lseek(number, place, os.SEEK_DATA))
    except AttributeError:  # Windows
        return place
    except OSError as error:
        return end if error.errno == errno.ENXIO else place
    finally:
        os.lseek(number, before, os.SEEK_SET)


def skip_tags(file, place, end):
    """Goes over what may stand between recordings: tags (ID3, APE, Lyrics3) and zeros.

    Args:
        file: binary file.
        place: int, where a recording ended.
        end: int, the size of the file.

    Returns:
        int, the place of the first byte that belongs to none of them.

    Raises:
        ValueError: They are too many.

    Example:
    >>> skip_tags(io.BytesIO(b"TAG" + bytes(125 + 7) + b"more"), 0, 139)
    135
    """
    for _ in range(_MOST_TAGS):
        if place >= end:
            return end
        start = read_at(file, place, 32)
        if start[:3] == b"ID3" and len(start) >= 10:
            place += id3_size(start)
        elif start[:3] == b"TAG" and end - place >= 128:
            place += 128
        elif start[:8] == _APE and len(start) == 32:  # its size leaves out one of header and footer
            is_header = start[23] & 0x20
            place += 32 + (int.from_bytes(start[12:16], "little") if is_header else 0)
        elif start[:11] == b"LYRICSBEGIN":
            last = find_bytes(file, [_LYRICS_END], place, min(end, place + _LONGEST_LYRICS))
            if last < 0:
                return place
            place = last + 9
        elif start[:1] == b"\0":
            place = _skip_zeros(file, place, end)
        else:
            return place
    raise _too_many_tags()


def _skip_zeros(file, place, end):
    step = 64  # between tags there are few
    while (place := next_data(file, place, end)) < end:
        block = read_at(file, place, min(step, end - place))
        if block != _ZEROS[: len(block)]:
            return place + len(block) - len(block.lstrip(b"\0"))
        place, step = place + step, _BLOCK
    return end


def _too_many_tags():
    return UnreadableAudio(f"it is damaged: more than {_MOST_TAGS} tags stand one after another")


def id3_size(start):
    """The bytes of an ID3v2 tag, its header included: the length has 7 bits a byte.

    Args:
        start: bytes, its first ten.

    Returns:
        int.

    Example:
    >>> id3_size(bytes([73, 68, 51, 4, 0, 0, 0, 0, 1, 0]))
    138
    """
    a, b, c, d = (byte & 0x7F for byte in start[6:10])
    footer = 10 if start[5] & 0x10 else 0
    return 10 + (a << 21 | b << 14 | c << 7 | d) + footer


def truncated(claimed, there):
    """The error of a recording that is shorter than it claims.

    Args:
        claimed: int, samples.
        there: int, samples.

    Returns:
        `UnreadableAudio`.

    Example:
    >>> str(truncated(9, 4))[:61]
    'it is truncated: its header claims 9 samples, and 4 are there'
    """
    return UnreadableAudio(f"it is truncated: its header claims {claimed} samples, and {there} are there")


def trailing_tags(file, begin, end):
    """Where a recording ends, when tags (ID3v1, APE) and zeros at its end are left out.

    Args:
        file: binary file.
        begin: int, where it begins.
        end: int, where the tags end.

    Returns:
        int; of zeros the first 64 stay, which may belong to the recording: a frame of silence whose checksum is 0.

    Raises:
        ValueError: They are too many.

    Example:
    >>> trailing_tags(io.BytesIO(b"sound" + b"TAG" + bytes(125)), 0, 133)
    5
    """
    for _ in range(_MOST_TAGS):
        if read_at(file, max(begin, end - 128), 3) == b"TAG" and end - 128 >= begin:
            end -= 128
            continue
        footer = read_at(file, max(begin, end - 32), 32)
        if footer[:8] == _APE and len(footer) == 32:
            length = int.from_bytes(footer[12:16], "little") + (32 if footer[23] & 0x80 else 0)
            if length > end - begin:
                return end
            end -= max(length, len(footer))
            continue
        return _without_zeros(file, begin, end)
    raise _too_many_tags()


def _without_zeros(file, begin, end):
    place, step = end, _BLOCK
    while place > begin:
        if next_data(file, low := max(begin, place - step), place) == place:
            place, step = low, 2 * step  # left out by a sparse file
            continue
        low, step = max(begin, place - _BLOCK), _BLOCK
        block = read_at(file, low, place - low)
        if block != _ZEROS[: len(block)]:
            return min(end, low + len(block.rstrip(b"\0")) + _KEPT_ZEROS)
        place = low
    return min(end, begin + _KEPT_ZEROS)
