"""Makes new pictures by a prior's preset.

vqzoo generate image-prior-fashion --count 16 --condition sneaker --out sneakers/
vqzoo generate image-prior-fashion --count 20 --condition sneaker bag --seed 1 --out both/ --grid both.png
vqzoo generate saved_models/emoji --count 8 --condition "red heart" --out hearts/
"""

import pathlib
import re

from vqzoo.cli.batch import check_free
from vqzoo.cli.batch import check_picture
from vqzoo.cli.batch import result_path
from vqzoo.cli.output import add_json_argument
from vqzoo.cli.output import print_json
from vqzoo.cli.progress import Progress
from vqzoo.files import user_path
from vqzoo.priors.settings import SETTINGS
from vqzoo.priors.settings import reader

_COLUMNS = 8
_NAMED = 60  # characters of a condition in a file's name
_OPTIONS = ("guidance", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "steps", "noise")


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="of a prior: name, or folder")
    parser.add_argument("--count", type=reader("count"), help="pictures (default: one for each condition, or one)")
    told = "labels, or texts in quotes, which the pictures take in turn (default: all labels, or some captions)"
    parser.add_argument("--condition", nargs="+", help=told)
    parser.add_argument("--seed", type=reader("seed"), default=0, help="the same makes the same (default: 0)")
    parser.add_argument("--out", help="folder for the pictures")
    parser.add_argument("--grid", help="PNG of all of them")
    for name in _OPTIONS:
        setting = SETTINGS[name]
        kind = {None: "", True: " by an autoregressive prior", False: " by a masked prior"}[setting.causal]
        told = f"of sampling{kind}: {setting.range} (default: the preset's)"
        parser.add_argument(f"--{name}", type=reader(name), help=told)
    parser.add_argument("--force", action="store_true", help="overwrite pictures that are there")
    add_json_argument(parser)


def run(arguments):
    """Writes the pictures; they are told in the order in which they were made."""
    from vqzoo.data import save_image
    from vqzoo.generation import Generator
    from vqzoo.plots import save_picture_rows

    if not (arguments.out or arguments.grid):
        raise ValueError("--out DIR is the folder for the pictures, --grid FILE.png one picture of all of them.")
    grid = user_path(arguments.grid) if arguments.grid else None
    if grid:
        check_picture(grid, arguments.force, (".png",))  # now, not after minutes
    generator = Generator.from_preset(arguments.preset)
    names = generator.conditions_of(arguments.condition, arguments.count) or [""] * (arguments.count or 1)
    count = len(names)
    targets = [_target(arguments.out, i, name) for i, name in enumerate(names)] if arguments.out else []
    for target in targets:
        check_free(target, arguments.force)
    asked = {name: getattr(arguments, name) for name in _OPTIONS}
    options = {name: value for name, value in asked.items() if value is not None}
    with Progress(f"making {count} images"):
        pictures = generator.generate(count, arguments.condition, seed=arguments.seed, **options)
    for target, picture in zip(targets, pictures, strict=False):  # without --out no targets
        with result_path(target, arguments.force) as temporary:
            save_image(temporary, picture)
    if grid:
        with result_path(grid, arguments.force) as temporary:
            save_picture_rows(temporary, pictures, min(_COLUMNS, count))
    if arguments.json:
        files = [{"file": str(target), "condition": name} for target, name in zip(targets, names, strict=False)]
        about = {"count": count, "conditions": names, "seed": arguments.seed}
        print_json({"files": files, "grid": str(grid) if grid else None, **about})
    else:
        written = [str(pathlib.Path(path)) for path in (arguments.out, arguments.grid) if path]
        print(f"made {count} pictures: {', '.join(written)}")
    return 0


def _target(out, number, name):
    """The file of one picture: its number, and what it was asked to be."""
    plain = re.sub(r"[^\w-]+", "_", name)[:_NAMED]
    return user_path(out) / (f"{number:04d}_{plain}.png" if plain else f"{number:04d}.png")
