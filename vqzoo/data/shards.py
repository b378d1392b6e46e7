"""TFRecord shards with a manifest: many small files as few large ones, read by number.

A folder holds `KIND-00000-of-00012.tfrecord`, which any reader of TFRecord reads, beside each an `.index.json` (where
its records begin, their checksums and names), and `manifest.json`, which is written last and marks the folder complete.
"""

import hashlib
import json
import pathlib
import zlib

import numpy as np
import tensorflow as tf

from vqzoo.data.stream import equal_part
from vqzoo.files import user_path

SHARD_FORMAT = 1
MANIFEST = "manifest.json"
PLAN = "plan.json"  # what is being written: a run with another plan is refused
# A TFRecord's frame: length (8 bytes) and its checksum (4) before the data, the data's checksum (4) after.
HEADER, FRAME = 12, 16
# Of a manifest or a plan, which any folder may hold under these names: room for 99,999 shards, as many as their names
# can count, of 350 bytes each.
_MOST_BYTES = 2**26


class Shards:
    """Records of complete shards, by number.

    Args:
        folder: str or path.
        kind: str, what the records have to be.

    Raises:
        ValueError: The manifest is missing, damaged, of a newer format or of another kind; or a shard or its index is
            missing or not as long as the manifest tells. All of them are named.
    """

    def __init__(self, folder, kind):
        self.folder = user_path(folder)
        self.manifest = _read_manifest(self.folder, kind)
        self.plan = self.manifest["plan"]
        self._files, self._offsets, self._checksums, self._names, self._labels, faults = [], [], [], [], [], []
        for entry in self.manifest["shards"]:
            try:
                offsets, checksums, names, labels = _read_index(self.folder, entry)
            except ValueError as error:
                faults.append(f"{entry['file']} ({error})")
                continue
            self._files.append(self.folder / entry["file"])
            self._offsets.append(offsets)
            self._checksums.append(np.array(checksums, np.uint32))
            self._names.append(names)
            self._labels.append(labels)
        if faults:
            raise ValueError(
                f"{len(faults)} of {len(self.manifest['shards'])} shards in {str(self.folder)!r} are not whole: "
                f"{', '.join(faults[:5])}. Fetch them again, or make the shards again with --force."
            )
        self._ends = np.cumsum([len(names) for names in self._names])

    def __len__(self):
        return int(self._ends[-1]) if len(self._ends) else 0

    def name(self, number):
        """A record's name: shard/name.

        Args:
            number: int, from 0.

        Returns:
            str.
        """
        shard, row = self._place(number)
        return f"{self._files[shard].name}/{self._names[shard][row]}"

    def labels(self):
        """What the index tells of each record.

        Returns:
            List of str.
        """
        return [label for labels in self._labels for label in labels]

    def record(self, number):
        """Reads one record and checks it.

        Args:
            number: int, from 0.

        Returns:
            Mapping of str to `tf.train.Feature`.

        Raises:
            ValueError: The record is damaged; the message names its shard.
        """
        shard, row = self._place(number)
        first, end = self._offsets[shard][row : row + 2]
        with open(self._files[shard], "rb") as file:
            file.seek(first + HEADER)
            data = file.read(end - first - FRAME)
        try:
            if zlib.crc32(data) != self._checksums[shard][row]:
                raise ValueError("its checksum is wrong")
            return tf.train.Example.FromString(data).features.feature
        except Exception as error:  # protobuf's DecodeError is no ValueError
            name = f"Record {row} ({self._names[shard][row]}) of the shard {str(self._files[shard])!r}"
            raise ValueError(f"{name} is damaged: {error}. Fetch the shard again, or make it again.") from error

    def part(self, worker, workers):
        """A worker's records: of n and W workers, w * n / W to (w + 1) * n / W, rounded down.

        All workers have as many, to one, however long the shards are. They read whole shards but for those that two
        neighbours share.

        Args:
            worker: int, from 0.
            workers: int.

        Returns:
            Ascending int array of records' numbers.

        Raises:
            ValueError: There are fewer records than workers.
        """
        return equal_part(len(self), worker, workers)

    def _place(self, number):
        if not 0 <= number < len(self):
            raise IndexError(f"There are records 0 to {len(self) - 1}. Received: {number}")
        shard = int(np.searchsorted(self._ends, number, side="right"))
        return shard, int(number) - (int(self._ends[shard - 1]) if shard else 0)


def verify_shards(folder):
    """Checks every byte of the shards in a folder.

    Args:
        folder: str or path.

    Returns:
        Dict, the manifest.

    Raises:
        ValueError: as `Shards`, or a shard is damaged; all of them are named.
    """
    folder = user_path(folder)
    manifest = Shards(folder, _read_manifest(folder)["kind"]).manifest
    damaged = [entry["file"] for entry in manifest["shards"] if sha256_of(folder / entry["file"]) != entry["sha256"]]
    if damaged:
        raise ValueError(f"The shards {', '.join(damaged)} in {str(folder)!r} are damaged: fetch or make them again.")
    return manifest


