"""What a prior of dialogue learns from: conversations, of which each turn answers the ones before."""

import numpy as np

from vqzoo.data import read_dialogues
from vqzoo.data import sample_dialogues
from vqzoo.data import split_sentences
from vqzoo.generation.text.chat import SEPARATOR
from vqzoo.generation.text.chat import history_text
from vqzoo.runs.priors.text import SOURCE
from vqzoo.runs.priors.text import TextPriorData

_JUDGED = 50  # held-out replies that are ranked
_CANDIDATES = 100  # replies, the true one among them


class DialoguePriorData(TextPriorData):
    """Conversations: each turn is generated from the last turns before it.

    Args:
        settings: as of `TextPriorData`, with `history` (turns that are read at most) instead of `source` and `target`.
            `data` is a table as of `vqzoo.data.read_dialogues`; empty: `vqzoo.data.sample_dialogues`.
    """

    noun = "replies"
    counts = (*TextPriorData.counts, "history")

    def __init__(self, settings):
        super().__init__(settings, paired=True)

    def _examples(self, path, ignored, skipped):
        dialogues = read_dialogues(path) if path else sample_dialogues()
        skipped.update(dialogues.skipped)
        return [tuple(turns) for turns in dialogues.conversations]

    def _divided(self, examples):
        """Whole conversations are held out; equal ones are on one side."""
        whole = [SEPARATOR.join(turns) for turns in examples]
        held = set(split_sentences(whole, self.settings.validation_share, self.settings.seed)[1])
        sides = [(text in held, turns) for text, turns in zip(whole, examples, strict=True)]
        return tuple([turns for is_held, turns in sides if is_held == side] for side in (False, True))

    def _rows_in(self, examples):
        """Each turn but the first, with what was said before it."""
        count = self.settings.history
        return [(history_text(turns[:i], count), turns[i]) for turns in examples for i in range(1, len(turns))]

    def judge(self, generator):
        """As of `PriorData`: the rank of the true reply among those of other conversations, by likelihood."""
        replies, sources = self.held_out.names, self.held_out.values[SOURCE]
        count = min(_CANDIDATES, len(replies))
        if not generator.prior.causal or count < 2:
            return {}
        ranks = []
        for i in range(min(_JUDGED, len(replies))):
            some = [replies[(i + k) % len(replies)] for k in range(count)]  # the true one first
            likely = generator.log_likelihoods(some, sources[i], batch_size=count)
            ranks.append(int((likely > likely[0]).sum()) + 1)
        ten = min(10, count)
        report = {"reply_in_ten": float(np.mean(np.array(ranks) <= ten)), "reply_in_ten_by_chance": ten / count}
        return {**report, "reply_rank": float(np.median(ranks)), "candidates": count}

    def describe(self, split):
        """As of `PriorData`, with the number of turns that it reads."""
        about = super().describe(split)
        length = self.train.tokens.shape[1]
        what = f"Generates a reply of up to {length} pieces from the last {self.settings.history} turns."
        data = f"{len(self.train.tokens)} replies: {self.settings.data or 'the package chatterbot-corpus'}"
        return {**about, "description": what, "data": data, "history": self.settings.history}
