"""What a preset tells about itself."""

from vqzoo.jsons import json_text
from vqzoo.presets import find_preset
from vqzoo.presets import read_metadata
from vqzoo.presets import verify_preset


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="name, or folder")
    parser.add_argument("--json", action="store_true", help="one line of JSON")


def run(arguments):
    """Prints the metadata and the files."""
    folder = find_preset(arguments.preset)
    about = {"folder": str(folder), **read_metadata(folder)}
    about["files"] = {name: file["bytes"] for name, file in verify_preset(folder, files=[])["files"].items()}
    if arguments.json:
        print(json_text(about))
        return 0
    for name, value in about.items():
        if isinstance(value, dict):
            print(f"{name}:")
            for inner, number in value.items():
                print(f"  {inner}: {number}")
        else:
            print(f"{name}: {value}")
    return 0
