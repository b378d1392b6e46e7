"""What a prior of text learns from: lines of text files, or a table of pairs."""

import collections
import importlib.util

import numpy as np

from vqzoo.data import Pieces
from vqzoo.data import find_text
from vqzoo.data import read_pairs
from vqzoo.data import sample_pairs
from vqzoo.data import sample_sentences
from vqzoo.data import split_pairs
from vqzoo.data import split_sentences
from vqzoo.data.files import amount
from vqzoo.data.text.corpus import readable_sentences
from vqzoo.data.text.pairs import PAIR_SUFFIXES
from vqzoo.generation import SignalPart
from vqzoo.generation import TextPart
from vqzoo.metrics import TrigramModel
from vqzoo.metrics import bleu
from vqzoo.metrics import chrf
from vqzoo.metrics import copied_runs
from vqzoo.metrics import copied_share
from vqzoo.metrics import distinct_ngrams
from vqzoo.metrics import self_bleu
from vqzoo.modalities import Split
from vqzoo.plots import save_texts
from vqzoo.runs.priors.data import PriorData
from vqzoo.runs.priors.data import Rows
from vqzoo.trainers import Generated

_AT_ONCE = 256  # texts that a tokenizer encodes at once
_JUDGED = 200  # texts that are generated to be judged
_BLEU = 100  # texts that are compared with each other
_EXAMPLES = 8  # held-out sources that the preset keeps
_SHOWN = 20  # texts that are generated after each epoch, and for the card
TARGET, SOURCE = "text", "source"
_PROSE = "the English prose of docstrings in Python, Keras and NumPy"
_CATALOGUES = "the gettext catalogues of installed packages"


