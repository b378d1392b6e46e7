"""Charts of training and of tokens."""

import math

import numpy as np

from vqzoo.files import atomic_path
from vqzoo.files import user_path
from vqzoo.metrics import codebook_statistics

_INK, _FAINT, _BLUE, _ORANGE = "#1f2430", "#7a8190", "#2f6bd8", "#e0762b"
_MARKED_POINTS = 20  # a longer curve shows no markers
_BLANK = 238  # grey of empty positions in a token map


def save_usage_histogram(path, counts):
    """Plots the usage of each code of a codebook, most frequent first, compared with equal usage.

    Args:
        path: str or path of the PNG.
        counts: array (codebook_size,), how often each code was used.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        ValueError: if `counts` is not that of one codebook (see `vqzoo.metrics.codebook_statistics`), or all are 0.
    """
    counts = np.asarray(counts, "float64")
    statistics = codebook_statistics(counts)
    if not counts.any():
        raise ValueError("No code was used: `counts` are all 0. Count the tokens of some images first.")
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
    """Plots one panel per value of a log, with training and validation together.

    A panel is logarithmic if all its values are positive and the largest is more than ten times the smallest.

    Args:
        path: str or path of the PNG.
        rows: list of dicts, as from `vqzoo.trainers.callbacks.logs.read_log`.
        marks: dict of text to step, drawn as vertical lines, e.g. {"discriminator starts": 5000}.
            Defaults to none.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        ValueError: if `rows` has no values to plot.
    """
    names = {name.removeprefix("val_"): None for row in rows for name in row}  # a dict keeps the order
    names = [name for name in names if name not in ("epoch", "step", "seconds")]
    if not names:
        raise ValueError("There is nothing to draw: `rows` has no losses. Train for at least one epoch.")
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
            # Validation may be less frequent than epochs. A line through its own points has no gaps.
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
    axes.yaxis.set_major_formatter("{x:g}")  # 0.02 is easier to read than 2 x 10^-2
    axes.yaxis.set_minor_formatter(NullFormatter())


def _figure(panels, width, height):
    """A figure of small multiples, without pyplot, whose global state belongs to the user."""
    from matplotlib.figure import Figure  # imported here, because it takes half a second

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


# === Token maps ===
def token_colours(tokens):
    """Colours of tokens, the same in every image and run, and different for adjacent tokens.

    Hue, lightness and chroma in the perceptual space Oklab follow a three-dimensional additive recurrence, whose first
    n points are evenly distributed for every n. 2048 tokens have different colours, and nearly all of 16,384.

    Args:
        tokens: int array of any shape; -1 means no token, and is light grey.

    Returns:
        uint8 numpy array (*shape, 3).

    Example:
    >>> token_colours(np.array([0, 1, 0])).tolist()
    [[48, 173, 153], [106, 112, 67], [48, 173, 153]]
    """
    tokens = np.asarray(tokens, "int64")
    root = 1.2207440846057596  # root of x^4 = x + 1, which makes the recurrence even in three dimensions
    hue, lightness, chroma = ((0.5 + tokens / root**power) % 1.0 for power in (1, 2, 3))
    lightness, chroma, hue = 0.45 + 0.45 * lightness, 0.06 + 0.1 * chroma, 2.0 * np.pi * hue
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)
    colours = np.rint(255.0 * _oklab_to_srgb(lab)).astype("uint8")
    return np.where((tokens < 0)[..., None], np.uint8(_BLANK), colours)


def token_map(tokens, size):
    """Draws the tokens of one example as a map of about `size` pixels, coloured by `token_colours`.

    Args:
        tokens: int array (*grid, num_codebooks). Several tokens per position are drawn side by side. A grid without
            rows and columns is arranged in a near-square.
        size: (height, width) in pixels.

    Returns:
        uint8 numpy array (height, width, 3).

    Example:
    >>> token_map(np.array([[[0], [1]], [[2], [3]]]), (8, 8)).shape
    (8, 8, 3)
    """
    return token_colours(_enlarged(_to_plane(np.asarray(tokens)), size))


def _to_plane(tokens):
    """The tokens of one image (*grid, num_codebooks) -> (rows, columns), -1 at empty positions."""
    if tokens.ndim != 3:
        tokens = tokens.reshape(-1, tokens.shape[-1])
        tokens = _squared(tokens.T, len(tokens)).transpose(1, 2, 0)
    tokens = _squared(tokens, tokens.shape[-1])  # (rows, columns, rows of codebooks, columns of codebooks)
    rows, columns, inner_rows, inner_columns = tokens.shape
    return tokens.transpose(0, 2, 1, 3).reshape(rows * inner_rows, columns * inner_columns)


def _squared(tokens, count):
    """Arranges the last axis, of length `count`, in rows and columns, with blanks if necessary."""
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
