"""TIFF images of more than 8 bits, of floats, or with a plane for each channel.

Pillow truncates 16-bit colours to 8 bits, confuses planes and the byte order of compressed floats, and refuses the
rest. Here it only decompresses the bytes, and NumPy arranges the samples.
"""

import io
import os
import struct
import zlib

import numpy as np
from PIL import Image

from vqzoo.data.image.formats import UnsupportedPicture
from vqzoo.data.image.formats import to_eight_bits

_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # a tag's type -> how one value is stored
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS, _COUNTS, _PLANAR, _PREDICTOR = 273, 274, 277, 278, 279, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS, _EXTRA, _FORMAT = 322, 323, 324, 325, 338, 339
_STORED, _DEFLATE = 1, (8, 32946)
_PREDICTED = {5, *_DEFLATE, 34925, 50000}  # LZW, Deflate, LZMA, Zstandard; the others have no differences to undo
_UNPACKED = {_STORED, 32773, *_PREDICTED}  # and PackBits
_KINDS = {1: "u", 3: "f", 4: "u"}  # a tag's sample format -> NumPy's kind; 4 is "undefined"
_USED = {_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _OFFSETS, _ORIENTATION, _SAMPLES, _ROWS}
_USED |= {_COUNTS, _PLANAR, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS, _EXTRA, _FORMAT}
_MOST_VALUES = 2**20  # of all tags; an image of 2**26 pixels in tiles of 16 x 16 has a quarter of it
_SMALL = 2**24  # pixels that all tiles may have, also for a small image
_AT_ONCE = 2**24  # bytes that are unpacked at once, where the file's strips allow
_MOST_AT_ONCE = 2**29  # and where they do not
# Beyond these a float would be rounded to a value that 8 bits do not have.
_DARKEST, _LIGHTEST = -0.5 / 255, 255.5 / 255


def open_deep_tiff(file):
    """Opens the first page of a TIFF if Pillow would not read all of its samples.

    Args:
        file: binary file, at its beginning.

    Returns:
        `DeepTiff`, or None if it is not a TIFF, or one that Pillow reads completely.

    Raises:
        ValueError: It is damaged.
    """
    head = file.read(4)
    if head not in _HEADS:
        return None
    order, big = "<" if head[:1] == b"I" else ">", b"+" in head
    tags = _read_tags(file, order, big)
    _check_tiles(tags)
    grey_or_rgb = tags.get(_PHOTOMETRIC, (1,))[0] in (0, 1, 2)
    planes = tags.get(_PLANAR, (1,))[0] == 2 and tags.get(_SAMPLES, (1,))[0] > 1
    shallow = max(tags.get(_BITS, (1,))) <= 8 and set(tags.get(_FORMAT, (1,))) <= {1, 4}
    lossy = tags.get(_COMPRESSION, (1,))[0] not in _UNPACKED
    grey_and_more = tags.get(_PHOTOMETRIC, (1,))[0] < 2 and tags.get(_SAMPLES, (1,))[0] == 2
    opacity = grey_and_more and (tags.get(_EXTRA, (0,))[0] == 1 or tags.get(_PHOTOMETRIC, (1,))[0] == 0)
    unknown_to_pillow = planes or opacity or (big and order == ">")
    if not grey_or_rgb or (shallow and (lossy or not unknown_to_pillow)):
        return None
    return DeepTiff(file, tags, order)


