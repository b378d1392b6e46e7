"""Formats that are chunks, each with a name and a length: wav, RF64, AIFF, W64 and CAF; and AU, which is one."""

import struct
from typing import NamedTuple

from vqzoo.data.audio.formats.part import Part
from vqzoo.data.audio.formats.part import UnreadableAudio
from vqzoo.data.audio.formats.part import find_bytes
from vqzoo.data.audio.formats.part import read_at
from vqzoo.data.audio.formats.part import skip_tags
from vqzoo.data.audio.formats.part import truncated
from vqzoo.data.audio.formats.starts import STARTS
from vqzoo.data.audio.formats.starts import begins

_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE
_READABLE = {_PCM: "PCM", _FLOAT: "float", _ALAW: "a-law", _MULAW: "mu-law"}
# libsndfile 1.2.2 has an integer overflow in its ADPCM decoder (CVE-2026-37555), so such files are named, not opened.
_REFUSED = {0x0002: "Microsoft ADPCM", 0x0011: "IMA ADPCM", 0x0031: "GSM 6.10", 0x0055: "MP3 inside a wav"}
_AIFC = {b"NONE", b"twos", b"sowt", b"raw ", b"in24", b"in32", b"42ni", b"fl32", b"FL32", b"fl64", b"FL64"}
_AIFC |= {b"alaw", b"ALAW", b"ulaw", b"ULAW"}
_CAF = {b"lpcm", b"alaw", b"ulaw"}
_AU = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}  # coding -> bytes of a value
_GUID = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # what the names of all chunks but the first of W64 end in
# What programs leave that do not know the length in advance, as into a pipe: sox, arecord, ffmpeg.
_UNKNOWN = {0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF}
# No program writes more. Damage that looks like chunks of length 0 would never end.
_MOST_CHUNKS = 10_000
_CONVERT = "Convert it: ffmpeg -i IN -c:a pcm_s16le OUT.wav"


class _Layout(NamedTuple):
    """How a format writes its chunks."""

    kind: str
    first: int
    """Where the first chunk is."""
    size: str
    """Format of `struct` of a length."""
    form: bytes
    """Name of the chunk that describes the samples."""
    data: bytes
    """Name of the chunk of the samples."""
    before: int = 0
    """Bytes in it before the samples."""
    name: int = 4
    """Bytes of a name."""
    align: int = 2
    counts_itself: bool = False
    """Whether a length counts the name and the length, too."""
    to_the_end: bool = False
    """Whether decoders read all bytes to the end of a file as samples, independent of the declared length."""


_LAYOUTS = (
    _Layout("wav", 12, "<I", b"fmt ", b"data"),
    _Layout("aiff", 12, ">I", b"COMM", b"SSND", before=8),
    _Layout("caf", 8, ">q", b"desc", b"data", before=4, align=1),
    _Layout("w64", 40, "<Q", b"fmt " + _GUID, b"data" + _GUID, 0, 16, 8, counts_itself=True, to_the_end=True),
)


class _Chunk(NamedTuple):
    name: bytes
    length_at: int
    content: int
    length: int
    """Bytes of content; -1 where CAF does not know."""


def layout_of(start):
    """Whether a file begins like one of these formats.

    Args:
        start: bytes, its first 64.

    Returns:
        What `read_chunks` takes, or None.

    Example:
    >>> layout_of(b"RIFF" + bytes(4) + b"WAVE").kind
    'wav'
    """
    return next((layout for layout in _LAYOUTS if STARTS[layout.kind].match(start)), None)


