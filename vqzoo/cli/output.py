"""What a verb prints with --json: one document on standard output, and nothing else there."""

from vqzoo.data.files import reason_of
from vqzoo.jsons import json_text


def add_json_argument(parser):
    """Adds --json to a verb's parser.

    Args:
        parser: `argparse.ArgumentParser`.
    """
    parser.add_argument("--json", action="store_true", help="print one JSON document in place of text")


def print_json(document):
    """Prints the document of a verb, in one line of strict JSON.

    Args:
        document: dict of plain values, as `json_text` takes them.
    """
    print(json_text(document), flush=True)


def print_error(error):
    """Prints the document of a verb that has ended by an error, whose message is also on standard error.

    Args:
        error: exception.
    """
    ours = isinstance(error, ValueError | OSError | FloatingPointError | MemoryError)  # as `user_errors` prints them
    print_json({"error": str(error) or type(error).__name__ if ours else reason_of(error)})
