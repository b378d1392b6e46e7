"""Reads a recipe's settings, a frozen dataclass, from the command line."""

import argparse
import dataclasses
import difflib
import inspect
import pathlib
import re
import sys
import types
import typing

from vqzoo.files import shown_path
from vqzoo.runs.settings_file import read_settings

_FILE = "config"
# A number, or several with commas between.
_NEGATIVE = re.compile(r"-(\d+\.?\d*|\.\d+|inf|infinity|nan)(e[-+]?\d+)?(,.*)?", re.IGNORECASE)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, whatever was typed."""

    def error(self, message):
        """Ends the program with status 2.

        Args:
            message: str.
        """
        super().error(shown_path(message))


def parse_config(variants, arguments=None, replaced=None):
    """Turns `recipe.py tiny --batch_size 8` into `variants["tiny"]` with `batch_size=8`.

    Each field is a flag of its type: int, float, str; bool as `--flag` and `--no-flag`; tuples as `1,2,4`. The help
    shows every field with its default and the comment behind it in the source, or in that of a base class; a comment on
    a line of its own begins a group. `--config FILE` reads settings from a file; flags have precedence.

    Args:
        variants: dict name -> instance of one frozen dataclass; the first is the default.
        arguments: list of str. Defaults to the command line's.
        replaced: dict name of a field -> names of the fields that have no effect where it is given; giving both is an
            error. Defaults to none.

    Returns:
        The chosen variant with the given fields replaced.

    Example:
    >>> @dataclasses.dataclass(frozen=True)
    ... class Config:
    ...     size: int = 64
    ...     multipliers: tuple[int, ...] = (1, 2)
    >>> parse_config({"default": Config()}, ["--multipliers", "1,2,4"])
    Config(size=64, multipliers=(1, 2, 4))
    """
    default = next(iter(variants.values()))
    hints = typing.get_type_hints(type(default))
    parser = _parser(variants, hints)
    arguments = joined_numbers(sys.argv[1:] if arguments is None else arguments)
    _check_flags(parser, arguments)
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    variant, file = given.pop("variant"), given.pop(_FILE, None)
    try:
        if file is not None:
            recipe = pathlib.Path(inspect.getfile(type(default))).stem
            given = {**read_settings(file, hints, recipe), **given}
    except ValueError as error:
        parser.error(str(error))
    for name, others in (replaced or {}).items():
        useless = [f"--{other}" for other in others if other in given] if given.get(name) else []
        if useless:
            parser.error(f"{', '.join(useless)}: decided by --{name}. Leave it out.")
    try:
        return dataclasses.replace(variants[variant], **given)
    except ValueError as error:  # from the dataclass's own checks
        parser.error(str(error))


def _parser(variants, hints):
    """The parser of a dataclass's fields, in the groups of its source."""
    default = next(iter(variants.values()))
    about = inspect.getmodule(type(default)).__doc__
    parser = Parser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("variant", nargs="?", default=next(iter(variants)), choices=list(variants))
    text = "TOML file of settings, or the recipe.json of an earlier run; flags have precedence"
    parser.add_argument(f"--{_FILE}", metavar="FILE", help=text)
    groups = {"": parser}
    for name, (group, comment) in _described(type(default)).items():
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        kind = {"action": argparse.BooleanOptionalAction} if hints[name] is bool else {"type": _reader(hints[name])}
        text = f"{comment} (default: {getattr(default, name)!r})".strip()
        groups[group].add_argument(f"--{name}", default=None, help=text.replace("%", "%%"), **kind)
    return parser


def joined_numbers(arguments):
    """Joins a flag and a negative number behind it, which argparse takes for a flag where it has an exponent.

    Args:
        arguments: list of str.

    Returns:
        List of str.

    Example:
    >>> joined_numbers(["generate", "--guidance", "-1e2", "--force"])
    ['generate', '--guidance=-1e2', '--force']
    """
    joined = []
    for argument in arguments:
        before = joined[-1] if joined else ""
        if _NEGATIVE.fullmatch(argument) and before.startswith("--") and before != "--" and "=" not in before:
            joined[-1] = f"{before}={argument}"
        else:
            joined.append(argument)
    return joined


def _check_flags(parser, arguments):
    """Names an unknown flag, and the nearest one: argparse would take its value for the variant."""
    known = [flag for action in parser._actions for flag in action.option_strings]
    for argument in arguments:
        flag = argument.split("=")[0]
        if flag.startswith("-") and flag not in known and not re.fullmatch(r"-[\d.]+(e-?\d+)?", flag):
            nearest = difflib.get_close_matches(flag, known, n=1, cutoff=0.5)
            hint = f" Did you mean {nearest[0]}?" if nearest else ""
            parser.error(f"unknown flag {flag}.{hint} --help lists every flag.")


def _reader(hint):
    """The function that reads one flag's text."""
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]

        def read(text):
            return tuple(item(part) for part in text.split(",") if part)

        read.__name__ = f"comma-separated list of {item.__name__}"
        return read
    if isinstance(hint, types.UnionType):
        raise TypeError(f"A setting has one type. Received: {hint}")
    return hint


def _described(config):
    """For each field of a dataclass its group and comment, in the order of its source, then of its bases'."""
    described = {}
    for owner in config.__mro__:
        names = vars(owner).get("__annotations__", {}) if dataclasses.is_dataclass(owner) else {}
        group = ""
        lines = _source(owner) if names else ()
        for line in lines:
            heading = re.fullmatch(r"    # (.+)\n?", line)
            field = re.match(r"    (\w+): [^#\n]*?(?:#\s*(.+))?$", line)
            if heading:
                group = heading[1]
            elif field and field[1] in names:
                earlier = described.get(field[1])
                described[field[1]] = (
                    (earlier[0] or group, earlier[1] or field[2] or "") if earlier else (group, field[2] or "")
                )
        for name in names:
            described.setdefault(name, ("", ""))
    return described


def _source(config):
    try:
        return inspect.getsource(config).splitlines()
    except OSError:  # made in an interactive session
        return []
