"""What a sound file is by its first and last bytes, and the files that are refused before any decoder opens them."""

import os
import struct
from typing import NamedTuple

_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE
_READABLE = {_PCM: "PCM", _FLOAT: "float", _ALAW: "a-law", _MULAW: "mu-law"}
# libsndfile 1.2.2 has an integer overflow in its ADPCM decoder (CVE-2026-37555), so such files are named, not opened.
_REFUSED = {0x0002: "Microsoft ADPCM", 0x0011: "IMA ADPCM", 0x0031: "GSM 6.10", 0x0055: "MP3 inside a wav"}
_AGAIN = "Get the file again, or leave it out."
# What programs leave that do not know the length in advance, as into a pipe: sox, arecord, ffmpeg.
_UNKNOWN_SIZES = (0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class Header(NamedTuple):
    """What decoders need to know: the kind ("wav", "flac", "ogg", "mp3"), and a wav's coding and bits of a sample.

    `tells_length` is False of an mp3 that nowhere says how long it is.
    """

    kind: str
    coding: str | None = None
    bits: int | None = None
    tells_length: bool = True


class UnreadableAudio(ValueError):
    """Why a file cannot be read, and the way out; `load_audio` puts the name before it.

    Args:
        reason: str, the end of "Cannot read the recording NAME: ...".
        way_out: str, a sentence. Default: get it again, or leave it out.
    """

    def __init__(self, reason, way_out=_AGAIN):
        super().__init__(f"{reason}. {way_out}")


def read_header(path):
    """Checks a file without decoding it.

    Args:
        path: `pathlib.Path`.

    Returns:
        `Header`.

    Raises:
        ValueError: The file is missing, empty, truncated (where its header or last page tells), of a coding that is
            refused, or no sound.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(12)
            if not size:
                raise UnreadableAudio("the file is empty")
            if start[:4] in (b"RIFF", b"RF64") and start[8:] == b"WAVE":
                return _wav(file, size)
            if start[:4] == b"OggS":
                return _ogg(file, size)
            return _other(file, start)
    except OSError as error:
        raise UnreadableAudio(error.strerror or str(error)) from error


def _wav(file, size):
    """Walks over the chunks: fmt says the coding, data how many bytes there must be."""
    coding = bits = frame = long_size = None
    while len(chunk := file.read(8)) == 8:
        name, length = chunk[:4], int.from_bytes(chunk[4:], "little")
        content = file.tell()
        if name == b"ds64":  # of RF64: the sizes that 32 bits cannot hold
            long_size = int.from_bytes(file.read(16)[8:], "little")
        elif name == b"fmt ":
            coding, bits, frame = _wav_format(file.read(min(length, 40)))
        elif name == b"data":
            if coding is None:
                break
            told = long_size if long_size is not None and length == 0xFFFFFFFF else length
            if told not in _UNKNOWN_SIZES and told > size - content:
                raise UnreadableAudio(
                    f"it is truncated: its header tells of {told // frame} samples, and {(size - content) // frame} "
                    "are there"
                )
            return Header("wav", coding, bits)
        file.seek(content + length + length % 2)
    raise UnreadableAudio("it begins like a wav file, but its header is damaged")


def _wav_format(content):
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


def _ogg(file, size):
    # The last page of a whole file says that it is the last. No page is longer than 65,307 bytes.
    file.seek(max(0, size - 2**17))
    end = file.read()
    page = end[end.rfind(b"OggS") :]
    if len(page) < 6 or not page[5] & 4:
        raise UnreadableAudio("it is truncated: its last page is missing")
    return Header("ogg")


def _other(file, start):
    if start[:4] == b"fLaC":
        return Header("flac")
    first = 0
    if start[:3] == b"ID3":  # a tag before the sound, with a picture perhaps; its length has 7 bits a byte
        a, b, c, d = start[6:10]
        first = 10 + (a << 21 | b << 14 | c << 7 | d)
    file.seek(first)
    frame = file.read(512)
    if frame[:4] == b"fLaC":
        return Header("flac")
    if first or (frame[:1] == b"\xff" and len(frame) > 3 and frame[1] & 0xE6 == 0xE2):  # layer III of any version
        return Header("mp3", tells_length=any(tag in frame for tag in (b"Xing", b"Info", b"VBRI")))
    raise UnreadableAudio("its content is none of wav, flac, ogg or mp3", "Convert it: ffmpeg -i IN OUT.flac")