def read_chunks(file, begin, size, layout):
    """Iterates over the chunks of one recording. One declares the coding, another the bytes of the samples.

    Args:
        file: binary file.
        begin: int, where it begins.
        size: int, of the file.
        layout: as of `layout_of`.

    Returns:
        `Part`. Where the length of the samples is unknown or 0 they go to the end.

    Raises:
        ValueError: It is truncated, its header is damaged, or its coding is not read.
    """
    about, long_size, patches = None, None, ()
    for chunk, _ in _chunks(file, begin + layout.first, begin, size, layout):
        if chunk.name == b"ds64":  # of RF64: the sizes that 32 bits cannot hold
            long_size, long_size_at = int.from_bytes(read_at(file, chunk.content + 8, 8), "little"), chunk.content + 8
        elif chunk.name == layout.form:
            about = _DESCRIBE[layout.kind](read_at(file, chunk.content, max(0, min(chunk.length, 64))), begin, file)
        elif chunk.name == layout.data:
            break
    else:
        chunk = None
    if chunk is None or about is None:
        raise UnreadableAudio(f"it begins like a {layout.kind} file, but its header is damaged")
    coding, bits, frame = about
    if layout.kind == "caf" and coding.encode() not in _CAF:
        return Part("media", begin, size, "caf")
    content, claimed = chunk.content + layout.before, chunk.length - layout.before
    if long_size is not None and chunk.length == 0xFFFFFFFF:
        claimed = long_size
    sizes_64 = long_size is not None and chunk.length == 0xFFFFFFFF
    after = _behind(file, content + max(claimed, 0), begin, size, layout)
    is_unknown = chunk.length in _UNKNOWN and not sizes_64 if layout.kind in ("wav", "aiff") else chunk.length == -1
    was_killed = not is_unknown and claimed <= 0 and not _ends_well(file, after, begin, size, layout)
    if was_killed or is_unknown:
        end = _next_start(file, content, size)
        there = (end - content) // frame * frame
        if sizes_64:
            patches = ((long_size_at, there.to_bytes(8, "little")),)
        elif there > claimed:
            patches = ((chunk.length_at, _packed(layout, there)),)
        return Part(layout.kind, begin, end, coding, bits, patches=patches)
    if claimed > size - content:
        raise truncated(claimed // frame, (size - content) // frame)
    end = _after_chunks(file, after, begin, size, layout)
    return Part(layout.kind, begin, end, coding, bits, sound_end=content + claimed if layout.to_the_end else None)


def read_au(file, begin, size):
    """Checks the header of an AU file.

    Args:
        file: binary file.
        begin: int, where it begins.
        size: int, of the file.

    Returns:
        `Part`.

    Raises:
        ValueError: It is truncated, its header is damaged, or its coding is not read.
    """
    header = read_at(file, begin, 24)
    order = "big" if header[:4] == b".snd" else "little"
    offset, claimed, coding, _, channels = (int.from_bytes(header[i : i + 4], order) for i in range(4, 24, 4))
    if len(header) < 24 or offset < 24 or begin + offset > size or not channels:
        raise UnreadableAudio("it begins like an au file, but its header is damaged")
    if coding not in _AU:
        raise UnreadableAudio(f"its coding {coding} is not read", _CONVERT)
    frame, content = _AU[coding] * channels, begin + offset
    if claimed in (0, 0xFFFFFFFF):
        end = _next_start(file, content, size)
        there = (end - content) // frame * frame
        return Part("au", begin, end, patches=((begin + 8, min(there, 0xFFFFFFFF).to_bytes(4, order)),))
    if claimed > size - content:
        raise truncated(claimed // frame, (size - content) // frame)
    return Part("au", begin, content + claimed)


def _chunks(file, place, begin, size, layout):
    """The chunks from a place on, each with where the next begins; of damage that looks like too many, an error."""
    for _ in range(_MOST_CHUNKS):
        chunk = _chunk(file, place, layout) if place < size else None
        if chunk is None:
            return
        place = _behind(file, chunk.content + max(chunk.length, 0), begin, size, layout)
        yield chunk, place
    raise UnreadableAudio(f"it is damaged: it has more than {_MOST_CHUNKS} {layout.kind} chunks")


def _chunk(file, place, layout):
    """The chunk at a place, or None."""
    width = struct.calcsize(layout.size)
    head = read_at(file, place, layout.name + width)
    if len(head) < layout.name + width:
        return None
    (length,) = struct.unpack(layout.size, head[layout.name :])
    if layout.counts_itself:
        length -= len(head)
    return _Chunk(head[: layout.name], place + layout.name, place + len(head), length)


def _behind(file, place, begin, size, layout):
    """Where what follows a chunk begins: behind its padding, or at once where a writer left the padding out."""
    padding = -(place - begin) % layout.align
    if not padding or place >= size or begins(read_at(file, place, 64)):
        return place
    aligned = place + padding
    is_padded = not any(read_at(file, place, padding)) or begins(read_at(file, aligned, 64))
    return aligned if is_padded or _is_chunk(_chunk(file, aligned, layout), size) else place


def _is_chunk(chunk, size):
    """Whether it can be one: its name is text, and it ends within the file."""
    if chunk is None or chunk.length < 0 or chunk.content + chunk.length > size:
        return False
    return all(0x20 <= byte < 0x7F for byte in chunk.name[:4])


def _packed(layout, there):
    length = there + layout.before + (24 if layout.counts_itself else 0)
    if struct.calcsize(layout.size) == 4 and length >= 0xFFFFFFFF:
        raise UnreadableAudio(
            f"its {there} bytes of samples are more than the 4 GiB limit of a {layout.kind} file",
            "Convert it: ffmpeg -ignore_length 1 -i IN OUT.w64",
        )
    return struct.pack(layout.size, length)


def _after_chunks(file, place, begin, size, layout):
    """The end of the chunks after the samples: the end of the file, or the first byte that is not a chunk."""
    for chunk, after in _chunks(file, place, begin, size, layout):
        if not _is_chunk(chunk, size) or chunk.name[:3] == b"TAG" or begins(read_at(file, place, 64)):
            return place
        place = after
    return min(place, size)


def _ends_well(file, place, begin, size, layout):
    """Whether nothing but chunks follows."""
    return skip_tags(file, place, size) == size or size - _after_chunks(file, place, begin, size, layout) < 8


def _next_start(file, place, size):
    """Where samples of an unknown length end: where the next recording begins, or the file ends."""
    following = find_bytes(file, STARTS.values(), place, size)
    return size if following < 0 else following


def _describe_wav(content, begin, file):
    if len(content) < 16:
        raise UnreadableAudio("it begins like a wav file, but its header is damaged")
    tag, _, _, _, frame, bits = struct.unpack("<HHIIHH", content[:16])
    if tag == _EXTENSIBLE and len(content) >= 26:
        tag = int.from_bytes(content[24:26], "little")
    if tag not in _READABLE:
        raise UnreadableAudio(
            f"its coding {_REFUSED.get(tag, 'of a kind we do not know')} (format 0x{tag:04x}) is not read",
            "Convert it: ffmpeg -i IN.wav -c:a pcm_s16le OUT.wav",
        )
    return _READABLE[tag], bits, max(frame, 1)


def _describe_aiff(content, begin, file):
    if len(content) < 18:
        raise UnreadableAudio("it begins like an aiff file, but its header is damaged")
    channels, _, bits = struct.unpack(">HIH", content[:8])
    coding = content[18:22] if read_at(file, begin + 8, 4) == b"AIFC" else b"NONE"
    if coding not in _AIFC:
        raise UnreadableAudio(f"its coding {coding.decode('latin-1')!r} is not read", _CONVERT)
    return coding.decode(), bits, max(1, channels * ((bits + 7) // 8))


def _describe_caf(content, begin, file):
    if len(content) < 32:
        raise UnreadableAudio("it begins like a caf file, but its header is damaged")
    frame, _, _, bits = struct.unpack(">IIII", content[16:32])
    return content[8:12].decode("latin-1"), bits, max(frame, 1)


_DESCRIBE = {"wav": _describe_wav, "w64": _describe_wav, "aiff": _describe_aiff, "caf": _describe_caf}
