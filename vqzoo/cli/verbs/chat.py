"""Talks with a prior of dialogue: each line of standard input is a turn, and gets a reply.

vqzoo chat saved_models/text_dialogue
vqzoo chat saved_models/text_dialogue --history 3 --temperature 0.7 --seed 1
vqzoo chat saved_models/text_dialogue --json < questions.txt

On a terminal, /reset forgets what was said, and /quit or Ctrl-D ends. With --json each turn is a document of its own.
"""

import sys

from vqzoo.cli.batch import positive
from vqzoo.cli.output import add_json_argument
from vqzoo.cli.output import print_json
from vqzoo.priors.settings import SETTINGS
from vqzoo.priors.settings import reader

_OPTIONS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "no_repeat", "beams")
_OPTIONS += ("length_penalty", "length")
_QUIT, _RESET = "/quit", "/reset"


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="of a prior of dialogue: name, or folder")
    text = "turns that the prior reads at most (default: as many as it has learnt)"
    parser.add_argument("--history", type=positive, help=text)
    for name in _OPTIONS:
        parser.add_argument(f"--{name}", type=reader(name), help=f"{SETTINGS[name].range} (default: the preset's)")
    parser.add_argument("--seed", type=reader("seed"), default=0, help="the same makes the same (default: 0)")
    add_json_argument(parser)


def run(arguments):
    """Replies to every line; exit status 1 if one had no reply."""
    from vqzoo.generation import Chat

    chat = Chat(arguments.preset, arguments.history, arguments.seed)
    given = {name: getattr(arguments, name) for name in _OPTIONS}
    options = {name: value for name, value in given.items() if value is not None}
    failed = False
    for line in _lines():
        text = line.strip()
        if text == _QUIT:
            break
        if text == _RESET:
            chat.reset()
        elif text:
            failed |= not _answer(chat, text, options, arguments.json)
    return 1 if failed else 0


def _lines():
    """The lines of standard input, asked for where a person types them."""
    if sys.stdin is None or sys.stdin.closed:
        raise ValueError("Standard input is closed: a chat reads its turns there.")
    if not sys.stdin.isatty():
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(encoding="utf-8", errors="strict")
        try:
            yield from sys.stdin
        except UnicodeDecodeError as error:
            raise ValueError(f"Standard input is not text in UTF-8 ({error}). Convert it.") from error
        return
    print(f"{_RESET} forgets what was said, {_QUIT} ends.", file=sys.stderr)
    while True:
        try:
            yield input("> ")
        except EOFError:
            print()
            return


def _answer(chat, text, options, as_json):
    """Prints the reply to a turn; False where there is none, because the turn is too long."""
    try:
        reply = chat.reply(text, **options)
    except ValueError as error:
        entry, failed = {"text": text, "error": str(error)}, True
    else:
        entry, failed = {"text": text, "reply": reply}, False
    if as_json:
        print_json(entry)
    else:
        print(f"error: {entry['error']}" if failed else entry["reply"], file=sys.stderr if failed else None, flush=True)
    return not failed
