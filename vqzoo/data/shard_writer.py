"""Writes TFRecord shards one after another, so that an interrupted run can be resumed."""

import contextlib
import hashlib
import os
import pathlib
import re
import zlib

import tensorflow as tf

from vqzoo.data.shards import FRAME
from vqzoo.data.shards import MANIFEST
from vqzoo.data.shards import PLAN
from vqzoo.data.shards import SHARD_FORMAT
from vqzoo.data.shards import index_of
from vqzoo.data.shards import index_or_none
from vqzoo.data.shards import json_or_none
from vqzoo.data.shards import manifest_bytes
from vqzoo.data.shards import plan_bytes
from vqzoo.data.shards import sha256_of
from vqzoo.files import FolderLock
from vqzoo.files import atomic_path
from vqzoo.files import user_path
from vqzoo.jsons import is_integer
from vqzoo.jsons import json_text
from vqzoo.jsons import parse_json


class ShardWriter:
    """Writes shards one by one. An interrupted run resumes after the last complete one.

    Args:
        folder: str or path, created if it is missing, and locked until the writer is closed.
        kind: str, the kind of the records, which is the first word of the file names.
        count: int, number of shards.
        plan: dict, plain JSON, all settings that determine the content of the shards. The manifest repeats it.
        force: bool, whether to delete existing shards of another plan, and complete ones of this plan, which are
            written again. Incomplete ones of this plan are kept, so that a repeated command with `force` resumes.
            Default False.

    Raises:
        ValueError: The folder holds other files, shards of another plan, or is locked by another process.

    Example:
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> writer = ShardWriter(folder, "numbers", 1, {"about": "squares"})
    >>> for shard in writer.missing():
    ...     writer.write(shard, [(f"{i}", "", {"square": [i * i]}) for i in range(5)])
    >>> writer.finish()["rows"]
    5
    >>> from vqzoo.data.shards import Shards
    >>> shards = Shards(folder, "numbers")
    >>> shards.name(3), list(shards.record(3)["square"].int64_list.value)
    ('numbers-00000-of-00001.tfrecord/3', [9])
    """

    def __init__(self, folder, kind, count, plan, force=False):
        self.folder = user_path(folder)
        self.kind = kind
        self.count = count
        self.plan = parse_json(plan_bytes({"kind": kind, "shards": count, "plan": plan}), any_text=True)
        self._lock = FolderLock(self.folder)
        found = json_or_none(self.folder / PLAN)
        if not self._is_same(found) or (force and (self.folder / MANIFEST).exists()):
            self._make_room(found, force)
            self._write_plan(self.plan)
        elif found != self.plan:  # of an earlier format, which is continued in this one
            self._write_plan(self.plan)

    def missing(self):
        """Numbers of the missing shards.

        Returns:
            List of int.
        """
        return [shard for shard in range(self.count) if index_or_none(self.folder / self._name(shard)) is None]

    def write(self, shard, records, failed=None):
        """Writes one shard atomically.

        Args:
            shard: int, from 0.
            records: iterable of (name, label, features): two strings for the index, and a dict of str to bytes, str
                or ints.
            failed: dict name -> reason, records that failed; it may be filled while `records` is iterated. Default
                None.

        Raises:
            OSError: The shard cannot be written, for example on a full disk.
        """
        path = self.folder / self._name(shard)
        offsets, checksums, names, labels = [0], [], [], []
        with atomic_path(path) as temporary:
            with contextlib.closing(_RecordFile(temporary, path)) as file:
                for name, label, features in records:
                    record = _example(features)
                    file.write(record)
                    offsets.append(offsets[-1] + len(record) + FRAME)
                    checksums.append(zlib.crc32(record))
                    names.append(name)
                    labels.append(label)
        index = {"bytes": path.stat().st_size, "sha256": sha256_of(path), "offsets": offsets, "crc32": checksums}
        with atomic_path(index_of(path)) as temporary:  # the second file marks the first as complete
            index |= {"names": names, "labels": labels, "failed": failed or {}}
            temporary.write_text(json_text(index), encoding="utf-8")

    def finish(self):
        """Writes the manifest.

        Returns:
            Dict, the manifest and, as `failed`, the failed records: name -> reason.
        """
        entries, failed = [], {}
        for shard in range(self.count):
            path = self.folder / self._name(shard)
            index = index_or_none(path)
            entries.append({"file": path.name, "rows": len(index["names"]), "bytes": index["bytes"]})
            entries[-1] |= {"sha256": index["sha256"], "index_sha256": sha256_of(index_of(path))}
            entries[-1] |= {"index_bytes": index_of(path).stat().st_size}
            failed |= index["failed"]
        rows = sum(entry["rows"] for entry in entries)
        manifest = {"format_version": SHARD_FORMAT, "kind": self.kind, "rows": rows, "shards": entries}
        manifest |= {"plan": self.plan["plan"]}
        with atomic_path(self.folder / MANIFEST) as temporary:
            temporary.write_bytes(manifest_bytes(manifest))
        self._lock.release()
        return {**manifest, "failed": failed}

    def _name(self, shard):
        return _shard_name(self.kind, shard, self.count)

    def _is_same(self, plan):
        """Whether an existing plan is this one, in this format or an earlier one."""
        if not isinstance(plan, dict) or not is_integer(plan.get("format_version"), 1, SHARD_FORMAT):
            return False
        return {**plan, "format_version": SHARD_FORMAT} == self.plan

    def _write_plan(self, plan):
        with atomic_path(self.folder / PLAN) as temporary:
            temporary.write_text(json_text(plan, indent=1), encoding="utf-8")

    def _make_room(self, found, force):
        """Deletes the shards of another plan, or refuses to. Only files that a plan of vqzoo names are deleted."""
        owned = _names_of(found)
        taken = [MANIFEST, PLAN] if owned is None else []
        taken += [name for shard in range(self.count) for name in _files_of(self._name(shard))]
        foreign = [name for name in taken if name not in (owned or ()) and os.path.lexists(self.folder / name)]
        if owned is not None and not force:
            before, now = ({"shards": plan.get("shards"), **plan["plan"]} for plan in (found, self.plan))
            others = [name for name in now if before.get(name) != now[name]]
            if is_integer(found.get("format_version"), SHARD_FORMAT + 1):
                others = ["format_version, from a newer vqzoo"]
            raise ValueError(
                f"{str(self.folder)!r} holds shards of another command, with other {', '.join(others) or 'content'}. "
                "Repeat that command to complete them, give --force to replace them, or choose another --out."
            )
        if foreign:
            raise ValueError(
                f"{str(self.folder)!r} holds other files of the names {', '.join(foreign[:3])}, which would be "
                "overwritten. Choose another --out."
            )
        if owned is None:
            return
        # A killed process must not leave old shards that look like those of this plan.
        self._write_plan({**self.plan, "replacing": sorted(owned)})
        (self.folder / MANIFEST).unlink(missing_ok=True)  # before its shards; without it the folder is incomplete
        for name in owned:
            (self.folder / name).unlink(missing_ok=True)


