"""What a prior over the tokens of whole files learns from, of any modality: a folder, or token shards."""

import functools
import hashlib

from vqzoo.data import TokenShards
from vqzoo.data.files import kept_going
from vqzoo.data.files import validating_by_hash
from vqzoo.generation import Labels
from vqzoo.generation import SignalPart
from vqzoo.modalities import Split
from vqzoo.modalities import ignored_in
from vqzoo.modalities import modality_of
from vqzoo.presets import check_tokens_of
from vqzoo.presets import describe_tokens
from vqzoo.presets import find_preset
from vqzoo.runs.priors.data import PriorData
from vqzoo.runs.priors.data import Rows
from vqzoo.runs.priors.data import class_of
from vqzoo.runs.priors.data import padded_rows
from vqzoo.tokenizers import Tokenizer
from vqzoo.trainers import Generated

_SHOWN = 8  # examples that are generated after each epoch, and for the card


class SignalPriorData(PriorData):
    """Files of any modality through a tokenizer, or the token shards that `vqzoo encode --shards` made of them.

    A row is what the modality makes of a file: one image, one recording, or each sentence. Longer rows are cut into
    pieces of `length` positions. Files are encoded one by one; encode many into shards first. The subfolders are
    classes, by which the prior can then be asked.

    Args:
        settings: dataclass with `tokenizer`, `data` (a folder or a file), `validation_data`, `validation_share`,
            `tokens` (shards, in place of the data), `classes`, `length` (positions of a row at most, 0 for any),
            `validation_examples` and `seed`.
    """

    counts = ("validation_examples",)

    # === Data ===
    def read(self, folder):
        """As of `PriorData`."""
        settings = self.settings
        self.preset = find_preset(settings.tokenizer)
        if folder.resolve() == self.preset.resolve():
            raise ValueError(f"--out is the tokenizer's own folder, {str(folder)!r}. Give another one.")
        self.tokenizer = Tokenizer.from_preset(self.preset)
        self.modality = modality_of(self.tokenizer, settings.tokenizer)
        self.noun, self.files_noun = self.modality.noun, self.modality.skipped_noun or self.modality.files_noun
        if settings.tokens:
            shards = TokenShards(settings.tokens)
            check_tokens_of(shards, self.preset, settings.tokens)
            return self._split([shards[i] for i in range(len(shards))], lambda row: row.name)
        if not settings.data:
            raise ValueError("--data or --tokens is what the prior learns from. Received: neither. Give one of them.")
        files = self.modality.find(settings.data)
        if settings.validation_data:
            held_out = self.modality.find(settings.validation_data)
            return Split(files, held_out, ignored_in(files, held_out))
        return self._split(files, lambda path: path.name, files.ignored)

    def _split(self, things, name_of, ignored=None):
        """Holds out a share of files or rows, by their names: those of one name are on one side."""
        held_out = validating_by_hash([name_of(thing) for thing in things], self.settings.validation_share, seed=0)
        sides = [[thing for i, thing in enumerate(things) if (i in held_out) == side] for side in (False, True)]
        if not all(sides):
            raise ValueError(
                f"A prior learns from some {self.modality.files_noun} and is judged by others: 2 or more. Received: "
                f"{len(things)}. Give more, or --validation_data."
            )
        return Split(*sides, dict(ignored or {}))

    def names(self, split):
        """As of `PriorData`, with the tokenizer; of shards the tokens themselves."""
        rows = split.train
        if self.settings.tokens:
            rows = [f"{row.name} {hashlib.sha256(row.tokens.tobytes()).hexdigest()}" for row in rows]
        return [*rows, f"tokenizer {describe_tokens(self.preset)['sha256']}"]

    def open(self, split, start, quiet):
        """As of `PriorData`."""
        settings = self.settings
        roots = settings.data, settings.validation_data or settings.data
        self.train, self.held_out = (
            self._rows(things, root) for things, root in zip((split.train, split.validation), roots, strict=True)
        )
        size = self.train.size if self.modality.has_size else None
        length = max(rows.tokens.shape[1] for rows in (self.train, self.held_out))
        self.target = SignalPart.from_preset(self.modality.name, self.preset, size, length)
        classes = sorted({name for name in self.train.values["label"] if name}) if settings.classes else []
        self.conditions = (Labels(classes),) if classes else ()

    def validation_count(self, split):
        """As of `PriorData`."""
        return min(self.settings.validation_examples, len(split.validation))

    def _rows(self, things, root):
        tokens, names, sizes, skipped = [], [], set(), {}
        for thing in things:
            if self.settings.tokens:
                made = [thing]
            else:
                made = []
                with kept_going(functools.partial(skipped.__setitem__, thing)):
                    signal = self.modality.load(self.tokenizer, thing)
                    encoded = self.modality.encode(self.tokenizer, [signal])[0]
                    made = self.modality.rows(self.tokenizer, str(thing), signal, encoded)
            for row in made:
                for piece in self._pieces(row.tokens):
                    tokens.append(piece)
                    names.append(row.name)
                    sizes.add(tuple(row.size))
        if not tokens:
            reason = next(iter(skipped.values()), "there is none")
            raise ValueError(f"None of the {len(things)} {self.files_noun} can be encoded. The first: {reason}")
        labels = [class_of(name, None if self.settings.tokens else root) for name in names]
        size = sizes.pop() if len(sizes) == 1 else ()
        return Rows(padded_rows(tokens), names, {"label": labels}, skipped, size)

    def _pieces(self, tokens):
        length = self.settings.length or len(tokens)
        return [tokens[first : first + length] for first in range(0, len(tokens), length)] if len(tokens) else []

    # === Results ===
    def describe(self, split):
        """As of `PriorData`."""
        known = self.conditions[0].known if self.conditions else ()
        what = f"{self.modality.noun}{f' of {len(known)} classes' if known else ''}"
        rows = self.train.tokens
        return {
            "modality": self.modality.name,
            "description": f"Generates {what}, from tokens of {self.preset.name}, which is included.",
            "data": f"{len(rows)} rows of tokens: {self.settings.tokens or self.settings.data}",
            "example": {"tokens": list(rows.shape[1:])},
        }

    @property
    def sample_files(self):
        """As of `PriorData`."""
        return self.modality.generated_files

    def watcher(self, generator, folder):
        """As of `PriorData`."""
        return Generated(folder / "generated", lambda path: self._write(generator, path))

    def save_samples(self, generator, folder):
        """As of `PriorData`."""
        self._write(generator, folder)

    def _write(self, generator, folder):
        known = self.conditions[0].known[:_SHOWN] if self.conditions else ()
        signals = generator.generate(_SHOWN, list(known) or None, seed=self.settings.seed)
        names = [known[i % len(known)] for i in range(_SHOWN)] if known else []
        self.modality.save_generated(self.tokenizer, folder, signals, names)
