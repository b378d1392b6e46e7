"""The presets that are here: tokens of an example, bits, parameters, how well they bring it back."""

import math
import sys
import warnings

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vqzoo.jsons import json_text
from vqzoo.presets import list_presets

# What a modality is told by: the first of these numbers that its presets have.
RATES = {"bits_per_pixel": "{:.3f}", "kilobits_per_second": "{:.1f}k/s", "bits_per_character": "{:.1f}/c"}
RATES["bits_per_token"] = "{:.2f}/token"
QUALITIES = {"psnr": "{:.1f} dB", "mel_distance": "mel {:.2f}", "piece_accuracy": "{:.1%}"}

_LARGEST = 1e6  # a number above is damage, and not written out
_LETTERS = 11  # of a column


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("--json", action="store_true", help="one line of JSON for each preset")


def run(arguments):
    """Prints a table, or JSON."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        presets = list_presets()
    for warning in caught:
        print(f"error: {warning.message}", file=sys.stderr)
    if arguments.json:
        for preset in presets:
            print(json_text(preset._asdict()))
        return int(bool(caught))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("preset", "example", "tokens", "bits", "size", "quality"):
        table.add_column(column, no_wrap=True, overflow="fold")  # in 80 characters
    for preset in presets:
        table.add_row(
            Text(_printable(preset.name)),
            _shape(preset.signal),
            f"{_number(math.prod(preset.tokens))} of {_codebooks(preset.codebook_sizes)}" if preset.tokens else "",
            _first(preset.metrics, RATES),
            f"{preset.parameters / 1e6:.2f} M" if preset.parameters < _LARGEST**3 else "many",
            _first(preset.metrics, QUALITIES),
        )
    console = Console()
    if presets:
        console.print(table)
    else:
        console.print("No presets. Train one with a recipe, or name the folder that holds some in $VQZOO_PRESETS.")
    return int(bool(caught))


def _shape(shape):
    """The example's shape, in few letters: a terminal has 80."""
    told = "x".join(map(str, shape))
    return told if len(told) <= _LETTERS else f"{len(shape)} axes"


def _number(count):
    return str(count) if count < _LARGEST else f"{count:.0e}" if count < _LARGEST**3 else "many"


def _codebooks(sizes):
    """Their sizes, in few letters."""
    if len(sizes) > 1 and len(set(sizes)) == 1:
        return f"{len(sizes)}x{_number(sizes[0])}"
    told = "/".join(map(_number, sizes))
    return told if len(told) <= _LETTERS else f"{len(sizes)} sizes"


def _printable(name):
    """A folder's name in one line: it may hold line ends, and bytes that are not text."""
    return name if name.isprintable() else ascii(name)


def _first(metrics, formats):
    """The first of the numbers that there is, as text."""
    name = next((name for name in formats if metrics.get(name) is not None), None)
    if name is None:
        return ""
    return formats[name].format(metrics[name]) if abs(metrics[name]) < _LARGEST else f"{metrics[name]:.3g}"
