"""Describes a preset, a token file, or a folder of shards.

    vqzoo info image-vqgan-photos-f4
    vqzoo info tokens/photo.npz
    vqzoo info shards/

It prints shapes, tokens of one example, codebooks, bits, sizes in bytes, whether the checksums match, and of tokens the
preset that made them.
"""

from vqzoo.cli.output import add_json_argument
from vqzoo.cli.output import print_json
from vqzoo.jsons import json_text
from vqzoo.measures import metric_rows

_UNITS = {
    "bytes": "bytes",
    "bits": "bits",
    "bits_per_example": "bits",
    "sample_rate": "Hz",
    "frame_rate": "Hz",
    "kilobits_per_second": "kbit/s",
}


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="name, or folder; also of shards, or a token file")
    add_json_argument(parser)


def run(arguments):
    """Prints the description."""
    from vqzoo.cli.description import described

    about = described(arguments.preset)
    if arguments.json:
        print_json(about)
        return 0
    for name, value in about.items():
        if isinstance(value, dict):
            rows = metric_rows(value) if name == "metrics" else value.items()
            print(f"{name}:")
            for inner, one in rows:
                print(f"  {inner}: {one}")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            print(f"{name}:")
            for row in value:
                print(f"  {', '.join(f'{inner} {_shown(inner, one)}' for inner, one in row.items())}")
        else:
            print(f"{name}: {_shown(name, value)}")
    return 0


def _shown(name, value):
    """A value with its unit."""
    if name in ("shape", "size") and isinstance(value, list):
        return "x".join(map(str, value))
    if isinstance(value, float):
        value = f"{value:.6g}"
    text = value if isinstance(value, str) else json_text(value)
    return f"{text} {_UNITS[name]}" if name in _UNITS else text
