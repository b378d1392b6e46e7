"""All that is special to text."""

import collections
import functools
import importlib.util

import numpy as np

from vqzoo.data import Pieces
from vqzoo.data import SentenceBatches
from vqzoo.data import TokenRow
from vqzoo.data import find_text
from vqzoo.data import read_sentences
from vqzoo.data import sample_sentences
from vqzoo.data import split_sentences
from vqzoo.data.files import amount
from vqzoo.data.files import kept_going
from vqzoo.data.text.corpus import read_lines
from vqzoo.data.text.corpus import readable_sentences
from vqzoo.files import atomic_path
from vqzoo.metrics import character_error_rate
from vqzoo.metrics import chrf
from vqzoo.metrics import evaluate_text
from vqzoo.metrics import exact_match
from vqzoo.modalities.modality import EXAMPLES
from vqzoo.modalities.modality import Evaluation
from vqzoo.modalities.modality import Modality
from vqzoo.modalities.modality import Split
from vqzoo.modalities.modality import check_size
from vqzoo.plots import save_sentences
from vqzoo.plots import save_texts
from vqzoo.tokenizers import TextTokenizer
from vqzoo.tokenizers.text.checks import check_length
from vqzoo.trainers import Sentences

_BATCH = 64  # sentences through the networks at once
_PIECES = 2**22  # of the lines that are decoded before they become text
_SHOWN = 20  # sentences, after each epoch and on the card


