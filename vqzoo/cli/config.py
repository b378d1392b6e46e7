"""Reads a recipe's settings, a frozen dataclass, from the command line."""

import argparse
import dataclasses
import difflib
import inspect
import re
import sys
import types
import typing

from vqzoo.files import shown_path

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
    shows every field with its default and the comment that stands behind it in the source.

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
    main = inspect.getmodule(type(default))
    formatter = argparse.RawDescriptionHelpFormatter
    parser = Parser(description=main.__doc__, formatter_class=formatter, allow_abbrev=False)
    parser.add_argument("variant", nargs="?", default=next(iter(variants)), choices=list(variants))
    comments = _comments(type(default))
    hints = typing.get_type_hints(type(default))
    for field in dataclasses.fields(default):
        hint = hints[field.name]
        kind = {"action": argparse.BooleanOptionalAction} if hint is bool else {"type": _reader(hint)}
        told = f"{comments.get(field.name, '')} (default: {getattr(default, field.name)!r})".strip()
        parser.add_argument(f"--{field.name}", default=None, help=told.replace("%", "%%"), **kind)
    arguments = joined_numbers(sys.argv[1:] if arguments is None else arguments)
    _check_flags(parser, arguments)
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    for name, others in (replaced or {}).items():
        useless = [f"--{other}" for other in others if other in given] if given.get(name) else []
        if useless:
            parser.error(f"{', '.join(useless)}: decided by --{name}. Leave it out.")
    try:
        return dataclasses.replace(variants[given.pop("variant")], **given)
    except ValueError as error:  # from the dataclass's own checks
        parser.error(str(error))


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
            parser.error(f"unknown flag {flag}.{hint} --help tells every flag.")


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


def _comments(config):
    """The comment behind each field in the source of the dataclass."""
    try:
        source = inspect.getsource(config)
    except OSError:  # made in an interactive session
        return {}
    return {m[1]: m[2] for m in re.finditer(r"^    (\w+): [^#\n]*#\s*(.+)$", source, re.MULTILINE)}
