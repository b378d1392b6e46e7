"""Checks that a preset is whole, and that each of its exports gives its tokens."""

import json

from vqzoo.cli.signals import example_signals
from vqzoo.cli.verbs.export import told
from vqzoo.export import verify_exports
from vqzoo.presets import find_preset
from vqzoo.presets import verify_preset
from vqzoo.tokenizers import Tokenizer


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="name, or folder")
    parser.add_argument("--json", action="store_true", help="one line of JSON for each form")


def run(arguments):
    """Prints a line for each form; what does not agree is an error."""
    folder = find_preset(arguments.preset)
    files = verify_preset(folder)["files"]
    if not arguments.json:
        print(f"{folder}: {len(files)} files are whole")
    tokenizer = Tokenizer.from_preset(folder)
    for agreement in verify_exports(tokenizer, folder, example_signals(tokenizer)):
        print(json.dumps(agreement._asdict()) if arguments.json else told(agreement))
    return 0
