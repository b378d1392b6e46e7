"""Makes new images, audio or texts by a prior's preset.

vqzoo generate image-prior-fashion --count 16 --condition sneaker --out sneakers/
vqzoo generate image-prior-fashion --count 20 --condition sneaker bag --seed 1 --out both/ --grid both.png
vqzoo generate saved_models/emoji --count 8 --condition "red heart" --out hearts/
vqzoo generate saved_models/styles --condition style=sunset.jpg --out sunsets/
vqzoo generate saved_models/stories --prompt "The old house" --count 5
vqzoo generate saved_models/stories --prompt "Q: Why? A:" --stop "Q:" --no_repeat 3
vqzoo generate saved_models/translations --condition "Open the file." --beams 4
"""

import re

import numpy as np

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
_OPTIONS = ("guidance", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "no_repeat", "beams")
_OPTIONS += ("length_penalty", "steps", "noise", "length")
_MEANINGS = {
    "no_repeat": "of an autoregressive prior, how many tokens in a row must not occur twice",
    "beams": "of an autoregressive prior, hypotheses of a beam search in place of sampling",
    "length_penalty": "of a beam search, preference for longer results",
    "length": "positions at most, of a prior of any length",
}


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="of a prior: name, or folder")
    parser.add_argument("--count", type=reader("count"), help="results (default: one for each condition, or one)")
    text = "labels, texts in quotes, or files of signals, which the results take in turn; PART=VALUE where a prior has "
    text += "several conditions (default: all labels, or some texts)"
    parser.add_argument("--condition", nargs="+", action="extend", metavar="[PART=]VALUE", help=text)
    parser.add_argument("--to", metavar="PART", help="part that is made (default: what the prior makes)")
    parser.add_argument("--prompt", nargs="+", action="extend", help="texts or audio files, the beginning that is kept")
    text = "strings before the first of which each text is cut, behind its prompt"
    parser.add_argument("--stop", nargs="+", action="extend", metavar="TEXT", help=text)
    parser.add_argument("--seed", type=reader("seed"), default=0, help="the same makes the same (default: 0)")
    text = "folder for the results; of texts also a .txt file, a line each (default: standard output)"
    parser.add_argument("--out", help=text)
    parser.add_argument("--grid", help="PNG of all of them, of images")
    for name in _OPTIONS:
        setting = SETTINGS[name]
        kind = {None: "", True: " by an autoregressive prior", False: " by a masked prior"}[setting.causal]
        default = "as in training" if name == "length" else "the preset's"
        text = f"{_MEANINGS.get(name, f'of sampling{kind}')}: {setting.range} (default: {default})"
        parser.add_argument(f"--{name}", type=reader(name), help=text)
    parser.add_argument("--force", action="store_true", help="overwrite results that are there")
    add_json_argument(parser)


def run(arguments):
    """Writes the results, in the order in which they were made."""
    from vqzoo.generation import Generator
    from vqzoo.modalities import modality_named

    grid = user_path(arguments.grid) if arguments.grid else None
    if grid:
        check_picture(grid, arguments.force, (".png",))  # now, not after minutes
    generator = Generator.from_preset(arguments.preset)
    if generator.target.modality is None:
        raise ValueError(f"`vqzoo generate` makes signals. Received: a prior of {generator.target.name!r}.")
    modality = modality_named(generator.target.modality)
    _check_out(arguments, modality)
    condition = _condition(generator, arguments.condition)
    prompt = None if arguments.prompt is None else [generator.target.read(text) for text in arguments.prompt]
    count = arguments.count or (None if prompt is None else max(len(prompt), _longest(condition)))
    names = _names(generator, condition, count) or [""] * (count or 1)
    whole = modality.prints and (arguments.out or "").lower().endswith(modality.suffix)
    targets = []
    if arguments.out and not whole:
        targets = [_target(arguments.out, i, name, modality.suffix) for i, name in enumerate(names)]
    for target in [user_path(arguments.out)] if whole else targets:
        check_free(target, arguments.force)
    asked = {name: getattr(arguments, name) for name in _OPTIONS}
    options = {name: value for name, value in asked.items() if value is not None}
    request = {"to": arguments.to, "prompt": prompt, "stop": arguments.stop, "seed": arguments.seed, **options}
    with Progress(f"generating {len(names)} {modality.noun}"):
        results = generator.generate(len(names), condition, **request)
    if whole:
        with result_path(user_path(arguments.out), arguments.force) as temporary:
            modality.save(generator.target.tokenizer, temporary, np.array(results, object)[:, None])  # a line each
    entries = []
    for i, (result, name) in enumerate(zip(results, names, strict=True)):
        entry = {"condition": name, "index": i}
        if targets:
            with result_path(targets[i], arguments.force) as temporary:
                modality.save_result(generator.target.tokenizer, temporary, result)
            entry["file"] = str(targets[i])
        if modality.prints:
            entry["text"] = result
        entries.append(entry)
    if grid:
        _write_grid(grid, results, arguments.force)
    written = [str(user_path(path)) for path in (arguments.out, arguments.grid) if path]
    if arguments.json:
        about = {"count": len(names), "seed": arguments.seed, "grid": str(grid) if grid else None}
        print_json({**about, "results": entries})
    elif written:
        print(f"generated {len(names)} {modality.noun}: {', '.join(written)}")
    else:
        print("\n".join(results))
    return 0


def _check_out(arguments, modality):
    """Raises ValueError where the results have no place, or cannot be of this kind."""
    if arguments.grid and not modality.has_grid:
        raise ValueError(
            f"--grid FILE.png is one picture of all images. Received: a prior of {modality.name}. Give --out."
        )
    if not (arguments.out or arguments.grid or modality.prints):
        grid = ", --grid FILE.png one picture of all of them" if modality.has_grid else ""
        raise ValueError(f"--out DIR is the folder for the {modality.noun}{grid}.")


def _condition(generator, values):
    """What is asked for: None, a list of values, or a dict of part to list."""
    if values is None:
        return None
    parts = {name: part for name, part in generator.parts.items() if part is not generator.target}
    named, plain = {}, []
    for text in values:
        name, equals, value = text.partition("=")
        if equals and name in parts:
            named.setdefault(name, []).append(parts[name].read(value))
        else:
            plain.append(text)
    if plain and named:
        raise ValueError(f"--condition PART=VALUE names the part of each value. Received: {plain[0]!r} without one.")
    if named:
        return named
    return [next(iter(parts.values())).read(text) for text in plain] if len(parts) == 1 else plain


def _longest(condition):
    """How many values are asked for, at least 1."""
    lists = condition.values() if isinstance(condition, dict) else [condition or ()]
    return max([1, *map(len, lists)])


def _names(generator, condition, count):
    """What each result is asked to be, for its file's name: list of str; [] without conditions."""
    asked = generator.conditions_of(condition, count)
    if not isinstance(asked, dict):
        asked = {} if asked is None else {generator.conditions.name: asked}
    named = [[generator.parts[name].named(value) for value in values] for name, values in asked.items()]
    return [" ".join(filter(None, row)) for row in zip(*named, strict=True)]


def _target(out, number, name, suffix):
    """The file of one result: its number, and what it was asked to be."""
    plain = re.sub(r"[^\w-]+", "_", name)[:_NAMED]
    return user_path(out) / (f"{number:04d}_{plain}{suffix}" if plain else f"{number:04d}{suffix}")


def _write_grid(path, images, force):
    from vqzoo.plots import save_picture_rows

    with result_path(path, force) as temporary:
        save_picture_rows(temporary, np.asarray(images), min(_COLUMNS, len(images)))
