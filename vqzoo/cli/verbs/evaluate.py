"""Measures what a preset gives back of a folder of pictures.

vqzoo evaluate image-vqgan-photos-f4 ~/Pictures --size 64
"""

import json

from vqzoo.cli.batch import positive
from vqzoo.cli.signals import check_modality
from vqzoo.data import ImageCrops
from vqzoo.data import open_images
from vqzoo.metrics import evaluate_images
from vqzoo.presets import find_preset
from vqzoo.tokenizers import Tokenizer


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="name, or folder")
    parser.add_argument("path", help="folder of pictures or of shards, one picture, or tfds:NAME")
    parser.add_argument("--size", type=positive, default=128, help="pixels a side of the crops (default: 128)")
    parser.add_argument("--scale", type=float, default=0.5, help="resize of a picture before the crop (default: 0.5)")
    parser.add_argument("--crops", type=positive, default=256, help="crops to measure on (default: 256)")
    parser.add_argument("--seed", type=int, default=0, help="of the crops (default: 0)")
    parser.add_argument("--json", action="store_true", help="one line of JSON")


def run(arguments):
    """Prints the numbers."""
    tokenizer = Tokenizer.from_preset(find_preset(arguments.preset))
    check_modality(tokenizer, arguments.preset)
    height, width, channels = tokenizer.encoder.input_shape[1:]
    size = (height or arguments.size, width or arguments.size)
    batch = min(16, arguments.crops)
    scale = (arguments.scale, arguments.scale)
    options = {"channels": channels, "scale": scale, "flip": False, "max_side": 1024, "seed": arguments.seed}
    crops = ImageCrops(open_images(arguments.path), size, batch, **options)
    report = evaluate_images(tokenizer, (crops.batch(i) for i in range(max(1, arguments.crops // batch))))
    report["skipped"] = len(crops.skipped)
    if arguments.json:
        print(json.dumps(report))
        return 0
    for name, value in report.items():
        print(f"{name:20s} {value:.4g}" if isinstance(value, float) else f"{name:20s} {value}")
    return 0
