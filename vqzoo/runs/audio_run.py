"""What every audio recipe does around its own page."""

import sys

from vqzoo.data import AudioClips
from vqzoo.data import find_audio
from vqzoo.data import sample_audio
from vqzoo.data import split_audio
from vqzoo.data.audio.files import SYNTHETIC
from vqzoo.data.audio.files import is_synthetic
from vqzoo.metrics import evaluate_audio
from vqzoo.plots import save_sounds
from vqzoo.runs.run import Run
from vqzoo.trainers import Sounds


class AudioRun(Run):
    """One run of an audio recipe.

    Args:
        config: the recipe's settings, a dataclass with those of `Run`, and `validation_share`, `validation_clips`,
            `sample_rate`, `seconds`, `normalize`, `gain`, `noise` and `polarity`.
        name: str, the recipe's, for the card.
        networks: names of the settings that a preset given as `config.init` replaces. Defaults to none.

    Raises:
        ValueError: as `Run`.
    """

    unit = "clips"
    files_are = "recordings"
    counts = (*Run.counts, "sample_rate", "validation_clips")

    @property
    def default_data(self):
        """The first files that were found, which tell by their names whether they are synthetic."""
        return ", ".join(file.name for file in self.files[:5])

    def fit(self, build):
        """As `Run.fit`; a preset that is gone on with hears at the recipe's sample rate."""

        def checked(config):
            trainer = build(config)
            rate = trainer.tokenizer.sample_rate
            if rate != config.sample_rate:
                raise ValueError(
                    f"The preset {config.init!r} hears {rate} Hz. Received: --sample_rate {config.sample_rate}. Give "
                    f"--sample_rate {rate}."
                )
            return trainer

        return super().fit(checked)

    def split(self):
        config = self.config
        files = find_audio(config.data) if config.data else sample_audio()
        if not config.data and is_synthetic(files):
            print(f"{SYNTHETIC} Give --data to train on recordings.", file=sys.stderr)
        if config.validation_data:
            return files, find_audio(config.validation_data)
        if not config.data:
            return files[:-1], files[-1:]  # of another voice
        return split_audio(files, config.validation_share)

    def validation_count(self):
        return self.config.validation_clips

    def open(self, files, validation_files, validation_batch):
        config = self.config
        clip = {"samples": round(config.seconds * config.sample_rate), "sample_rate": config.sample_rate}
        clip |= {"channels": config.channels, "seed": config.seed}
        changes = {"normalize": config.normalize or None, "gain": config.gain or None}
        changes |= {"noise": config.noise or None, "polarity": config.polarity}
        return (
            AudioClips(files, batch_size=config.batch_size, **changes, **clip),
            AudioClips(validation_files, batch_size=validation_batch, **clip),
        )

    def evaluate(self, tokenizer):
        """What `vqzoo.metrics.audio.evaluate` reports."""
        return evaluate_audio(tokenizer, self.validation)

    def watcher(self, tokenizer):
        return Sounds(self.folder / "run" / "sounds", tokenizer, self.samples[:4])

    def save_samples(self, tokenizer):
        save_sounds(self.folder / "samples", tokenizer, self.samples[:4])
        (self.folder / "samples" / "spectrograms.png").replace(self.folder / "samples.png")
        return ["samples.png", "samples"]

    def about(self):
        config = self.config
        return {
            "description": f"Made by recipes/{self.name}.py on clips of {config.seconds:g} s.",
            "signal": {"range": [-1.0, 1.0], "channels": config.channels, "sample_rate": config.sample_rate},
        }
