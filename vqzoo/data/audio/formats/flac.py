"""FLAC: compares the length in the header with the number of the last frame."""

from vqzoo.data.audio.formats.flac_frame import SMALLEST_FRAME
from vqzoo.data.audio.formats.flac_frame import find_frames
from vqzoo.data.audio.formats.flac_frame import frame_end
from vqzoo.data.audio.formats.part import Part
from vqzoo.data.audio.formats.part import UnreadableAudio
from vqzoo.data.audio.formats.part import find_bytes
from vqzoo.data.audio.formats.part import read_at
from vqzoo.data.audio.formats.part import skip_tags
from vqzoo.data.audio.formats.part import trailing_tags
from vqzoo.data.audio.formats.part import truncated
from vqzoo.data.audio.formats.starts import STARTS

# More blocks of metadata than this are damage that looks like them.
_MOST_BLOCKS = 1000
_SLACK = 2**16
# Frames at the end that are looked at; what only looks like one is rare.
_TRIED = 6
_LENGTH = 2**36 - 1


def read_flac(file, begin, size):
    """Compares the claimed length of one FLAC stream with its last frame.

    A stream without a declared length, such as one written into a pipe, and one that declares too little get the true
    length as a patch.

    Args:
        file: binary file.
        begin: int, where its "fLaC" is.
        size: int, of the file.

    Returns:
        `Part`.

    Raises:
        ValueError: It is truncated or damaged, or so much else follows it that its last frame is not found.
    """
    info = read_at(file, begin, 42)
    if len(info) < 42 or not STARTS["flac"].match(info):
        raise UnreadableAudio("it is damaged: it begins like a flac file, but its header is not one")
    fields = int.from_bytes(info[18:26], "big")
    claimed, bits, channels = fields & _LENGTH, (fields >> 36 & 31) + 1, (fields >> 41 & 7) + 1
    block = int.from_bytes(info[10:12], "big")
    first = _first_frame(file, begin, size)
    following = find_bytes(file, STARTS.values(), first, size)
    end = size if following < 0 else following
    sound_end = trailing_tags(file, first, end)
    # What an encoder that keeps samples as they are writes. The header's own largest frame may be a lie.
    largest = block * channels * (bits + 7) // 8 + 64 * channels
    tail = max(first, sound_end - largest - _SLACK)
    there, last_end = _last_frame(read_at(file, tail, sound_end - tail), block, bits, largest)
    if there > (end - begin) // SMALLEST_FRAME * block:
        raise UnreadableAudio("it is damaged: its last frame has a number that its bytes cannot hold")
    if claimed > there:
        raise truncated(claimed, there)
    patches = ((begin + 18, (fields & ~_LENGTH | there).to_bytes(8, "big")),) if claimed < there else ()
    if skip_tags(file, tail + last_end, end) < end:
        end = tail + last_end
    return Part("flac", begin, end, patches=patches)


def _first_frame(file, begin, size):
    """Where the metadata end, which may hold the headers of other files: pictures, chunks of the wav it was."""
    place = begin + 4
    for _ in range(_MOST_BLOCKS):
        head = read_at(file, place, 4)
        place += 4 + int.from_bytes(head[1:], "big")
        if len(head) < 4 or place > size:
            raise UnreadableAudio("it is damaged or truncated: its metadata go beyond its end")
        if head[0] & 0x80:
            return place
    raise UnreadableAudio(f"it is damaged: it has more than {_MOST_BLOCKS} blocks of metadata")


def _last_frame(tail, block, bits, largest):
    """(samples up to the end of the last complete frame, its end). A truncated frame after it belongs to it."""
    frames = find_frames(tail, block, bits)
    ends = {}
    for frame in frames[: -1 - _TRIED : -1]:
        end = ends[frame.place] = frame_end(tail, frame)
        if end is None or end < 0:
            continue
        if end not in ends:
            return frame.total, end
        if ends[end] == -1 and len(tail) - end <= largest:
            return frame.total, len(tail)
        break
    raise UnreadableAudio("it is damaged or truncated, or something else follows it: it does not end in a flac frame")
