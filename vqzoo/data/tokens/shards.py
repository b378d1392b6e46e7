"""Shards of tokens, the training data of priors."""

import collections
import functools
import re
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vqzoo.data.shard_writer import ShardWriter
from vqzoo.data.shard_writer import digest_files
from vqzoo.data.shards import Shards
from vqzoo.data.stream import Order
from vqzoo.data.stream import equal_part
from vqzoo.data.stream import step_dataset
from vqzoo.jsons import is_integer
from vqzoo.jsons import shown

KIND = "tokens"

_SHAPE = r"[1-9][0-9]{0,9}(x[1-9][0-9]{0,9}){1,15}"  # a grid and the codebooks


class TokenRow(NamedTuple):
    """The tokens of one file."""

    tokens: np.ndarray  # int32 (*grid, num_codebooks)
    size: tuple  # of the signal: (height, width) of an image
    name: str  # of the file


class TokenShards:
    """Tokens written by `vqzoo encode --shards`, with random access and batches.

    It describes its tokens by `preset` (name or folder), `sha256` (of the model of that preset, which
    `vqzoo.presets.check_tokens_of` compares), `modality` and `codebook_sizes`. `shapes` counts the rows of each shape.

    Args:
        folder: str or path.

    Raises:
        ValueError: as `Shards`, or the manifest does not describe the tokens.

    Example:
    >>> import tempfile
    >>> about = {"preset": "mine", "sha256": "", "modality": "image", "codebook_sizes": [8]}
    >>> rows = [TokenRow(np.full((2, 3, 1), i, "int32"), (8, 12), f"{i}.png") for i in range(4)]
    >>> folder = tempfile.mkdtemp()
    >>> files = [(row.name, row.name) for row in rows]
    >>> manifest = write_token_shards(files, folder, about, lambda files, failed: rows)
    >>> shards = TokenShards(folder)
    >>> len(shards), shards[3].tokens[0, 0], shards.shapes
    (4, array([3], dtype=int32), {(2, 3, 1): 4})
    >>> next(iter(shards.dataset(batch_size=2))).shape
    TensorShape([2, 2, 3, 1])
    """

    def __init__(self, folder):
        self._shards = Shards(folder, KIND)
        about = {name: self._shards.plan.get(name) for name in ("preset", "sha256", "modality", "codebook_sizes")}
        wrong = [name for name, value in about.items() if not _fits(name, value)]
        labels = self._shards.labels()
        label = next((label for label in labels if not re.fullmatch(_SHAPE, label)), None)
        if wrong or label is not None:
            fault = f"{wrong[0]} is {shown(about[wrong[0]])}" if wrong else f"a shape is {shown(label)}"
            raise ValueError(
                f"The shards in {str(folder)!r} do not describe their tokens ({fault}). Encode again, with --force."
            )
        self.preset, self.sha256, self.modality = about["preset"], about["sha256"], about["modality"]
        self.codebook_sizes = tuple(about["codebook_sizes"])
        self._shapes = [tuple(map(int, label.split("x"))) for label in labels]
        self.shapes = dict(collections.Counter(self._shapes))  # in the order of their first rows

    def __len__(self):
        return len(self._shards)

    @property
    def row_shapes(self):
        """The shape of each row's tokens, a list of tuples, without reading them."""
        return list(self._shapes)

    def __getitem__(self, number):
        """One `TokenRow`. Raises ValueError if it is damaged, or holds tokens outside its codebooks."""
        record = self._shards.record(number)
        shape, size = (tuple(record[name].int64_list.value) for name in ("shape", "size"))
        data, filename = (record[name].bytes_list.value for name in ("tokens", "filename"))
        expected, whole = self._shapes[number], len(data) == len(filename) == 1
        if shape != expected or not whole or not data[0] or len(data[0]) != 4 * np.prod(shape):
            raise ValueError(
                f"{self._shards.name(number)} has no tokens of shape {expected}. Encode again with --force."
            )
        tokens = np.frombuffer(data[0], "<i4").astype("int32").reshape(shape)
        if shape[-1] != len(self.codebook_sizes) or tokens.min() < 0 or (tokens >= np.array(self.codebook_sizes)).any():
            raise ValueError(
                f"{self._shards.name(number)} holds tokens {shape} from {tokens.min()} to {tokens.max()}, where the "
                f"codebooks have {self.codebook_sizes} codes. Encode again with --force."
            )
        return TokenRow(tokens, size, filename[0].decode(errors="surrogateescape"))

    def dataset(self, batch_size, *, shape=None, seed=0, start=0, steps=None, worker=0, workers=1):
        """Batches in a random order with every row once per epoch, a pure function of (seed, step).

        Args:
            batch_size: int, rows per batch over all workers.
            shape: (*grid, num_codebooks), shape of the rows to use. Default None, if all rows have the same shape.
            seed: int from 0 to 2**63 - 1. Default 0.
            start: int, the first step. Default 0.
            steps: int, the number of batches. Default None, endless.
            worker: int, from 0, the index of the worker. Each reads an equal range of the rows, which are whole shards
                except those that two neighbours share. Default 0.
            workers: int, number of workers. Default 1.

        Returns:
            `tf.data.Dataset` of int32 (batch_size / workers, *grid, num_codebooks). A damaged row ends it with
            `tf.errors.InvalidArgumentError`, whose message names the shard.

        Raises:
            ValueError: No row has the shape, there are several shapes and `shape` is not given, there are fewer rows
                than workers, or a number is out of range.
        """
        shapes = ", ".join(f"{count} of {one}" for one, count in self.shapes.items())
        if shape is None and len(self.shapes) != 1:
            raise ValueError(f"A batch has tokens of one shape: pass shape=. There are {shapes or 'no rows'}.")
        shape = next(iter(self.shapes)) if shape is None else tuple(shape)
        chosen = np.flatnonzero([one == shape for one in self._shapes])
        if not len(chosen):
            raise ValueError(f"No tokens have the shape {shape}. There are {shapes}.")
        order = Order(len(chosen), batch_size, seed, functools.partial(equal_part, len(chosen)))

        def batch(step):
            places = order.batch(step, worker, workers)
            return np.stack([self[chosen[examples[position]]].tokens for _, examples, position in places])

        spec = tf.TensorSpec((order.rows(worker, workers), *shape), tf.int32)
        return step_dataset(batch, spec, start, steps)


