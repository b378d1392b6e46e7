"""Measures what a preset gives back of a folder of pictures, sounds or texts.

vqzoo evaluate image-vqgan-photos-f4 ~/Pictures --size 64
vqzoo evaluate saved_models/audio_vqvae ~/recordings --size 32000
"""

import json

from vqzoo.cli.batch import positive
from vqzoo.cli.signals import signals_of
from vqzoo.presets import find_preset
from vqzoo.tokenizers import Tokenizer


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="name, or folder")
    parser.add_argument("path", help="file, or folder of them; pictures also as shards, or tfds:NAME")
    parser.add_argument("--size", type=positive, help="pixels a side of the crops (128), or samples of the clips (2 s)")
    parser.add_argument("--scale", type=float, default=0.5, help="resize of a picture before the crop (default: 0.5)")
    parser.add_argument("--crops", type=positive, default=256, help="crops or clips to measure on (default: 256)")
    parser.add_argument("--seed", type=int, default=0, help="of the crops or clips (default: 0)")
    parser.add_argument("--json", action="store_true", help="one line of JSON")


def run(arguments):
    """Prints the numbers."""
    tokenizer = Tokenizer.from_preset(find_preset(arguments.preset))
    size = arguments.size or 2 * getattr(tokenizer, "sample_rate", 64)
    report = signals_of(tokenizer, arguments.preset).evaluate(
        arguments.path, size, arguments.scale, arguments.crops, arguments.seed
    )
    if arguments.json:
        print(json.dumps(report))
        return 0
    for name, value in report.items():
        print(f"{name:20s} {value:.4g}" if isinstance(value, float) else f"{name:20s} {value}")
    return 0
