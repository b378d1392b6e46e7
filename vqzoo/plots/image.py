"""Grids of images: reconstructions with token maps, and generated images."""

import math
import pathlib

import keras
import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from vqzoo.files import atomic_path
from vqzoo.files import user_path
from vqzoo.metrics import psnr
from vqzoo.plots.charts import token_map

DIFFERENCE_FACTOR = 4  # the same for all images, so that epochs and models can be compared by eye
_CELL, _LARGEST_CELL = (
    160,
    320,
)  # pixels; small images become about the first, large ones less than the second
_ROWS_OF_ONE_GROUP = 6
_GAP, _GROUP_GAP, _MARGIN, _HEADER = 6, 28, 16, 42  # pixels
_INK, _FAINT = "#1f2430", "#7a8190"
_ROW_GAP, _ROW_MARGIN, _LINE, _WIDEST = 4, 8, 18, 190  # pixels; the last two of a name's lines
_SMALL = 96  # pixels; smaller images are enlarged to about this size in `picture_rows`


# === Reconstructions ===
def reconstruction_grid(originals, reconstructions, tokens, codebook_size):
    """Draws images in rows: original, reconstruction, amplified difference, token map.

    A token has the same colour in every image and run. Several tokens per position are drawn side by side. Tokens
    without rows and columns are arranged in a near-square. More than six images form two groups of columns. Small
    images are enlarged by an integer factor. Large ones are reduced by an integer factor, after the difference.

    Args:
        originals: float array (batch, height, width, channels) in [-1, 1]. One channel is grey, two are red
            and green, three are RGB, four are RGBA and shown on white.
        reconstructions: float array of the same shape. Values outside [-1, 1] are clipped.
        tokens: int array (batch, *grid, num_codebooks).
        codebook_size: int, number of codes, of the largest codebook if there are several.

    Returns:
        uint8 numpy array (rows, columns, 3).

    Raises:
        ValueError: if the shapes do not match, or a token is outside [0, codebook_size).

    Example:
    >>> images = np.zeros((2, 32, 32, 3), "float32")
    >>> reconstruction_grid(images, images, np.zeros((2, 8, 8, 1), "int32"), codebook_size=16).shape
    (400, 690, 3)
    """
    originals, reconstructions, tokens = _checked(originals, reconstructions, tokens, codebook_size)
    originals, reconstructions = _to_rgb(originals), _to_rgb(reconstructions)
    differences = DIFFERENCE_FACTOR * np.abs(originals.astype("int16") - reconstructions)
    columns = (originals, reconstructions, np.minimum(differences, 255).astype("uint8"))
    columns = [[_to_cell(picture) for picture in column] for column in columns]
    cell = columns[0][0].shape[:2]
    maps = [token_map(example, cell) for example in tokens]
    height, width = originals.shape[1:3]
    counts = tokens.shape[1:-1] if tokens.shape[-1] == 1 else tokens.shape[1:]
    headers = [
        ("original", f"{height} x {width} pixels"),
        ("reconstruction", _psnr_text(originals, reconstructions)),
        ("difference", f"{DIFFERENCE_FACTOR}x amplified"),
        ("tokens", f"{' x '.join(map(str, counts))} of {codebook_size:,}"),
    ]
    return _laid_out(list(zip(*columns, maps, strict=True)), headers, cell)


def save_reconstructions(path, tokenizer, images):
    """Encodes and decodes images, and writes the `reconstruction_grid`.

    Args:
        path: str or path of the PNG.
        tokenizer: has `encode(images)`, `decode(tokens, size=(height, width))` and `codebook_sizes`.
        images: float array (batch, height, width, channels) in [-1, 1], 1 to 4 channels.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        ValueError: as `reconstruction_grid`.
    """
    tokens = tokenizer.encode(images)
    reconstructions = tokenizer.decode(tokens, size=tuple(images.shape[1:3]))
    grid = reconstruction_grid(images, reconstructions, tokens, max(tokenizer.codebook_sizes))
    path = user_path(path)
    with atomic_path(path) as temporary:
        Image.fromarray(grid).save(temporary, format="PNG", optimize=True)
    return path