def _fits(name, value):
    """Whether an entry of the plan has the right form."""
    if name != "codebook_sizes":
        return isinstance(value, str)
    return isinstance(value, list) and bool(value) and all(is_integer(size, 1, 2**31) for size in value)


def write_token_shards(files, folder, about, encode, files_per_shard=1000, force=False):
    """Writes the tokens of files to shards. A stopped run resumes after the last complete one.

    Each record is a `tf.train.Example` with `tokens` (the bytes of int32, little endian), `shape`, `size` and
    `filename`.

    Args:
        files: list of (path, name), the file and its name in the record.
        folder: str or path, for the shards.
        about: dict with `preset`, `sha256`, `modality` and `codebook_sizes`, as `vqzoo.presets.describe_tokens` gives.
        encode: callable (files, failed) -> iterable of `TokenRow`, deterministic for the same files. It records failed
            files in the dict `failed`: name -> reason.
        files_per_shard: int. Default 1000.
        force: bool, whether to replace shards of other files or another preset, and to write complete ones of these
            again. A stopped run is resumed in any case. Default False.

    Returns:
        Dict, the manifest, with `failed`: name -> reason.

    Raises:
        ValueError: `files` is empty, `files_per_shard` is below 1, or the folder holds other files.
        OSError: A shard cannot be written, for example on a full disk.
    """
    if not files or files_per_shard < 1:
        raise ValueError(f"Shards need at least one file each. Received: {len(files)} files, {files_per_shard=}")
    groups = [files[i : i + files_per_shard] for i in range(0, len(files), files_per_shard)]
    plan = {**about, "files": digest_files(files), "files_per_shard": files_per_shard}
    writer = ShardWriter(folder, KIND, len(groups), plan, force)
    for shard in writer.missing():
        failed = {}
        rows = encode(groups[shard], failed)
        writer.write(shard, map(_record, rows), failed)
    return writer.finish()


def _record(row):
    shape = row.tokens.shape
    features = {"tokens": row.tokens.astype("<i4").tobytes(), "shape": shape, "size": row.size, "filename": row.name}
    return row.name, "x".join(map(str, shape)), features
