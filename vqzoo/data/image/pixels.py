"""Image files to arrays and back.

An image is always float32 (height, width, channels) in [-1, 1]. The 8-bit value v is v / 127.5 - 1.
"""

import contextlib
import math
import pathlib

import keras
import numpy as np
from PIL import Image
from PIL import ImageOps
from PIL import UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from vqzoo.data.image.bounds import check_scans
from vqzoo.data.image.bounds import open_bounded
from vqzoo.data.image.formats import UnsupportedPicture
from vqzoo.data.image.formats import how_to_read
from vqzoo.data.image.formats import readable_formats
from vqzoo.data.image.formats import to_eight_bits
from vqzoo.data.image.png import read_png
from vqzoo.data.image.repair import ImageRepairs
from vqzoo.data.image.tiff import DeepTiff
from vqzoo.data.image.tiff import open_deep_tiff
from vqzoo.data.paths import checked_path
from vqzoo.data.paths import target_path
from vqzoo.data.received import described
from vqzoo.data.repair import drafted
from vqzoo.data.stream import is_count
from vqzoo.files import atomic_path
from vqzoo.files import shown_path
from vqzoo.jsons import shown

# A file of a few kilobytes can claim any size. 2**26 pixels is above today's largest full-frame cameras (61
# million) and decodes to 256 MiB; it is also below the size at which Pillow itself starts to warn.
MAX_PIXELS = 2**26
SAVED_SUFFIXES = (".jpeg", ".jpg", ".png", ".webp")


def load_image(path, channels=3, max_pixels=MAX_PIXELS):
    """Loads one image: JPEG, PNG, WebP, GIF, BMP or TIFF of any mode, the first frame, rotated by its EXIF tag.

    AVIF and JPEG 2000 require a Pillow that supports them, and HEIC requires `pip install "vqzoo[heic]"`. The format is
    detected from the content, not from the suffix.

    Pixels have 8 bits. Integers of 16 bits are rounded to them, so that 65535 becomes 255. Floats of a TIFF are
    intensities from 0, black, to 1, white. Other values are refused, because rescaling each image separately would make
    images incomparable. For the same reason signed integers and those of 32 bits are refused.

    Args:
        path: str or path of the file. `~` is the home folder.
        channels: 1 (luma), 3 (RGB, transparent parts on white) or 4 (RGBA). Default 3.
        max_pixels: int, a header that claims more is refused before decoding. Default 2**26. A file must not have more
            than 2**30 bytes in any case.

    Returns:
        float32 numpy array (height, width, channels) in [-1, 1].

    Raises:
        ValueError: The file is missing, damaged, too large or not an image, or `channels` is not 1, 3 or 4.

    Example:
    >>> from vqzoo.data import sample_images
    >>> load_image(sample_images()[0]).shape
    (512, 512, 3)
    """
    channels = checked_channels(channels)
    path = checked_path(path, "picture", "load_image", "find_images")
    picture = decode_image(path, path, channels, max_pixels)
    return to_floats(to_pixels(picture, channels))


def save_image(path, image):
    """Writes one image atomically, as PNG (lossless), JPEG or WebP (quality 95), by the suffix.

    Values are clipped to [-1, 1] and rounded to 8 bits. Missing folders are created.

    Args:
        path: str or path that ends in .png, .jpg, .jpeg or .webp. `~` is the home folder.
        image: float array or tensor (height, width, channels) in [-1, 1]; 1, 3 or 4 channels.

    Raises:
        ValueError: Suffix, shape, dtype or range is wrong, a value is not finite, or a JPEG has 4 channels.

    Example:
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "red.png")
    >>> save_image(path, np.full((2, 3, 3), [1.0, -1.0, -1.0]))
    >>> load_image(path)[0, 0]
    array([ 1., -1., -1.], dtype=float32)
    """
    path = target_path(path, image, "image", "save_image", SAVED_SUFFIXES, ".png")
    suffix = path.suffix.lower()
    image = _checked_values(image)
    channels = image.shape[-1]
    if channels == 4 and suffix in (".jpeg", ".jpg"):
        raise ValueError(f"JPEG has no alpha. Received: {path.name}. Save it as .png or .webp. Pass `x[..., :3]`.")
    pixels = np.rint((np.clip(image, -1, 1) + 1) * 127.5).astype(np.uint8)
    picture = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    with atomic_path(path) as temporary:
        picture.save(temporary, quality=95, subsampling=0)


def decode_image(content, name, channels, max_pixels, max_side=None):
    """Decodes one image with Pillow, rotated by its EXIF tag.

    Args:
        content: path of a file, bytes of one, or uint8 array (height, width, channels) of 1, 3 or 4 channels.
        name: str or path, what messages call it.
        channels: 1, 3 or 4.
        max_pixels: int, a header that claims more is refused before anything is decoded.
        max_side: int, an image with a longer side is reduced to it. Default None, no limit.

    Returns:
        Pillow image of mode L, RGB or RGBA.

    Raises:
        ValueError: The file is missing, damaged, too large or not an image.
    """
    name = shown_path(name)
    try:
        with _opened(content) as image:  # reads the header only
            if image.width * image.height > max_pixels:
                raise Image.DecompressionBombError(
                    f"{image.width} x {image.height} pixels are more than max_pixels={max_pixels}"
                )
            size = _reduced_size(image.size, max_side)
            if size != image.size and image.format == "JPEG":
                image.draft(None, size)  # decodes at a half, a quarter or an eighth, never below `size`
            image = _eight_bits(image, content)
            if max(image.size) > max(size):
                image = _reduced(image, _reduced_size(image.size, max_side))
            with contextlib.suppress(Exception):  # a damaged EXIF block does not affect the pixels
                ImageOps.exif_transpose(image, in_place=True)
            return _to_channels(image, channels)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(
            f"{name} is too large to decode: {str(error).rstrip('.')}. Shrink the picture, or raise max_pixels "
            "(and PIL.Image.MAX_IMAGE_PIXELS, which stops pictures above twice its value)."
        ) from error
    except UnsupportedPicture as error:
        raise ValueError(f"Cannot read the picture {name}: it is {error}.") from error
    except MemoryError as error:
        raise ValueError(f"The picture {name} does not fit in memory. Shrink it, or leave it out.") from error
    except Exception as error:  # the decoders raise a dozen kinds on damaged data
        raise ValueError(f"Cannot read the picture {name}: {_reason(content, error)}.") from error


