"""FLAC: the length its header claims, against the number in the header of its last frame."""

import re

from vqzoo.data.audio.formats.part import JUNK
from vqzoo.data.audio.formats.part import Part
from vqzoo.data.audio.formats.part import UnreadableAudio
from vqzoo.data.audio.formats.part import find_bytes
from vqzoo.data.audio.formats.part import read_at
from vqzoo.data.audio.formats.part import trailing_tags
from vqzoo.data.audio.formats.part import truncated

# The first block is always STREAMINFO, of 34 bytes.
_START = re.compile(b"fLaC[\x00\x80]\x00\x00\x22")
# What stands at the beginning of recordings, and hardly within one.
_NEXT = [_START, re.compile(b"OggS\0\2")]
_NEXT += [re.compile(name + b".{4}" + kind, re.DOTALL) for name, kind in ((b"RIFF", b"WAVE"), (b"FORM", b"AIF[FC]"))]
_FRAME = re.compile(b"\xff[\xf8\xf9]")
_SMALLEST_FRAME = 9
_SLACK = 2**16
# Frames at the end that are looked at; what only looks like one is rare.
_TRIED = 6
_LENGTH = 2**36 - 1
# Samples of a frame by the code in its header; 6 and 7 write the number behind it.
_BLOCKS = {1: 192, **{i: 576 << i - 2 for i in range(2, 6)}, **{i: 256 << i - 8 for i in range(8, 16)}}


def read_flac(file, begin, size):
    """Compares the claimed length of one FLAC stream with its last frame.

    A stream that says nothing of its length, as one that was written into a pipe, and one that says less than it
    holds, get the true length as a patch.

    Args:
        file: binary file.
        begin: int, where its "fLaC" is.
        size: int, of the file.

    Returns:
        `Part`.

    Raises:
        ValueError: It is truncated or damaged, or something else follows it.
    """
    info = read_at(file, begin, 42)
    if len(info) < 42 or not _START.match(info):
        raise UnreadableAudio("it is damaged: it begins like a flac file, but its header is not one")
    fields = int.from_bytes(info[18:26], "big")
    claimed, bits, channels = fields & _LENGTH, (fields >> 36 & 31) + 1, (fields >> 41 & 7) + 1
    block = int.from_bytes(info[10:12], "big")
    following = find_bytes(file, _NEXT, begin + 42, size)
    end = size if following < 0 else following
    sound_end = trailing_tags(file, begin + 42, end)
    # What an encoder that keeps samples as they are writes. The header's own largest frame may be a lie.
    largest = block * channels * (bits + 7) // 8 + 64 * channels
    tail = max(begin + 42, sound_end - largest - _SLACK)
    there = _samples(read_at(file, tail, sound_end - tail), block, largest, claimed)
    if there > (end - begin) // _SMALLEST_FRAME * block:
        raise UnreadableAudio("it is damaged: its last frame has a number that its bytes cannot hold")
    if claimed > there:
        raise truncated(claimed, there)
    patches = ((begin + 18, (fields & ~_LENGTH | there).to_bytes(8, "big")),) if claimed < there else ()
    return Part("flac", begin, end, patches=patches)


def _samples(tail, block, largest, claimed):
    """How many samples there are up to the last whole frame."""
    frames = [frame for match in _FRAME.finditer(tail) if (frame := _frame(tail, match.start(), block))]
    for place, total in frames[: -1 - _TRIED : -1]:
        if _checksum(tail[place:]) == 0:
            return total
    # A frame that is cut has no right end; one that a little of something else follows has.
    for i in range(len(frames) - 1, max(-1, len(frames) - 1 - _TRIED), -1):
        place, total = frames[i]
        before = [frame for frame in frames[max(0, i - _TRIED) : i] if _checksum(tail[frame[0] : place]) == 0]
        if before or len(frames) == 1:
            if any(end >= len(tail) - place - JUNK for end in _right_ends(tail[place:])):
                return total
            if before and total != claimed and len(tail) - place <= largest:
                return before[-1][1]
    raise UnreadableAudio("it is damaged or truncated, or something else follows it: it does not end in a flac frame")


def _frame(tail, place, fixed_block):
    """(place, samples up to its end) of what looks like a frame; None of what does not."""
    header = tail[place : place + 16]
    if len(header) < _SMALLEST_FRAME or header[3] & 1 or header[3] >> 4 > 10:
        return None
    block_code, rate_code = header[2] >> 4, header[2] & 15
    leading = 8 - (header[4] ^ 0xFF).bit_length()  # ones, as in UTF-8: how many bytes the number has
    if block_code == 0 or rate_code == 15 or leading in (1, 8):
        return None
    number = header[4] & (0x7F >> leading)
    used = 5
    for byte in header[5 : 4 + max(leading, 1)]:
        number = number << 6 | byte & 0x3F
        used += 1
    width = {6: 1, 7: 2}.get(block_code, 0)
    block = int.from_bytes(header[used : used + width], "big") + 1 if width else _BLOCKS[block_code]
    used += width
    used += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if _crc(header[: used + 1], 8, 0x07):
        return None
    return place, (number if header[1] & 1 else number * fixed_block) + block


def _checksum(content):
    """0 where whole frames end: each ends in what makes it 0."""
    table, value = _TABLE16, 0
    for byte in content:
        value = (value << 8 & 0xFF00) ^ table[value >> 8 ^ byte]
    return value


def _right_ends(frame):
    """Lengths at which the checksum of all before it is right."""
    table, value = _TABLE16, 0
    for place, byte in enumerate(frame, start=1):
        value = (value << 8 & 0xFF00) ^ table[value >> 8 ^ byte]
        if not value and place >= _SMALLEST_FRAME:
            yield place


def _crc(content, bits, polynomial):
    value = 0
    for byte in content:
        value ^= byte << bits - 8
        for _ in range(8):
            value = (value << 1) ^ (polynomial if value >> bits - 1 else 0)
            value &= (1 << bits) - 1
    return value


_TABLE16 = [_crc([byte], 16, 0x8005) for byte in range(256)]
