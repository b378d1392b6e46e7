"""What a preset gives back of a folder, measured on a sample of it or on all of it, for the verb `evaluate`."""

import functools
from typing import NamedTuple

import numpy as np

from vqzoo.data import AudioClips
from vqzoo.data import ImageCrops
from vqzoo.data import find_audio
from vqzoo.data import find_text
from vqzoo.data import open_images
from vqzoo.data import read_sentences
from vqzoo.data.files import kept_going
from vqzoo.data.image.pixels import MAX_PIXELS
from vqzoo.data.image.pixels import decode_image
from vqzoo.data.image.pixels import to_floats
from vqzoo.data.image.pixels import to_pixels
from vqzoo.data.image.source import as_source
from vqzoo.metrics import evaluate_audio
from vqzoo.metrics import evaluate_images
from vqzoo.metrics import evaluate_text
from vqzoo.tokenizers.text.checks import check_length

MAX_SIDE = 1024
"""int, pixels: larger pictures are reduced to it before crops are cut."""
_BATCH = 16
_MEANS = "means over the files, and the bits of all of them together"


class Evaluation(NamedTuple):
    """What was found, and on what.

    Attributes:
        report: dict of str to numbers.
        measured: str, one line: on how many examples of which size out of how many files.
        files: int, how many there are.
        skipped: dict of path to reason, those that could not be read.
        ignored: dict of ending to count, files of other kinds.
    """

    report: dict
    measured: str
    files: int
    skipped: dict
    ignored: dict


def evaluate_sample(signals, path, size, scale, count, seed):
    """Measures crops of pictures, clips of sounds, or sentences that are drawn from a folder.

    Args:
        signals: `vqzoo.cli.signals.Signals`.
        path: str, a folder or one file; of pictures also shards or `tfds:NAME`.
        size: int, pixels a side of a crop or samples of a clip, where the preset takes any.
        scale: float, the resize of a picture before its crop.
        count: int, how many are drawn.
        seed: int.

    Returns:
        `Evaluation`.

    Raises:
        ValueError: nothing can be read, or an argument is out of its range.
    """
    return _SAMPLED[signals.tokenizer.modality](signals, path, size, scale, count, seed)


def evaluate_whole(signals, path):
    """Measures every file of a folder as it is, each once; large ones in tiles or windows.

    Args:
        signals: `vqzoo.cli.signals.Signals`.
        path: str, as in `evaluate_sample`.

    Returns:
        `Evaluation`. The report has means over the files; of text over all sentences.

    Raises:
        ValueError: nothing can be read.
    """
    return _WHOLE[signals.tokenizer.modality](signals, path)