class TextPriorData(PriorData):
    """Lines of text by their pieces; or pairs of texts, of which the second is generated from the first.

    Args:
        settings: dataclass with `data` (a text file, a folder of them, or a table of pairs: tsv, csv, jsonl),
            `validation_data`, `validation_share`, `source` and `target` (columns of a table; empty: the first two),
            `pieces`, `length` (pieces of a text at most; longer ones are left out), `validation_examples` and `seed`.
            With a `tokenizer` (a preset) the prior predicts its tokens instead of the pieces.
        paired: bool, whether the data are pairs: with an empty `data` those of `vqzoo.data.sample_pairs`. Defaults to
            what the name of the data says.
    """

    noun = "texts"
    files_noun = "text files"
    sample_files = ("samples.md",)
    counts = ("validation_examples", "pieces", "length")
    as_context = True

    def __init__(self, settings, paired=None):
        super().__init__(settings)
        self.paired = settings.data.lower().endswith(PAIR_SUFFIXES) if paired is None else paired
        self.unusable = 0  # pairs that are left out: equal ones, and those without two texts

    # === Data ===
    def read(self, folder):
        """As of `PriorData`."""
        settings = self.settings
        self.files_noun = "lines" if self.paired else "text files"
        ignored, skipped = collections.Counter(), {}
        examples = self._examples(settings.data, ignored, skipped)
        if settings.validation_data:
            train, held_out = examples, self._examples(settings.validation_data, ignored, skipped)
        else:
            train, held_out = self._divided(examples)
        train, held_out = self._rows_in(train), self._rows_in(held_out)
        order = np.random.default_rng(settings.seed).permutation(len(held_out))
        return Split(train, [held_out[i] for i in order], dict(ignored), skipped)

    def _examples(self, path, ignored, skipped):
        """What is divided into training and held-out data, of one path: lines, or pairs."""
        if self.paired:
            source, target = self.settings.source, self.settings.target
            pairs = read_pairs(path, source, target) if path else sample_pairs(source or "en", target or "es")
            skipped.update(pairs.skipped)
            self.unusable += pairs.duplicates + pairs.unusable
            return pairs.rows
        if not path:
            return sample_sentences()
        files = find_text(path)
        ignored.update(files.ignored)
        sentences, unread = readable_sentences(files)
        skipped.update(unread)
        return sentences

    def _divided(self, examples):
        """Training and held-out examples."""
        share, seed = self.settings.validation_share, self.settings.seed
        return (split_pairs if self.paired else split_sentences)(examples, share, seed)

    def _rows_in(self, examples):
        """The rows of examples: lines, or pairs of a source and a target."""
        return examples

    def names(self, split):
        """As of `PriorData`."""
        return ["\t".join(row) for row in split.train] if self.paired else split.train

    def validation_count(self, split):
        """As of `PriorData`."""
        return min(self.settings.validation_examples, len(split.validation))

    def open(self, split, start, quiet):
        """As of `PriorData`."""
        settings = self.settings
        if getattr(settings, "tokenizer", "") and start is None:
            self.target = SignalPart.from_preset(TARGET, settings.tokenizer)
        else:
            self.target = self._part(TARGET, [self._target(row) for row in split.train], start)
        self.conditions = ()
        if self.paired:
            self.conditions = (self._part(SOURCE, [row[0] for row in split.train], start),)
        self.left_out = 0
        self.train = self._rows(split.train)
        self.held_out = self._rows(split.validation, settings.validation_examples)
        if self.paired:  # what the preset generates from where nothing is asked, and its card shows
            (source,) = self.conditions
            examples = self.held_out.values[SOURCE][:_EXAMPLES]
            self.conditions = (TextPart(SOURCE, source.pieces, source.length, examples),)

    def _target(self, row):
        return row[1] if self.paired else row

    def _part(self, name, texts, start):
        """The pieces of the preset that the run continues from, or those learnt from the texts."""
        if start is not None:
            return start.parts[name]
        pieces = Pieces.train(texts, self.settings.pieces, self.settings.seed, exact=False)
        return TextPart(name, pieces, self.settings.length)

    def _rows(self, side, most=None):
        """Rows of the texts that are not too long, the first ones; the others are counted."""
        length = self.settings.length
        tokenizer = self.target.tokenizer
        pieces = [(self._target, self.target.pieces if tokenizer is None else tokenizer.pieces)]
        pieces += [(lambda row: row[0], part.pieces) for part in self.conditions]
        lengths = [[len(ids) for ids in its.encode([of(row) for row in side])] for of, its in pieces]
        kept = [row for row, *counts in zip(side, *lengths, strict=True) if max(counts) <= length]
        if not kept:
            raise ValueError(
                f"All {len(side)} texts have more than {length} pieces. Give a larger --length, or --pieces."
            )
        self.left_out += len(side) - len(kept)
        kept = kept[:most]
        texts = [self._target(row) for row in kept]
        tokens = self.target.tokens(texts) if tokenizer is None else _tokens_of(tokenizer, texts)
        longest = int((tokens >= 0).any(axis=-1).sum(axis=1).max())
        values = {SOURCE: [row[0] for row in kept]} if self.paired else {}
        return Rows(tokens[:, :longest], texts, values)

    @property
    def remark(self):
        """As of `PriorData`: how many texts are too long."""
        longer = f"longer than {amount(self.settings.length, 'pieces')}"
        remarks = [f"{amount(self.left_out, 'texts')} {longer} left out"] if self.left_out else []
        remarks += [f"{amount(self.unusable, 'pairs')} left out, as equal or without a text"] if self.unusable else []
        return "; ".join(remarks)

    @property
    def grid(self):
        """None: text has any length."""
        return None

    # === Results ===
    def describe(self, split):
        """As of `PriorData`."""
        what = "Generates a text from another" if self.paired else "Generates texts"
        return {
            "modality": "text",
            "description": f"{what}, of up to {self.train.tokens.shape[1]} pieces.",
            "data": f"{len(self.train.tokens)} {'pairs' if self.paired else 'lines'}: "
            f"{self.settings.data or (_CATALOGUES if self.paired else _PROSE)}",
            "example": {"tokens": list(self.train.tokens.shape[1:])},
        }

    def judge(self, generator):
        """As of `PriorData`: of pairs how near the generated texts are to the held-out ones; of lines how new."""
        if self.paired:
            return self._agreement(generator)
        texts, real = generator.generate(_JUDGED, seed=self.settings.seed), self.held_out.names
        trigrams = TrigramModel(self.train.names)
        with_bleu = importlib.util.find_spec("sacrebleu") is not None and len(real) > 1
        some = self.train.names[: len(real)]
        return {
            "copied_share": copied_share(texts, self.train.names),
            "copied_run": float(np.mean(copied_runs(texts, self.train.names))),
            "copied_run_of_held_out": float(np.mean(copied_runs(real, self.train.names))),
            **{f"distinct_{n}": distinct_ngrams(texts, n) for n in (1, 2, 3)},
            **{f"distinct_{n}_of_held_out": distinct_ngrams(real[:_JUDGED], n) for n in (1, 2, 3)},
            **({"self_bleu": self_bleu(texts[:_BLEU])} if with_bleu else {}),
            **({"self_bleu_of_held_out": self_bleu(real[:_BLEU])} if with_bleu else {}),
            "trigram_bits": trigrams.bits_per_word(texts),
            "trigram_bits_of_held_out": trigrams.bits_per_word(real),
            "trigram_bits_of_training": trigrams.bits_per_word(some),
        }

    def _agreement(self, generator):
        """ChrF and BLEU of what is generated from held-out sources, and of the sources themselves."""
        if importlib.util.find_spec("sacrebleu") is None:
            return {}
        sources, real = self.held_out.values[SOURCE][:_JUDGED], self.held_out.names[:_JUDGED]
        texts = generator.generate(len(sources), sources, seed=self.settings.seed)
        report = {"chrf": chrf(real, texts), "bleu": bleu(real, texts)}
        return {**report, "chrf_of_source": chrf(real, sources), "bleu_of_source": bleu(real, sources)}

    def watcher(self, generator, folder):
        """As of `PriorData`."""
        return Generated(folder / "generated", lambda path: self._write(generator, path))

    def save_samples(self, generator, folder):
        """As of `PriorData`."""
        self._write(generator, folder)

    def _write(self, generator, folder):
        sources, real = ([], []) if not self.paired else (self.held_out.values[SOURCE], self.held_out.names)
        sources, real = sources[:_SHOWN], real[:_SHOWN]
        count = len(sources) or _SHOWN
        texts = generator.generate(count, sources or None, seed=self.settings.seed)
        save_texts(folder / "samples.md", texts, sources, real)


def _tokens_of(tokenizer, texts):
    """Tokens of texts, int32 (texts, positions, num_codebooks), -1 behind the end of each."""
    tokens = np.asarray(tokenizer.encode(texts, _AT_ONCE))
    real = np.arange(tokens.shape[1]) < np.array(tokenizer.chunks(texts))[:, None]
    return np.where(real[..., None], tokens, -1).astype("int32")
