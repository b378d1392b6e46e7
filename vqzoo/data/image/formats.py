"""Image formats that the installed Pillow reads, by suffix and by the first bytes of a file."""

import functools
import pathlib
from typing import NamedTuple

import numpy as np
from PIL import features

try:
    import pillow_heif
except ImportError:  # from the extra "heic"
    pillow_heif = None


class UnsupportedPicture(ValueError):
    """An intact image of an unsupported kind. The message names the kind."""


class Format(NamedTuple):
    """A format, and the library that reads it.

    Attributes:
        suffixes: tuple of str, lower case.
        feature: str, Pillow's name of the required library; None if it is a separate package.
        install: str, how to install support for it.
    """

    suffixes: tuple
    feature: str | None
    install: str


_OWN_LIBRARY = "install a Pillow that is built with it"
_FORMATS = {
    "AVIF": Format((".avif",), "avif", 'pip install "pillow>=11.3"'),
    "BMP": Format((".bmp",), "zlib", _OWN_LIBRARY),
    "GIF": Format((".gif",), "zlib", _OWN_LIBRARY),
    "HEIF": Format((".heic", ".heif"), None, 'pip install "vqzoo[heic]"'),
    "JPEG": Format((".jfif", ".jpeg", ".jpg"), "jpg", _OWN_LIBRARY),
    "JPEG2000": Format((".j2k", ".jp2"), "jpg_2000", _OWN_LIBRARY),
    "PNG": Format((".png",), "zlib", _OWN_LIBRARY),
    "TIFF": Format((".tif", ".tiff"), "libtiff", _OWN_LIBRARY),
    "WEBP": Format((".webp",), "webp", _OWN_LIBRARY),
}
# The bytes of the HEIF family from the fifth byte on: "ftyp" and the brand.
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF"}
_BRANDS |= dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "HEIF")


_ROUNDED = ((np.arange(2**16) + 128) // 257).astype(np.uint8)


@functools.cache
def readable_formats():
    """Pillow's names of the readable formats.

    Returns:
        Tuple of str, sorted. It is computed once.

    Example:
    >>> "PNG" in readable_formats()
    True
    """
    if pillow_heif is not None:
        pillow_heif.register_heif_opener()
    return tuple(name for name, form in _FORMATS.items() if _is_readable(form))


@functools.cache
def readable_suffixes():
    """Suffixes of the readable files.

    Returns:
        Tuple of str, lower case and sorted. It is computed once.

    Example:
    >>> [suffix for suffix in readable_suffixes() if suffix.startswith(".j")][-3:]
    ['.jp2', '.jpeg', '.jpg']
    """
    return tuple(sorted(suffix for name in readable_formats() for suffix in _FORMATS[name].suffixes))


def unread_suffixes():
    """Suffixes of images that cannot be read with the installed packages, and what to install.

    Returns:
        Dict of str to str.

    Example:
    >>> ".png" in unread_suffixes()
    False
    """
    unread = [form for name, form in _FORMATS.items() if name not in readable_formats()]
    return {suffix: form.install for form in unread for suffix in form.suffixes}


def how_to_read(path=None, start=b""):
    """The fix for an image of a known format that cannot be read with the installed packages.

    Args:
        path: str or path, whose suffix is checked. Default None, no check.
        start: bytes, at least the first 12 of the file. Default none.

    Returns:
        str, such as "HEIF pictures need ...", or "" if the format is unknown or readable.

    Example:
    >>> how_to_read("a.png")
    ''
    """
    suffix = pathlib.PurePath(path or "").suffix.lower()
    names = [name for name, form in _FORMATS.items() if suffix in form.suffixes]
    if start[4:8] == b"ftyp":
        names = [_BRANDS[start[8:12]]] if start[8:12] in _BRANDS else []
    elif start:
        names = []
    if not names or names[0] in readable_formats():
        return ""
    return f"{names[0]} pictures are not read here: {_FORMATS[names[0]].install}, or convert it to PNG or JPEG"


def to_eight_bits(values):
    """Rounds 16-bit values to 8 bits, so that 65535 becomes 255.

    Args:
        values: integer array from 0 to 65535.

    Returns:
        uint8 array.

    Example:
    >>> to_eight_bits(np.array([0, 128, 129, 65535])).tolist()
    [0, 0, 1, 255]
    """
    return _ROUNDED[values]


def _is_readable(form):
    if form.feature is None:
        return pillow_heif is not None
    # Pillow warns about unknown features.
    return form.feature in {**features.modules, **features.codecs} and bool(features.check(form.feature))
