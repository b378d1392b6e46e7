"""Conversations with a prior that has learnt replies from what was said before."""

from vqzoo.generation.by_preset import generator_of
from vqzoo.generation.text.translate import source_part
from vqzoo.jsons import shown
from vqzoo.presets import find_preset
from vqzoo.presets import read_metadata

SEPARATOR = "\n"
"""str, between the turns that a prior reads."""


def history_text(turns, count, fits=None):
    r"""What a prior reads: the last turns of a conversation, a line each.

    Args:
        turns: list of str, one or more.
        count: int, turns at most.
        fits: callable str -> bool, whether a text is short enough; earlier turns are left out until it is. Defaults to
            any length.

    Returns:
        str.

    Example:
    >>> history_text(["Hello!", "Hi, how are you?", "Fine."], 2)
    'Hi, how are you?\nFine.'
    """
    kept = [" ".join(turn.split()) for turn in turns[-count:]]
    while len(kept) > 1 and fits is not None and not fits(SEPARATOR.join(kept)):
        kept = kept[1:]
    return SEPARATOR.join(kept)


class Chat:
    """A conversation: each reply is generated from the last turns.

    Args:
        prior: str or path, name or folder of a prior's preset; or a `Generator` that generates a text from a text.
        history: int, turns that the prior reads at most. Defaults to as many as the preset was trained on, or 1.
        seed: int from 0 to 2**63 - 1; the same turns get the same replies. Defaults to 0.

    Raises:
        ValueError: if it is not such a prior, or a number is out of range.

    Attributes:
        turns: list of str, what was said so far: one's own turns and the replies in turn.

    Example:
    >>> Chat("image-prior-emoji")
    Traceback (most recent call last):
        ...
    ValueError: A chat needs a prior that generates a text from a text...
    """

    def __init__(self, prior, history=None, seed=0):
        self.generator = generator_of(prior)
        self.source = source_part(self.generator, "A chat")
        if history is None:
            history = 1 if self.generator is prior else trained_history(prior)
        if not isinstance(history, int) or isinstance(history, bool) or history < 1:
            raise ValueError(f"`history` is a number of turns, 1 or more. Received: history={shown(history)}")
        self.history = history
        self.seed = seed
        self.turns = []

    def reply(self, text, **options):
        """Generates the reply to a turn, and keeps both.

        Args:
            text: str, what is said.
            **options: as of `Generator.generate`, such as `temperature`. Defaults to those of the preset.

        Returns:
            str.

        Raises:
            ValueError: if the text says nothing or is longer than what the prior reads, or an option is out of range.
        """
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"A turn is a text that says something. Received: {shown(text)}")
        turns = [*self.turns, text.strip()]
        read = self.source.checked(history_text(turns, self.history, self._fits))
        seed = (self.seed + len(self.turns)) % 2**63
        (reply,) = self.generator.generate(1, [read], seed=seed, **options)
        self.turns = [*turns, reply]
        return reply

    def reset(self):
        """Forgets what was said."""
        self.turns = []

    def _fits(self, text):
        return self.source.length is None or self.source.count(text) <= self.source.length


def trained_history(preset):
    """How many turns a prior of dialogue has learnt to read.

    Args:
        preset: str or path, name or folder of its preset.

    Returns:
        int, 1 where the preset does not say.
    """
    history = read_metadata(find_preset(preset)).get("history", 1)
    return history if isinstance(history, int) and history >= 1 else 1