# === Steps of the grid ===
def _checked(originals, reconstructions, tokens, codebook_size):
    originals, reconstructions, tokens = map(keras.ops.convert_to_numpy, (originals, reconstructions, tokens))
    if originals.ndim != 4 or not len(originals) or not 1 <= originals.shape[-1] <= 4:
        raise ValueError(
            "Images must be (batch, height, width, channels) with 1 to 4 channels, and not empty. "
            f"Received: originals of shape {originals.shape}"
        )
    if reconstructions.shape != originals.shape:
        raise ValueError(
            f"Reconstructions must have the shape of the originals, {originals.shape}: `decode(tokens, "
            f"size=(height, width))` crops to it. Received: {reconstructions.shape}"
        )
    if tokens.ndim < 3 or len(tokens) != len(originals) or tokens.dtype.kind not in "iu":
        raise ValueError(
            f"Tokens must be integers (batch, *grid, num_codebooks), here of {len(originals)} images. Received: "
            f"shape {tokens.shape}, dtype {tokens.dtype}"
        )
    if tokens.size and not 0 <= tokens.min() <= tokens.max() < codebook_size:
        raise ValueError(
            f"Tokens must be in [0, {codebook_size}), the codebook_size. Received: {tokens.min()} to {tokens.max()}. "
            "With several codebooks, pass the size of the largest."
        )
    return originals, reconstructions, tokens


def _to_rgb(images):
    """[-1, 1] floats of 1 to 4 channels -> uint8 (batch, height, width, 3)."""
    values = (np.clip(images.astype("float32"), -1.0, 1.0) + 1.0) / 2.0
    channels = values.shape[-1]
    if channels == 1:
        values = np.repeat(values, 3, axis=-1)
    elif channels == 2:
        values = np.concatenate([values, np.zeros_like(values[..., :1])], axis=-1)
    elif channels == 4:
        alpha = values[..., 3:]
        values = values[..., :3] * alpha + 1.0 - alpha
    return np.rint(255.0 * values).astype("uint8")


def _to_cell(picture):
    size = max(picture.shape[:2])
    if size > _LARGEST_CELL:
        return np.asarray(Image.fromarray(picture).reduce(math.ceil(size / _LARGEST_CELL)))
    factor = max(1, round(_CELL / size))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def _psnr_text(originals, reconstructions):
    """The mean over the images. An exact one counts as 100 dB, as in `vqzoo.metrics.evaluate_images`."""
    if np.array_equal(originals, reconstructions):
        return "identical"
    decibels = psnr(originals.astype("float32"), reconstructions.astype("float32"), max_value=255.0)
    return f"PSNR {np.minimum(keras.ops.convert_to_numpy(decibels), 100.0).mean():.1f} dB"


def _laid_out(rows, headers, cell):
    """Rows of cells (height, width, 3) under their headers -> one image."""
    title, subtitle = ImageFont.load_default(14), ImageFont.load_default(12)
    text_width = max(max(title.getlength(first), subtitle.getlength(second)) for first, second in headers)
    height, width = cell[0] + _GAP, max(cell[1], math.ceil(text_width) + _GAP) + _GAP
    groups = 1 if len(rows) <= _ROWS_OF_ONE_GROUP else 2
    per_group = math.ceil(len(rows) / groups)
    group_width = len(headers) * width + _GROUP_GAP
    canvas_width = 2 * _MARGIN + groups * group_width - _GROUP_GAP - _GAP
    canvas_height = 2 * _MARGIN + _HEADER + per_group * height - _GAP
    canvas = Image.new("RGB", (canvas_width, canvas_height), "white")
    draw = ImageDraw.Draw(canvas)
    for i in range(groups):
        for j, (first, second) in enumerate(headers):
            x = _MARGIN + i * group_width + j * width
            draw.text((x, _MARGIN), first, fill=_INK, font=title)
            draw.text((x, _MARGIN + 20), second, fill=_FAINT, font=subtitle)
    for i, row in enumerate(rows):
        group, line = divmod(i, per_group)
        for j, picture in enumerate(row):
            place = (_MARGIN + group * group_width + j * width, _MARGIN + _HEADER + line * height)
            canvas.paste(Image.fromarray(picture), place)
    return np.asarray(canvas)


