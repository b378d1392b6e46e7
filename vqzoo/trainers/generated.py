"""What a prior makes, to be looked at: rows of pictures with their conditions, and their nearest neighbours."""

import math
import pathlib

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from vqzoo.files import atomic_path
from vqzoo.files import user_path
from vqzoo.trainers.samples import Samples

_GAP, _MARGIN, _INK = 4, 8, "#1f2430"  # pixels
_LINE, _WIDEST = 18, 190  # pixels, of a name's lines
_CELL = 96  # pixels: smaller pictures are enlarged to about as many


def picture_rows(pictures, columns, names=()):
    """Lays pictures out in rows.

    Args:
        pictures: float array (batch, height, width, channels) in [-1, 1], 1, 3 or 4 channels.
        columns: int, pictures of a row.
        names: sequence of str, what stands in front of each row; long ones in several lines. Defaults to nothing.

    Returns:
        uint8 array (rows, columns, 3).

    Raises:
        ValueError: if `pictures` are none, or there are more names than rows.

    Example:
    >>> picture_rows(np.zeros((6, 28, 28, 1)), columns=3).shape
    (188, 276, 3)
    """
    pictures = np.asarray(pictures, "float32")
    rows = math.ceil(len(pictures) / max(columns, 1))
    if pictures.ndim != 4 or not rows or columns < 1 or len(names) > rows:
        raise ValueError(
            "Pictures (batch, height, width, channels) stand in rows, each with a name or none. Received: pictures of "
            f"shape {pictures.shape}, columns={columns}, {len(names)} names"
        )
    factor = max(1, round(_CELL / max(pictures.shape[1:3])))
    cells = [_cell(picture, factor) for picture in pictures]
    font = _font()
    names = [_lines(name, font, (cells[0].height + _GAP) // _LINE) for name in names]
    left = math.ceil(max((font.getlength(line) for lines in names for line in lines), default=-_MARGIN)) + 2 * _MARGIN
    height, width = cells[0].height + _GAP, cells[0].width + _GAP
    size = (left + columns * width - _GAP + _MARGIN, 2 * _MARGIN + rows * height - _GAP)
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    for i, cell in enumerate(cells):
        row, column = divmod(i, columns)
        canvas.paste(cell, (left + column * width, _MARGIN + row * height))
    for i, lines in enumerate(names):
        middle = _MARGIN + i * height + height // 2
        place = (_MARGIN, middle - 9 - (len(lines) - 1) * _LINE // 2)
        draw.multiline_text(place, "\n".join(lines), fill=_INK, font=font, spacing=_LINE - 14)
    return np.asarray(canvas)


def save_picture_rows(path, pictures, columns, names=()):
    """Writes `picture_rows` as PNG.

    Args:
        path: str or path.
        pictures: float array (batch, height, width, channels) in [-1, 1].
        columns: int, pictures of a row.
        names: sequence of str. Defaults to nothing.

    Raises:
        ValueError: as `picture_rows`.
    """
    with atomic_path(user_path(path)) as temporary:
        Image.fromarray(picture_rows(pictures, columns, names)).save(temporary, format="PNG", optimize=True)


class GeneratedPictures(Samples):
    """Writes what the same seed makes as training goes on: `epoch_0001.png`, ...

    Args:
        folder: str or path, made when missing.
        draw: callable without arguments that returns what `picture_rows` takes: pictures, columns and names.
        every: int, epochs from one file to the next. Defaults to 1.

    Raises:
        ValueError: if `every` is not positive.
    """

    suffix = ".png"

    def __init__(self, folder, draw, every=1):
        super().__init__(folder, None, (), every)
        self.draw = draw

    def write(self, path):
        """Writes the rows of pictures."""
        save_picture_rows(path, *self.draw())


def _font():
    import matplotlib  # here, because it takes a while

    # Pillow's own font has hardly more than ASCII.
    return ImageFont.truetype(pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), 13)


def _lines(name, font, most):
    """A name in lines of words, as many as a row is high."""
    lines = []
    for word in name.split() or [""]:
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= _WIDEST:
            lines[-1] = longer
        else:
            lines.append(word)
    most = max(1, most)
    return lines if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1]} ..."]


def _cell(picture, factor):
    pixels = np.rint((np.clip(picture, -1.0, 1.0) + 1.0) * 127.5).astype("uint8")
    pixels = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    if pixels.shape[-1] == 4:
        image = Image.fromarray(pixels)
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
