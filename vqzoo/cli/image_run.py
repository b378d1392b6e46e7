"""What every image recipe does around its own page: data, watching, the finished preset folder."""

import dataclasses
import pathlib

import keras
import numpy as np
import rich.console
import rich.table

from vqzoo.cli.run_folder import RunFolder
from vqzoo.data import ImageCrops
from vqzoo.data import find_images
from vqzoo.data import load_image
from vqzoo.data import sample_images
from vqzoo.data import split_images
from vqzoo.export import LITERT_FILES
from vqzoo.export import export_preset
from vqzoo.metrics import CodebookUsage
from vqzoo.metrics import evaluate_images
from vqzoo.presets import check_folder
from vqzoo.presets import seal_preset
from vqzoo.trainers import Pictures
from vqzoo.trainers import Progress
from vqzoo.trainers import RunLog
from vqzoo.trainers import StopOnNonFinite
from vqzoo.trainers import read_log
from vqzoo.trainers import save_loss_curves
from vqzoo.trainers import save_reconstructions
from vqzoo.trainers import save_usage_histogram

PICTURES = 8  # in each grid
VALIDATION_BATCH = 32
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


class ImageRun:
    """One run of an image recipe.

    Args:
        config: the recipe's settings, a dataclass with at least `data`, `validation_data`, `out`, `size`, `channels`,
            `batch_size`, `epochs`, `steps_per_epoch`, `validation_crops`, `min_scale`, `max_scale`, `flip`, `jitter`,
            `precision`, `seed`, `resume` and `checkpoint_minutes`.
        name: str, the recipe's, for the card.
        networks: names of the settings that a preset given as `config.init` replaces. Defaults to none.

    Raises:
        ValueError: if a setting is out of its range, the data hold no pictures, the output folder holds somebody's
            files or is in use, the run to be resumed was another, or a preset is to be trained in another precision
            than float32.
    """

    def __init__(self, config, name, networks=()):
        self.config = config
        self.name = name
        self.networks = networks
        self.folder = pathlib.Path(config.out).expanduser()
        _check_settings(config)
        check_folder(self.folder)  # now, not after hours
        if config.init and config.precision != "float32":
            raise ValueError(
                f"A preset computes in float32. Received: --init {config.init} --precision {config.precision}. Leave "
                "--precision out, or train fresh networks."
            )
        keras.utils.set_random_seed(config.seed)
        keras.config.set_dtype_policy(config.precision)
        self.files, validation_files = _split(config)
        self.run_folder = RunFolder(self.folder / "run", config, self.files)
        crop = {"size": config.size, "channels": config.channels, "scale": (config.min_scale, config.max_scale)}
        crop["max_side"] = config.max_side
        self.crops = ImageCrops(
            self.files, batch_size=config.batch_size, flip=config.flip, jitter=config.jitter, seed=config.seed, **crop
        )
        batch = min(VALIDATION_BATCH, config.validation_crops)
        self.validation_crops = ImageCrops(validation_files, batch_size=batch, flip=False, seed=config.seed, **crop)
        # The same crops at every epoch and every run.
        self.validation = self.validation_crops.dataset(steps=max(1, config.validation_crops // batch)).cache()
        # Before TensorFlow reads it, whose message would bury the reason.
        for crops in (self.crops, self.validation_crops):
            crops.batch(0)
        self.samples = np.concatenate([x.numpy() for x in self.validation.take(-(-PICTURES // batch))])[:PICTURES]

    def fit(self, trainer):
        """Trains for `epochs` epochs of `steps_per_epoch` steps, watched by a progress line, logs and pictures.

        Goes on from the latest checkpoint where the run is resumed.
        """
        start = self.run_folder.start(trainer)
        console = rich.console.Console()
        if self.run_folder.resuming:
            console.print(f"resumed after {start.step} steps", highlight=False)
        try:
            trainer.fit(
                self.crops.dataset(start=start.step),
                initial_epoch=start.epoch,
                epochs=self.config.epochs,
                steps_per_epoch=self.config.steps_per_epoch,
                validation_data=self.validation,
                callbacks=[
                    StopOnNonFinite(),
                    Progress(self.config.batch_size),
                    RunLog(self.folder / "run"),
                    Pictures(self.folder / "run" / "pictures", trainer.tokenizer, self.samples),
                    self.run_folder.checkpoints,
                ],
                verbose=0,
                shuffle=False,
            )
        except SystemExit:  # a signal
            console.print("Stopped, and saved. The same command with --resume goes on from here.", highlight=False)
            raise

    def finish(self, trainer, marks=None):
        """Evaluates, writes the preset folder with its pictures and exports, and prints what came out.

        Args:
            trainer: the trained `Trainer`; its moving average is what is evaluated and saved.
            marks: dict name -> step, drawn into the loss curves. Defaults to none.

        Returns:
            Dict of the numbers on the validation crops.
        """
        with trainer.averaged() as tokenizer:
            for part in (tokenizer.encoder, tokenizer.quantizer, tokenizer.decoder):
                part.trainable = True  # what was frozen in this run is not in the next
            tokenizer = tokenizer.in_float32()
            report = evaluate_images(tokenizer, self.validation)
            tokenizer.save_to_preset(
                self.folder,
                metadata={
                    "description": f"Made by recipes/{self.name}.py on {self.config.size} pixel crops.",
                    "metrics": report,
                    "data": self._told_data(),
                    "signal": {"range": [-1.0, 1.0], "channels": self.config.channels},
                    "example": _example(tokenizer, self.samples[:1]),
                },
                recipe={"recipe": self.name, **self._settings()},
                seal=False,
            )
            save_reconstructions(self.folder / "samples.png", tokenizer, self.samples)
            self._draw(tokenizer, marks)
            try:
                agreements = export_preset(tokenizer, self.folder, self.samples)
            finally:
                seal_preset(self.folder)  # also where an export failed: the tokenizer itself is whole
        self.run_folder.end()
        self._print(report, agreements)
        return report

    def _settings(self):
        """The settings that had an effect."""
        settings = dataclasses.asdict(self.config)
        return {k: v for k, v in settings.items() if not (self.config.init and k in self.networks)}

    def _told_data(self):
        source = self.config.data or "the colour photographs of scikit-image"
        return f"{len(self.files)} pictures: {source}"

    def _draw(self, tokenizer, marks):
        usage = CodebookUsage(tokenizer.codebook_sizes)
        for batch in self.validation:
            usage.update_state(tokenizer.encode(batch))
        save_usage_histogram(self.folder / "run" / "usage.png", usage.counts_per_codebook()[0])
        save_loss_curves(self.folder / "run" / "curves.png", read_log(self.folder / "run"), marks)

    def _print(self, report, agreements):
        console = rich.console.Console()
        table = rich.table.Table(title=f"{self.name} on {report['images']} validation crops", show_header=False)
        for name, value in report.items():
            table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
        for agreement in agreements:
            told = f"{agreement.bytes / 1e6:.2f} MB, {agreement.tokens:.2%} of tokens equal, "
            told += f"decoded within {agreement.signal:.0e}, PSNR {agreement.psnr:.2f} dB"
            told = told if agreement.verified else "not verified: no ai-edge-litert"
            table.add_row(f"export {agreement.form}", told)
        console.print(table)
        skipped = {**self.crops.skipped, **self.validation_crops.skipped}
        if skipped:
            console.print(f"{len(skipped)} pictures could not be read and were skipped:")
        for path, reason in skipped.items():
            console.print(f"  {path}: {reason}", soft_wrap=True, markup=False, highlight=False)
        exports = ("encoder.keras", "decoder.keras", "saved_model", *LITERT_FILES.values())
        for path in ("tokenizer.keras", *exports):
            console.print(f"  {self.folder / path}", soft_wrap=True, markup=False, highlight=False)
        for path in ("samples.png", "README.md", "run/curves.png", "run/usage.png", "run/metrics.csv"):
            console.print(f"  {self.folder / path}", soft_wrap=True, markup=False, highlight=False)


def _example(tokenizer, signal):
    """Shapes of one training crop and of its tokens."""
    return {"signal": list(signal.shape[1:]), "tokens": list(tokenizer.encode(signal).shape[1:])}


def _check_settings(config):
    for name in ("size", "batch_size", "epochs", "steps_per_epoch", "validation_crops"):
        if getattr(config, name) < 1:
            raise ValueError(f"--{name} is 1 or more. Received: {getattr(config, name)}")
    if config.precision not in PRECISIONS:
        raise ValueError(f"--precision is one of {', '.join(PRECISIONS)}. Received: {config.precision}")


def _split(config):
    """Training and validation files."""
    files = find_images(config.data) if config.data else sample_images()
    if config.validation_data:
        return files, find_images(config.validation_data)
    train, validation = split_images(files, config.validation_share)
    # Of a small folder the validation side may be nothing but a bad file: then others take its place, and the training
    # side skips and names it.
    bad = []
    while len(train) > 1 and not any(map(_readable, validation)):
        bad += validation
        train, validation = split_images(train, config.validation_share)
    return train + bad, validation


def _readable(file):
    try:
        load_image(file)
    except (OSError, ValueError):
        return False
    return True
