"""Bounds of pictures before their pixels are known: bytes, reads of the header, scans, and the resize."""

import errno
import io
import os
import re

from vqzoo.files import check_regular

MAX_BYTES = 2**30
"""Bytes of a picture file. Without any compression `load_image`'s 2**26 pixels take half of it in RGB of 16 bits."""
# Pillow steps through damaged or endless headers byte by byte, in Python. Whole pictures take a few thousand.
MAX_READS = 2**19
# Each scan of a progressive JPEG goes through all of its pixels. Encoders write about ten; libtiff stops at as many.
MAX_SCANS = 100
MAX_SCALE = 1000  # of a resize: a crop at more is one colour
_MARKER = re.compile(rb"\xff[^\0\xff\xd0-\xd7]")  # the others are data, padding and restarts
_END, _SCAN = 0xD9, 0xDA
_BLOCK = 2**16


class _Counted:
    """A binary file that is read a bounded number of times."""

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
    """Opens a picture whose size is bounded, and how often it is read.

    Args:
        content: path of a file, or bytes of one.

    Returns:
        Binary file.

    Raises:
        OSError: It is missing, no regular file, or of more than `MAX_BYTES` bytes.
    """
    if isinstance(content, bytes):
        size = len(content)
    else:
        check_regular(content)  # a pipe would wait for a writer, a device never end
        size = os.stat(content).st_size
    if size > MAX_BYTES:
        raise OSError(errno.EFBIG, f"it has {size} bytes, and at most {MAX_BYTES} are read")
    return _CountedBytes(content) if isinstance(content, bytes) else _CountedFile(io.FileIO(content))


def check_scans(file):
    """Raises where a JPEG has more scans than `MAX_SCANS`, or endless other segments between them.

    Args:
        file: binary file that stands behind the beginning of the first scan, where it is left.

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
