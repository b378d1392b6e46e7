"""TFRecord shards with a manifest and random access by record number.

A folder holds `KIND-00000-of-00012.tfrecord`, which any TFRecord reader can read, an `.index.json` for each (offsets,
checksums and names of its records), and `manifest.json`, which is written last and marks the folder complete.
"""

import hashlib
import re
import zlib

import numpy as np
import tensorflow as tf

from vqzoo.data.stream import equal_part
from vqzoo.files import user_path
from vqzoo.jsons import is_integer
from vqzoo.jsons import json_text
from vqzoo.jsons import parse_json
from vqzoo.jsons import shown
from vqzoo.names import check_name

# Version 2: the manifest has a checksum of itself, and the length of each index. Version 1 is still supported.
SHARD_FORMAT = 2
MANIFEST = "manifest.json"
PLAN = "plan.json"  # the plan of the current run; a run with another plan is refused
# A TFRecord's frame: length (8 bytes) and its checksum (4) before the data, the data's checksum (4) after.
HEADER, FRAME = 12, 16
# Largest size of a manifest or a plan, because any folder may hold files of these names. It suffices for the largest
# number of shards, 99,999, of 350 bytes each.
_MOST_BYTES = 2**26
# For an index it is this plus eight times its shard, because an escaped character of a name takes six characters.
_INDEX_BYTES = 8
_LONGEST_RECORD = 2**31  # bytes, the limit of protocol buffers
_KEYS = {"format_version", "kind", "rows", "shards", "plan"}


class Shards:
    """Random access to the records of complete shards.

    Args:
        folder: str or path.
        kind: str, the expected kind of the records.

    Raises:
        ValueError: The manifest is missing, damaged, of a newer format or of another kind; or a shard or its index is
            missing or has a wrong length. The message names all of them.
    """

    def __init__(self, folder, kind):
        self.folder = _folder(folder)
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
                f"{len(faults)} of {len(self.manifest['shards'])} shards in {str(self.folder)!r} are damaged: "
                f"{', '.join(faults[:5])}. Fetch them again, or make the shards again with --force."
            )
        self._ends = np.cumsum([len(names) for names in self._names])

    def __len__(self):
        return int(self._ends[-1]) if len(self._ends) else 0

    def name(self, number):
        """The name of a record, shard/name.

        Args:
            number: int, from 0.

        Returns:
            str.
        """
        shard, row = self._place(number)
        return f"{self._files[shard].name}/{self._names[shard][row]}"

    def labels(self):
        """The labels of all records, from the index.

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
        except Exception as error:  # protobuf's DecodeError is not a ValueError
            name = f"Record {row} ({self._names[shard][row]}) of the shard {str(self._files[shard])!r}"
            raise ValueError(f"{name} is damaged: {error}. Fetch the shard again, or make it again.") from error

    def part(self, worker, workers):
        """The records of a worker: of n and W workers, w * n / W to (w + 1) * n / W, rounded down.

        The numbers of records differ by at most one, independent of the lengths of the shards. Workers read whole
        shards, except those that two neighbours share.

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
    """Checks every byte of the shards in a folder, of their indexes, of the manifest and of the plan.

    The manifest of an earlier vqzoo has no checksum, and its white space is not checked.

    Args:
        folder: str or path.

    Returns:
        Dict, the manifest.

    Raises:
        ValueError: as `Shards`, or a shard or the plan is damaged. The message names all of them.
    """
    folder = _folder(folder)
    manifest = Shards(folder, _read_manifest(folder)["kind"]).manifest
    damaged = [entry["file"] for entry in manifest["shards"] if sha256_of(folder / entry["file"]) != entry["sha256"]]
    if damaged:
        raise ValueError(f"The shards {', '.join(damaged)} in {str(folder)!r} are damaged: fetch or make them again.")
    # A newer vqzoo writes its plan first, then its manifest.
    plans = [plan_bytes(manifest, version) for version in range(manifest["format_version"], SHARD_FORMAT + 1)]
    path = folder / PLAN
    if not path.is_file() or path.stat().st_size not in map(len, plans) or path.read_bytes() not in plans:
        fault = "damaged: it does not match the manifest" if path.is_file() else "missing"
        raise ValueError(f"{str(path)!r} is {fault}. Fetch it again, or make the shards again with --force.")
    return manifest


