"""`vqzoo VERB`: tokens from the command line."""

import argparse
import contextlib
import importlib
import sys

import vqzoo
from vqzoo import quiet
from vqzoo import startup
from vqzoo.cli.mistakes import check_command
from vqzoo.cli.output import print_error
from vqzoo.runs.flags import Parser
from vqzoo.runs.flags import joined_numbers
from vqzoo.runs.recipe import user_errors

VERBS = ("list", "info", "encode", "decode", "reconstruct", "generate", "translate", "chat", "inpaint", "restyle")
VERBS += ("shard", "evaluate", "export", "verify", "push", "doctor")
STATUS = """exit status: 0 where all was done; 1 where something failed, also where one of many files was skipped
and the others were done; 2 where the command line is wrong"""
WITHOUT_MODELS = ("list", "info", "push", "doctor")


def main(arguments=None):
    """Runs one verb.

    Args:
        arguments: list of str. Defaults to the command line's.

    Returns:
        The exit status: 0, or 1 where something failed.
    """
    parser = Parser(prog="vqzoo", description="Signals to discrete tokens and back.")
    parser.add_argument("--version", action="version", version=_version())
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name in VERBS:
        verb = importlib.import_module(f"vqzoo.cli.verbs.{name}")
        about = verb.__doc__.splitlines()[0]
        formatter = argparse.RawDescriptionHelpFormatter
        one = verbs.add_parser(name, help=about, description=verb.__doc__, epilog=STATUS, formatter_class=formatter)
        verb.add_arguments(one)
        one.set_defaults(run=verb.run)
    given = parser.parse_args(joined_numbers([*map(str, sys.argv[1:] if arguments is None else arguments)]))
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text
    if startup.is_command():
        quiet.begin()
    with user_errors(), _errors_as_json(given.json):
        if given.verb not in WITHOUT_MODELS:
            _check_backend(given.verb)
            _register_classes()
        check_command(given, [*map(str, sys.argv[1:] if arguments is None else arguments)])
        return given.run(given)


@contextlib.contextmanager
def _errors_as_json(as_json):
    """Lets a verb that ends by an error print a document of it, so that --json always prints one."""
    try:
        yield
    except BrokenPipeError:  # the reader has closed it
        raise
    except Exception as error:
        if as_json:
            print_error(error)
        raise


def _register_classes():
    """Makes every import that `import vqzoo` makes outside of the command: `load_model` finds classes by it."""
    for name in vqzoo.__all__:
        thing = getattr(vqzoo, name)
        for inner in getattr(thing, "__all__", ()):  # of a package
            getattr(thing, inner)


def _check_backend(verb):
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            f"`vqzoo {verb}` needs Keras on TensorFlow. Received: Keras on {backend}. Set KERAS_BACKEND=tensorflow, or "
            "unset it; without the variable ~/.keras/keras.json decides."
        )


def _version():
    from importlib import metadata

    return f"vqzoo {metadata.version('vqzoo')}"


if __name__ == "__main__":
    sys.exit(main())