class DeepTiff:
    """The first page of a TIFF, of which only the tags are read initially.

    Args:
        file: binary file.
        tags: dict of int to tuple of int.
        order: "<" or ">", the byte order.

    Raises:
        UnsupportedPicture: Black and white of its samples are undefined, or its storage is unknown.
        ValueError: It is damaged.
    """

    format = "TIFF"

    def __init__(self, file, tags, order):
        def one(tag, default=None):
            if tag not in tags and default is None:
                raise ValueError(f"TIFF tag {tag} is missing")
            return tags.get(tag, (default,))[0]

        self._file = file
        self.width, self.height = one(_WIDTH), one(_HEIGHT)
        self.size = (self.width, self.height)
        self._orientation = one(_ORIENTATION, 1)
        self._compression = one(_COMPRESSION, 1)
        self._predictor = one(_PREDICTOR, 1) if self._compression in _PREDICTED else 1
        self._fill_order = one(_FILL_ORDER, 1)
        self._white_is_zero = one(_PHOTOMETRIC, 1) == 0
        self._extra = tags.get(_EXTRA, ())
        self._dtype = _dtype(tags, order)
        samples = one(_SAMPLES, 1)
        self._colours = 3 if one(_PHOTOMETRIC, 1) == 2 else 1
        self._planes = samples if one(_PLANAR, 1) == 2 else 1
        self._in_plane = samples // self._planes
        self._tiled = _TILE_WIDTH in tags
        self._unit = (one(_TILE_WIDTH), one(_TILE_HEIGHT)) if self._tiled else (self.width, one(_ROWS, self.height))
        self._unit = (self._unit[0], self._unit[1] if self._tiled else min(self._unit[1], self.height))
        if min(*self.size, *self._unit, samples) < 1:
            raise ValueError("a TIFF without pixels")
        if samples - self._colours not in (0, 1) or (samples == 2 and self._extra[:1] not in ((1,), (2,))):
            raise UnsupportedPicture(f"a TIFF of {samples} channels that are not grey, RGB or one of them and opacity")
        if self._compression not in _UNPACKED or self._predictor not in (1, 2, 3):
            raise UnsupportedPicture(
                f"a TIFF of {self._dtype} samples, compression {self._compression} and predictor {self._predictor}"
            )
        offsets = tags.get(_TILE_OFFSETS if self._tiled else _OFFSETS, ())
        counts = tags.get(_TILE_COUNTS if self._tiled else _COUNTS, ())
        self._across, self._down = (-(-whole // unit) for whole, unit in zip(self.size, self._unit, strict=True))
        if not len(offsets) == len(counts) == self._across * self._down * self._planes:
            raise ValueError(f"a TIFF with {len(offsets)} parts of {self._across * self._down * self._planes}")
        if sum(counts) > _length(file):
            raise ValueError("a TIFF that is shorter than its parts")
        self._segments = list(zip(offsets, counts, strict=True))
        self._row_bytes = self._unit[0] * self._in_plane * self._dtype.itemsize

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def _divide(self):
        """Splits the single uncompressed strip of each plane."""
        rows = min(self.height, max(1, _AT_ONCE // self._row_bytes))
        self._unit, self._down = (self.width, rows), -(-self.height // rows)
        size = rows * self._row_bytes
        self._segments = [
            (offset + size * i, max(0, min(size, count - size * i)))
            for offset, count in self._segments
            for i in range(self._down)
        ]

    def read(self):
        """Reads the pixels.

        Returns:
            Pillow image of mode L, LA, RGB or RGBA, with the tag of its orientation.

        Raises:
            UnsupportedPicture: Floats are not finite, or not from 0 to 1.
            ValueError: The file is damaged.
        """
        if self._compression == _STORED and self._down == 1 and not self._tiled:
            self._divide()
        pixels = np.empty((self.height, self.width, self._planes * self._in_plane), np.uint8)
        low, high = 0.0, 1.0
        unit_bytes = self._unit[1] * self._row_bytes * self._across
        if unit_bytes > _MOST_AT_ONCE:
            raise UnsupportedPicture(
                f"a TIFF of which {unit_bytes} bytes are packed together, and at most {_MOST_AT_ONCE} are read so: "
                "save it in smaller strips or tiles"
            )
        step = 1 if self._tiled else max(1, _AT_ONCE // unit_bytes)
        at_once = max(1, _AT_ONCE // (self._row_bytes * self._across))
        for first in range(0, self._down, step):
            rows = slice(first * self._unit[1], min((first + step) * self._unit[1], self.height))
            for plane in range(self._planes):
                samples = self._samples(plane, range(first, min(first + step, self._down)), rows.stop - rows.start)
                channels = slice(plane, plane + 1) if self._planes > 1 else slice(None)
                for band in range(0, len(samples), at_once):  # converting floats takes several times their memory
                    part = samples[band : band + at_once]
                    if self._dtype.kind == "f":
                        low, high = min(low, float(part.min())), max(high, float(part.max()))
                        if not np.isfinite(part).all():
                            raise UnsupportedPicture("a TIFF of floats that are NaN or infinite in places")
                    start = rows.start + band
                    pixels[start : start + len(part), :, channels] = _eight_bits(part)
        if low < _DARKEST or high > _LIGHTEST:
            raise UnsupportedPicture(
                f"a TIFF of floats from {low:.6g} to {high:.6g}, where 0 is black and 1 is white: scale them to [0, 1]"
            )
        return self._picture(pixels)

    def _samples(self, plane, downs, height):
        """Samples (height, width, channels of a plane) of some rows of strips or tiles, in the machine's byte order."""
        width, rows = self._unit
        numbers = [
            (plane * self._down + down) * self._across + across for down in downs for across in range(self._across)
        ]
        unpacked = self._unpacked([self._segments[n] for n in numbers], self._row_bytes, rows, height)
        samples = _unpredicted(unpacked, self._dtype, self._in_plane, self._predictor)
        if self._tiled:
            samples = samples.reshape(self._across, rows, width, self._in_plane).transpose(1, 0, 2, 3)
            samples = samples.reshape(rows, self._across * width, self._in_plane)[:height, : self.width]
        return samples

    def _unpacked(self, segments, row_bytes, rows, height):
        """Bytes (rows, row_bytes) of strips, or of tiles one below another."""
        total = len(segments) * rows if self._tiled else height
        parts = []
        for offset, count in segments:
            self._file.seek(offset)
            parts.append(self._file.read(count))
        if self._fill_order == 1 and self._compression == _STORED:
            content = b"".join(part[: rows * row_bytes] for part in parts)
        elif self._fill_order == 1 and self._compression in _DEFLATE:
            content = b"".join(zlib.decompressobj().decompress(part, rows * row_bytes) for part in parts)
        else:
            content = _by_libtiff(parts, self._compression, self._fill_order, row_bytes, rows, total)
        if len(content) < total * row_bytes:
            raise ValueError("a TIFF whose parts are shorter than its pixels")
        return np.frombuffer(content, np.uint8, total * row_bytes).reshape(total, row_bytes)

    def _picture(self, pixels):
        if pixels.shape[-1] > self._colours and self._extra[:1] == (0,):
            pixels = np.ascontiguousarray(pixels[..., : self._colours])  # a channel that is not opacity
        if pixels.shape[-1] > self._colours and self._extra[:1] == (1,):  # samples were multiplied by their opacity
            stored, straight = ("La", "LA") if self._colours == 1 else ("RGBa", "RGBA")
            pixels = np.array(Image.merge(stored, Image.fromarray(pixels).split()).convert(straight))
        if self._white_is_zero:  # with what was multiplied, no opacity is white, as on paper
            pixels[..., 0] = 255 - pixels[..., 0]
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        exif = Image.Exif()
        exif[_ORIENTATION] = self._orientation
        picture.info["exif"] = exif.tobytes()
        return picture


def _read_tags(file, order, big):
    """The tags of the first page whose values are whole numbers: dict of int to tuple."""
    length = _length(file)

    def number(form):
        return struct.unpack(order + form, file.read(struct.calcsize("=" + form)))

    try:
        file.seek(8 if big else 4)
        file.seek(*number("Q" if big else "I"))
        (count,) = number("Q" if big else "H")
        width = 8 if big else 4  # bytes of a value that stands in its entry
        entries = file.read(min(count, 2**16) * (4 + 2 * width))
        tags, total = {}, 0
        for tag, kind, values, inside in struct.iter_unpack(f"{order}HH{'Q8s' if big else 'I4s'}", entries):
            form = _INTEGERS.get(kind)
            if form is None or tag not in _USED:
                continue
            size = values * struct.calcsize("=" + form)
            if size > length:
                raise ValueError(f"TIFF tag {tag} is larger than the file")
            total += values
            if total > _MOST_VALUES:
                raise ValueError(f"TIFF tags of more than {_MOST_VALUES} values")
            if size > width:
                file.seek(*struct.unpack(order + ("Q" if big else "I"), inside))
                inside = file.read(size)
            tags[tag] = struct.unpack(f"{order}{values}{form}", inside[:size])
    except (struct.error, OverflowError) as error:
        raise ValueError("a TIFF whose tags are damaged") from error
    return {tag: values for tag, values in tags.items() if values}


def _check_tiles(tags):
    """Raises an error if tiles are far larger than the image, because all of them would be decompressed."""
    sides = [tags.get(tag, (0,))[0] for tag in (_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT)]
    if min(sides) < 1:
        return
    width, height, across, down = sides
    whole = (-(-width // across) * across) * (-(-height // down) * down)
    if whole > max(_SMALL, 4 * width * height):
        raise UnsupportedPicture(
            f"a TIFF of {width} x {height} pixels in tiles of {across} x {down}: save it in smaller tiles"
        )


def _length(file):
    return file.seek(0, os.SEEK_END)


def _dtype(tags, order):
    """The dtype of a sample, if black and white are defined."""
    bits, formats = set(tags.get(_BITS, (1,))), set(tags.get(_FORMAT, (1,)))
    kind = _KINDS.get(formats.pop()) if len(formats) == 1 else None
    size = bits.pop() if len(bits) == 1 else None
    if (kind, size) not in {("u", 8), ("u", 16), ("f", 16), ("f", 32), ("f", 64)}:
        names = {1: "whole numbers", 2: "signed numbers", 3: "floats", 5: "complex numbers", 6: "complex numbers"}
        name = names.get(tags.get(_FORMAT, (1,))[0], "samples")
        raise UnsupportedPicture(
            f"a TIFF of {'/'.join(map(str, tags.get(_BITS, (1,))))}-bit {name}, whose black and white are not known: "
            "save it with 8 or 16 bits without a sign, or as floats from 0 to 1"
        )
    return np.dtype(f"{order}{kind}{size // 8}")


def _by_libtiff(parts, compression, fill_order, row_bytes, rows, total):
    """Decompresses strips by Pillow, as a grey image with the bytes of a row as its width."""
    at = 8 + sum(map(len, parts))
    starts = [8 + sum(map(len, parts[:i])) for i in range(len(parts))]
    counts = [len(part) for part in parts]
    values = {_WIDTH: [row_bytes], _HEIGHT: [total], _BITS: [8], _COMPRESSION: [compression], _PHOTOMETRIC: [1]}
    values |= {_FILL_ORDER: [fill_order], _OFFSETS: starts, _SAMPLES: [1], _ROWS: [rows], _COUNTS: counts}
    behind = at + 2 + 12 * len(values) + 4
    entries, arrays = b"", b""
    for tag, numbers in sorted(values.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            packed, arrays = struct.pack("<I", behind + len(arrays)), arrays + packed
        entries += struct.pack("<HHI", tag, 4, len(numbers)) + packed
    head = struct.pack("<2sHI", b"II", 42, at)
    content = b"".join([head, *parts, struct.pack("<H", len(values)), entries, bytes(4), arrays])
    with Image.open(io.BytesIO(content), formats=("TIFF",)) as picture:
        return picture.tobytes()


def _unpredicted(rows, dtype, channels, predictor):
    """Samples (rows, width, channels) of bytes (rows, row_bytes), each row on its own."""
    native = dtype.newbyteorder("=")
    if predictor == 3:  # the differences of bytes, the most significant of all samples first
        step = np.cumsum(rows.reshape(len(rows), -1, channels), axis=1, dtype=np.uint8)
        planes = step.reshape(len(rows), dtype.itemsize, -1).transpose(0, 2, 1)
        samples = np.ascontiguousarray(planes).view(dtype.newbyteorder(">"))[..., 0].astype(native)
        return samples.reshape(len(rows), -1, channels)
    samples = rows.view(dtype).astype(native, copy=False).reshape(len(rows), -1, channels)
    if predictor == 2:
        whole = samples.view(f"u{dtype.itemsize}")
        samples = np.cumsum(whole, axis=1, dtype=whole.dtype).view(native)
    return samples


def _eight_bits(samples):
    if samples.dtype.kind == "f":
        return np.clip(np.rint(samples.astype(np.float64) * 255), 0, 255).astype(np.uint8)
    return samples if samples.dtype == np.uint8 else to_eight_bits(samples)