def manifest_bytes(manifest):
    r"""Serialises a manifest with a checksum of the rest, deterministically.

    Args:
        manifest: dict, with a `checksum` or without.

    Returns:
        bytes.

    Example:
    >>> manifest_bytes({"rows": 5})[:24]
    b'{\n "rows": 5,\n "checksum'
    """
    rest = {name: value for name, value in manifest.items() if name != "checksum"}
    checksum = hashlib.sha256(json_text(rest).encode()).hexdigest()
    return json_text({**rest, "checksum": checksum}, indent=1).encode()


def plan_bytes(manifest, version=SHARD_FORMAT):
    """Serialises the plan in a manifest.

    Args:
        manifest: dict, with `kind`, `shards` and `plan`.
        version: int, the format. Default the newest.

    Returns:
        bytes.
    """
    shards = manifest["shards"]
    count = shards if isinstance(shards, int) else len(shards)
    plan = {"format_version": version, "kind": manifest["kind"], "shards": count, "plan": manifest["plan"]}
    return json_text(plan, indent=1).encode()


def holds_shards(folder):
    """Whether a folder holds shards, complete or not.

    Args:
        folder: str or path.

    Returns:
        bool.
    """
    folder = user_path(folder)
    found = [json_or_none(folder / name) for name in (MANIFEST, PLAN)]
    return any(isinstance(about, dict) and {"kind", "shards", "plan"} <= set(about) for about in found)


def _folder(folder):
    folder = user_path(folder)
    check_name(folder)
    return folder


def _read_manifest(folder, kind=None):
    path = folder / MANIFEST
    if not path.is_file():
        unfinished = "the run that wrote its shards did not finish. Repeat its command, which resumes where it stopped"
        raise ValueError(
            f"{str(folder)!r} has no {MANIFEST}: "
            + (f"{unfinished}." if (folder / PLAN).is_file() else "shards are made by `vqzoo shard`.")
        )
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has {path.stat().st_size} bytes, more than the {_MOST_BYTES} of a manifest")
        data = path.read_bytes()
        manifest = parse_json(data, any_text=True)
        version = manifest["format_version"]
        newer = is_integer(version) and version > SHARD_FORMAT
        if not newer:
            _check_manifest(manifest)
            if version > 1 and manifest_bytes(manifest) != data:
                raise ValueError("its checksum is wrong")
    except Exception as error:  # a damaged file raises many types
        raise ValueError(
            f"{str(path)!r} is damaged: {error}. Fetch the shards again, or make them again with --force."
        ) from error
    if newer:
        raise ValueError(
            f"The shards in {str(folder)!r} have format version {version} of a newer vqzoo; this one reads up to "
            f"{SHARD_FORMAT}. Upgrade: `pip install --upgrade vqzoo`."
        )
    if kind is not None and manifest["kind"] != kind:
        raise ValueError(f"The shards in {str(folder)!r} hold {manifest['kind']}. Expected {kind}.")
    return manifest


def _check_manifest(manifest):
    """Raises an error of any type unless the manifest has all required entries."""
    version, kind, shards = (manifest[name] for name in ("format_version", "kind", "shards"))
    keys = _KEYS if version == 1 else _KEYS | {"checksum"}
    if not is_integer(version, 1) or not isinstance(shards, list) or not isinstance(manifest["plan"], dict):
        raise ValueError("it is not a manifest of shards")
    if not isinstance(kind, str) or not re.fullmatch(r"\w+", kind) or set(manifest) != keys:
        raise ValueError("it is not a manifest of shards")
    counts = ["rows", "bytes"] if version == 1 else ["rows", "bytes", "index_bytes"]
    for i, entry in enumerate(shards):
        hashes = [entry[name] for name in ("sha256", "index_sha256")]
        good = all(isinstance(text, str) and re.fullmatch("[0-9a-f]{64}", text) for text in hashes)
        if not good or not all(is_integer(entry[name]) for name in counts) or len(entry) != len(counts) + 3:
            raise ValueError(f"it has the entry {shown(entry)} of a shard")
        if entry["file"] != f"{kind}-{i:05d}-of-{len(shards):05d}.tfrecord":
            raise ValueError(f"its shard {i} is called {shown(entry['file'])}")
    rows = sum(entry["rows"] for entry in shards)
    if not is_integer(manifest["rows"]) or rows != manifest["rows"]:
        raise ValueError(f"its shards have {rows} rows, and not the {shown(manifest['rows'])} of the manifest")


