"""The tokens of pictures, once for a training, with what each shows and a small copy to find neighbours by."""

import collections
import dataclasses
import pathlib
import sys

import numpy as np
from rich.console import Console
from rich.progress import Progress

from vqzoo.data import ImageCrops
from vqzoo.data import ImageSource
from vqzoo.data import TfdsImages
from vqzoo.runs.priors.data import Rows
from vqzoo.runs.priors.data import class_of

_AT_ONCE = 64
_SMALL = 16  # pixels a side, at least, of a small copy
_BLOCK = 4096  # small copies compared at once


@dataclasses.dataclass
class ImageRows(Rows):
    """Rows of tokens of images.

    Attributes:
        asked: list of str, the class or the caption of each row, "" for none.
        small: uint8 array (rows, values), small copies of the images.
    """

    asked: list = dataclasses.field(default_factory=list)
    small: np.ndarray = None


def image_rows_of(files, root, tokenizer, crop, examples, quiet=False, captions=None):
    """Encodes random crops of pictures.

    Args:
        files: list of paths, or `vqzoo.data.ImageSource`.
        root: str or path, the folder of the files, whose subfolders are their classes; "" for no classes.
        tokenizer: `ImageTokenizer`.
        crop: dict, the arguments of `vqzoo.data.ImageCrops` but files and batch size.
        examples: int, crops at least: as many of each picture, one or more.
        quiet: bool, whether no progress is shown. Defaults to False.
        captions: callable, name of a picture -> tuple of its captions, which its crops take in turn; then there are no
            classes. Defaults to none.

    Returns:
        `ImageRows`.
    """
    each = -(-examples // len(files))
    tokens, small, conditions, pictures, skipped = [], [], [], [], {}
    quiet = quiet or not sys.stderr.isatty()
    with Progress(console=Console(stderr=True), transient=True, disable=quiet) as progress:
        task = progress.add_task("encoding pictures", total=each * len(files))
        # One class after another: a picture that cannot be read gives way to another of its class.
        for name, part in _by_class(files, "" if captions else root).items():
            count = each * len(part)
            crops = ImageCrops(part, batch_size=min(_AT_ONCE, count), **crop)
            crops.batch(0)  # before TensorFlow reads it, whose message would bury the reason
            own = []
            for step, batch in enumerate(crops.dataset(steps=-(-count // crops.batch_size))):
                tokens.append(np.asarray(tokenizer.encode(batch)))
                small.append(small_copies(np.asarray(batch)))
                own += crops.pictures(step)
                progress.advance(task, len(batch))
            extra = -count % crops.batch_size
            tokens[-1], small[-1] = (x[: len(x) - extra] for x in (tokens[-1], small[-1]))
            conditions += _in_turn(own[:count], captions) if captions else [name] * count
            pictures += own[:count]
            skipped |= crops.skipped
    size = tuple(batch.shape[1:3])
    return ImageRows(np.concatenate(tokens), pictures, {}, skipped, size, conditions, np.concatenate(small))


def shard_rows_of(shards, tokenizer, validation, captions=None):
    """The rows of token shards, and small copies of what they decode to.

    Args:
        shards: `vqzoo.data.TokenShards`, all rows of one shape. Their names contain the classes.
        tokenizer: `ImageTokenizer` that made them.
        validation: callable, list of str -> set of int, the rows that are held out.
        captions: callable, name of a row -> tuple of its captions: rows without are left out. Defaults to none.

    Returns:
        Two `ImageRows`, for training and for validation.

    Raises:
        ValueError: if there are rows of several shapes or images of several sizes, none has a caption, or there is
            only one row.
    """
    if len(shards.shapes) != 1:
        shapes = ", ".join(f"{count} of {shape}" for shape, count in shards.shapes.items())
        raise ValueError(
            f"A prior's tokens have one shape. The shards have {shapes}. Encode images of one size, or give --data, of "
            "which crops are taken."
        )
    rows = [shards[i] for i in range(len(shards))]
    if captions:
        first, rows = rows[0].name, [row for row in rows if captions(row.name)]
    if not rows:
        raise ValueError(
            f"No row of the token shards, such as {first!r}, is named in the table of captions. Its files are called "
            "as the pictures were, relative to the folder that was encoded."
        )
    if len(rows) < 2:
        raise ValueError(
            f"A prior learns from rows of tokens and is judged by others: 2 or more. Received: 1, {rows[0].name!r}. "
            "Encode more pictures."
        )
    sizes = sorted({row.size for row in rows})
    if len(sizes) > 1:
        raise ValueError(
            f"A prior's images have one size. The shards have images of "
            f"{' and '.join(map(str, sizes[:3]))} pixels{' and others' * (len(sizes) > 3)}. Encode images of one "
            "size, or give --data, of which crops are taken."
        )
    held_out = validation([row.name for row in rows])
    return tuple(
        _shard_rows([row for i, row in enumerate(rows) if (i in held_out) == validates], tokenizer, captions)
        for validates in (False, True)
    )


def small_copies(pictures):
    """Pictures as few bytes, to compare them.

    Args:
        pictures: float array (batch, height, width, channels) in [-1, 1].

    Returns:
        uint8 array (batch, values).
    """
    batch, height, width, channels = pictures.shape
    factor = max(1, min(height, width) // _SMALL)
    height, width = height // factor, width // factor
    cells = pictures[:, : height * factor, : width * factor].reshape(batch, height, factor, width, factor, channels)
    means = (np.clip(cells.mean(axis=(2, 4)), -1.0, 1.0) + 1.0) * 127.5
    return np.rint(means).astype("uint8").reshape(batch, -1)


def nearest(small, of):
    """The nearest rows of small copies.

    Args:
        small: uint8 array (rows, values), those to choose from.
        of: uint8 array (count, values).

    Returns:
        int array (count,), rows, and float array (count,), root mean square differences on the scale of [-1, 1].
    """
    of = of.astype("float32")
    best = np.full(len(of), np.inf, "float32")
    found = np.zeros(len(of), int)
    for first in range(0, len(small), _BLOCK):
        block = small[first : first + _BLOCK].astype("float32")
        squares = (of**2).sum(1)[:, None] - 2.0 * of @ block.T + (block**2).sum(1)
        rows = squares.argmin(axis=1)
        nearer = squares[np.arange(len(of)), rows] < best
        best[nearer] = squares[np.arange(len(of)), rows][nearer]
        found[nearer] = first + rows[nearer]
    return found, np.sqrt(np.maximum(best, 0.0) / of.shape[1]) / 127.5


def others_of(pictures):
    """For each row another one of the same picture: the next, and behind the last the first.

    Args:
        pictures: list with the name of each row's picture.

    Returns:
        int array of rows; a row's own number where its picture has no other.
    """
    rows = collections.defaultdict(list)
    for row, name in enumerate(pictures):
        rows[name].append(row)
    others = np.zeros(len(pictures), int)
    for own in rows.values():
        others[own] = np.roll(own, -1)
    return others


def _by_class(files, root):
    """Dict class -> the files of it, or a source of them."""
    whole = getattr(files, "source", files)  # of a part
    if not root or isinstance(whole, TfdsImages):  # whose names are no paths
        return {"": files}
    if isinstance(files, ImageSource):
        # A record is called shard/name.
        names = [class_of(pathlib.PurePath(*pathlib.PurePath(name).parts[1:]), None) for name in files]
    else:
        names = [class_of(file, root) for file in files]
    places = {name: [i for i, own in enumerate(names) if own == name] for name in sorted(set(names))}
    take = getattr(files, "subset", lambda numbers: [files[i] for i in numbers])
    return {name: take(numbers) for name, numbers in places.items()}


def _in_turn(names, captions):
    """The captions of pictures, of which one that comes again has its next one."""
    turns = collections.Counter()
    found = []
    for name in names:
        own = captions(name)
        found.append(own[turns[name] % len(own)])
        turns[name] += 1
    return found


def _shard_rows(rows, tokenizer, captions):
    tokens = np.stack([row.tokens for row in rows])
    size = rows[0].size
    parts = (tokenizer.decode(tokens[i : i + _AT_ONCE], size=size) for i in range(0, len(tokens), _AT_ONCE))
    small = np.concatenate([small_copies(np.asarray(part)) for part in parts])
    names = [row.name for row in rows]
    conditions = _in_turn(names, captions) if captions else [class_of(name, None) for name in names]
    return ImageRows(tokens, names, {}, {}, size, conditions, small)
