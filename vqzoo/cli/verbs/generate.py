"""Makes new images, audio or texts by a prior's preset.

vqzoo generate image-prior-fashion --count 16 --condition sneaker --out sneakers/
vqzoo generate image-prior-fashion --count 20 --condition sneaker bag --seed 1 --out both/ --grid both.png
vqzoo generate saved_models/emoji --count 8 --condition "red heart" --out hearts/
vqzoo generate saved_models/styles --condition style=sunset.jpg --out sunsets/
vqzoo generate saved_models/stories --prompt "The old house" --count 5
"""

import re

import numpy as np

from vqzoo.cli.batch import check_free
from vqzoo.cli.batch import check_picture
from vqzoo.cli.batch import result_path
from vqzoo.files import user_path
from vqzoo.jsons import json_text
from vqzoo.priors.settings import SETTINGS
from vqzoo.priors.settings import reader

_COLUMNS = 8
_NAMED = 60  # characters of a condition in a file's name
_OPTIONS = ("guidance", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "steps", "noise", "length")
_SUFFIXES = {"image": ".png", "audio": ".wav", "text": ".txt"}
_NOUNS = {"image": "pictures", "audio": "clips", "text": "texts"}


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="of a prior: name, or folder")
    parser.add_argument("--count", type=reader("count"), help="results (default: one for each condition, or one)")
    told = "labels, texts in quotes, or files of signals, which the results take in turn; PART=VALUE where a prior has "
    told += "several conditions (default: all labels, or some texts)"
    parser.add_argument("--condition", nargs="+", action="extend", metavar="[PART=]VALUE", help=told)
    parser.add_argument("--to", metavar="PART", help="part that is made (default: what the prior makes)")
    parser.add_argument("--prompt", nargs="+", action="extend", help="texts or audio files, the beginning that is kept")
    parser.add_argument("--seed", type=reader("seed"), default=0, help="the same makes the same (default: 0)")
    told = "folder for the results; of texts also a .txt file, a line each (default: standard output)"
    parser.add_argument("--out", help=told)
    parser.add_argument("--grid", help="PNG of all of them, of images")
    for name in _OPTIONS:
        setting = SETTINGS[name]
        kind = {None: "", True: " by an autoregressive prior", False: " by a masked prior"}[setting.causal]
        told = f"of sampling{kind}: {setting.range} (default: the preset's)"
        if name == "length":
            told = f"positions at most, of a prior of any length: {setting.range} (default: as it has learnt)"
        parser.add_argument(f"--{name}", type=reader(name), help=told)
    parser.add_argument("--force", action="store_true", help="overwrite results that are there")
    parser.add_argument("--json", action="store_true", help="one line of JSON for each result")


def run(arguments):
    """Writes the results; they are told in the order in which they were made."""
    from vqzoo.generation import Generator

    grid = user_path(arguments.grid) if arguments.grid else None
    if grid:
        check_picture(grid, arguments.force, (".png",))  # now, not after minutes
    generator = Generator.from_preset(arguments.preset)
    modality = generator.target.modality
    _check_out(arguments, generator.target)
    condition = _condition(generator, arguments.condition)
    prompt = None if arguments.prompt is None else [generator.target.read(text) for text in arguments.prompt]
    count = arguments.count or (None if prompt is None else max(len(prompt), _longest(condition)))
    names = _names(generator, condition, count) or [""] * (count or 1)
    whole = modality == "text" and (arguments.out or "").lower().endswith(".txt")
    targets = (
        [] if not arguments.out or whole else [_target(arguments.out, i, x, modality) for i, x in enumerate(names)]
    )
    for target in [user_path(arguments.out)] if whole else targets:
        check_free(target, arguments.force)
    asked = {name: getattr(arguments, name) for name in _OPTIONS}
    options = {name: value for name, value in asked.items() if value is not None}
    told = {"to": arguments.to, "prompt": prompt, "seed": arguments.seed}
    results = generator.generate(len(names), condition, **told, **options)
    if whole:
        _write_lines(user_path(arguments.out), results, arguments.force)
    for i, (result, name) in enumerate(zip(results, names, strict=True)):
        entry = {"condition": name, "seed": arguments.seed}
        if targets:
            with result_path(targets[i], arguments.force) as temporary:
                _write(temporary, result, generator)
            entry = {"file": str(targets[i]), **entry}
        if modality == "text":
            entry = {"text": result, **entry}
        if arguments.json and (targets or modality == "text"):
            print(json_text(entry))
        elif modality == "text" and not arguments.out:
            print(result)
    if grid:
        _write_grid(grid, results, arguments.force)
    written = [path for path in (arguments.out, arguments.grid) if path]
    if written and not arguments.json:
        print(f"made {len(names)} {_NOUNS[modality]}: {', '.join(str(user_path(path)) for path in written)}")
    return 0


def _check_out(arguments, target):
    """Raises ValueError where the results have no place, or cannot be of this kind."""
    modality = target.modality
    if modality not in _SUFFIXES:
        raise ValueError(f"`vqzoo generate` makes images, audio and texts. Received: a prior of {target.name!r}.")
    if arguments.grid and modality != "image":
        raise ValueError(f"--grid FILE.png is one picture of all images. Received: a prior of {modality}. Give --out.")
    if modality == "image" and not (arguments.out or arguments.grid):
        raise ValueError("--out DIR is the folder for the pictures, --grid FILE.png one picture of all of them.")
    if modality == "audio" and not arguments.out:
        raise ValueError("--out DIR is the folder for the audio files, which a prior of audio makes.")


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


def _target(out, number, name, modality):
    """The file of one result: its number, and what it was asked to be."""
    plain, suffix = re.sub(r"[^\w-]+", "_", name)[:_NAMED], _SUFFIXES[modality]
    return user_path(out) / (f"{number:04d}_{plain}{suffix}" if plain else f"{number:04d}{suffix}")


def _write(path, result, generator):
    from vqzoo.data import save_audio
    from vqzoo.data import save_image

    if generator.target.modality == "image":
        save_image(path, result)
    elif generator.target.modality == "audio":
        save_audio(path, result, generator.tokenizer.sample_rate)
    else:
        path.write_text(f"{result}\n", encoding="utf-8")


def _write_lines(path, texts, force):
    """Texts as lines of a file; a line break inside becomes a space."""
    with result_path(path, force) as temporary:
        temporary.write_text("".join(f"{' '.join(text.splitlines())}\n" for text in texts), encoding="utf-8")


def _write_grid(path, images, force):
    from vqzoo.plots import save_picture_rows

    with result_path(path, force) as temporary:
        save_picture_rows(temporary, np.asarray(images), min(_COLUMNS, len(images)))
