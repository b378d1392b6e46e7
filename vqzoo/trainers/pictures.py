"""What training looks like: reconstructions with their token maps, the use of the codes, loss curves."""

import math

import keras
import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from vqzoo.files import atomic_path
from vqzoo.files import user_path
from vqzoo.metrics import codebook_statistics
from vqzoo.metrics import psnr
from vqzoo.trainers.samples import Samples

DIFFERENCE_FACTOR = 4  # the same for all pictures, so that epochs and models compare by eye
_CELL, _LARGEST_CELL = 160, 320  # pixels: small pictures come near the first, large ones below the second
_ROWS_OF_ONE_GROUP = 6
_GAP, _GROUP_GAP, _MARGIN, _HEADER = 6, 28, 16, 42  # pixels
_INK, _FAINT, _BLUE, _ORANGE = "#1f2430", "#7a8190", "#2f6bd8", "#e0762b"
_MARKED_POINTS = 20  # a longer curve shows no markers
_BLANK = 238  # grey of a place in a token map that has no token


# === Reconstructions ===
def reconstruction_grid(originals, reconstructions, tokens, codebook_size):
    """Draws pictures in rows: original, reconstruction, amplified difference, token map.

    A token has the same colour in every picture and every run. Several tokens at one position stand side by
    side; tokens without rows and columns are laid out in a near-square. More than six pictures make two groups
    of columns. Small pictures are enlarged by a whole factor; large ones are reduced by one, after the
    difference.

    Args:
        originals: float array (batch, height, width, channels) in [-1, 1]. One channel is grey, two are red
            and green, three are RGB, four are RGBA and shown on white.
        reconstructions: float array of the same shape. What lies outside [-1, 1] is clipped.
        tokens: int array (batch, *grid, num_codebooks).
        codebook_size: int, number of codes; that of the largest codebook, where there are several.

    Returns:
        uint8 numpy array (rows, columns, 3).

    Raises:
        ValueError: if the shapes do not fit together, or a token is outside [0, codebook_size).

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
    maps = [token_colours(_enlarged(_to_plane(example), cell)) for example in tokens]
    height, width = originals.shape[1:3]
    counts = tokens.shape[1:-1] if tokens.shape[-1] == 1 else tokens.shape[1:]
    headers = [
        ("original", f"{height} x {width} pixels"),
        ("reconstruction", _psnr_text(originals, reconstructions)),
        ("difference", f"{DIFFERENCE_FACTOR}x amplified"),
        ("tokens", f"{' x '.join(map(str, counts))} of {codebook_size:,}"),
    ]
    return _laid_out(list(zip(*columns, maps, strict=True)), headers, cell)


def token_colours(tokens):
    """Gives each token a colour of its own, the same in every picture and run, far from those before and after.

    Hue, lightness and chroma in the perceptual space Oklab follow the additive recurrence of three dimensions,
    whose first n points lie evenly for every n: 2048 tokens have different colours, and nearly all of 16,384.

    Args:
        tokens: int array of any shape; -1 means no token, and is light grey.

    Returns:
        uint8 numpy array (*shape, 3).

    Example:
    >>> token_colours(np.array([0, 1, 0])).tolist()
    [[48, 173, 153], [106, 112, 67], [48, 173, 153]]
    """
    tokens = np.asarray(tokens, "int64")
    root = 1.2207440846057596  # of x^4 = x + 1, which makes the recurrence even in three dimensions
    hue, lightness, chroma = ((0.5 + tokens / root**power) % 1.0 for power in (1, 2, 3))
    lightness, chroma, hue = 0.45 + 0.45 * lightness, 0.06 + 0.1 * chroma, 2.0 * np.pi * hue
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)
    colours = np.rint(255.0 * _oklab_to_srgb(lab)).astype("uint8")
    return np.where((tokens < 0)[..., None], np.uint8(_BLANK), colours)


def save_reconstructions(path, tokenizer, images):
    """Encodes and decodes pictures, and writes the `reconstruction_grid`.

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


class Pictures(Samples):
    """Writes the reconstructions of the same few pictures as training goes on: `epoch_0001.png`, ...

    Args:
        folder: str or path, made when missing.
        tokenizer: the one in training, as in `save_reconstructions`.
        signals: float array (batch, height, width, channels) in [-1, 1]; four to twelve look well.
        every: int, epochs from one file to the next. Defaults to 1.

    Raises:
        ValueError: if `every` is not positive.
    """

    suffix = ".png"

    def write(self, path):
        """Writes the `reconstruction_grid`."""
        save_reconstructions(path, self.tokenizer, keras.ops.convert_to_numpy(self.signals))


