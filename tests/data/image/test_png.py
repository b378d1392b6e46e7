"""PNG pictures of every depth and colour type, against an oracle in NumPy that knows the samples."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from vqzoo.data.image.pixels import decode_image
from vqzoo.data.image.pixels import load_image

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGBA: (8, 16)}
KINDS = [(colour, depth) for colour, depths in DEPTHS.items() for depth in depths]
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def rows_of(samples, depth):
    """Each row of a picture, packed, behind the byte of no filter."""
    rows = []
    for row in samples.reshape(len(samples), -1):
        bits = (row[:, None] >> np.arange(depth)[::-1]) & 1
        rows.append(b"\0" + np.packbits(bits.astype(np.uint8)).tobytes())
    return b"".join(rows)


def png(samples, colour, depth, key=None, palette=None, interlaced=False):
    """The bytes of a PNG. `samples` is an int array (height, width, channels), `key` what its tRNS says."""
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    chunks = [chunk(b"IHDR", header)]
    if palette is not None:
        chunks.append(chunk(b"PLTE", palette.astype(np.uint8).tobytes()))
    if key is not None:
        key = bytes(key) if colour == PALETTE else struct.pack(f">{len(key)}H", *key)
        chunks.append(chunk(b"tRNS", key))
    passes = [samples[y::dy, x::dx] for y, x, dy, dx in ADAM7] if interlaced else [samples]
    packed = b"".join(rows_of(part, depth) for part in passes if part.size)
    chunks += [chunk(b"IDAT", zlib.compress(packed)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def oracle(samples, colour, depth, key=None, palette=None):
    """The uint8 array (height, width, 4) that the specification asks for."""
    largest = 2**depth - 1
    if colour == PALETTE:
        opacity = np.full(len(palette), 255)
        opacity[: len(key or ())] = list(key or ())
        return np.concatenate([palette, opacity[:, None]], axis=1)[samples[..., 0]].astype(np.uint8)
    opacity = np.full((*samples.shape[:2], 1), largest)
    colours = samples
    if colour in (GREY_ALPHA, RGBA):
        colours, opacity = samples[..., :-1], samples[..., -1:]
    elif key is not None:
        opacity[(samples == np.array(key)).all(axis=-1)] = 0
    colours = np.broadcast_to(colours, (*colours.shape[:2], 3)) if colours.shape[-1] == 1 else colours
    return np.rint(np.concatenate([colours, opacity], axis=-1) * (255 / largest)).astype(np.uint8)


def composited(pixels):
    """(height, width, 3) on white."""
    colours, opacity = pixels[..., :3].astype(float), pixels[..., 3:] / 255
    return colours * opacity + 255 * (1 - opacity)


def some_samples(colour, depth, seed=0):
    """Samples among which every value of few bits, and those that rounding and cutting tell apart, are present."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 2**depth, (11, 13, CHANNELS[colour]))
    if depth == 16:
        values[:4] = rng.choice([0, 128, 129, 255, 256, 32767, 32896, 43690, 65279, 65407, 65535], values[:4].shape)
    return values


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("colour, depth", KINDS)
def test_samples_of_any_depth_are_rounded_to_eight_bits(colour, depth, interlaced, tmp_path):
    samples = some_samples(colour, depth)
    palette = np.random.default_rng(1).integers(0, 256, (2**depth, 3)) if colour == PALETTE else None
    (tmp_path / "a.png").write_bytes(png(samples, colour, depth, palette=palette, interlaced=interlaced))
    expected = oracle(samples, colour, depth, palette=palette)
    made = np.rint((load_image(tmp_path / "a.png", 4) + 1) * 127.5)
    np.testing.assert_array_equal(made, expected)
    made = np.rint((load_image(tmp_path / "a.png", 3) + 1) * 127.5)
    np.testing.assert_allclose(made, composited(expected), atol=1.01)


