"""One frame of FLAC: its header, and its end, which requires parsing its codes."""

import re
from typing import NamedTuple

_SYNC = re.compile(b"\xff[\xf8\xf9]")
# Samples of a frame by the code in its header; 6 and 7 write the number behind it.
_BLOCKS = {1: 192, **{i: 576 << i - 2 for i in range(2, 6)}, **{i: 256 << i - 8 for i in range(8, 16)}}
_BITS = {1: 8, 2: 12, 4: 16, 5: 20, 6: 24, 7: 32}
# Which channel of two is a difference, of one bit more.
_SIDE = {8: 1, 9: 0, 10: 1}
SMALLEST_FRAME = 9


class Frame(NamedTuple):
    """A frame by its header: where it is in some bytes, where its sound begins, and how that is written.

    `samples` are those of the frame, `total` those of the recording up to its end; `side` is the channel that is a
    difference, or None.
    """

    place: int
    sound: int
    samples: int
    total: int
    channels: int
    side: int | None
    bits: int


def find_frames(content, block, bits):
    """All that looks like a frame.

    Args:
        content: bytes.
        block: int, samples of a frame, by the header of the stream.
        bits: int, of a sample, by the header of the stream.

    Returns:
        List of `Frame`.

    Example:
    >>> find_frames(b"no frame", 4096, 16)
    []
    """
    found = (_frame(content, match.start(), block, bits) for match in _SYNC.finditer(content))
    return [frame for frame in found if frame]


def frame_end(content, frame):
    """The end of a frame. A checksum is not sufficient, because it is right by chance at one place in 65,536.

    Args:
        content: bytes, in which it was found.
        frame: `Frame`.

    Returns:
        int; -1 if it continues beyond the content, None if it is damaged or not a frame.

    Example:
    >>> frame = Frame(0, 6, 192, 192, 1, None, 16)
    >>> frame_end(bytes.fromhex("fff8190800d4") + bytes(2), frame)
    -1
    """
    text = format(int.from_bytes(b"\1" + content[frame.place :], "big"), "b")[1:]
    place = 8 * (frame.sound - frame.place)
    for channel in range(frame.channels):
        place = _channel_end(text, place, frame.bits + (channel == frame.side), frame.samples)
        if place is None:
            return None
    end = frame.place - (-place // 8) + 2
    if end > len(content):
        return -1
    return end if _checksum(content[frame.place : end]) == 0 else None


def _frame(content, place, block, bits):
    header = content[place : place + 16]
    if len(header) < SMALLEST_FRAME or header[3] & 1 or header[3] >> 4 > 10:
        return None
    block_code, rate_code, bits_code = header[2] >> 4, header[2] & 15, header[3] >> 1 & 7
    leading = 8 - (header[4] ^ 0xFF).bit_length()  # ones, as in UTF-8: how many bytes the number has
    if block_code == 0 or rate_code == 15 or leading in (1, 8) or bits_code == 3:
        return None
    number = header[4] & (0x7F >> leading)
    used = 5
    for byte in header[5 : 4 + max(leading, 1)]:
        number = number << 6 | byte & 0x3F
        used += 1
    width = {6: 1, 7: 2}.get(block_code, 0)
    samples = int.from_bytes(header[used : used + width], "big") + 1 if width else _BLOCKS[block_code]
    used += width
    used += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if _checksum(header[: used + 1], _TABLE8, 8):
        return None
    total = (number if header[1] & 1 else number * block) + samples
    layout = header[3] >> 4
    channels, side = (2, _SIDE[layout]) if layout in _SIDE else (layout + 1, None)
    return Frame(place, place + used + 1, samples, total, channels, side, _BITS.get(bits_code, bits))


def _number(text, place, count):
    """Reads a number of bits; bits beyond the end are 0."""
    return int(text[place : place + count] or "0", 2)


def _ones_place(text, place):
    """Behind the next 1."""
    found = text.find("1", place)
    return (found if found >= 0 else max(place, len(text))) + 1


def _channel_end(text, place, bits, samples):
    """Where the codes of one channel end, or None."""
    kind, wasted = _number(text, place, 7), _number(text, place + 7, 1)
    place += 8
    if wasted:
        bits -= (behind := _ones_place(text, place)) - place
        place = behind
    if bits < 1 or 1 < kind < 8 or 12 < kind < 32 or kind > 63:
        return None
    if kind < 2:  # one value for all, or all as they are
        return place + bits * (samples if kind else 1)
    order = kind - 8 if kind < 32 else kind - 31
    place += bits * order
    if kind >= 32:
        place += 9 + order * (_number(text, place, 4) + 1)
    return _residual_end(text, place, order, samples)


def _residual_end(text, place, order, samples):
    method, partitions = _number(text, place, 2), 1 << _number(text, place + 2, 4)
    width, each = 4 + method, samples // partitions
    if method > 1 or samples % partitions or each < order:
        return None
    place += 6
    for partition in range(partitions):
        count = each - (0 if partition else order)
        parameter = _number(text, place, width)
        place += width
        if parameter == (1 << width) - 1:
            place += 5 + count * _number(text, place, 5)
            continue
        for _ in range(count):
            place = _ones_place(text, place) + parameter
    return place


def _crc(byte, bits, polynomial):
    value = byte << bits - 8
    for _ in range(8):
        value = (value << 1) ^ (polynomial if value >> bits - 1 else 0)
        value &= (1 << bits) - 1
    return value


_TABLE8 = [_crc(byte, 8, 0x07) for byte in range(256)]
_TABLE16 = [_crc(byte, 16, 0x8005) for byte in range(256)]


def _checksum(content, table=_TABLE16, bits=16):
    """0 where what is checked ends: it ends in what makes it 0."""
    value = 0
    for byte in content:
        value = (value << 8 & (1 << bits) - 1) ^ table[value >> bits - 8 ^ byte]
    return value