# === Charts ===
def save_usage_histogram(path, counts):
    """Draws how often each code of one codebook is used, most frequent first, beside equal use.

    Args:
        path: str or path of the PNG.
        counts: array (codebook_size,), how often each code was used.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        ValueError: if `counts` are not one codebook's (see `vqzoo.metrics.codebook_statistics`), or all are 0.
    """
    counts = np.asarray(counts, "float64")
    statistics = codebook_statistics(counts)
    if not counts.any():
        raise ValueError("No code was used: `counts` are all 0. Count the tokens of some pictures first.")
    size, total = counts.size, counts.sum()
    shares = 100.0 * np.sort(counts)[::-1] / total
    figure, (axes,) = _figure(1, width=7.0, height=3.4)
    axes.stairs(shares, np.arange(size + 1), fill=True, color=_BLUE, alpha=0.85, linewidth=0)
    axes.axhline(100.0 / size, color=_ORANGE, linewidth=1.4, linestyle="--")
    beside_the_line = {"xy": (1.0, 100.0 / size), "xycoords": axes.get_yaxis_transform(), "xytext": (5, 0)}
    axes.annotate("equal use", **beside_the_line, textcoords="offset points", va="center", color=_ORANGE, fontsize=9)
    axes.set(xlim=(0, size), ylim=(0, None), xlabel="codes, most used first", ylabel="share of the tokens (%)")
    text = (
        f"usage {100.0 * statistics['usage']:.1f} %",
        f"perplexity {statistics['perplexity']:,.1f} of {size:,}",
        f"dead codes {statistics['dead_codes']:,}",
        f"tokens {total:,.0f}",
    )
    axes.set_title("     ".join(text), loc="left", fontsize=10, color=_INK, pad=10)
    return _save_figure(path, figure)


def save_loss_curves(path, rows, marks=None):
    """Draws one panel for each value of a log, training and validation together.

    A panel is logarithmic where all its values are positive and the largest is more than ten times the smallest.

    Args:
        path: str or path of the PNG.
        rows: list of dicts, as from `vqzoo.trainers.logs.read_log`.
        marks: dict with the step for each text, drawn as vertical lines, e.g. {"discriminator starts": 5000}.
            Defaults to none.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        ValueError: if `rows` hold nothing to draw.
    """
    names = {name.removeprefix("val_"): None for row in rows for name in row}  # a dict keeps the order
    names = [name for name in names if name not in ("epoch", "step", "seconds")]
    if not names:
        raise ValueError("There is nothing to draw: `rows` hold no losses. Train for one epoch at least.")
    figure, panels = _figure(len(names), width=3.7, height=2.4)
    handles = {}
    for axes, name in zip(panels, names, strict=True):
        _draw_curves(axes, name, rows, marks or {})
        handles |= {line.get_label(): line for line in axes.get_lines()}
    labels = sorted(handles, key=["training", "validation", *(marks or {})].index)
    figure.legend(
        [handles[label] for label in labels], labels, loc="outside upper left", ncols=max(1, len(labels)), frameon=False
    )
    figure.supxlabel("step", fontsize=10, color=_INK)
    return _save_figure(path, figure)


def _draw_curves(axes, name, rows, marks):
    steps = np.array([row["step"] for row in rows])
    shown = []
    for label, key, colour in (("training", name, _BLUE), ("validation", f"val_{name}", _ORANGE)):
        values = np.array([row.get(key, math.nan) for row in rows], "float64")
        known = np.isfinite(values)
        if known.any():
            # Validation may be rarer than epochs: a line through its own points has no holes.
            drawn = known if label == "validation" else slice(None)
            style = {"color": colour, "linewidth": 1.5, "markersize": 3}
            marker = "o" if known.sum() <= _MARKED_POINTS else None
            axes.plot(steps[drawn], values[drawn], label=label, marker=marker, **style)
            shown.extend(values[known])
    for i, (text, step) in enumerate(marks.items()):
        axes.axvline(step, label=text, color=_FAINT, linewidth=1.1, linestyle=("--", ":", "-.")[i % 3])
    if shown and min(shown) > 0.0 and max(shown) > 10.0 * min(shown):
        _set_logarithmic(axes, decades=math.log10(max(shown) / min(shown)))
    axes.set_title(name, loc="left", fontsize=10, color=_INK)