KEYS = [(GREY, depth, [value]) for depth in DEPTHS[GREY] for value in sorted({0, 1, 2**depth - 1, (2**depth - 1) // 3})]
KEYS += [(GREY, 16, [43690]), (GREY, 16, [256]), (GREY, 8, [170]), (GREY, 4, [10]), (GREY, 2, [2])]
KEYS += [(RGB, 8, [0, 0, 0]), (RGB, 8, [1, 2, 3]), (RGB, 16, [0, 0, 0]), (RGB, 16, [43690, 1, 65535])]
KEYS += [(RGB, 16, [255, 256, 257]), (RGB, 16, [0xAA00, 0xAAFF, 0xAA80])]


@pytest.mark.parametrize("max_side", [None, 500])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("colour, depth, key", KEYS)
def test_the_key_makes_its_own_samples_transparent_and_no_others(colour, depth, key, interlaced, max_side):
    samples = some_samples(colour, depth)
    near = np.array(key)
    samples[2, :5] = samples[8, 8:] = near
    samples[3, :5] = np.where(near < 2**depth - 1, near + 1, near - 1)  # equal after a cut to 8 bits
    samples[4, :5, -1:] = near[-1:]  # one channel alone is no match of a colour
    content = png(samples, colour, depth, key, interlaced=interlaced)
    expected = oracle(samples, colour, depth, key)
    assert (expected[..., 3] == 0).sum() >= 10 and (expected[..., 3] == 255).any()
    made = np.asarray(decode_image(content, "a", 4, 10**6, max_side))
    np.testing.assert_array_equal(made, expected)
    made = np.asarray(decode_image(content, "a", 3, 10**6, max_side))
    np.testing.assert_array_equal(made, np.rint(composited(expected)))


@pytest.mark.parametrize("depth", DEPTHS[PALETTE])
@pytest.mark.parametrize("entries", [1, 2, 10**6])
def test_opacities_of_a_palette(depth, entries):
    samples, rng = some_samples(PALETTE, depth), np.random.default_rng(2)
    palette = rng.integers(0, 256, (2**depth, 3))
    key = rng.integers(0, 256, min(entries, 2**depth)).tolist()
    made = np.asarray(decode_image(png(samples, PALETTE, depth, key, palette), "a", 4, 10**6))
    np.testing.assert_array_equal(made, oracle(samples, PALETTE, depth, key, palette))


@pytest.mark.parametrize("colour, depth, key", KEYS)
def test_a_reduced_picture_has_the_opacity_of_the_whole(colour, depth, key):
    """Blocks of 8 x 8 equal samples come through a reduction to an eighth in their middle as they were."""
    small = some_samples(colour, depth)
    small[:, :6] = key
    samples = small.repeat(32, axis=0).repeat(32, axis=1)
    content = png(samples, colour, depth, key)
    expected = oracle(small, colour, depth, key)
    made = np.asarray(decode_image(content, "a", 4, 10**6, max_side=13 * 8)).reshape(11, 8, 13, 8, 4)[:, 4, :, 4]
    np.testing.assert_array_equal(made[..., 3], expected[..., 3])
    opaque = expected[..., 3] == 255
    np.testing.assert_allclose(made[opaque][:, :3].astype(int), expected[opaque][:, :3], atol=3)


@pytest.mark.parametrize("colour", [RGB, GREY_ALPHA, RGBA, GREY])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_deep_pictures_are_upright_too(colour, orientation):
    samples = some_samples(colour, 16)
    exif = Image.Exif()
    exif[274] = orientation
    content = png(samples, colour, 16)
    content = content[:33] + chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + content[33:]
    expected = np.rot90(oracle(samples, colour, 16), {1: 0, 3: 2, 6: 3, 8: 1}[orientation])
    np.testing.assert_array_equal(np.asarray(decode_image(content, "a", 4, 10**6)), expected)


@pytest.mark.parametrize("colour", [RGB, GREY_ALPHA, RGBA, GREY])
def test_truncated_deep_pictures_are_refused(colour):
    content = png(np.random.default_rng(0).integers(0, 2**16, (50, 50, CHANNELS[colour])), colour, 16)
    for length in (60, len(content) // 2, len(content) - 200):
        with pytest.raises(ValueError, match="Cannot read the picture a: .*damaged"):
            decode_image(content[:length], "a", 3, 10**6)


def test_the_first_frame_of_a_deep_animation_and_of_a_file_object_are_the_same():
    """A second look at the file, for the low bytes, sees the same picture."""
    samples = some_samples(RGB, 16)
    made = [np.asarray(decode_image(png(samples, RGB, 16), "a", 3, 10**6)) for _ in range(2)]
    np.testing.assert_array_equal(*made)
    assert not np.array_equal(made[0], np.asarray(Image.open(io.BytesIO(png(samples, RGB, 16)))))  # which cuts


@pytest.mark.parametrize("colour, depth", [(GREY, depth) for depth in DEPTHS[GREY]] + [(RGB, 8), (RGB, 16)])
@pytest.mark.parametrize("low", [0, 1])
@pytest.mark.parametrize("high", [0, 0xFFFF, 0xAAAA])
def test_bits_of_a_key_above_the_depth_do_not_count(colour, depth, low, high):
    """As the specification has it: the least significant bits are used."""
    samples = some_samples(colour, depth)
    samples[2, :5] = low
    key = [low | (high & ~(2**depth - 1))] * CHANNELS[colour]
    made = np.asarray(decode_image(png(samples, colour, depth, key), "a", 4, 10**6))
    np.testing.assert_array_equal(made, oracle(samples, colour, depth, [low] * CHANNELS[colour]))
