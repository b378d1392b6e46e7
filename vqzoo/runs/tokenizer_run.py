"""One run of a recipe that trains a tokenizer, of any modality."""

import dataclasses

import keras
import numpy as np

from vqzoo.data.files import amount
from vqzoo.data.files import counted
from vqzoo.export import LITERT_FILES
from vqzoo.export import export_preset
from vqzoo.metrics import CodebookUsage
from vqzoo.modalities import modality_named
from vqzoo.plots import save_loss_curves
from vqzoo.plots import save_usage_histogram
from vqzoo.presets import seal_preset
from vqzoo.runs.run import COUNTS
from vqzoo.runs.run import Run
from vqzoo.runs.run import example_line
from vqzoo.trainers import read_log

SAMPLES = 8
"""int, held-out examples that are shown during training."""


class TokenizerRun(Run):
    """One run of a recipe that trains a tokenizer.

    Args:
        settings: the recipe's settings, a `TokenizerSettings` with what the modality needs.
        modality: `vqzoo.modalities.Modality`, or the name of one, such as "image".
        name: str, the recipe's, for the card.
        networks: names of the settings that a preset given as `settings.init` replaces. Defaults to none.

    Example:
    >>> import types
    >>> run = TokenizerRun(types.SimpleNamespace(out="saved_models/mine"), "audio", "audio_vqvae")
    >>> run.noun, run.folder.name
    ('clips', 'mine')
    """

    model_file = "tokenizer.keras"

    def __init__(self, settings, modality, name, networks=()):
        super().__init__(settings, name)
        self.modality = modality_named(modality) if isinstance(modality, str) else modality
        self.networks = networks
        self.before = None  # the numbers of the preset that `settings.init` names

    @property
    def noun(self):
        """As of `Run`."""
        return self.modality.noun

    @property
    def files_noun(self):
        """As of `Run`."""
        return self.modality.skipped_noun or self.modality.files_noun

    @property
    def counts(self):
        """As of `Run`."""
        return (*COUNTS, *self.modality.counts)

    # === Data ===
    def read(self):
        """As of `Run`."""
        return self.modality.split(self.settings)

    @property
    def data_names(self):
        """As of `Run`."""
        return self.split.train

    def validation_count(self):
        """As of `Run`."""
        return self.modality.validation_count(self.settings, self.split)

    def open(self, validation_batch):
        """As of `Run`."""
        return self.modality.datasets(self.settings, self.split, validation_batch)

    def shown(self, batch):
        """The first held-out examples, a numpy array."""
        return np.concatenate([x.numpy() for x in self.validation.take(-(-SAMPLES // batch))])[:SAMPLES]

    def check(self, trainer):
        """As of `Run`."""
        self.modality.check(self.settings, self.split, trainer.tokenizer)

    def data_line(self):
        """As of `Run`."""
        noun, train, held_out = self.modality.files_noun, len(self.split.train), len(self.split.validation)
        ignored = f"; ignored {counted(self.split.ignored)}" if self.split.ignored else ""
        return f"{amount(train + held_out, noun)}, {train} for training and {held_out} held out{ignored}"

    def tokens_line(self, trainer):
        """As of `Run`."""
        tokenizer = trainer.tokenizer
        signal = keras.KerasTensor((1, *self.samples.shape[1:]), tokenizer.signal_dtype)
        latents = tokenizer.encoder.compute_output_spec(signal)
        grid = tokenizer.quantizer.compute_output_spec(latents).tokens.shape[1:-1]
        return example_line(self.modality.noun, grid, tokenizer.codebook_sizes)

    def watcher(self, fitted):
        """As of `Run`."""
        shown = self.modality.shown(self.split, self.samples)
        return self.modality.watcher(fitted, self.folder / "run", shown)

    def measure_before(self, trainer):
        """As of `Run`."""
        if self.settings.init:
            self.before = self.modality.evaluate(trainer.tokenizer.in_float32(), self.split, self.validation)

    # === The preset ===
    def finish(self, trainer, marks=None):
        """Evaluates, writes the preset folder with its samples and exports, and prints the result.

        Args:
            trainer: the trained `Trainer`; its moving average is what is evaluated and saved.
            marks: dict name -> step, drawn into the loss curves. Defaults to none.

        Returns:
            Dict of the numbers on held-out data; None on the workers that write nothing.
        """
        if not self.chief:
            self._print_skipped()  # each worker has read files of its own
            return None
        with trainer.averaged() as tokenizer:
            for part in (tokenizer.encoder, tokenizer.quantizer, tokenizer.decoder):
                part.trainable = True  # what was frozen in this run is not in the next
            tokenizer = tokenizer.in_float32()
            report = self.modality.evaluate(tokenizer, self.split, self.validation)
            metadata = {**self.about(), "metrics": report, "example": self._example(tokenizer)}
            recipe = {"recipe": self.name, **self._used_settings()}
            tokenizer.save_to_preset(self.folder, metadata, recipe, seal=False)
            self.modality.save_samples(tokenizer, self.folder, self.modality.shown(self.split, self.samples))
            self._draw(tokenizer, marks)
            try:
                forms = self.settings.forms
                agreements = export_preset(tokenizer, self.folder, self.samples, forms) if forms else []
            finally:
                seal_preset(self.folder)  # also where an export failed: the tokenizer itself is whole
        self.run_folder.end()
        exports = ("encoder.keras", "decoder.keras", "saved_model", *LITERT_FILES.values())
        exports = [name for name in exports if (self.folder / name).exists()]
        files = ["tokenizer.keras", *exports, *self.modality.sample_files, "README.md"]
        lines = {agreement.form: agreement.summary for agreement in agreements}
        self._print(report, lines, [*files, "run/curves.png", "run/usage.png"], self.before)
        return report

    def about(self):
        """What the card says of the tokenizer: dict of `description`, `signal` and `data`."""
        described = self.with_remarks(self.modality.describe(self.settings, self.split))
        return {**described, "description": f"Made by recipes/{self.name}.py on {described['description']}"}

    def _example(self, tokenizer):
        """Shapes of one training example and of its tokens."""
        signal = self.samples[:1]
        return {"signal": list(signal.shape[1:]), "tokens": list(tokenizer.encode(signal).shape[1:])}

    def _used_settings(self):
        """The settings that had an effect."""
        settings = dataclasses.asdict(self.settings)
        return {k: v for k, v in settings.items() if not (self.settings.init and k in self.networks)}

    def _draw(self, tokenizer, marks):
        usage = CodebookUsage(tokenizer.codebook_sizes)
        for batch in self.validation:
            usage.update_state(tokenizer.encode(batch), tokenizer.real_positions(batch))
        save_usage_histogram(self.folder / "run" / "usage.png", usage.counts_per_codebook()[0])
        save_loss_curves(self.folder / "run" / "curves.png", read_log(self.folder / "run"), marks)
