"""A list of presets as people read it: a table in a terminal, HTML in a notebook."""

import html
import io
import math
import shutil
import sys

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

# What a modality is described by: the first of these numbers that its presets have.
_RATES = {"bits_per_pixel": "{:.3f}/px", "kilobits_per_second": "{:.1f} kbit/s", "bits_per_character": "{:.1f}/char"}
_RATES["bits_per_token"] = "{:.2f}/token"
_QUALITIES = {"psnr": "{:.1f} dB", "mel_distance": "mel {:.2f}", "piece_accuracy": "{:.1%}"}
_COLUMNS = ("preset", "example", "tokens", "bits", "size", "quality")
_LEGEND = (
    "tokens: of one example, of how many codes. size: parameters. quality: PSNR in dB or share of equal text pieces, "
    "higher is better; or mel distance, lower is better."
)
_NOTHING = "No presets. Train one with a recipe, or name the folder that holds some in $VQZOO_PRESETS."
_WIDTH = 80  # where there is no terminal
_LARGEST = 1e6  # a number above is damage, and not written out
_LETTERS = 11  # of a column


class PresetList(list):
    """A list of `PresetInfo` that prints as a table. In everything else it is a list.

    Example:
    >>> presets = PresetList()
    >>> print(presets)
    No presets. Train one with a recipe, or name the folder that holds some in $VQZOO_PRESETS.
    >>> presets == []
    True
    """

    def __repr__(self):
        text = io.StringIO()
        width = shutil.get_terminal_size((_WIDTH, 0)).columns if sys.stdout and sys.stdout.isatty() else _WIDTH
        self.print(Console(file=text, width=max(width, _WIDTH), color_system=None))
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines()).strip("\n")

    def _repr_html_(self):
        if not self:
            return f"<p>{html.escape(_NOTHING)}</p>"
        head = "".join(f"<th>{column}</th>" for column in _COLUMNS)
        rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(preset)) for preset in self)
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        caption = f"<caption>{html.escape(_LEGEND)}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def print(self, console):
        """Prints the table.

        Args:
            console: `rich.console.Console`.
        """
        if not self:
            console.print(_NOTHING, soft_wrap=True, highlight=False)
            return
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        for column in _COLUMNS:
            table.add_column(column, no_wrap=True, overflow="fold")  # in 80 characters
        for preset in self:
            table.add_row(*map(Text, _cells(preset)))
        console.print(table)
        console.print(_LEGEND, highlight=False)


def _cells(preset):
    """A row of the table, strs."""
    return (
        _printable(preset.name),
        _shape(preset.signal),
        f"{_number(math.prod(preset.tokens))} of {_codebooks(preset.codebook_sizes)}" if preset.tokens else "",
        _first(preset.metrics, _RATES),
        f"{preset.parameters / 1e6:.2f} M" if preset.parameters < _LARGEST**3 else "many",
        _first(preset.metrics, _QUALITIES),
    )


def _shape(shape):
    """The example's shape, in few letters: a terminal has 80."""
    shown = "x".join(map(str, shape))
    return shown if len(shown) <= _LETTERS else f"{len(shape)} axes"


def _number(count):
    return str(count) if count < _LARGEST else f"{count:.0e}" if count < _LARGEST**3 else "many"


def _codebooks(sizes):
    """Their sizes, in few letters."""
    if len(sizes) > 1 and len(set(sizes)) == 1:
        return f"{len(sizes)}x{_number(sizes[0])}"
    shown = "/".join(map(_number, sizes))
    return shown if len(shown) <= _LETTERS else f"{len(sizes)} sizes"


def _printable(name):
    """A folder's name in one line: it may hold line ends, and bytes that are not text."""
    return name if name.isprintable() else ascii(name)


def _first(metrics, formats):
    """The first of the numbers that there is, as text."""
    name = next((name for name in formats if metrics.get(name) is not None), None)
    if name is None:
        return ""
    return formats[name].format(metrics[name]) if abs(metrics[name]) < _LARGEST else f"{metrics[name]:.3g}"