def _names_of(plan):
    """Set of the file names that a plan of vqzoo has written or is replacing; None for any other JSON."""
    if not isinstance(plan, dict) or not isinstance(plan.get("plan"), dict):
        return None
    kind, count, replacing = plan.get("kind"), plan.get("shards"), plan.get("replacing", [])
    if not isinstance(kind, str) or not re.fullmatch(r"\w+", kind) or not is_integer(count, 1, 10**5):
        return None
    pattern = r"\w+-\d{5}-of-\d{5}\.(tfrecord|index\.json)"
    old = [name for name in replacing if isinstance(name, str) and re.fullmatch(pattern, name)]
    return {*old, *(name for shard in range(count) for name in _files_of(_shard_name(kind, shard, count)))}


def _shard_name(kind, shard, count):
    return f"{kind}-{shard:05d}-of-{count:05d}.tfrecord"


def _files_of(name):
    """A shard and its index."""
    return name, index_of(pathlib.PurePath(name)).name


class _RecordFile:
    """`tf.io.TFRecordWriter` whose errors are OSErrors with a fix.

    Only errors of the writer are converted. Here `ResourceExhaustedError` means a full disk, elsewhere a full GPU.
    """

    def __init__(self, temporary, path):
        self._path = path
        self._file = self._call(tf.io.TFRecordWriter, os.fsencode(temporary))  # a name may not be UTF-8

    def write(self, record):
        self._call(self._file.write, record)

    def close(self):
        self._call(self._file.close)

    def _call(self, function, *arguments):
        try:
            return function(*arguments)
        except tf.errors.OpError as error:
            raise OSError(
                f"Cannot write the shard {str(self._path)!r}: {error.message}. Free disk space and repeat the "
                "command, which resumes after the last complete shard, or choose another --out."
            ) from error


def _example(features):
    """The bytes of a `tf.train.Example`, deterministic for the same features."""
    example = tf.train.Example()
    for name, value in features.items():
        if isinstance(value, (bytes, str)):
            value = value.encode(errors="surrogateescape") if isinstance(value, str) else value
            example.features.feature[name].bytes_list.value.append(value)
        else:
            example.features.feature[name].int64_list.value.extend(int(item) for item in value)
    return example.SerializeToString(deterministic=True)


def digest_files(files):
    """A hash of the names and sizes of files, in their order.

    Args:
        files: list of (path, name).

    Returns:
        str, hexadecimal.
    """
    lines = "\n".join(f"{name} {size_of(path)}" for path, name in files)
    return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()


def size_of(path):
    """The size of a file in bytes, 0 if it does not exist."""
    path = pathlib.Path(path)
    return path.stat().st_size if path.is_file() else 0
