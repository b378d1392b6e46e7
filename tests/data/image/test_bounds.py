"""What picture files may cost: bytes, reads of endless headers, scans, tags and tiles."""

import io
import os
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from vqzoo.data import load_image
from vqzoo.data.image.bounds import MAX_BYTES
from vqzoo.data.image.bounds import MAX_SCANS
from vqzoo.data.image.pixels import decode_image

LIMIT = 10**6
NOISE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), "uint8")


def picture(kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(NOISE).save(buffer, kind, **options)
    return buffer.getvalue()


def peak_of(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# === Bytes ===

STARTS = {
    **{kind.lower(): lambda kind=kind: picture(kind)[:60] for kind in ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")},
    "avif": lambda: b"\0\0\0\x1cftypavif" + bytes(16),
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("kind", STARTS)
def test_a_file_of_gigabytes_is_refused_before_it_is_read(kind, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(STARTS[kind]())
    os.truncate(path, MAX_BYTES + 1)  # sparse: it takes no place

    def read():
        with pytest.raises(
            ValueError, match=rf"{MAX_BYTES + 1} bytes, and at most {MAX_BYTES} are read\. Give another"
        ):
            load_image(path)

    assert peak_of(read) < 1e6


def test_bytes_are_bounded_as_files_are(monkeypatch):
    monkeypatch.setattr("vqzoo.data.image.bounds.MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="the picture a: it has .* bytes, and at most 1000 are read"):
        decode_image(picture("BMP"), "a", 3, LIMIT)


# === Reads ===


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def inside(kind, place, part, size=40_000):
    """A picture in which a part is repeated at a place, until it fills so many bytes."""
    whole = picture(kind)
    place = place if place >= 0 else len(whole) + place
    return whole[:place] + part * (size // len(part)) + whole[place:]


ENDLESS = {
    "gif_zeros": lambda: picture("GIF")[:13] + bytes(40_000),
    "gif_extensions": lambda: picture("GIF")[:13] + b"\x21\xfe\0" * 10_000,
    "gif_comment": lambda: picture("GIF")[:13] + b"\x21\xfe" + b"\1a" * 20_000,
    "jpeg_padding": lambda: inside("JPEG", 20, b"\xff"),
    "jpeg_segments": lambda: inside("JPEG", 2, b"\xff\xfe\0\2"),
    "png_chunks": lambda: inside("PNG", 33, png_chunk(b"teSt", b"")),
    "png_chunks_at_the_end": lambda: inside("PNG", -12, png_chunk(b"teSt", b"")),
}


@pytest.mark.parametrize("as_file", [False, True])
@pytest.mark.parametrize("kind", ENDLESS)
def test_headers_without_end_are_given_up(kind, as_file, tmp_path, monkeypatch):
    monkeypatch.setattr("vqzoo.data.image.bounds.MAX_READS", 1000)
    content = ENDLESS[kind]()
    if as_file:
        (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=r"a: it is damaged .*its header has no end within 1000 reads"):
        decode_image(tmp_path / "a" if as_file else content, "a", 3, LIMIT)


# === Scans ===


def with_scans(count, between=b""):
    """A progressive JPEG with its last scan repeated."""
    whole = picture("JPEG", progressive=True, quality=50)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + (between + last) * (count - whole.count(b"\xff\xda")) + whole[-2:]


MANY_SCANS = {
    "scans": lambda: with_scans(MAX_SCANS + 1),
    "scans_behind_padding": lambda: with_scans(MAX_SCANS + 1, b"\xff\xff"),
    "scans_behind_an_end_in_a_comment": lambda: with_scans(MAX_SCANS + 1, b"\xff\xfe\0\4\xff\xd9"),
    "segments": lambda: with_scans(20, b"\xff\xfe\0\2" * 10 * MAX_SCANS),
}


@pytest.mark.parametrize("kind", MANY_SCANS)
def test_a_jpeg_of_many_scans_is_refused(kind):
    with pytest.raises(ValueError, match=rf"a JPEG of more than {MAX_SCANS} scans: save it again as a baseline JPEG"):
        decode_image(MANY_SCANS[kind](), "a", 3, LIMIT)


@pytest.mark.parametrize("block", [4, 5, 64, 2**16])
def test_what_only_looks_like_scans_does_not_count(block, monkeypatch):
    monkeypatch.setattr("vqzoo.data.image.bounds._BLOCK", block)
    whole = with_scans(11)
    expected = np.asarray(decode_image(whole, "a", 3, LIMIT))
    comment = b"\xff\xfe" + struct.pack(">H", 2 + 2000) + b"\xff\xda" * 1000
    place = whole.rindex(b"\xff\xda")
    for content in (whole[:2] + comment + whole[2:], whole[:place] + comment + whole[place:], whole + comment * 9):
        np.testing.assert_array_equal(np.asarray(decode_image(content, "a", 3, LIMIT)), expected)


# === TIFF ===


def tiff(values, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def with_tags(content, changes):
    """A little-endian classic TIFF whose tags have other (type, count, value)."""
    content = bytearray(content)
    start = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, start)[0]
    for place in range(start + 2, start + 2 + 12 * count, 12):
        tag = struct.unpack_from("<H", content, place)[0]
        if tag in changes:
            struct.pack_into("<HII", content, place + 2, *changes[tag])
    return bytes(content)


TILED = {"tile": (16, 16), "photometric": "minisblack"}
LARGE_TILES = {
    dtype: lambda dtype=dtype: with_tags(
        tiff(np.zeros((16, 16), dtype), **TILED, compression="deflate"), {322: (4, 1, 2**13), 323: (4, 1, 2**13)}
    )
    for dtype in ("uint8", "uint16", "float32")
}


@pytest.mark.parametrize("dtype", LARGE_TILES)
def test_tiles_far_larger_than_the_picture_are_refused(dtype):
    def read():
        with pytest.raises(ValueError, match="a TIFF of 16 x 16 pixels in tiles of 8192 x 8192: save it in smaller"):
            decode_image(LARGE_TILES[dtype](), "a", 3, LIMIT)

    assert peak_of(read) < 1e6


def test_a_small_picture_may_be_in_one_larger_tile():
    values = np.full((10, 12), 257 * 7, "uint16")
    made = np.asarray(decode_image(tiff(values, tile=(256, 256), photometric="minisblack"), "a", 1, 1000))
    assert made.shape == (10, 12) and (made == 7).all()


def test_the_values_of_all_tags_are_bounded():
    content = tiff(np.zeros((4, 5), "uint16"), photometric="minisblack") + bytes(2**20 + 2**16)
    most = 2**20
    changes = {273: (1, most // 2, 8), 279: (1, most // 2 + 1, 8)}

    def read():
        with pytest.raises(ValueError, match=rf"TIFF tags of more than {most} values"):
            decode_image(with_tags(content, changes), "a", 3, LIMIT)

    assert peak_of(read) < 2e7


def test_what_is_packed_together_is_bounded(monkeypatch):
    monkeypatch.setattr("vqzoo.data.image.tiff._MOST_AT_ONCE", 5000)
    values = np.zeros((50, 60), "uint16")
    with pytest.raises(ValueError, match="which 6000 bytes are packed together, and at most 5000 are read so: save"):
        decode_image(tiff(values, compression="deflate", rowsperstrip=50), "a", 3, LIMIT)
    decode_image(tiff(values, compression="deflate", rowsperstrip=25), "a", 3, LIMIT)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["uint16", "float64"])
def test_one_strip_that_is_not_packed_is_read_in_bands(dtype, planar, monkeypatch):
    values = np.random.default_rng(0).integers(0, 256, (3, 50, 60) if planar == "separate" else (50, 60, 3))
    stored = (values * 257).astype(dtype) if dtype == "uint16" else values / 255
    content = tiff(stored, photometric="rgb", planarconfig=planar)
    monkeypatch.setattr("vqzoo.data.image.tiff._AT_ONCE", 7 * 60 * 3 * 8)
    made = np.asarray(decode_image(content, "a", 3, LIMIT))
    np.testing.assert_array_equal(made, np.moveaxis(values, 0, -1) if planar == "separate" else values)


def test_a_picture_of_many_bytes_a_pixel_takes_little_more_than_its_pixels():
    content = tiff(np.zeros((1000, 1000, 4)), photometric="rgb", extrasamples=["unassalpha"])
    assert len(content) > 3.2e7
    assert peak_of(lambda: decode_image(content, "a", 3, LIMIT)) < 4e7 + len(content)


OPACITY = {
    # photometric, extra samples: what is stored, what is shown (grey, opacity)
    ("minisblack", "unassalpha"): ([100, 128], [100, 128]),
    ("minisblack", "assocalpha"): ([64, 128], [128, 128]),
    ("miniswhite", "unassalpha"): ([100, 128], [155, 128]),
    ("miniswhite", "assocalpha"): ([64, 128], [127, 128]),
}


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("dtype, factor", [("uint8", 1), ("uint16", 257), ("float32", 1 / 255)])
@pytest.mark.parametrize("kind", OPACITY)
def test_grey_with_opacity(kind, dtype, factor, compression):
    stored, (grey, opacity) = OPACITY[kind]
    values = (np.full((4, 5, 2), stored) * factor).astype(dtype)
    content = tiff(values, photometric=kind[0], extrasamples=[kind[1]], compression=compression)
    made = np.asarray(decode_image(content, "a", 4, LIMIT)).astype(int)
    np.testing.assert_allclose(made, np.broadcast_to([grey, grey, grey, opacity], made.shape), atol=1)