def _set_logarithmic(axes, decades):
    from matplotlib.ticker import LogLocator
    from matplotlib.ticker import NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 3 else (1,)))
    axes.yaxis.set_major_formatter("{x:g}")  # 0.02 is read faster than 2 x 10^-2
    axes.yaxis.set_minor_formatter(NullFormatter())


def _figure(panels, width, height):
    """A figure of small multiples without pyplot, whose global state belongs to the user."""
    from matplotlib.figure import Figure  # here, because it takes half a second

    columns = min(panels, 4 if panels > 6 else 3)
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(width * columns, height * rows + 0.4), dpi=120, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)  # inches
    every = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in every:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(_FAINT)
        axes.tick_params(which="both", color=_FAINT, labelcolor=_INK, labelsize=8)
        axes.grid(color="#e6e8ec", linewidth=0.8)
        axes.set_axisbelow(True)
        for axis in (axes.xaxis, axes.yaxis):
            axis.label.set(color=_INK, size=9)
    for axes in every[panels:]:
        axes.remove()
    return figure, every[:panels]


def _save_figure(path, figure):
    path = user_path(path)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


# === Steps of the grid ===
def _checked(originals, reconstructions, tokens, codebook_size):
    originals, reconstructions, tokens = map(keras.ops.convert_to_numpy, (originals, reconstructions, tokens))
    if originals.ndim != 4 or not len(originals) or not 1 <= originals.shape[-1] <= 4:
        raise ValueError(
            "Pictures are (batch, height, width, channels) with 1 to 4 channels, one picture at least. "
            f"Received: originals of shape {originals.shape}"
        )
    if reconstructions.shape != originals.shape:
        raise ValueError(
            f"Reconstructions have the shape of the originals, {originals.shape}: `decode(tokens, "
            f"size=(height, width))` crops to it. Received: {reconstructions.shape}"
        )
    if tokens.ndim < 3 or len(tokens) != len(originals) or tokens.dtype.kind not in "iu":
        raise ValueError(
            f"Tokens are integers (batch, *grid, num_codebooks), here of {len(originals)} pictures. Received: "
            f"shape {tokens.shape}, dtype {tokens.dtype}"
        )
    if tokens.size and not 0 <= tokens.min() <= tokens.max() < codebook_size:
        raise ValueError(
            f"Tokens lie in [0, {codebook_size}), the codebook_size. Received: {tokens.min()} to {tokens.max()}. "
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


def _to_plane(tokens):
    """The tokens of one picture (*grid, num_codebooks) -> (rows, columns), -1 where there is none."""
    if tokens.ndim != 3:
        tokens = tokens.reshape(-1, tokens.shape[-1])
        tokens = _squared(tokens.T, len(tokens)).transpose(1, 2, 0)
    tokens = _squared(tokens, tokens.shape[-1])  # (rows, columns, rows of codebooks, columns of codebooks)
    rows, columns, inner_rows, inner_columns = tokens.shape
    return tokens.transpose(0, 2, 1, 3).reshape(rows * inner_rows, columns * inner_columns)


def _squared(tokens, count):
    """Lays the last axis, of length `count`, out in rows and columns; with blanks rather than in a strip."""
    rows = next(n for n in range(math.isqrt(count), 0, -1) if count % n == 0)
    if count > 3 * rows * rows:
        rows = math.isqrt(count)
    columns = math.ceil(count / rows)
    widths = [(0, 0)] * (tokens.ndim - 1) + [(0, rows * columns - count)]
    return np.pad(tokens, widths, constant_values=-1).reshape(*tokens.shape[:-1], rows, columns)


def _enlarged(plane, size):
    rows, columns = (np.arange(to) * have // to for have, to in zip(plane.shape, size, strict=True))
    return plane[np.ix_(rows, columns)]


def _oklab_to_srgb(lab):
    # Ottosson 2020, "A perceptual color space for image processing": Oklab -> cone responses -> linear sRGB.
    to_cones = [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
    to_rgb = [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
    linear = np.clip((lab @ np.transpose(to_cones)) ** 3 @ np.transpose(to_rgb), 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _psnr_text(originals, reconstructions):
    """The mean over the pictures; an exact one counts 100 dB, as in `vqzoo.metrics.evaluate_images`."""
    if np.array_equal(originals, reconstructions):
        return "identical"
    decibels = psnr(originals.astype("float32"), reconstructions.astype("float32"), max_value=255.0)
    return f"PSNR {np.minimum(keras.ops.convert_to_numpy(decibels), 100.0).mean():.1f} dB"


def _laid_out(rows, headers, cell):
    """Rows of cells (height, width, 3) under their headers -> one picture."""
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
