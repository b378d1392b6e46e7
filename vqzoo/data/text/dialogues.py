"""Conversations in a table: tab- or comma-separated, or JSON lines."""

import functools
import importlib.util
import pathlib
from typing import NamedTuple

from vqzoo.data.text.pairs import table_records

CONVERSATION, TURN, TEXT, PROMPT, REPLY = "conversation", "turn", "text", "prompt", "reply"


class Dialogues(NamedTuple):
    """Conversations.

    Attributes:
        conversations: list of lists of str, two turns or more each.
        skipped: dict "PATH, line N" -> reason, the lines that say nothing.
    """

    conversations: list
    skipped: dict


def read_dialogues(path):
    r"""Reads conversations from a table in UTF-8, of one of three kinds.

    | columns | a line is |
    |---|---|
    | `conversation`, `text` | a turn; those of a conversation in their order |
    | `prompt`, `reply`, maybe with `conversation` and `turn` (the number of the prompt) | a turn and the next |
    | two others | a turn and the next, a conversation of its own |

    A reply that is the prompt of the next turn of its conversation is one turn. Where a turn is missing, a new
    conversation begins. White space is collapsed.

    Args:
        path: str or path, ending in .tsv, .csv or .jsonl.

    Returns:
        `Dialogues`.

    Raises:
        ValueError: as of `read_pairs`, or no conversation has two turns.

    Example:
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "talk.tsv")
    >>> _ = path.write_text("conversation\tturn\tprompt\treply\n1\t0\tHi!\tHello!\n1\t1\tHello!\tHow are you?\n")
    >>> read_dialogues(path).conversations
    [['Hi!', 'Hello!', 'How are you?']]
    """
    reader, skipped = None, {}
    for number, record in table_records(path):
        reader = reader or _reader(list(record))
        if not reader.add(number, {name: _plain(value) for name, value in record.items()}):
            skipped[f"{path}, line {number}"] = "a turn without text"
    conversations = [turns for turns in (reader.conversations() if reader else []) if len(turns) > 1]
    if not conversations:
        raise ValueError(
            f"{str(path)!r} has no conversation of two turns. Give a table with a header line and the columns "
            f"{CONVERSATION} and {TEXT}, or {PROMPT} and {REPLY}."
        )
    return Dialogues(conversations, skipped)


@functools.cache
def sample_dialogues():
    """English conversations of the package chatterbot-corpus, to begin with: small talk, trivia, help with computers.

    `pip install "vqzoo[samples]"` brings it (BSD licence). No download at run time.

    Returns:
        `Dialogues`.

    Raises:
        ValueError: the package is not installed.
    """
    spec = importlib.util.find_spec("chatterbot_corpus")  # finds the folder without an import
    if spec is None or importlib.util.find_spec("yaml") is None:
        raise ValueError(
            'There are no conversations to begin with here. `pip install "vqzoo[samples]"` brings some, or give your '
            "own by --data."
        )
    import yaml

    conversations = []
    for path in sorted(pathlib.Path(spec.submodule_search_locations[0], "data", "english").glob("*.yml")):
        listed = yaml.safe_load(path.read_text(encoding="utf-8")).get("conversations") or []
        turns = [[_plain(turn) for turn in some] for some in listed if isinstance(some, list)]
        conversations += [some for some in turns if len(some) > 1 and all(some)]
    return Dialogues(conversations, {})


def _plain(value):
    return " ".join(str(value).split()) if isinstance(value, str | int) else ""


def _reader(columns):
    if CONVERSATION in columns and TEXT in columns:
        return _Turns()
    names = [PROMPT, REPLY] if {PROMPT, REPLY} <= set(columns) else columns[:2]
    return _Exchanges(*names) if len(names) == 2 else _Turns()


class _Turns:
    """Collects turns, a line each."""

    def __init__(self):
        self._turns = {}

    def add(self, number, record):
        text = record.get(TEXT, "")
        if text:
            self._turns.setdefault(record.get(CONVERSATION, ""), []).append(text)
        return bool(text)

    def conversations(self):
        return self._turns.values()


class _Exchanges:
    """Collects prompts with their replies."""

    def __init__(self, prompt, reply):
        self._prompt, self._reply = prompt, reply
        self._open = {}  # conversation -> its turns so far and the number of the next prompt
        self._all = []

    def add(self, number, record):
        prompt, reply = record.get(self._prompt, ""), record.get(self._reply, "")
        name = record.get(CONVERSATION) or f"line {number}"
        turn = int(record[TURN]) if record.get(TURN, "").isdecimal() else None
        if not (prompt and reply):
            self._open.pop(name, None)
            return False
        turns, due = self._open.get(name, (None, None))
        if turns is None or turns[-1] != prompt or (turn is not None and turn != due):
            turns = [prompt]
            self._all.append(turns)
        turns.append(reply)
        self._open[name] = turns, None if turn is None else turn + 1
        return True

    def conversations(self):
        return self._all
