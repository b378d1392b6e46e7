"""One run of a recipe that fits a prior, to tokens of any modality."""

import dataclasses
import functools
import pathlib

import keras
import numpy as np

from vqzoo.data.files import amount
from vqzoo.export import export_prior_preset
from vqzoo.generation import Generator
from vqzoo.metrics import TokenEntropy
from vqzoo.ops import compiled
from vqzoo.plots import save_loss_curves
from vqzoo.presets import read_manifest
from vqzoo.presets import seal_preset
from vqzoo.presets import update_metadata
from vqzoo.presets.layout import PIECES_FILE
from vqzoo.presets.layout import TOKENIZER_FILE
from vqzoo.priors import TokenSpace
from vqzoo.priors.settings import checked_settings
from vqzoo.runs.run import COUNTS
from vqzoo.runs.run import Run
from vqzoo.runs.run import example_line
from vqzoo.trainers import read_log


class PriorRun(Run):
    """One run of a recipe that fits a prior. The tokens are made once, by tokenizers that stay as they are.

    Args:
        settings: the recipe's settings, a `RunSettings` with what the data need.
        name: str, the recipe's, for the card.
        data: `PriorData`: the target, the conditions and their rows.
        sampling: dict, settings of the prior's `generate` that go into the preset. Defaults to none.
        start: `Generator` of the preset that the run continues from: its text pieces are taken, and its tokenizer,
            labels and grid have to be the run's. Defaults to none.
    """

    model_file = "prior.keras"

    def __init__(self, settings, name, data, sampling=None, start=None):
        super().__init__(settings, name)
        self.data = data
        self.sampling = {key: value for key, value in (sampling or {}).items() if value is not None}
        self.start = start

    @property
    def noun(self):
        """As of `Run`."""
        return self.data.noun

    @property
    def files_noun(self):
        """As of `Run`."""
        return self.data.files_noun

    @property
    def counts(self):
        """As of `Run`."""
        return (*COUNTS, *self.data.counts)

    # === Data ===
    def read(self):
        """As of `Run`."""
        return self.data.read(self.folder)

    @property
    def data_names(self):
        """As of `Run`."""
        return self.data.names(self.split)

    def validation_count(self):
        """As of `Run`."""
        return self.data.validation_count(self.split)

    def open(self, validation_batch):
        """As of `Run`."""
        data = self.data
        data.open(self.split, self.start, quiet=not self.chief)
        parts = (*data.conditions, data.target)
        sizes = {part.name: part.codebook_sizes for part in parts}
        self.space = TokenSpace(sizes, {part.name: part.owner for part in parts if part.owner})
        self._check_start()
        settings = self.settings
        return (
            data.batches(self.space, data.train, settings.batch_size, settings.seed, lengths=data.lengths),
            data.batches(self.space, data.held_out, validation_batch),
        )

    def shown(self, batch):
        """Nothing: the data show what the prior makes."""
        return None

    @property
    def context(self):
        """As of `Run`: `settings`, `space`, `target` (the part's name), `grid`, `length` and `start` (a prior)."""
        context = super().context
        context.space, context.target, context.grid = self.space, self.data.target.name, self.data.grid
        context.length = self.data.train.tokens.shape[1]
        context.start = self.start and self.start.prior
        return context

    def check(self, trainer):
        """As of `Run`."""
        checked_settings(trainer.fitted, self.sampling)  # raises now, not after the first epoch

    def data_line(self):
        """As of `Run`."""
        train, held_out = len(self.data.train.tokens), len(self.data.held_out.tokens)
        parts = ", ".join(f"{part.name} ({_size_of(part)})" for part in self.data.conditions)
        asked = f"; asked by {parts}" if parts else ""
        remark = f"; {self.data.remark}" if self.data.remark else ""
        padding = self.batches.padding if self.data.lengths else 0.0
        remark += f"; {padding:.0%} of a batch is padding" if padding >= 0.005 else ""
        return f"{amount(train, 'rows')} of tokens for training and {held_out} held out{asked}{remark}"

    def tokens_line(self, trainer):
        """As of `Run`."""
        grid = self.data.grid or self.data.train.tokens.shape[1:-1]
        most = "" if self.data.grid else ", or fewer"
        return example_line(self.noun, grid, self.data.target.codebook_sizes) + most

    def watcher(self, fitted):
        """As of `Run`."""
        return self.data.watcher(self._generator(fitted), self.folder / "run")

    @property
    def skipped(self):
        """As of `Run`."""
        return {**self.data.skipped, **self.split.skipped}

    # === The preset ===
    def finish(self, trainer, marks=None):
        """Evaluates, writes the preset folder with its parts, its samples and its export, and prints the result.

        Args:
            trainer: the trained `vqzoo.trainers.PriorTrainer`; its moving average is what is evaluated and saved.
            marks: dict name -> step, drawn into the loss curves. Defaults to none.

        Returns:
            Dict of the numbers; None on the workers that write nothing.
        """
        if not self.chief:
            self._print_skipped()
            return None
        with trainer.averaged() as prior:
            generator = self._generator(prior.in_float32())
            report = self.evaluate(generator.prior)
            generator.prior.save_to_preset(
                self.folder,
                metadata={**self.about(), "metrics": report, "sampling": self.sampling},
                recipe={"recipe": self.name, **dataclasses.asdict(self.settings)},
                seal=False,
            )
            generator.save_parts(self.folder)
            try:
                report |= self.data.judge(generator)
                update_metadata(self.folder, metrics=report)
                self.data.save_samples(generator, self.folder)
                save_loss_curves(self.folder / "run" / "curves.png", read_log(self.folder / "run"), marks)
                exported = export_prior_preset(generator, self.folder)
            finally:
                seal_preset(self.folder)  # also where something failed: the prior itself is whole
        self.run_folder.end()
        files = ["prior.keras", *self._part_files(), "generator", *self.data.sample_files, "README.md"]
        self._print(report, {"generator": exported}, [*files, "run/curves.png"])
        return report

    def about(self):
        """What the card says of the prior."""
        described = self.with_remarks(self.data.describe(self.split))
        description = f"{described['description']} Made by recipes/{self.name}.py."
        return {"codebook_sizes": list(self.data.target.codebook_sizes), **described, "description": description}

    def evaluate(self, prior):
        """Bits per token and perplexity on held-out rows, and on as many that it was trained on."""
        measured = functools.partial(_entropy, prior)
        data, steps, batch = self.data, self.validation_steps, self.validation_batches.batch_size
        report = measured(self.validation)
        again = measured(data.batches(self.space, data.train, batch).dataset(steps=steps))
        if data.conditions and prior.condition_dropout:
            unasked = data.batches(self.space, data.held_out, batch, asked=False).dataset(steps=steps)
            report["bits_per_token_unconditional"] = measured(unasked)["bits_per_token"]
        return {
            **report,
            "bits_per_token_in_training": again["bits_per_token"],
            "bits_per_token_by_chance": float(np.mean(np.log2(data.target.codebook_sizes))),
            data.noun: steps * batch,
        }

    def _part_files(self):
        """The files of the parts in the preset."""
        names = sorted(read_manifest(self.folder)["files"])
        return [name for name in names if pathlib.PurePath(name).name in (TOKENIZER_FILE, PIECES_FILE)]

    def _generator(self, prior):
        return Generator(prior, self.data.target, self.data.conditions, sampling=self.sampling)

    def _check_start(self):
        """Raises ValueError where what the run continues from has other tokens or conditions."""
        if self.start is None:
            return
        prior, grid = self.start.prior, self.data.grid
        learnt, own = (_labels_of(parts) for parts in (self.start.parts.values(), self.data.conditions))
        if prior.space != self.space or prior.grid != grid or learnt != own:
            raise ValueError(
                f"--init is a prior of tokens {prior.grid} of {prior.space.sizes}, labels {learnt}. Received: tokens "
                f"{grid} of {self.space.sizes}, labels {own}. Give its --tokenizer, --size, and --data with the same "
                "classes or captions; two tokenizers of the same sizes may still be different ones."
            )


def _size_of(part):
    sizes = [f"{size:,}" for size in dict.fromkeys(part.codebook_sizes)]
    return f"{' and '.join(sizes)} {'codes' if part.owner else 'labels'}"


def _labels_of(parts):
    """The names of labels among parts: their meaning is in their order."""
    return [name for part in parts if not part.owner for name in part.known]


def _entropy(prior, batches):
    """Dict of bits per token and perplexity, by this process only: other workers may have ended."""
    entropy, cross_entropy = TokenEntropy(), compiled(prior.cross_entropy)  # for the length of these batches
    for batch in batches:
        tokens, condition, _ = keras.utils.unpack_x_y_sample_weight(batch)
        result = cross_entropy(tokens, **(condition or {}))
        entropy.update_state(result.nats, result.counted)
    return {name: float(value) for name, value in entropy.result().items()}