def image_format(content):
    """Pillow's name of the format of an image.

    Args:
        content: path of a file, or bytes of one, that `decode_image` can read.

    Returns:
        str, such as "PNG".

    Example:
    >>> from vqzoo.data import sample_images
    >>> image_format(sample_images()[0])
    'PNG'
    """
    with _opened(content) as image:
        return image.format


@contextlib.contextmanager
def _opened(content):
    if isinstance(content, np.ndarray):
        if content.dtype != np.uint8 or content.ndim != 3 or content.shape[-1] not in (1, 3, 4) or not content.size:
            raise TypeError(
                "an array of a picture is uint8 (height, width, channels) with 1, 3 or 4 channels, not "
                f"{content.dtype} {content.shape}"
            )
        yield Image.fromarray(content[..., 0] if content.shape[-1] == 1 else content)
        return
    with open_bounded(content) as file:
        deep = open_deep_tiff(file)
        if deep is not None:
            yield deep
            return
        file.seek(0)
        with Image.open(file, formats=readable_formats()) as image:
            if isinstance(image, JpegImageFile):
                check_scans(file)
            yield image


def _eight_bits(image, content):
    """The loaded image with 8 bits per sample, and its opacity in its mode or palette."""
    if isinstance(image, DeepTiff):
        return image.read()
    if image.format == "PNG":
        return read_png(image, lambda: _opened(content))
    image.load()
    if image.mode.startswith("I"):  # grey of 16 bits, which Pillow's own conversion would clip at 255
        deep, image = image, Image.fromarray(to_eight_bits(np.asarray(image)))
        image.info = deep.info
    return image


def _reduced_size(size, max_side):
    factor = min(1.0, (max_side or math.inf) / max(size))
    return size if factor == 1.0 else tuple(max(1, round(length * factor)) for length in size)


def _reduced(image, size):
    """The image resized to `size`, in a mode that can be averaged: no palette, and premultiplied opacity."""
    image = _to_channels(image, 4 if image.has_transparency_data else 3)
    transparent = image.mode == "RGBA"
    image = image.convert("RGBa") if transparent else image
    image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return image.convert("RGBA") if transparent else image


def _reason(content, error):
    """What is wrong, and the way out."""
    if isinstance(error, FileNotFoundError):
        return f"{error.strerror}. Check the path"
    if isinstance(error, IsADirectoryError):
        return f"{error.strerror}. Give a picture in it: find_images lists them"
    if isinstance(error, OSError) and error.strerror:  # not permitted, a pipe, a device
        return f"{error.strerror}. Give another file, or leave it out"
    way_out = "Get the file again, or leave it out"
    if isinstance(content, np.ndarray):
        return f"{error}. {way_out}"
    if content == b"" or (not isinstance(content, bytes) and pathlib.Path(content).stat().st_size == 0):
        return f"the file is empty. {way_out}"
    if isinstance(error, UnidentifiedImageError):
        with open_bounded(content) as file:
            help = how_to_read(start=file.read(12))
        names = ", ".join(readable_formats())
        return help or f"its content is none of {names}, or damaged at the start. {way_out}"
    return f"it is damaged or truncated ({error or type(error).__name__}). {way_out}"


def _to_channels(image, channels):
    if channels == 4:
        return image.convert("RGBA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    return image if channels == 3 else image.convert("L")


def to_pixels(picture, channels):
    """A Pillow image as uint8 array (height, width, channels)."""
    return np.asarray(picture).reshape(picture.height, picture.width, channels)


def to_floats(pixels):
    """8-bit values as float32 in [-1, 1]."""
    return pixels.astype(np.float32) / 127.5 - 1


def checked_channels(channels):
    """`channels`. Raises ValueError if it is not 1, 3 or 4."""
    if not is_count(channels) or channels not in (1, 3, 4):
        raise ValueError(f"channels must be 1 (luma), 3 (RGB) or 4 (RGBA). Received: {shown(channels)}")
    return int(channels)


def _checked_values(image):
    """Converts `image` to float32 if it is one image of finite values around [-1, 1]."""
    way_out = ImageRepairs(batched=False).way_out
    array = drafted(image, "x")
    if array is None or hasattr(image, "convert"):
        raise ValueError(f"An image is an array. Received: {described(image)}. {way_out(image)}")
    if len(array.shape) != 3 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape:
        raise ValueError(
            "An image is (height, width, channels) with 1, 3 or 4 channels. Received: "
            f"shape={array.shape}, dtype={array.dtype}. {way_out(image)}"
        )
    rule = "Pixel values are floats in [-1, 1]. Received:"
    if "float" not in array.dtype:
        raise ValueError(f"{rule} dtype={array.dtype}. {way_out(image)}")
    if not array.finite:
        raise ValueError(f"{rule} values that are NaN or infinite. {way_out(image)}")
    if array.low >= 0 and array.high > 2:  # a decoder overshoots a little, on both sides
        raise ValueError(f"{rule} values from {array.low:g} to {array.high:g}. {way_out(image)}")
    return keras.ops.convert_to_numpy(image).astype(np.float32)
