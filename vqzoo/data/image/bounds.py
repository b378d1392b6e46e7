"""Limits of image files before decoding: bytes, header reads, scans and resize factor."""

import errno
import io
import os
import re

from vqzoo.files import check_regular

MAX_BYTES = 2**30
"""Largest size of an image file in bytes, twice that of the largest image as uncompressed RGB of 16 bits."""
# Pillow reads damaged or endless headers byte by byte in Python. Intact images need a few thousand reads.
MAX_READS = 2**19
# Each scan of a progressive JPEG covers all of its pixels. Encoders write about ten scans.
MAX_SCANS = 100
MAX_SCALE = 1000  # of a resize; beyond it a crop has only one colour
_MARKER = re.compile(rb"\xff[^\0\xff\xd0-\xd7]")  # the others are data, padding and restarts
_END, _SCAN = 0xD9, 0xDA
_BLOCK = 2**16


class _Counted:
    """A binary file with a limited number of reads."""

    reads = 0

    def read(self, size=-1):
        self.reads += 1
        if self.reads > MAX_READS:
            raise ValueError(f"its header has no end within {MAX_READS} reads")
        return super().read(size)


class _CountedBytes(_Counted, io.BytesIO):
    pass


class _CountedFile(_Counted, io.BufferedReader):
    pass


def open_bounded(content):
    """Opens an image file with a limited size and number of reads.

    Args:
        content: path of a file, or bytes of one.

    Returns:
        Binary file.

    Raises:
        OSError: It is missing, not a regular file, or has more than `MAX_BYTES` bytes.
    """
    if isinstance(content, bytes):
        size = len(content)
    else:
        check_regular(content)  # a pipe would wait for a writer, and a device never ends
        size = os.stat(content).st_size
    if size > MAX_BYTES:
        raise OSError(errno.EFBIG, f"it has {size} bytes, and at most {MAX_BYTES} are read")
    return _CountedBytes(content) if isinstance(content, bytes) else _CountedFile(io.FileIO(content))


def check_scans(file):
    """Raises an error if a JPEG has more than `MAX_SCANS` scans, or endless segments between them.

    Args:
        file: binary file, positioned after the start of the first scan. The position is restored.

    Raises:
        ValueError: There are more.
    """
    start = at = file.tell()
    scans, segments = 1, 0
    while True:
        file.seek(at)
        block = file.read(_BLOCK)
        found = _MARKER.search(block)
        if found is None:
            if len(block) < _BLOCK:
                break
            at += len(block) - 1  # its last byte may begin a marker
            continue
        if block[found.start() + 1] == _END:
            break
        scans += block[found.start() + 1] == _SCAN
        segments += 1
        if scans > MAX_SCANS or segments > 10 * MAX_SCANS:
            raise ValueError(f"a JPEG of more than {MAX_SCANS} scans: save it again as a baseline JPEG")
        file.seek(at + found.end())
        at += found.end() + int.from_bytes(file.read(2), "big")
    file.seek(start)
