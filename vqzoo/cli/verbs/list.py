"""The presets that are here: tokens of an example, bits, parameters, how well they bring it back.

They are in the folders of $VQZOO_PRESETS, and in saved_models/ beside the package and in the current folder.
"""

import sys

from vqzoo.cli.output import add_json_argument
from vqzoo.cli.output import print_json
from vqzoo.presets.find import read_presets


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    add_json_argument(parser)


def run(arguments):
    """Prints a table, or JSON; exit status 1 if a preset is damaged."""
    presets, failed = read_presets()
    for reason in failed.values():
        print(f"error: {reason}", file=sys.stderr)
    if arguments.json:
        print_json({"presets": [preset._asdict() for preset in presets], "failed": failed})
    else:
        from rich.console import Console

        presets.print(Console())
    return int(bool(failed))