def holds_shards(folder):
    """Whether a folder holds shards, whole or not.

    Args:
        folder: path.

    Returns:
        bool.
    """
    found = [json_or_none(folder / name) for name in (MANIFEST, PLAN)]
    return any(isinstance(about, dict) and {"kind", "shards", "plan"} <= set(about) for about in found)


def _read_manifest(folder, kind=None):
    path = folder / MANIFEST
    if not path.is_file():
        unfinished = "the run that wrote its shards did not end: repeat its command, which goes on where it stopped"
        raise ValueError(
            f"{str(folder)!r} has no {MANIFEST}: "
            + (f"{unfinished}." if (folder / PLAN).is_file() else "shards are made by `vqzoo shard`.")
        )
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"{path.stat().st_size} bytes, where a manifest has no more than {_MOST_BYTES}")
        manifest = json.loads(path.read_bytes())
        version = manifest["format_version"]
        newer = isinstance(version, int) and version > SHARD_FORMAT
        if not newer:
            _check_manifest(manifest)
    except Exception as error:  # what a damaged file raises has no end
        raise ValueError(
            f"{str(path)!r} is damaged: {error}. Fetch the shards again, or make them again with --force."
        ) from error
    if newer:
        raise ValueError(
            f"The shards in {str(folder)!r} have format version {version} of a newer vqzoo; this one reads up to "
            f"{SHARD_FORMAT}. Upgrade: `pip install --upgrade vqzoo`."
        )
    if kind is not None and manifest["kind"] != kind:
        raise ValueError(f"The shards in {str(folder)!r} hold {manifest['kind']}, where {kind} are needed.")
    return manifest


def _check_manifest(manifest):
    """Raises, one thing or another, unless it has all that is read of it."""
    for entry in manifest["shards"]:
        names = [entry[key] for key in ("file", "sha256", "index_sha256")]
        counts = [entry["rows"], entry["bytes"]]
        if {str} != set(map(type, names)) or {int} != set(map(type, counts)) or min(counts) < 0:
            raise ValueError(f"it tells {entry} of a shard")
        if pathlib.PurePath(entry["file"]).name != entry["file"]:
            raise ValueError(f"its shard {entry['file']!r} is in another folder")
    files = [entry["file"] for entry in manifest["shards"]]
    if manifest["format_version"] != SHARD_FORMAT or len(set(files)) != len(files):
        raise ValueError("it is no manifest of shards")
    if not isinstance(manifest["kind"], str) or not isinstance(manifest["plan"], dict):
        raise ValueError("it is no manifest of shards")
    rows = sum(entry["rows"] for entry in manifest["shards"])
    if rows != manifest["rows"]:
        raise ValueError(f"its shards have {rows} rows, where it tells {manifest['rows']}")


def _read_index(folder, entry):
    """Offsets, checksums, names and labels of a shard's records."""
    path = folder / entry["file"]
    if not path.is_file():
        raise ValueError("missing")
    if path.stat().st_size != entry["bytes"]:
        raise ValueError(f"{path.stat().st_size} bytes instead of {entry['bytes']}")
    data = index_of(path).read_bytes() if index_of(path).is_file() else b""
    if hashlib.sha256(data).hexdigest() != entry["index_sha256"]:
        raise ValueError(f"its {index_of(path).name} is missing or damaged")
    try:
        index = json.loads(data)
        offsets, checksums = np.array(index["offsets"], np.int64), index["crc32"]
        names, labels = ([str(text) for text in index[key]] for key in ("names", "labels"))
        fit = len(offsets) - 1 == len(checksums) == len(names) == len(labels) == entry["rows"]
        fit = fit and offsets[0] == 0 and offsets[-1] == entry["bytes"] and (np.diff(offsets) >= FRAME).all()
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"its index cannot be read: {error}") from error
    if not fit:
        raise ValueError(f"its index does not fit {entry['rows']} rows in {entry['bytes']} bytes")
    return offsets, checksums, names, labels


def index_of(path):
    """The index beside a shard."""
    return path.with_suffix(".index.json")


def sha256_of(path):
    """The hash of a file's content, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_or_none(path, most_bytes=_MOST_BYTES):
    """What a JSON file holds, or None where it holds none or is larger than any manifest."""
    try:
        return json.loads(path.read_bytes()) if path.is_file() and path.stat().st_size <= most_bytes else None
    except (OSError, ValueError, RecursionError):
        return None