# === Rows ===
def picture_rows(pictures, columns, names=()):
    """Arranges images in rows.

    Args:
        pictures: float array (batch, height, width, channels) in [-1, 1], 1, 3 or 4 channels.
        columns: int, images per row.
        names: sequence of str, labels of the rows; long ones are wrapped. Defaults to none.

    Returns:
        uint8 array (rows, columns, 3).

    Raises:
        ValueError: if `pictures` is empty or not images, or there are more names than rows.

    Example:
    >>> picture_rows(np.zeros((6, 28, 28, 1)), columns=3).shape
    (188, 276, 3)
    """
    pictures = np.asarray(pictures, "float32")
    rows = math.ceil(len(pictures) / max(columns, 1))
    if pictures.ndim != 4 or not rows or columns < 1 or len(names) > rows:
        raise ValueError(
            "Images (batch, height, width, channels) form rows, each with a name or none. Received: images of "
            f"shape {pictures.shape}, columns={columns}, {len(names)} names"
        )
    factor = max(1, round(_SMALL / max(pictures.shape[1:3])))
    cells = [_enlarged_cell(picture, factor) for picture in pictures]
    font = _font()
    names = [_lines(name, font, (cells[0].height + _ROW_GAP) // _LINE) for name in names]
    left = (
        math.ceil(max((font.getlength(line) for lines in names for line in lines), default=-_ROW_MARGIN))
        + 2 * _ROW_MARGIN
    )
    height, width = cells[0].height + _ROW_GAP, cells[0].width + _ROW_GAP
    size = (left + columns * width - _ROW_GAP + _ROW_MARGIN, 2 * _ROW_MARGIN + rows * height - _ROW_GAP)
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    for i, cell in enumerate(cells):
        row, column = divmod(i, columns)
        canvas.paste(cell, (left + column * width, _ROW_MARGIN + row * height))
    for i, lines in enumerate(names):
        middle = _ROW_MARGIN + i * height + height // 2
        place = (_ROW_MARGIN, middle - 9 - (len(lines) - 1) * _LINE // 2)
        draw.multiline_text(place, "\n".join(lines), fill=_INK, font=font, spacing=_LINE - 14)
    return np.asarray(canvas)


def save_picture_rows(path, pictures, columns, names=()):
    """Writes `picture_rows` as PNG.

    Args:
        path: str or path.
        pictures: float array (batch, height, width, channels) in [-1, 1].
        columns: int, images per row.
        names: sequence of str. Defaults to none.

    Raises:
        ValueError: as `picture_rows`.
    """
    with atomic_path(user_path(path)) as temporary:
        Image.fromarray(picture_rows(pictures, columns, names)).save(temporary, format="PNG", optimize=True)


def _font():
    import matplotlib  # imported here, because it is slow

    # Pillow's default font has little more than ASCII.
    return ImageFont.truetype(pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), 13)


def _lines(name, font, most):
    """A name wrapped to lines, at most the height of a row."""
    lines = []
    for word in name.split() or [""]:
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= _WIDEST:
            lines[-1] = longer
        else:
            lines.append(word)
    most = max(1, most)
    return lines if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1]} ..."]


def _enlarged_cell(picture, factor):
    pixels = np.rint((np.clip(picture, -1.0, 1.0) + 1.0) * 127.5).astype("uint8")
    pixels = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    if pixels.shape[-1] == 4:
        image = Image.fromarray(pixels)
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