class TextModality(Modality):
    """Text, one sentence a line. The signal of a file is an array of str (lines, 1).

    Example:
    >>> TextModality().suffix
    '.txt'
    """

    name = "text"
    noun = "sentences"
    files_noun = "sentences"
    skipped_noun = "text files"
    suffix = ".txt"
    generated_files = ("samples.md",)
    prints = True
    sample_files = ("samples.md",)
    at_once = 2**16
    """int, lines in memory at once."""
    counts = ("pieces", "length", "stride", "validation_sentences")

    # === Files ===
    def find(self, path):
        """As of `Modality`."""
        return find_text(path)

    def load(self, tokenizer, path):
        """As of `Modality`: all lines of one file; those of white space alone are ''."""
        return _lines(read_lines(path))

    def save(self, tokenizer, path, signal):
        """As of `Modality`. A line break inside a sentence becomes a space."""
        lines = (" ".join(line.splitlines()) for line in signal[:, 0])
        with atomic_path(path) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    # === Tokens ===
    def encode(self, tokenizer, signals):
        """As of `Modality`: int32 arrays (lines, chunks, num_codebooks)."""
        return [np.asarray(tokenizer.encode(signal[:, 0].tolist(), _BATCH)) for signal in signals]

    def rows(self, tokenizer, name, signal, tokens):
        """As of `Modality`: a row for each sentence with only its own chunks, named by the number of its line.

        Blank lines are nothing to train on, and have no row.
        """
        lines = signal[:, 0].tolist()
        numbered = enumerate(zip(lines, tokenizer.chunks(lines), tokens, strict=True), start=1)
        return [TokenRow(row[:count], (1,), f"{name}:{number}") for number, (line, count, row) in numbered if line]

    def decode(self, tokenizer, tokens, size):
        """As of `Modality`."""
        check_size(size, 1)
        if len(tokens) != size[0]:
            raise ValueError(
                f"A text of {size[0]} lines has a row of tokens for each. Received: {len(tokens)} rows. The file is "
                "damaged: encode the text again."
            )
        lines = np.empty((len(tokens), 1), object)
        rows = max(1, _PIECES // (tokens.shape[1] * tokenizer.stride))
        for first in range(0, len(tokens), rows):
            lines[first : first + rows, 0] = tokenizer.decode(tokens[first : first + rows], _BATCH)
        return lines

    def compare(self, tokenizer, signal, reconstruction):
        """As of `Modality`: the share of exact sentences, and of wrong characters. Blank lines do not count."""
        real = [bool(line) for line in signal[:, 0]]
        pair = signal[real, 0].tolist(), reconstruction[real, 0].tolist()
        return {"exact_match": exact_match(*pair), "character_error_rate": character_error_rate(*pair)}

    def examples(self, tokenizer):
        """As of `Modality`: ids of the prose of docstrings."""
        pieces = tokenizer.pieces
        return pieces.pad(pieces.encode(sample_sentences()[:EXAMPLES]), tokenizer.stride)

    # === Training ===
    def split(self, settings):
        """As of `Modality`; without `data` the prose of docstrings. The pieces are learnt here."""
        ignored, skipped = collections.Counter(), {}

        def read(path):
            files = find_text(path)
            ignored.update(files.ignored)
            sentences, unread = readable_sentences(files)
            skipped.update(unread)
            return sentences

        sentences = read(settings.data) if settings.data else sample_sentences()
        if settings.validation_data:
            train, held_out = sentences, read(settings.validation_data)
        else:
            train, held_out = split_sentences(sentences, settings.validation_share, settings.seed)
        some = np.random.default_rng(settings.seed).permutation(len(held_out))[: settings.validation_sentences]
        held_out = [held_out[i] for i in some]
        if settings.init:
            tokenizer = TextTokenizer.from_preset(settings.init)
            pieces, stride = tokenizer.pieces, tokenizer.stride
        else:
            pieces, stride = Pieces.train(train, settings.pieces, settings.seed, exact=False), settings.stride
        return Split(train, held_out, dict(ignored), skipped, {"pieces": pieces, "stride": stride})

    def datasets(self, settings, split, validation_batch):
        """As of `Modality`."""
        pieces = split.context["pieces"]
        options = {"length": settings.length, "multiple": split.context["stride"], "seed": settings.seed}
        return (
            SentenceBatches(split.train, pieces, settings.batch_size, **options),
            SentenceBatches(split.validation, pieces, validation_batch, **options),
        )

    def validation_count(self, settings, split):
        """As of `Modality`."""
        return len(split.validation)

    def shown(self, split, examples):
        """As of `Modality`: the sentences."""
        return split.validation[:_SHOWN]

    def check(self, settings, split, tokenizer):
        """As of `Modality`: an autoregressive decoder reaches the end of each held-out sentence."""
        if not tokenizer.is_autoregressive:
            return
        most, rows = tokenizer.decoder.max_length, split.context["pieces"].encode(split.validation)
        longest = max(range(len(rows)), key=lambda i: len(rows[i]))
        if len(rows[longest]) > most:
            raise ValueError(
                f"A sentence to validate on has {len(rows[longest])} pieces, and an autoregressive decoder makes "
                f"{most}: {split.validation[longest][:60]!r}... Give --length {len(rows[longest])}, or take it out."
            )

    # === Results ===
    def evaluate(self, tokenizer, split, batches):
        """What `vqzoo.metrics.evaluate_text` reports; also chrF, where sacrebleu is installed."""
        more = {"chrf": chrf} if importlib.util.find_spec("sacrebleu") else {}
        return evaluate_text(tokenizer, split.validation, metrics=more)

    def evaluate_sample(self, tokenizer, path, size, scale, count, seed):
        """As of `Modality`."""
        files = find_text(path)
        sentences, skipped = _measurable(tokenizer, files)
        some = np.random.default_rng(seed).permutation(len(sentences))[:count]
        report = evaluate_text(tokenizer, [sentences[i] for i in some])
        there = f"{amount(len(sentences), 'sentences')} in {amount(len(files), 'files')}"
        measured = f"{len(some)} of the {there}, drawn at random"
        measured += " (--whole measures all)" if len(some) < len(sentences) else ""
        return Evaluation(report, measured, len(files), skipped, files.ignored)

    def evaluate_whole(self, tokenizer, path):
        """As of `Modality`: all sentences."""
        files = find_text(path)
        sentences, skipped = _measurable(tokenizer, files)
        report = evaluate_text(tokenizer, sentences)
        measured = f"all {len(sentences)} sentences of {len(files) - len(skipped)} of {len(files)} files"
        return Evaluation(report, measured, len(files), skipped, files.ignored)

    def save_samples(self, tokenizer, folder, samples):
        """As of `Modality`: a table of sentences beside their reconstructions."""
        save_sentences(folder / "samples.md", samples, tokenizer.decode(tokenizer.encode(samples)))

    def save_result(self, tokenizer, path, result):
        """As of `Modality`: a text, as it is."""
        with atomic_path(path) as temporary:
            temporary.write_text(f"{result}\n", encoding="utf-8")

    def save_generated(self, tokenizer, folder, signals, names):
        """As of `Modality`: a list, or a table of what was asked and what was generated."""
        save_texts(folder / "samples.md", signals, names)

    def watcher(self, tokenizer, folder, samples):
        """As of `Modality`."""
        return Sentences(folder / "sentences", tokenizer, samples)

    def describe(self, settings, split):
        """As of `Modality`."""
        pieces = split.context["pieces"]
        length = -(-settings.length // split.context["stride"]) * split.context["stride"]
        source = settings.data or "the English prose of docstrings in Python, Keras and NumPy"
        return {
            "description": f"sentences of up to {length} pieces.",
            "signal": {"ids": [0, pieces.size - 1], "length": length},
            "data": f"{amount(len(split.train), 'sentences')}: {source}",
        }


def _lines(sentences):
    lines = np.empty((len(sentences), 1), object)
    lines[:, 0] = sentences
    return lines


def _measurable(tokenizer, files):
    """The sentences of the files that can be read and encoded, and a dict path -> reason of the others."""
    sentences, skipped = [], {}
    for file in files:
        with kept_going(functools.partial(skipped.__setitem__, file)):
            own = read_sentences([file])
            check_length(max(map(len, tokenizer.pieces.encode(own))))
            sentences += own
    if not sentences:
        raise ValueError(f"None of the {len(files)} files can be measured. The first: {next(iter(skipped.values()))}")
    return sentences, skipped
