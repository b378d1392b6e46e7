"""What every image recipe does around its own page."""

from vqzoo.data import ImageCrops
from vqzoo.data import ImageSource
from vqzoo.data import load_image
from vqzoo.data import open_images
from vqzoo.data import sample_images
from vqzoo.data import split_images
from vqzoo.data.files import kept_going
from vqzoo.metrics import evaluate_images
from vqzoo.plots import save_reconstructions
from vqzoo.runs.run import Run
from vqzoo.trainers import Pictures


class ImageRun(Run):
    """One run of an image recipe.

    Args:
        config: the recipe's settings, a dataclass with those of `Run`, and `validation_share`, `validation_crops`,
            `size`, `min_scale`, `max_scale`, `max_side`, `flip` and `jitter`.
        name: str, the recipe's, for the card.
        networks: names of the settings that a preset given as `config.init` replaces. Defaults to none.

    Raises:
        ValueError: as `Run`.
    """

    unit = "images"
    files_are = "pictures"
    counts = (*Run.counts, "size", "validation_crops")
    default_data = "the colour photographs of scikit-image"

    def split(self):
        return split_pictures(self.config)

    def validation_count(self):
        return self.config.validation_crops

    def open(self, files, validation_files, validation_batch):
        config = self.config
        crop = {"size": config.size, "channels": config.channels, "scale": (config.min_scale, config.max_scale)}
        crop |= {"max_side": config.max_side, "seed": config.seed}
        return (
            ImageCrops(files, batch_size=config.batch_size, flip=config.flip, jitter=config.jitter, **crop),
            ImageCrops(validation_files, batch_size=validation_batch, flip=False, **crop),
        )

    def evaluate(self, tokenizer):
        """What `vqzoo.metrics.evaluate_images` reports."""
        return evaluate_images(tokenizer, self.validation)

    def watcher(self, tokenizer):
        return Pictures(self.folder / "run" / "pictures", tokenizer, self.samples)

    def save_samples(self, tokenizer):
        save_reconstructions(self.folder / "samples.png", tokenizer, self.samples)
        return ["samples.png"]

    def about(self):
        return {
            "description": f"Made by recipes/{self.name}.py on {self.config.size} pixel crops.",
            "signal": {"range": [-1.0, 1.0], "channels": self.config.channels},
        }


def split_pictures(config, opened=None):
    """The pictures of a recipe's data, for training and for validation.

    Args:
        config: a dataclass with `data`, `validation_data` and `validation_share`.
        opened: callable, `data` or `validation_data` -> the pictures of it. Defaults to all of them.

    Returns:
        Two lists of paths, or two `vqzoo.data.ImageSource`s.
    """
    opened = opened or (lambda data: open_images(data) if data else sample_images())
    files = opened(config.data)
    if config.validation_data:
        return files, opened(config.validation_data)
    train, validation = split_images(files, config.validation_share)
    if isinstance(files, ImageSource):
        return train, validation
    # Of a small folder the validation side may be nothing but a bad file: then others take its place, and the
    # training side skips and names it.
    bad = []
    while len(train) > 1 and not any(map(_readable, validation)):
        bad += validation
        train, validation = split_images(train, config.validation_share)
    train.extend(bad)
    return train, validation


def held_out_pictures(config, size, channels, count):
    """Crops of the pictures that a recipe holds out.

    Args:
        config: a dataclass with what `split_pictures` takes, and `min_scale`, `max_scale`, `max_side` and `seed`.
        size: tuple (height, width), pixels.
        channels: int.
        count: int.

    Returns:
        float32 array (count, height, width, channels) in [-1, 1].
    """
    _, files = split_pictures(config)
    options = {"scale": (config.min_scale, config.max_scale), "max_side": config.max_side, "seed": config.seed}
    return ImageCrops(files, size, count, channels=channels, flip=False, **options).batch(0)


def _readable(file):
    reasons = []
    with kept_going(reasons.append):
        load_image(file)
    return not reasons
