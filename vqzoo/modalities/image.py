"""All that is special to images."""

import numpy as np

from vqzoo.data import ImageCrops
from vqzoo.data import ImageSource
from vqzoo.data import find_images
from vqzoo.data import load_image
from vqzoo.data import open_images
from vqzoo.data import sample_images
from vqzoo.data import save_image
from vqzoo.data import split_images
from vqzoo.data.files import amount
from vqzoo.data.files import kept_going
from vqzoo.data.image.pixels import MAX_PIXELS
from vqzoo.data.image.pixels import decode_image
from vqzoo.data.image.pixels import to_floats
from vqzoo.data.image.pixels import to_pixels
from vqzoo.data.image.source import as_source
from vqzoo.files import shown_path
from vqzoo.metrics import evaluate_images
from vqzoo.metrics import psnr
from vqzoo.modalities.measuring import Reconstructed
from vqzoo.modalities.measuring import batches_of
from vqzoo.modalities.measuring import reconstructed_files
from vqzoo.modalities.modality import EXAMPLES
from vqzoo.modalities.modality import Evaluation
from vqzoo.modalities.modality import Modality
from vqzoo.modalities.modality import Split
from vqzoo.modalities.modality import ignored_in
from vqzoo.plots import save_picture_rows
from vqzoo.plots import save_reconstructions
from vqzoo.presets.suggest import suggested_tokenizer
from vqzoo.trainers import Pictures

MAX_SIDE = 1024
"""int, pixels: larger images are reduced to it before crops are cut."""
_BATCH = 16