# === Samples ===
class _Crops(ImageCrops):
    """Crops of which it is known how much a picture was resized at least, so that a crop fits in it."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.fits = {}  # name of a picture -> factor

    def _decoded(self, number):
        picture = super()._decoded(number)
        height, width = self.size
        self.fits[str(self._source.name(number))] = max(height / picture.height, width / picture.width)
        return picture


def _image_crops(signals, path, size, scale, count, seed):
    files = open_images(path)
    size = (signals.height or size, signals.width or size)
    options = {"channels": signals.channels, "scale": (scale, scale), "flip": False, "max_side": MAX_SIDE, "seed": seed}
    crops = _Crops(files, size, min(_BATCH, count), **options)
    report = evaluate_images(signals.tokenizer, _batches(crops, count))
    report["crops"] = report.pop("images")
    names = [str(name) for step in range(-(-count // crops.batch_size)) for name in crops.pictures(step)]
    factors = [max(scale, crops.fits[name]) for name in names[:count]]
    larger = sum(factor > scale for factor in factors)
    enlarged = sum(factor > 1 for factor in factors)
    most = f" to {max(factors):.3g}" if max(factors) > min(factors) else ""
    small = f" ({larger} of pictures that are too small for {scale:g})" if larger else ""
    small += f", {enlarged} of the crops enlarged" if enlarged else ""
    measured = (
        f"{report['crops']} crops of {size[0]}x{size[1]} pixels, cut at random from {len(set(names[:count]))} of "
        f"{len(files)} files at {min(factors):.3g}{most} of their resolution{small}, pictures beyond {MAX_SIDE} pixels "
        "a side being reduced to that first (--whole measures each file as it is)"
    )
    return Evaluation(report, measured, len(files), crops.skipped, getattr(files, "ignored", {}))


def _audio_clips(signals, path, size, scale, count, seed):
    files = find_audio(path)
    rate, samples = signals.tokenizer.sample_rate, signals.length or size
    options = {"sample_rate": rate, "channels": signals.channels, "seed": seed}
    clips = AudioClips(files, samples, min(_BATCH, count), **options)
    report = evaluate_audio(signals.tokenizer, _batches(clips, count))
    short = sum(0 < length < samples for length in clips.lengths)
    padded = f", {short} of which are shorter and padded with silence" if short else ""
    measured = (
        f"{report['clips']} clips of {samples} samples ({samples / rate:.3g} s), cut at random from {len(files)} files"
        f"{padded} (--whole measures each file as it is)"
    )
    return Evaluation(report, measured, len(files), clips.skipped, files.ignored)


def _some_sentences(signals, path, size, scale, count, seed):
    files = find_text(path)
    sentences, skipped = _sentences(signals, files)
    some = np.random.default_rng(seed).permutation(len(sentences))[:count]
    report = evaluate_text(signals.tokenizer, [sentences[i] for i in some])
    measured = f"{len(some)} of the {len(sentences)} sentences in {len(files)} files, drawn at random"
    measured += " (--whole measures all)" if len(some) < len(sentences) else ""
    return Evaluation(report, measured, len(files), skipped, files.ignored)


def _batches(examples, count):
    """So many examples, and no more, in batches."""
    for step, first in enumerate(range(0, count, examples.batch_size)):
        yield examples.batch(step)[: count - first]


# === Whole files ===
class _Done:
    """A tokenizer whose work on the one signal that is being measured is done already."""

    def __init__(self, tokenizer):
        self.codebook_sizes = tokenizer.codebook_sizes
        self.sample_rate = getattr(tokenizer, "sample_rate", None)

    def encode(self, signal):
        return self.tokens

    def decode(self, tokens, **size):
        return self.again


def _through(signals, done, loaders, skipped):
    """Yields each signal that can be read and comes back, as a batch of one; `done` then knows what came back."""
    for name, load in loaders:
        signal = None
        with kept_going(lambda reason, name=name: skipped.__setitem__(name, reason)):
            loaded = load()
            tokens = signals.encode([loaded])
            done.tokens, done.again = tokens, signals.decode(tokens[0], loaded.shape[:-1])[None]
            signal = loaded[None]
        if signal is not None:
            yield signal
    if len(skipped) == len(loaders):
        raise ValueError(f"None of the {len(loaders)} files can be measured. The first: {next(iter(skipped.values()))}")


def _whole_images(signals, path):
    files = open_images(path)
    source = as_source(files)

    def load(number):
        name = source.name(number)
        picture = decode_image(source.content(number), name, signals.channels, MAX_PIXELS)
        return to_floats(to_pixels(picture, signals.channels))

    loaders = [(source.name(number), lambda number=number: load(number)) for number in range(len(source))]
    done, skipped = _Done(signals.tokenizer), {}
    report = evaluate_images(done, _through(signals, done, loaders, skipped))
    del report["images_per_second"]  # of what was done already
    measured = f"{report['images']} of {len(source)} files, every pixel of each; {_MEANS}"
    return Evaluation(report, measured, len(source), skipped, getattr(files, "ignored", {}))


def _whole_audio(signals, path):
    files = find_audio(path)
    loaders = [(file, lambda file=file: signals.load(file)) for file in files]
    done, skipped = _Done(signals.tokenizer), {}
    report = evaluate_audio(done, _through(signals, done, loaders, skipped))
    del report["times_real_time"]
    report["recordings"] = report.pop("clips")
    measured = f"{report['recordings']} of {len(files)} files, every sample of each; {_MEANS}"
    return Evaluation(report, measured, len(files), skipped, files.ignored)


def _sentences(signals, files):
    """The sentences of the files that can be read and encoded, and a dict path -> reason of the others."""
    sentences, skipped = [], {}
    for file in files:
        with kept_going(functools.partial(skipped.__setitem__, file)):
            own = read_sentences([file])
            check_length(max(map(len, signals.tokenizer.pieces.encode(own))))
            sentences += own
    if not sentences:
        raise ValueError(f"None of the {len(files)} files can be measured. The first: {next(iter(skipped.values()))}")
    return sentences, skipped


def _whole_text(signals, path):
    files = find_text(path)
    sentences, skipped = _sentences(signals, files)
    report = evaluate_text(signals.tokenizer, sentences)
    measured = f"all {len(sentences)} sentences of {len(files) - len(skipped)} of {len(files)} files"
    return Evaluation(report, measured, len(files), skipped, files.ignored)


_SAMPLED = {"image": _image_crops, "audio": _audio_clips, "text": _some_sentences}
_WHOLE = {"image": _whole_images, "audio": _whole_audio, "text": _whole_text}
