"""What every text recipe does around its own page."""

import collections
import importlib.util

import numpy as np

from vqzoo.data import Pieces
from vqzoo.data import SentenceBatches
from vqzoo.data import find_text
from vqzoo.data import sample_sentences
from vqzoo.data import split_sentences
from vqzoo.data.text.corpus import readable_sentences
from vqzoo.metrics import chrf
from vqzoo.metrics import evaluate_text
from vqzoo.plots import save_sentences
from vqzoo.runs.run import Run
from vqzoo.tokenizers import TextTokenizer
from vqzoo.trainers import Sentences

_SHOWN = 20  # sentences, after each epoch and on the card


class TextRun(Run):
    """One run of a text recipe.

    Args:
        config: the recipe's settings, a dataclass with those of `Run`, and `validation_share`, `validation_sentences`,
            `pieces`, `length` and `stride`.
        name: str, the recipe's, for the card.
        networks: names of the settings that a preset given as `config.init` replaces. Defaults to none.

    Raises:
        ValueError: as `Run`.
    """

    unit = "sentences"
    files_are = "sentences"
    skipped_are = "text files"
    counts = (*Run.counts, "pieces", "length", "stride", "validation_sentences")
    default_data = "the English prose of docstrings in Python, Keras and NumPy"

    pieces = None
    """`vqzoo.data.Pieces`, learnt from the training sentences, or those of the preset that is gone on with."""

    def fit(self, build):
        """As `Run.fit`; `build` takes the settings and the pieces."""

        def built(config):
            trainer = build(config, self.pieces)
            self._check_lengths(trainer.tokenizer)  # now, and not when the trained one is evaluated
            return trainer

        return super().fit(built)

    def split(self):
        config = self.config
        self._skipped, self._ignored = {}, collections.Counter()
        sentences = self._read(config.data) if config.data else sample_sentences()
        if config.validation_data:
            train, held_out = sentences, self._read(config.validation_data)
        else:
            train, held_out = split_sentences(sentences, config.validation_share, config.seed)
        some = np.random.default_rng(config.seed).permutation(len(held_out))[: config.validation_sentences]
        self.held_out = [held_out[i] for i in some]
        self.stride = config.stride
        if config.init:
            tokenizer = TextTokenizer.from_preset(config.init)
            self.pieces, self.stride = tokenizer.pieces, tokenizer.stride
        else:
            self.pieces = Pieces.train(train, config.pieces, config.seed, exact=False)
        return train, self.held_out

    @property
    def skipped(self):
        """As of `Run`; also the files that could not be read at all."""
        return {**super().skipped, **self._skipped}

    def ignored_in(self, files, validation_files):
        """As of `Run`; the examples are sentences, which know nothing of their folders."""
        return dict(self._ignored)

    def _read(self, path):
        files = find_text(path)
        self._ignored.update(files.ignored)
        sentences, skipped = readable_sentences(files)
        self._skipped |= skipped
        return sentences

    def validation_count(self):
        return len(self.held_out)

    def open(self, files, validation_files, validation_batch):
        options = {"length": self.config.length, "multiple": self.stride, "seed": self.config.seed}
        return (
            SentenceBatches(files, self.pieces, self.config.batch_size, **options),
            SentenceBatches(validation_files, self.pieces, validation_batch, **options),
        )

    def evaluate(self, tokenizer):
        """What `vqzoo.metrics.text.evaluate` reports; also chrF, where sacrebleu is installed."""
        more = {"chrf": chrf} if importlib.util.find_spec("sacrebleu") else {}
        return evaluate_text(tokenizer, self.held_out, metrics=more)

    def watcher(self, tokenizer):
        return Sentences(self.folder / "run" / "sentences", tokenizer, self.held_out[:_SHOWN])

    def save_samples(self, tokenizer):
        shown = self.held_out[:_SHOWN]
        save_sentences(self.folder / "samples.md", shown, tokenizer.decode(tokenizer.encode(shown)))
        return ["samples.md"]

    def about(self):
        return {
            "description": f"Made by recipes/{self.name}.py on sentences of up to {self.batches.length} pieces.",
            "signal": {"ids": [0, self.pieces.size - 1], "length": self.batches.length},
        }

    def _check_lengths(self, tokenizer):
        if not tokenizer.is_autoregressive:
            return
        most, rows = tokenizer.decoder.max_length, self.pieces.encode(self.held_out)
        longest = max(range(len(rows)), key=lambda i: len(rows[i]))
        if len(rows[longest]) > most:
            raise ValueError(
                f"A sentence to validate on has {len(rows[longest])} pieces, of which an autoregressive decoder makes "
                f"{most}: {self.held_out[longest][:60]!r}... Give --length {len(rows[longest])}, or take it out."
            )