class ImageModality(Modality):
    """Images.

    Example:
    >>> ImageModality().suffix
    '.png'
    """

    name = "image"
    noun = "images"
    files_noun = "images"
    suffix = ".png"
    generated_files = ("samples.png",)
    has_grid = True
    has_size = True
    at_once = 2**20
    """int, pixels of a batch; larger images are encoded one at a time, in tiles."""
    tile_size = 512
    """int, pixels a side."""
    counts = ("size", "validation_crops")

    # === Files ===
    def find(self, path):
        """As of `Modality`."""
        return find_images(path)

    def load(self, tokenizer, path):
        """As of `Modality`: float32 (height, width, channels)."""
        *size, channels = tokenizer.encoder.input_shape[1:]
        image = load_image(path, channels=channels)
        if any(want not in (None, have) for want, have in zip(size, image.shape[:-1], strict=True)):
            height, width = ("any" if want is None else want for want in size)
            raise ValueError(
                f"This preset takes images of {height}x{width} pixels only. Received: {shown_path(path)}, "
                f"{image.shape[0]}x{image.shape[1]}. Resize the file, or take a preset of any size, such as "
                f"{suggested_tokenizer('image')}."
            )
        return image

    def save(self, tokenizer, path, signal):
        """As of `Modality`."""
        save_image(path, signal)

    # === Tokens ===
    def encode(self, tokenizer, signals):
        """As of `Modality`."""
        return np.asarray(tokenizer.encode(np.stack(signals), **self._tiles(signals[0].shape[:-1])))

    def decode(self, tokenizer, tokens, size):
        """As of `Modality`."""
        self.check_grid(tokenizer, tokens, size, MAX_PIXELS)
        return np.asarray(tokenizer.decode(tokens[None], size=size, **self._tiles(size)))[0]

    def compare(self, tokenizer, signal, reconstruction):
        """As of `Modality`: the PSNR in dB."""
        return {"psnr": float(psnr(signal[None], np.clip(reconstruction, -1.0, 1.0)[None])[0])}

    def examples(self, tokenizer):
        """As of `Modality`: crops of the photographs of scikit-image, of a size that the networks take."""
        height, width, channels = tokenizer.encoder.input_shape[1:]
        size = (height or 128, width or 128)
        return ImageCrops(sample_images(), size, EXAMPLES, channels=channels, flip=False).batch(0)

    # === Training ===
    def split(self, settings):
        """As of `Modality`; without `data` the photographs of scikit-image."""
        train, validation = split_images_of(settings)
        return Split(train, validation, ignored_in(train, validation))

    def datasets(self, settings, split, validation_batch):
        """As of `Modality`: random crops."""
        crop = {
            "size": settings.size,
            "channels": settings.channels,
            "scale": (settings.min_scale, settings.max_scale),
            "max_side": settings.max_side,
            "seed": settings.seed,
        }
        changes = {"flip": settings.flip, "jitter": settings.jitter}
        return (
            ImageCrops(split.train, batch_size=settings.batch_size, **changes, **crop),
            ImageCrops(split.validation, batch_size=validation_batch, flip=False, **crop),
        )

    def validation_count(self, settings, split):
        """As of `Modality`."""
        return settings.validation_crops

    # === Results ===
    def evaluate(self, tokenizer, split, batches):
        """What `vqzoo.metrics.evaluate_images` reports."""
        return evaluate_images(tokenizer, batches)

    def evaluate_sample(self, tokenizer, path, size, scale, count, seed):
        """As of `Modality`: random crops; `path` may also be shards or `tfds:NAME`."""
        files = open_images(path)
        height, width, channels = tokenizer.encoder.input_shape[1:]
        size = (height or size, width or size)
        options = {"channels": channels, "scale": (scale, scale), "flip": False, "max_side": MAX_SIDE, "seed": seed}
        crops = _Crops(files, size, min(_BATCH, count), **options)
        report = evaluate_images(tokenizer, batches_of(crops, count))
        report["crops"] = report.pop("images")
        names = [str(name) for step in range(-(-count // crops.batch_size)) for name in crops.pictures(step)][:count]
        factors = [max(scale, crops.fits[name]) for name in names]
        larger = sum(factor > scale for factor in factors)
        enlarged = sum(factor > 1 for factor in factors)
        most = f" to {max(factors):.3g}" if max(factors) > min(factors) else ""
        small = f" ({larger} of images that are too small for {scale:g})" if larger else ""
        small += f", {enlarged} of the crops enlarged" if enlarged else ""
        measured = (
            f"{report['crops']} crops of {size[0]}x{size[1]} pixels, cut at random from {len(set(names))} of "
            f"{len(files)} files at {min(factors):.3g}{most} of their resolution{small}, images beyond {MAX_SIDE} "
            "pixels a side being reduced to that first (--whole measures each file as it is)"
        )
        return Evaluation(report, measured, len(files), crops.skipped, getattr(files, "ignored", {}))

    def evaluate_whole(self, tokenizer, path):
        """As of `Modality`; large images in tiles."""
        files = open_images(path)
        source, channels = as_source(files), tokenizer.encoder.input_shape[-1]

        def load(number):
            image = decode_image(source.content(number), source.name(number), channels, MAX_PIXELS)
            return to_floats(to_pixels(image, channels))

        loaders = [(source.name(number), lambda number=number: load(number)) for number in range(len(source))]
        result, skipped = Reconstructed(tokenizer), {}
        report = evaluate_images(result, reconstructed_files(self, tokenizer, result, loaders, skipped))
        del report["images_per_second"]  # of what was already done
        measured = (
            f"{report['images']} of {len(source)} files, every pixel of each; means over the files, and the bits of "
            "all of them together"
        )
        return Evaluation(report, measured, len(source), skipped, getattr(files, "ignored", {}))

    def save_samples(self, tokenizer, folder, samples):
        """As of `Modality`: a grid of originals, reconstructions, differences and token maps."""
        save_reconstructions(folder / "samples.png", tokenizer, samples)

    def save_generated(self, tokenizer, folder, signals, names):
        """As of `Modality`: rows of images."""
        save_picture_rows(folder / "samples.png", signals, min(len(signals), 8))

    def watcher(self, tokenizer, folder, samples):
        """As of `Modality`."""
        return Pictures(folder / "pictures", tokenizer, samples)

    def describe(self, settings, split):
        """As of `Modality`."""
        source = settings.data or "the colour photographs of scikit-image"
        return {
            "description": f"{settings.size} pixel crops of images.",
            "signal": {"range": [-1.0, 1.0], "channels": settings.channels},
            "data": f"{amount(len(split.train), 'images')}: {source}",
        }

    def _tiles(self, size):
        return {"tile_size": self.tile_size} if np.prod(size) > self.at_once else {}


class _Crops(ImageCrops):
    """Crops that know by which factor each image was resized at least, so that a crop fits in it."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.fits = {}  # name of an image -> factor

    def _decoded(self, number):
        image = super()._decoded(number)
        height, width = self.size
        self.fits[str(self._source.name(number))] = max(height / image.height, width / image.width)
        return image


def split_images_of(settings, opened=None):
    """The images of a recipe's data, for training and for validation.

    Args:
        settings: dataclass with `data`, `validation_data` and `validation_share`.
        opened: callable, `data` or `validation_data` -> the images of it. Defaults to all of them.

    Returns:
        Two lists of paths, or two `vqzoo.data.ImageSource`s.
    """
    opened = opened or (lambda data: open_images(data) if data else sample_images())
    files = opened(settings.data)
    if settings.validation_data:
        return files, opened(settings.validation_data)
    train, validation = split_images(files, settings.validation_share)
    if isinstance(files, ImageSource):
        return train, validation
    # The validation side of a small folder may be nothing but a damaged file: then others take its place, and the
    # training side skips and names it.
    bad = []
    while len(train) > 1 and not any(map(_readable, validation)):
        bad += validation
        train, validation = split_images(train, settings.validation_share)
    train.extend(bad)
    return train, validation


def held_out_images(settings, size, channels, count):
    """Crops of the images that a recipe holds out.

    Args:
        settings: dataclass with what `split_images_of` takes, and `min_scale`, `max_scale`, `max_side` and `seed`.
        size: tuple (height, width), pixels.
        channels: int.
        count: int.

    Returns:
        float32 array (count, height, width, channels) in [-1, 1].
    """
    _, files = split_images_of(settings)
    options = {"scale": (settings.min_scale, settings.max_scale), "max_side": settings.max_side, "seed": settings.seed}
    return ImageCrops(files, size, count, channels=channels, flip=False, **options).batch(0)


def _readable(file):
    reasons = []
    with kept_going(reasons.append):
        load_image(file)
    return not reasons
