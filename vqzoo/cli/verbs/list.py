"""The presets that are here: tokens of an example, bits a pixel, parameters, PSNR."""

import json
import math
import sys
import warnings

from rich import box
from rich.console import Console
from rich.table import Table

from vqzoo.presets import list_presets


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
            print(json.dumps(preset._asdict()))
        return int(bool(caught))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("preset", "modality", "example", "tokens", "bits", "size", "PSNR"):
        table.add_column(column, no_wrap=True, overflow="fold")  # in 80 characters
    for preset in presets:
        rate, psnr = (preset.metrics.get(name) for name in ("bits_per_pixel", "psnr"))
        table.add_row(
            preset.name,
            preset.modality,
            "x".join(map(str, preset.signal)),
            f"{math.prod(preset.tokens)} of {'/'.join(map(str, preset.codebook_sizes))}" if preset.tokens else "",
            "" if rate is None else f"{rate:.3f}",
            f"{preset.parameters / 1e6:.2f} M",
            "" if psnr is None else f"{psnr:.1f} dB",
        )
    console = Console()
    if presets:
        console.print(table)
    else:
        console.print("No presets. Train one with a recipe, or name the folder that holds some in $VQZOO_PRESETS.")
    return int(bool(caught))
