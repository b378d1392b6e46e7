"""Repairs a picture, or continues it beyond its borders, by a prior's preset.

vqzoo inpaint saved_models/image_inpainting photo.png --mask scratches.png --out repaired.png
vqzoo inpaint saved_models/image_inpainting photo.png --box 40,60,32,32 --out repaired.png
vqzoo inpaint saved_models/image_inpainting photo.png --pad 16 --out larger.png
"""

import argparse

import numpy as np

from vqzoo.cli.batch import check_picture
from vqzoo.cli.batch import result_path
from vqzoo.cli.output import add_json_argument
from vqzoo.cli.output import print_json
from vqzoo.cli.progress import Progress
from vqzoo.files import user_path
from vqzoo.jsons import shown
from vqzoo.presets import find_preset
from vqzoo.presets import holds_prior
from vqzoo.presets.suggest import inpainting_way_out
from vqzoo.priors.settings import RIM
from vqzoo.priors.settings import reader


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="of a prior, best a masked one: name, or folder")
    parser.add_argument("picture", help="to be repaired")
    parser.add_argument("--mask", help="picture of the same size, white where pixels are to be made")
    parser.add_argument("--box", type=_four, help="TOP,LEFT,HEIGHT,WIDTH in pixels, to be made")
    parser.add_argument("--pad", type=reader("pad"), default=0, help="pixels to be made on every side (default: 0)")
    help_rim = f"tokens of the hole at its border that are not made anew (default: {RIM})"
    parser.add_argument("--rim", type=reader("rim"), default=RIM, help=help_rim)
    parser.add_argument("--condition", help="label or text, where the prior knows some (default: none)")
    parser.add_argument("--seed", type=reader("seed"), default=0, help="another makes another picture (default: 0)")
    parser.add_argument("--out", required=True, help="file for the result")
    parser.add_argument("--force", action="store_true", help="overwrite the result if it is there")
    add_json_argument(parser)


def run(arguments):
    """Writes the repaired picture."""
    from vqzoo.data import load_image
    from vqzoo.data import save_image
    from vqzoo.data.image.pixels import MAX_PIXELS
    from vqzoo.generation import Generator
    from vqzoo.generation import inpaint

    out = user_path(arguments.out)
    check_picture(out, arguments.force)
    if not (arguments.mask or arguments.box or arguments.pad):
        raise ValueError("--mask FILE, --box TOP,LEFT,HEIGHT,WIDTH or --pad PIXELS says what is to be made.")
    folder = find_preset(arguments.preset)
    if not holds_prior(folder):
        raise ValueError(
            f"A prior repairs images, and {shown(arguments.preset)} is a tokenizer's preset. {inpainting_way_out()}"
        )
    generator = Generator.from_preset(folder)
    image = load_image(arguments.picture, channels=generator.tokenizer.encoder.input_shape[-1])
    mask = np.zeros(image.shape[:2], bool)
    if arguments.mask:
        white = load_image(arguments.mask, channels=1)[..., 0] > 0.0
        if white.shape != mask.shape:
            raise ValueError(f"The mask has the size of the picture, {mask.shape}. Received: {white.shape}")
        mask |= white
    if arguments.box:
        top, left, height, width = arguments.box
        if not height or not width or top + height > mask.shape[0] or left + width > mask.shape[1]:
            raise ValueError(
                f"--box TOP,LEFT,HEIGHT,WIDTH lies in the picture, which has {mask.shape[0]} rows and {mask.shape[1]} "
                f"columns. Received: {','.join(map(str, arguments.box))}. To go beyond its borders, use --pad."
            )
        mask[top : top + height, left : left + width] = True
    height, width = (length + 2 * arguments.pad for length in mask.shape)
    if height * width > MAX_PIXELS:
        raise ValueError(
            f"--pad {arguments.pad} makes {height}x{width} pixels of a picture of {mask.shape[0]}x{mask.shape[1]}, and "
            f"the most are {MAX_PIXELS}. Give fewer."
        )
    sides = ((arguments.pad, arguments.pad), (arguments.pad, arguments.pad))
    image, mask = np.pad(image, (*sides, (0, 0))), np.pad(mask, sides, constant_values=True)
    with Progress("repairing"):
        repaired = inpaint(generator, image, mask, arguments.condition, seed=arguments.seed, rim=arguments.rim)
    with result_path(out, arguments.force) as temporary:
        save_image(temporary, repaired)
    if arguments.json:
        print_json({"file": str(out), "made": int(mask.sum()), "pixels": mask.size, "seed": arguments.seed})
    else:
        print(f"made {int(mask.sum())} of {mask.size} pixels: {out}")
    return 0


def _four(text):
    parts = text.split(",")
    if len(parts) != 4 or not all(part.isdecimal() and len(part) < 10 for part in parts):
        raise argparse.ArgumentTypeError(f"four integers, TOP,LEFT,HEIGHT,WIDTH, below 10**9. Received: {shown(text)}")
    return tuple(map(int, parts))