def _read_index(folder, entry):
    """Offsets, checksums, names and labels of a shard's records."""
    path = folder / entry["file"]
    if not path.is_file():
        raise ValueError("missing")
    if path.stat().st_size != entry["bytes"]:
        raise ValueError(f"{path.stat().st_size} bytes instead of {entry['bytes']}")
    index = index_of(path)
    size = index.stat().st_size if index.is_file() else -1
    if size != entry.get("index_bytes", size) or not 0 <= size <= _MOST_BYTES + _INDEX_BYTES * entry["bytes"]:
        raise ValueError(f"its {index.name} is missing or damaged")
    data = index.read_bytes()
    if hashlib.sha256(data).hexdigest() != entry["index_sha256"]:
        raise ValueError(f"its {index.name} is missing or damaged")
    index = parsed_index(data)
    if entry["rows"] != len(index["names"]) or entry["bytes"] != index["bytes"] or entry["sha256"] != index["sha256"]:
        raise ValueError(f"its index does not match {entry['rows']} rows in {entry['bytes']} bytes")
    return index["offsets"], index["crc32"], index["names"], index["labels"]


def parsed_index(data):
    """Parses and checks an index.

    Args:
        data: bytes.

    Returns:
        Dict with `bytes` and `sha256` of the shard, `offsets` (int64 array), and the lists `crc32`, `names` and
        `labels`; and `failed`, a dict name -> reason.

    Raises:
        ValueError: it is not a valid index.
    """
    try:
        index = parse_json(data, any_text=True)
        offsets, checksums, names, labels = (index[key] for key in ("offsets", "crc32", "names", "labels"))
        good = all(
            isinstance(texts, list) and all(isinstance(text, str) for text in texts) for texts in (names, labels)
        )
        good = good and isinstance(offsets, list) and all(is_integer(offset) for offset in offsets)
        good = good and isinstance(checksums, list) and all(is_integer(crc, most=2**32 - 1) for crc in checksums)
        failed = index.setdefault("failed", {})
        good = good and isinstance(failed, dict) and all(isinstance(reason, str) for reason in failed.values())
        good = good and isinstance(index["sha256"], str) and is_integer(index["bytes"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"its index cannot be read: {error}") from error
    if not good:
        raise ValueError("its index cannot be read: it has values of wrong types")
    index["offsets"] = offsets = np.array(offsets, np.int64)
    lengths = np.diff(offsets)
    fit = len(offsets) - 1 == len(checksums) == len(names) == len(labels) and offsets[0] == 0
    if not fit or offsets[-1] != index["bytes"] or not ((FRAME <= lengths) & (lengths <= _LONGEST_RECORD)).all():
        raise ValueError(f"its index does not match {len(names)} rows in {index['bytes']} bytes")
    return index


def index_of(path):
    """The path of the index of a shard."""
    return path.with_suffix(".index.json")


def sha256_of(path):
    """The hash of a file's content, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_or_none(path):
    """The contents of a manifest or a plan, or None if it is neither or too large."""
    try:
        small = path.is_file() and path.stat().st_size <= _MOST_BYTES
        return parse_json(path.read_bytes(), any_text=True) if small else None
    except (OSError, ValueError):
        return None


def index_or_none(path):
    """The index of a shard with the expected length, or None."""
    try:
        size = path.stat().st_size
        if index_of(path).stat().st_size > _MOST_BYTES + _INDEX_BYTES * size:
            return None
        index = parsed_index(index_of(path).read_bytes())
    except (OSError, ValueError):
        return None
    return index if index["bytes"] == size else None
