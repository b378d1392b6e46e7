"""Ogg: its pages, one after another. A chained file has several streams, each with its own beginning and end."""

import zlib

from vqzoo.data.audio.formats.part import Part
from vqzoo.data.audio.formats.part import UnreadableAudio
from vqzoo.data.audio.formats.part import read_at

_FIRST, _LAST = 2, 4
# Samples of the longest Opus packet, at 48 kHz.
_OPUS_PACKET = 5760
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def read_ogg(file, begin, size):
    """Walks over the pages of one stream, up to the first page of the next.

    Args:
        file: binary file.
        begin: int, where its first page is.
        size: int, of the file.

    Returns:
        `Part`.

    Raises:
        ValueError: A page is missing or damaged, or claims more or fewer samples than it can hold.
    """
    place, flags, streams, started = begin, 0, 0, False
    longest = position = None
    numbers, heard = {}, False
    while place < size:
        page = read_at(file, place, 27 + 255 + 64)
        if page[:4] != b"OggS" or (page[5] & _FIRST and started):
            break
        sizes = page[27 : 27 + page[26]] if len(page) > 27 else b""
        end = place + 27 + len(sizes) + sum(sizes)
        if end > size or not sizes:
            flags, place = 0, size  # the page is cut
            break
        _check_page(file, place, end)
        stream, number = page[14:18], int.from_bytes(page[18:22], "little")
        # Before the sound there may be a gap: a live stream that was joined later.
        if heard and numbers.get(stream, number - 1) != number - 1:
            raise UnreadableAudio(f"it is damaged: pages are missing before byte {place}")
        numbers[stream] = number
        if page[5] & _FIRST:
            streams += 1
            longest = _longest_packet(page[27 + len(sizes) :]) if streams == 1 else None  # each has its own positions
        else:
            started = True
        here = int.from_bytes(page[6:14], "little", signed=True)
        if here > 0 and longest:
            _check_position(position, here, longest * sum(length < 255 for length in sizes), page[5] & _LAST)
            position = here
        heard = heard or here > 0
        place, flags = end, page[5]
    if not flags & _LAST:
        raise UnreadableAudio(
            "it is truncated: its last page is missing" if place >= size else f"it is damaged at byte {place}: no page"
        )
    return Part("ogg", begin, place)


def _check_page(file, place, end):
    """Raises an error if the checksum of a page is wrong, because decoders skip such a page silently."""
    page = bytearray(read_at(file, place, end - place))
    claimed, page[22:26] = bytes(page[22:26]), bytes(4)
    # The CRC of zlib has each byte's bits and its own the other way round, and begins with ones and ends in them.
    found = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    if found.to_bytes(4, "big").translate(_REVERSED) != claimed:
        raise UnreadableAudio(f"it is damaged: the checksum of its page at byte {place} is wrong")


def _longest_packet(content):
    """The largest number of samples per packet, by the first packet of a stream; None if not Vorbis or Opus."""
    if content[:8] == b"OpusHead":
        return _OPUS_PACKET
    if content[:7] == b"\1vorbis" and len(content) > 28:
        return 2 ** (content[28] >> 4) // 2
    return None


def _check_position(before, here, most, is_last):
    """A page declares the number of samples up to its end. A stream may begin at any number."""
    claimed = here - (before or 0)
    if before is None and not is_last:
        return
    if claimed < 0:
        raise UnreadableAudio("it is damaged: a page claims fewer samples than the page before it")
    if claimed > most:
        raise UnreadableAudio(f"it is damaged: a page claims {claimed} samples, and holds {most} at most")
