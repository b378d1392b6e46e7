"""PNG images at their original depth, with the opacity of their colour key.

A PNG without an opacity channel may name one grey or one colour that is transparent, at the depth of its samples.
Pillow cuts colours of 16 bits to 8, and compares the key with samples that it has cut or stretched.
"""

import struct

import numpy as np
from PIL import Image

from vqzoo.data.image.formats import to_eight_bits

# Raw modes of Pillow's decoder that take the low bytes of 16-bit samples.
_LOW_BYTES = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}
_DEPTHS = {"1": 1, "L;2": 2, "L;4": 4, "L": 8, "RGB": 8}


def read_png(image, reopen):
    """The pixels of a PNG, 8 bits each: deeper ones are rounded, after their key was compared at full depth.

    Args:
        image: Pillow image of a PNG that was opened and not loaded yet.
        reopen: callable that opens the same file once more, as a context.

    Returns:
        Pillow image: of mode P as it is, or of mode 1, L, LA, RGB or RGBA without a key in its `info`.
    """
    raw = image.tile[0][3] if image.tile else None
    if image.mode == "P" or not isinstance(raw, str):
        image.load()
        return image
    key = image.info.pop("transparency", None)
    if key is not None and raw == "1":  # Pillow keeps whether it is 0 at all
        with reopen() as twin:
            key = _grey_key(twin.fp)
    if raw in _LOW_BYTES:
        samples = _decoded(image, raw).astype(np.uint16) << 8
        with reopen() as twin:
            samples |= _decoded(twin, _LOW_BYTES[raw])
    elif raw == "LA;16B":
        samples = _decoded(image, "RGBA").view(">u2")  # the four bytes of both samples
    elif key is None and image.mode in ("1", "L", "LA", "RGB", "RGBA"):
        image.load()
        return image
    else:
        image.load()
        samples = np.asarray(image.convert("L") if image.mode == "1" else image)
    info = image.info
    pixels = samples if samples.dtype == np.uint8 else to_eight_bits(samples)
    if key is not None:
        opaque = _differs(samples, key, _DEPTHS.get(raw, 16))
        pixels = np.dstack([pixels, np.where(opaque, 255, 0).astype(np.uint8)])
    picture = Image.fromarray(pixels)
    picture.info = info
    return picture


def _grey_key(file):
    """The key of a grey PNG, which has one."""
    at, length, name = -4, 0, None  # the first chunk follows eight bytes
    while name != b"tRNS":
        at += 12 + length
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
    return int.from_bytes(file.read(2), "big")


def _decoded(image, raw):
    image.tile = [(*image.tile[0][:3], raw)]
    image.load()
    return np.asarray(image)


def _differs(samples, key, depth):
    """Where samples are not the key, a bool array (height, width)."""
    largest = 2**depth - 1
    key = np.atleast_1d(key) & largest  # what stands above the depth does not count
    if depth < 8:
        key = key * (255 // largest)  # Pillow stretches samples to 8 bits
    return (samples != key).any(axis=-1) if samples.ndim == 3 else samples != key
