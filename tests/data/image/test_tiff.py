"""TIFF pictures of every kind of sample, layout and compression, against what was written."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from vqzoo.data.image.pixels import decode_image
from vqzoo.data.image.pixels import load_image
from vqzoo.data.image.tiff import _unpredicted

LIMIT = 10**6


def samples(dtype, channels, size=(37, 45)):
    rng, dtype = np.random.default_rng(0), np.dtype(dtype)
    shape = size if channels == 1 else (*size, channels)
    if dtype.kind == "f":
        return rng.random(shape).astype(dtype)
    return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def tiff(values, **options):
    """The bytes that tifffile writes."""
    channels = 1 if values.ndim == 2 else values.shape[-1]
    options = {"photometric": "rgb" if channels >= 3 else "minisblack", **options}
    if channels in (2, 4):
        options.setdefault("extrasamples", ["unassalpha"])
    if options.get("planarconfig") == "separate":
        values = np.ascontiguousarray(np.moveaxis(values, -1, 0))
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def by_pillow(values, **options):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "TIFF", **options)
    return buffer.getvalue()


def in_eight_bits(values):
    """uint8 array (height, width, 4)."""
    scale = {"f": 255.0, "u": 255.0 / np.iinfo(values.dtype).max if values.dtype.kind == "u" else 0.0}
    pixels = np.rint(values.astype(np.float64) * scale[values.dtype.kind]).astype(np.uint8)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    channels = pixels.shape[-1]
    opacity = pixels[..., -1:] if channels in (2, 4) else np.full_like(pixels[..., :1], 255)
    colours = pixels[..., :3] if channels >= 3 else pixels[..., :1].repeat(3, axis=-1)
    return np.concatenate([colours, opacity], axis=-1)


def check(content, values, max_side=None):
    made = np.asarray(decode_image(content, "a.tiff", 4, LIMIT, max_side))
    np.testing.assert_array_equal(made, in_eight_bits(values))


LAYOUTS = {
    "little": {},
    "big_endian": {"byteorder": ">"},
    "big_tiff": {"bigtiff": True},
    "big_endian_big_tiff": {"byteorder": ">", "bigtiff": True},
    "strips": {"rowsperstrip": 5},
    "tiles": {"tile": (16, 32)},
    "deflate": {"compression": "deflate", "rowsperstrip": 5},
    "deflate_big_endian": {"compression": "deflate", "byteorder": ">"},
    "deflate_predictor": {"compression": "deflate", "predictor": True, "rowsperstrip": 5},
    "deflate_predictor_tiles": {"compression": "deflate", "predictor": True, "tile": (16, 32), "byteorder": ">"},
    "planes": {"planarconfig": "separate"},
    "planes_strips": {"planarconfig": "separate", "rowsperstrip": 5, "compression": "deflate", "predictor": True},
    "planes_tiles": {"planarconfig": "separate", "tile": (16, 32), "byteorder": ">"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "float64"])
def test_every_sample_in_every_layout(dtype, channels, layout):
    if channels == 1 and "planarconfig" in LAYOUTS[layout]:
        return
    values, options = samples(dtype, channels), dict(LAYOUTS[layout])
    if values.dtype.kind == "f":
        options.pop("predictor", None)  # tifffile alone writes none of floats: see below
    check(tiff(values, **options), values)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"])
def test_differences_of_floats_are_undone(dtype, channels):
    values = np.random.default_rng(0).normal(size=(5, 7, channels)).astype(dtype)
    # As Adobe's technical note 3 has it: the bytes from the most significant, each of all samples of the row, and then
    # the differences to the byte of the same channel.
    big = values.astype(values.dtype.newbyteorder(">")).reshape(5, -1)
    planes = big.view(np.uint8).reshape(5, -1, values.dtype.itemsize).transpose(0, 2, 1).reshape(5, -1, channels)
    rows = np.diff(planes, axis=1, prepend=np.zeros((5, 1, channels), np.uint8)).reshape(5, -1)
    np.testing.assert_array_equal(_unpredicted(rows, values.dtype, channels, 3), values)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "tiff_deflate", "zstd", "lzma"])
@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_compressions_that_libtiff_unpacks(dtype, predictor, compression):
    if dtype == "float32" and predictor == 2:
        predictor = 3
    values = samples(dtype, 1, size=(300, 45))
    try:
        content = by_pillow(values, compression=compression, tiffinfo={317: predictor, 278: 7})
    except (OSError, KeyError, RuntimeError):
        pytest.skip(f"this Pillow writes no {compression} with predictor {predictor}")
    check(content, values)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "1", "P", "CMYK", "YCbCr"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "jpeg"])
def test_what_pillow_reads_stays_with_it(mode, compression):
    if compression == "jpeg" and mode not in ("RGB", "L", "YCbCr", "CMYK"):
        return
    picture = Image.fromarray(samples("uint8", 3)).convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, "TIFF", compression=compression)
    made = np.asarray(decode_image(buffer.getvalue(), "a", 3, LIMIT)).astype(int)
    if mode in ("RGBA", "LA"):
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA"))
    expected = np.asarray(picture.convert("RGB")).astype(int)
    assert np.abs(made - expected).mean() < (40 if compression == "jpeg" else 1 if mode == "YCbCr" else 1e-9)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_white_is_zero(dtype):
    values = samples(dtype, 1)
    largest = 1.0 if dtype == "float32" else np.iinfo(dtype).max
    check(tiff(values, photometric="miniswhite"), (largest - values).astype(dtype))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_first_page_of_several(dtype, tmp_path):
    pages = np.stack([samples(dtype, 1), 1 - samples(dtype, 1)])
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in pages:
            file.write(page, photometric="minisblack", compression="deflate")
    made = np.rint((load_image(tmp_path / "a.tif", 4) + 1) * 127.5)
    np.testing.assert_array_equal(made, in_eight_bits(pages[0]))


def test_of_a_large_stack_only_the_first_page_is_read(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for _ in range(100):
            file.write(samples("uint16", 1, (200, 300)), photometric="minisblack")
    load_image(tmp_path / "a.tif")
    tracemalloc.start()
    load_image(tmp_path / "a.tif")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6 < (tmp_path / "a.tif").stat().st_size / 2


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("orientation, turns", [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_orientation(dtype, orientation, turns):
    values = samples(dtype, 3)
    content = tiff(values, extratags=[(274, "H", 1, orientation, True)])
    check(content, np.rot90(values, turns))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_colours_multiplied_by_their_opacity(dtype):
    largest = 1.0 if dtype == "float32" else np.iinfo(dtype).max
    values = np.full((4, 5, 4), [0.5, 0.25, 0.0, 0.5])
    content = tiff((values * largest).round(3 if dtype == "float32" else 0).astype(dtype), extrasamples=["assocalpha"])
    made = np.asarray(decode_image(content, "a", 4, LIMIT)).astype(int)
    np.testing.assert_allclose(made[0, 0], [255, 128, 0, 128], atol=2)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_fourth_channel_that_is_not_opacity_is_left_out(dtype):
    values = samples(dtype, 4)
    check(tiff(values, extrasamples=["unspecified"]), values[..., :3])


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_a_large_picture_is_reduced(dtype):
    values = samples(dtype, 3, (4, 5)).repeat(32, axis=0).repeat(32, axis=1)
    made = np.asarray(decode_image(tiff(values), "a", 3, LIMIT, max_side=40))
    assert made.shape == (32, 40, 3)
    np.testing.assert_allclose(made[4::8, 4::8], in_eight_bits(values)[::32, ::32, :3], atol=6)


# === What is refused ===

SIGN_OR_32 = r"are not known: save it with 8 or 16 bits without a sign, or as floats from 0 to 1\.$"
REFUSED = {
    "int8": (lambda: tiff(samples("int8", 1)), f"8-bit signed numbers.* {SIGN_OR_32}"),
    "int16": (lambda: tiff(samples("int16", 1)), f"16-bit signed numbers.* {SIGN_OR_32}"),
    "int32": (lambda: tiff(samples("int32", 3)), f"32/32/32-bit signed numbers.* {SIGN_OR_32}"),
    "uint32": (lambda: tiff(samples("uint32", 1)), f"32-bit whole numbers.* {SIGN_OR_32}"),
    "complex": (lambda: tiff(samples("float32", 1).astype("complex64")), f"64-bit complex numbers.* {SIGN_OR_32}"),
    "nan": (lambda: tiff(np.full((4, 5), np.nan, "float32")), "floats that are NaN or infinite in places"),
    "inf": (lambda: tiff(np.full((4, 5, 3), np.inf, "float16")), "floats that are NaN or infinite in places"),
    "one_nan": (lambda: tiff(np.where(np.eye(9) > 0, np.nan, 0.5)), "floats that are NaN or infinite in places"),
    "to_255": (
        lambda: tiff(np.arange(256.0, dtype="float32").reshape(16, 16)),
        r"floats from 0 to 255, where 0 is black and 1 is white: scale them to \[0, 1\]\.$",
    ),
    "from_minus_1": (lambda: tiff(np.linspace(-1, 1, 256).reshape(16, 16)), "floats from -1 to 1, where 0 is black"),
    "two_greys": (
        lambda: tiff(samples("uint16", 2), extrasamples=["unspecified"]),
        "a TIFF of 2 channels that are not grey, RGB or one of them and opacity",
    ),
    "five": (
        lambda: tiff(samples("uint16", 5), photometric="minisblack", extrasamples=[0] * 4),
        "a TIFF of 5 channels that are not grey, RGB or one of them and opacity",
    ),
    "compression": (
        lambda: changed(tiff(samples("uint16", 1)), 259, 34712),
        "a TIFF of uint16 samples, compression 34712 and predictor 1",
    ),
    "cut": (lambda: tiff(samples("uint16", 3))[:-50], "damaged or truncated"),
    "cut_deflate": (lambda: tiff(samples("float32", 3), compression="deflate")[:-50], "damaged or truncated"),
    "no_tags": (lambda: b"II*\0" + struct.pack("<I", 10**6), "damaged or truncated"),
    "endless_tags": (lambda: b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**63), "damaged or truncated"),
    "no_pixels": (lambda: changed(tiff(samples("uint16", 1)), 256, 0), "damaged or truncated"),
    "parts": (lambda: changed(tiff(samples("uint16", 1), rowsperstrip=5), 278, 4), "damaged or truncated"),
    "short_strip": (lambda: changed(tiff(samples("uint16", 1)), 279, 10), "damaged or truncated"),
    "long_strip": (lambda: changed(tiff(samples("uint16", 1)), 279, 10**8), "damaged or truncated"),
    "wide": (lambda: changed(tiff(samples("uint16", 1)), 256, 2**31), "too large to decode"),
    "large_tag": (lambda: large_tag(tiff(samples("uint16", 1))), "damaged or truncated"),
    "missing": (lambda: changed(tiff(samples("uint16", 1)), 257, 5, renamed=999), "damaged or truncated"),
}


def entry(content, tag):
    """Where a tag of a little-endian classic TIFF stands."""
    start = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, start)[0]
    places = range(start + 2, start + 2 + 12 * count, 12)
    return next(place for place in places if struct.unpack_from("<H", content, place)[0] == tag)


def changed(content, tag, value, renamed=None):
    content, place = bytearray(content), entry(content, tag)
    struct.pack_into("<HHII", content, place, renamed or tag, 4, 1, value)
    return bytes(content)


def large_tag(content):
    content, place = bytearray(content), entry(content, 273)
    struct.pack_into("<I", content, place + 4, 2**31)
    return bytes(content)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path):
    make, message = REFUSED[name]
    (tmp_path / "a.tiff").write_bytes(make())
    tracemalloc.start()
    with pytest.raises(ValueError, match=message) as caught:
        load_image(tmp_path / "a.tiff")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e7
    assert "\n" not in str(caught.value) and "a.tiff" in str(caught.value)
    if "damaged" in message:
        assert "Get the file again, or leave it out" in str(caught.value)


def test_a_strip_that_unpacks_to_far_more_than_its_pixels_is_bounded(tmp_path):
    values = np.zeros((16, 16), np.uint16)
    content = tiff(values, compression="deflate")
    bomb = zlib.compress(bytes(2**28), 9)
    place = struct.unpack_from("<I", content, entry(content, 273) + 8)[0]
    content = changed(changed(content, 273, len(content)), 279, len(bomb)) + bomb
    assert place < len(content)
    tracemalloc.start()
    check(content, values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e7


def test_floats_that_round_to_a_value_of_eight_bits_are_read():
    values = np.array([[-0.0019, 0.0, 0.5, 1.0, 1.0019]], "float32")
    check(tiff(values), values.clip(0, 1))
