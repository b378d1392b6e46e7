"""Shards: what plain TensorFlow reads in them, workers' parts, and every kind of damage by its name."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from vqzoo.data import holds_shards
from vqzoo.data import verify_shards
from vqzoo.data.shard_writer import ShardWriter
from vqzoo.data.shards import Shards

ROWS = (4, 3, 2)  # of the shards


def rows_of(shard):
    first = sum(ROWS[:shard])
    return [
        (f"deep/{i}", f"label {i}", {"data": b"abc" * i, "ints": [i, -i]}) for i in range(first, first + ROWS[shard])
    ]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    writer = ShardWriter(folder, "numbers", 3, {"about": "numbers"})
    for shard in writer.missing():
        writer.write(shard, rows_of(shard), {"bad": "the reason"} if shard == 1 else None)
    assert writer.finish()["failed"] == {"bad": "the reason"}
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "shards")


def shard_path(folder, shard):
    return folder / f"numbers-{shard:05d}-of-00003.tfrecord"


def change(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def change_entry(folder, shard, **changes):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["shards"][shard] |= changes
    path.write_text(json.dumps(manifest))


def test_records_come_by_number(written):
    shards = Shards(written, "numbers")
    assert len(shards) == 9 and shards.plan == {"about": "numbers"}
    for number in (8, 0, 4, 3, 7, 1, 2, 5, 6):
        record = shards.record(number)
        assert record["data"].bytes_list.value == [b"abc" * number]
        assert record["ints"].int64_list.value == [number, -number]
        shard = int(np.searchsorted(np.cumsum(ROWS), number, side="right"))
        assert shards.name(number) == f"numbers-{shard:05d}-of-00003.tfrecord/deep/{number}"
    assert shards.labels() == [f"label {i}" for i in range(9)]
    with pytest.raises(IndexError, match="records 0 to 8. Received: 9"):
        shards.record(9)


def test_plain_tensorflow_reads_them(written):
    files = sorted(str(path) for path in written.glob("*.tfrecord"))
    features = {"data": tf.io.FixedLenFeature([], tf.string), "ints": tf.io.FixedLenFeature([2], tf.int64)}
    rows = [tf.io.parse_single_example(record, features) for record in tf.data.TFRecordDataset(files)]
    assert [row["data"].numpy() for row in rows] == [b"abc" * i for i in range(9)]
    assert [row["ints"].numpy().tolist() for row in rows] == [[i, -i] for i in range(9)]


def test_each_worker_has_as_many_records(written):
    shards = Shards(written, "numbers")
    assert [shards.part(worker, 2).tolist() for worker in (0, 1)] == [[0, 1, 2, 3], [4, 5, 6, 7, 8]]
    assert [shards.part(worker, 3).tolist() for worker in range(3)] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert shards.part(3, 4).tolist() == [6, 7, 8]  # more workers than shards
    with pytest.raises(ValueError, match="10 workers cannot share 9 examples"):
        shards.part(0, 10)


def test_whole_shards_are_verified(written, tmp_path):
    assert verify_shards(written)["rows"] == 9
    assert holds_shards(written) and not holds_shards(tmp_path)
    (tmp_path / "manifest.json").write_text('{"files": {}, "format_version": 1}')  # a preset's
    assert not holds_shards(tmp_path)


def test_a_manifest_beyond_its_limit_is_not_read(written, tmp_path, monkeypatch):
    shutil.copy(written / "manifest.json", tmp_path)
    assert holds_shards(tmp_path)
    os.truncate(tmp_path / "manifest.json", 2**26 + 1)  # a hole: no disk is needed
    monkeypatch.setattr("pathlib.Path.read_bytes", lambda path: pytest.fail(f"{path} is read"))
    assert not holds_shards(tmp_path)


# === Damage ===


def test_a_flipped_byte_is_found_in_its_record_alone(folder):
    path = shard_path(folder, 1)
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)
    shards = Shards(folder, "numbers")
    with pytest.raises(
        ValueError, match=r"Record 2 \(deep/6\) of the shard '.*numbers-00001-of-00003.tfrecord' is damaged"
    ):
        shards.record(6)
    assert shards.record(5)["ints"].int64_list.value == [5, -5]
    with pytest.raises(ValueError, match="The shards numbers-00001-of-00003.tfrecord in .* are damaged: fetch or make"):
        verify_shards(folder)
    with pytest.raises(tf.errors.DataLossError):  # TensorFlow's own reader finds it too
        list(tf.data.TFRecordDataset(str(path)))


def test_every_flipped_byte_of_a_record_is_found(folder):
    path = shard_path(folder, 2)
    whole = path.read_bytes()
    shards = Shards(folder, "numbers")
    end = json.loads(path.with_suffix(".index.json").read_text())["offsets"][1]
    for position in range(12, end - 4):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 16]) + whole[position + 1 :])
        with pytest.raises(ValueError, match="is damaged"):
            shards.record(7)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda f: shard_path(f, 0).unlink(),
            r"1 of 3 shards in .* are not whole: numbers-00000-of-00003\S+ \(missing\)",
        ),
        (lambda f: shard_path(f, 1).write_bytes(b""), r"numbers-00001-of-00003.tfrecord \(0 bytes instead of \d+\)"),
        (
            lambda f: [shard_path(f, i).write_bytes(shard_path(f, i).read_bytes()[:-1]) for i in (0, 2)],
            r"2 of 3 shards .*numbers-00000\S+ \(\d+ bytes instead.*numbers-00002\S+ \(\d+ bytes instead .*Fetch",
        ),
        (
            lambda f: shard_path(f, 1).with_suffix(".index.json").unlink(),
            r"numbers-00001-of-00003.index.json is missing or damaged",
        ),
        (lambda f: change(shard_path(f, 1).with_suffix(".index.json"), names=[]), "index.json is missing or damaged"),
        (
            lambda f: (f / "manifest.json").unlink(),
            "has no manifest.json: the run that wrote its shards did not end: repeat",
        ),
        (
            lambda f: [(f / n).unlink() for n in ("manifest.json", "plan.json")],
            "no manifest.json: shards are made by `vqzoo",
        ),
        (lambda f: (f / "manifest.json").write_text("{"), "manifest.json' is damaged: .*make them again with --force"),
        (lambda f: (f / "manifest.json").write_text("[]"), "manifest.json' is damaged"),
        (
            lambda f: os.truncate(f / "manifest.json", 2**26 + 1),
            "manifest.json' is damaged: 67108865 bytes, where a manifest has no more than 67108864. Fetch",
        ),
        (lambda f: change(f / "manifest.json", shards=3), "manifest.json' is damaged"),
        (lambda f: change(f / "manifest.json", plan=3), "manifest.json' is damaged: it is no manifest of shards"),
        (lambda f: change(f / "manifest.json", format_version="1"), "manifest.json' is damaged: it is no manifest"),
        (lambda f: change(f / "manifest.json", rows=10), "its shards have 9 rows, where it tells 10"),
        (lambda f: change_entry(f, 1, rows=-3), "manifest.json' is damaged: it tells .*'rows': -3"),
        (lambda f: change_entry(f, 1, rows=True), "it tells .*'rows': True"),
        (lambda f: change_entry(f, 1, file="../a"), "its shard '../a' is in another folder"),
        (lambda f: change_entry(f, 1, file="numbers-00000-of-00003.tfrecord"), "it is no manifest of shards"),
        (
            lambda f: [change_entry(f, 1, rows=5), change(f / "manifest.json", rows=11)],
            r"numbers-00001-of-00003.tfrecord \(its index does not fit 5 rows in \d+ bytes\)",
        ),
        (lambda f: change_entry(f, 0, bytes=10**15), "bytes instead of 1000000000000000"),
        (lambda f: change(f / "manifest.json", format_version=2), "format version 2 of a newer vqzoo; .*Upgrade: `pip"),
        (lambda f: change(f / "manifest.json", kind="images"), "hold images, where numbers are needed"),
    ],
)
def test_damaged_folders_are_named(folder, damage, message):
    damage(folder)
    with pytest.raises(ValueError, match=message):
        Shards(folder, "numbers")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offsets": [0, 1]}, "does not fit"),
        ({"offsets": "no"}, "its index cannot be read"),
        ({"names": [1, 2]}, "does not fit"),
        ({"labels": None}, "its index cannot be read"),
    ],
)
def test_an_index_that_does_not_fit_is_named(folder, changes, message):
    import hashlib

    index = shard_path(folder, 1).with_suffix(".index.json")
    change(index, **changes)
    change_entry(folder, 1, index_sha256=hashlib.sha256(index.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match=f"numbers-00001-of-00003.tfrecord .*{message}"):
        Shards(folder, "numbers")
