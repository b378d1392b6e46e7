"""Identifies audio files by their bytes, and refuses damaged ones before a decoder opens them."""

import functools
import os
import pathlib
import re
from typing import NamedTuple

from vqzoo.data.audio.formats.chunks import layout_of
from vqzoo.data.audio.formats.chunks import read_au
from vqzoo.data.audio.formats.chunks import read_chunks
from vqzoo.data.audio.formats.flac import read_flac
from vqzoo.data.audio.formats.mp3 import find_mp3
from vqzoo.data.audio.formats.mp3 import read_mp3
from vqzoo.data.audio.formats.ogg import read_ogg
from vqzoo.data.audio.formats.part import JUNK
from vqzoo.data.audio.formats.part import Part
from vqzoo.data.audio.formats.part import UnreadableAudio
from vqzoo.data.audio.formats.part import find_bytes
from vqzoo.data.audio.formats.part import id3_size
from vqzoo.data.audio.formats.part import read_at
from vqzoo.data.audio.formats.part import skip_tags
from vqzoo.data.audio.formats.starts import STARTS
from vqzoo.files import check_regular

# More recordings than this in one file indicate damage that looks like file starts.
_MOST_PARTS = 10_000
_ASF = bytes.fromhex("3026b2758e66cf11")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_MATROSKA = bytes.fromhex("1a45dfa3")
# What a second recording of these formats begins with; frames of aac follow each other anyway.
_MEDIA_STARTS = {
    "mp4": re.compile(b"ftyp[ -~]{4}\0\0"),
    "matroska": re.compile(_MATROSKA + b".{1,40}(webm|matroska)", re.DOTALL),
    "asf": re.compile(re.escape(_ASF + bytes.fromhex("a6d900aa0062ce6c"))),
    "caf": STARTS["caf"],
}


class Header(NamedTuple):
    """Description of a file for decoders: the kind ("wav", "flac", "ogg", "mp3", ...), coding and bits of a wav.

    `tells_length` is False for an mp3 without a declared length. `parts` is empty if a file can be decoded as it is.
    Otherwise it holds the recordings of the file in order, each as a `Part`.
    """

    kind: str
    coding: str | None = None
    bits: int | None = None
    tells_length: bool = True
    parts: tuple = ()


def read_header(path):
    """Checks a file without decoding it.

    Args:
        path: `pathlib.Path`.

    Returns:
        `Header`.

    Raises:
        ValueError: The file is missing, not a regular file, empty, truncated (by its header, last frame or last
            page), of a refused coding, or not audio.
    """
    try:
        check_regular(path)
        stat = os.stat(path)
        return _read_header(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)
    except OSError as error:
        raise UnreadableAudio(error.strerror or str(error)) from error


@functools.lru_cache(maxsize=4096)  # pieces of a long file are requested repeatedly
def _read_header(path, size, time, inode):
    if not size:
        raise UnreadableAudio("the file is empty")
    with open(pathlib.Path(path), "rb") as file:
        parts = _read_parts(file, size)
    first = parts[0]
    # A short tag after the audio is harmless, unless all bytes to the end are decoded as samples.
    as_it_is = len(parts) == 1 and not first.patches and first.begin == 0 and size - first.end <= JUNK
    as_it_is = as_it_is and first.sound_end in (None, size)
    return Header(first.kind, first.coding, first.bits, first.tells_length, () if as_it_is else tuple(parts))


def _read_parts(file, size):
    """The recordings of a file, at least one."""
    media = _media(read_at(file, 0, 64))  # some begin with zeros
    if media:
        if media == "asf":
            _check_asf(read_at(file, 0, 2**16), size)
        _check_single(file, media, size)
        return [Part("media", 0, size, media)]
    parts, place = [], 0
    while (begin := skip_tags(file, place, size)) < size:
        part = _read_part(file, begin, size)
        if part is None and parts and size - begin <= JUNK and find_bytes(file, STARTS.values(), begin, size) < 0:
            break
        if part is None and parts:
            raise UnreadableAudio(
                f"behind the {parts[-1].kind} recording in it {size - begin} bytes follow that are something else",
                "Repair it: ffmpeg -ignore_length 1 -i IN.wav OUT.wav"
                if parts[-1].kind == "wav"
                else "Split it, or convert it: ffmpeg -i IN OUT.flac",
            )
        if part is None:
            break
        if not parts and part.kind == "mp3" and part.begin == _tag_end(file):
            part = part._replace(begin=0)  # decoders skip the tag of an mp3 themselves
        parts.append(part)
        place = part.end
        if len(parts) > _MOST_PARTS:
            raise UnreadableAudio(f"it is damaged: it falls into more than {_MOST_PARTS} recordings")
    if not parts:
        raise UnreadableAudio(
            "its content is none of wav, flac, ogg, mp3, aiff, au, w64 or caf", "Convert it: ffmpeg -i IN OUT.flac"
        )
    if any(part.kind == "media" for part in parts):
        _check_single(file, parts[-1].coding, size, len(parts))
    return parts


def _tag_end(file):
    start = read_at(file, 0, 10)
    return id3_size(start) if start[:3] == b"ID3" and len(start) == 10 else 0


def _read_part(file, begin, size):
    """The recording that begins at a position, or None."""
    start = read_at(file, begin, 64)
    layout = layout_of(start)
    if layout:
        return read_chunks(file, begin, size, layout)
    if start[:4] == b"OggS":
        return read_ogg(file, begin, size)
    if start[:4] == b"fLaC":
        return read_flac(file, begin, size)
    if start[:4] in (b".snd", b"dns."):
        return read_au(file, begin, size)
    media = _media(start)
    if media:
        return Part("media", begin, size, media)
    first = find_mp3(file, begin, size)
    return None if first < 0 else read_mp3(file, first, size)


def _check_single(file, media, size, parts=1):
    """Raises an error if there is more than one recording, because PyAV would read only the first."""
    start = _MEDIA_STARTS.get(media)
    if parts > 1 or (start and find_bytes(file, [start], 16, size) >= 0):
        raise UnreadableAudio("it is several recordings, one after another", "Split it into files of their own.")


def _check_asf(start, size):
    """Raises an error if the file is shorter than its properties claim, unless it is a broadcast."""
    place = start.find(_ASF_PROPERTIES)
    claimed = int.from_bytes(start[place + 40 : place + 48], "little")
    if 0 <= place < len(start) - 88 and claimed > size and not start[place + 88] & 1:
        raise UnreadableAudio(f"it is truncated: its header claims {claimed} bytes, and {size} are there")


def _media(start):
    """The name that FFmpeg gives to a format that only it reads, or None.

    FFmpeg never guesses it, because some of its formats are lists of files and addresses.
    """
    if start[4:8] == b"ftyp":
        return "mp4"
    if start[:4] == _MATROSKA:
        return "matroska"
    if start[:8] == _ASF:
        return "asf"
    if len(start) > 1 and start[0] == 0xFF and start[1] & 0xF6 == 0xF0:
        return "aac"
    return None
