"""Gives one picture the style of another one, as a tokenizer's latents or a prior of styles know it.

vqzoo restyle image-vqgan-photos-f4 house.jpg sunset.jpg --out house_at_sunset.png
vqzoo restyle saved_models/styles house.jpg sunset.jpg --strength 0.7 --seed 1 --out house_at_sunset.png
"""

from vqzoo.cli.batch import check_picture
from vqzoo.cli.batch import result_path
from vqzoo.cli.output import add_json_argument
from vqzoo.cli.output import print_json
from vqzoo.cli.progress import Progress
from vqzoo.files import user_path
from vqzoo.priors.settings import reader


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="of a tokenizer of pictures, or of a prior of styles: name, or folder")
    parser.add_argument("content", help="picture whose shapes stay")
    parser.add_argument("style", help="picture whose colours and textures are taken")
    parser.add_argument("--strength", type=reader("strength"), default=1.0, help="from 0, none, to 1 (default: 1)")
    parser.add_argument(
        "--seed", type=reader("seed"), help="of a prior: another one makes another picture (default: 0)"
    )
    parser.add_argument("--out", required=True, help="file for the result")
    parser.add_argument("--force", action="store_true", help="overwrite the result if it is there")
    add_json_argument(parser)


def run(arguments):
    """Writes the restyled picture."""
    from vqzoo.data import load_image
    from vqzoo.data import save_image
    from vqzoo.generation import restyle
    from vqzoo.tokenizers import Tokenizer

    out = user_path(arguments.out)
    check_picture(out, arguments.force)
    tokenizer = Tokenizer.from_preset(arguments.preset)
    channels = tokenizer.encoder.input_shape[-1]
    content, style = (load_image(path, channels=channels) for path in (arguments.content, arguments.style))
    options = {} if arguments.seed is None else {"seed": arguments.seed}
    with Progress("restyling"):
        restyled = restyle(arguments.preset, content, style, arguments.strength, **options)
    with result_path(out, arguments.force) as temporary:
        save_image(temporary, restyled)
    if arguments.json:
        print_json({"file": str(out), "strength": arguments.strength})
    else:
        print(f"restyled: {out}")
    return 0
