"""Shards: what plain TensorFlow reads in them, workers' parts, and every kind of damage by its name."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from vqzoo.data import TokenRow
from vqzoo.data import holds_shards
from vqzoo.data import verify_shards
from vqzoo.data import write_image_shards
from vqzoo.data import write_token_shards
from vqzoo.data.shard_writer import ShardWriter
from vqzoo.data.shards import Shards
from vqzoo.data.shards import manifest_bytes

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


def write_signed(path, value):
    """As somebody who means harm: a manifest with the right checksum."""
    path.write_bytes(manifest_bytes(value) if path.name == "manifest.json" else json.dumps(value).encode())


def change(path, **changes):
    write_signed(path, {**json.loads(path.read_text()), **changes})


def change_entry(folder, shard, **changes):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["shards"][shard] |= changes
    write_signed(path, manifest)


def of_format_1(folder):
    """The shards as an earlier vqzoo wrote them: without checksum and lengths of indexes."""
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["checksum"]
    for entry in manifest["shards"]:
        del entry["index_bytes"]
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format_version": 1}, indent=1))
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, "format_version": 1}, indent=1))


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


def of_kind(folder, kind):
    for path in [*folder.glob("*.tfrecord"), *folder.glob("*.index.json")]:
        path.rename(path.with_name(path.name.replace("numbers", kind)))
    manifest = json.loads((folder / "manifest.json").read_text().replace("numbers-", f"{kind}-"))
    write_signed(folder / "manifest.json", {**manifest, "kind": kind})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda f: shard_path(f, 0).unlink(),
            r"1 of 3 shards in .* are damaged: numbers-00000-of-00003\S+ \(missing\)",
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
            "has no manifest.json: the run that wrote its shards did not finish. Repeat",
        ),
        (
            lambda f: [(f / n).unlink() for n in ("manifest.json", "plan.json")],
            "no manifest.json: shards are made by `vqzoo",
        ),
        (lambda f: (f / "manifest.json").write_text("{"), "manifest.json' is damaged: .*make them again with --force"),
        (lambda f: (f / "manifest.json").write_text("[]"), "manifest.json' is damaged"),
        (
            lambda f: os.truncate(f / "manifest.json", 2**26 + 1),
            "manifest.json' is damaged: it has 67108865 bytes, more than the 67108864 of a manifest. Fetch",
        ),
        (lambda f: change(f / "manifest.json", shards=3), "manifest.json' is damaged"),
        (lambda f: change(f / "manifest.json", plan=3), "manifest.json' is damaged: it is not a manifest of shards"),
        (lambda f: change(f / "manifest.json", format_version="1"), "manifest.json' is damaged: it is not a manifest"),
        (lambda f: change(f / "manifest.json", rows=10), "its shards have 9 rows, and not the 10 of the manifest"),
        (lambda f: change_entry(f, 1, rows=-3), "manifest.json' is damaged: it has the entry .*'rows': -3"),
        (lambda f: change_entry(f, 1, rows=True), "it has the entry .*'rows': True"),
        (lambda f: change_entry(f, 1, file="../a"), "its shard 1 is called '../a'"),
        (lambda f: change_entry(f, 1, file="numbers-00000-of-00003.tfrecord"), "its shard 1 is called 'numbers-00000"),
        (lambda f: change_entry(f, 1, file=["numbers-00001-of-00003.tfrecord"]), "its shard 1 is called"),
        (lambda f: change_entry(f, 1, rows="3"), "it has the entry .*'rows': '3'"),
        (lambda f: change_entry(f, 1, rows=3.0), "it has the entry .*'rows': 3.0"),
        (lambda f: change_entry(f, 1, more=3), "it has the entry .* of a shard"),
        (lambda f: change_entry(f, 1, sha256="no"), "it has the entry .* of a shard"),
        (lambda f: change_entry(f, 1, index_sha256=None), "it has the entry .* of a shard"),
        (lambda f: change_entry(f, 1, index_bytes=10**9), r"numbers-00001-of-00003.index.json is missing or damaged"),
        (lambda f: change_entry(f, 1, bytes=2**70), "it has the entry .* of a shard"),
        (lambda f: change(f / "manifest.json", rows=9.0), "its shards have 9 rows, and not the 9.0 of the manifest"),
        (lambda f: change(f / "manifest.json", kind="../numbers"), "it is not a manifest of shards"),
        (lambda f: change(f / "manifest.json", kind=["numbers"]), "it is not a manifest of shards"),
        (lambda f: change(f / "manifest.json", format_version=True), "it is not a manifest of shards"),
        (lambda f: change(f / "manifest.json", format_version=2.0), "it is not a manifest of shards"),
        (lambda f: change(f / "manifest.json", format_version=1), "it is not a manifest of shards"),
        (lambda f: change(f / "manifest.json", more=1), "it is not a manifest of shards"),
        (lambda f: (f / "manifest.json").write_text("[" * 10**5), "nested more than 100 times"),
        (lambda f: (f / "manifest.json").write_text('{"rows": NaN}'), "NaN is not a number of JSON"),
        (
            lambda f: [change_entry(f, 1, rows=5), change(f / "manifest.json", rows=11)],
            r"numbers-00001-of-00003.tfrecord \(its index does not match 5 rows in \d+ bytes\)",
        ),
        (lambda f: change_entry(f, 0, bytes=10**15), "bytes instead of 1000000000000000"),
        (lambda f: change(f / "manifest.json", format_version=3), "format version 3 of a newer vqzoo; .*Upgrade: `pip"),
        (lambda f: of_kind(f, "images"), "hold images. Expected numbers"),
    ],
)
def test_damaged_folders_are_named(folder, damage, message):
    damage(folder)
    with pytest.raises(ValueError, match=message):
        Shards(folder, "numbers")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offsets": [0, 1]}, "does not match"),
        ({"offsets": "no"}, "its index cannot be read"),
        ({"offsets": [0, 2**70]}, "its index cannot be read"),
        ({"offsets": [0, True]}, "its index cannot be read"),
        ({"offsets": []}, "does not match"),
        ({"names": [1, 2, 3]}, "its index cannot be read: it has values of wrong types"),
        ({"names": ["a", "b"]}, "does not match"),
        ({"names": "abc"}, "its index cannot be read"),
        ({"labels": None}, "its index cannot be read"),
        ({"crc32": [1, 2, -3]}, "its index cannot be read"),
        ({"crc32": [1.5, 2, 3]}, "its index cannot be read"),
        ({"failed": []}, "its index cannot be read"),
        ({"failed": {"a": 1}}, "its index cannot be read"),
        ({"bytes": "5"}, "its index cannot be read"),
        ({"bytes": 5}, "does not match"),
        ({"sha256": "0" * 64}, "does not match"),
        ({"offsets": float("nan")}, "NaN is not a number of JSON"),
    ],
)
def test_an_index_that_does_not_fit_is_named(folder, changes, message):
    import hashlib

    index = shard_path(folder, 1).with_suffix(".index.json")
    change(index, **changes)
    digest = hashlib.sha256(index.read_bytes()).hexdigest()
    change_entry(folder, 1, index_sha256=digest, index_bytes=index.stat().st_size)
    with pytest.raises(ValueError, match=f"numbers-00001-of-00003.tfrecord .*{message}"):
        Shards(folder, "numbers")


# === Every byte ===


def small(folder, kind):
    """A few shards of images, tokens or numbers, as short as they can be."""
    if kind == "numbers":
        writer = ShardWriter(folder, kind, 1, {"about": "é", "share": 0.1, "deep": {"er": [None, True]}})
        for shard in writer.missing():
            writer.write(shard, [("a/b", "", {"data": b"abc"})], {"bad": "the reason"})
        writer.finish()
    elif kind == "images":
        Image.fromarray(np.zeros((1, 1), "uint8")).save(folder.parent / "a.png")
        write_image_shards([(folder.parent / "a.png", "a.png")], folder)
    else:
        about = {"preset": "mine", "sha256": "abc", "modality": "image", "codebook_sizes": (16,)}
        write_token_shards([("a", "a")], folder, about, lambda *_: [TokenRow(np.ones((1, 1), "int32"), (4,), "a")])


def edits(data):
    """Each byte flipped in one bit; and some doubled, left out, or with white space before."""
    for i in range(len(data)):
        yield data[:i] + bytes([data[i] ^ (1 << i % 8)]) + data[i + 1 :]
        if i % 9 == 0:
            yield data[: i + 1] + data[i:]
            yield data[:i] + data[i + 1 :]
            yield data[:i] + b" " + data[i:]
    yield data + b"\n"
    yield b"\xef\xbb\xbf" + data


def parsed(data):
    try:
        return json.loads(data)
    except ValueError:
        return None


@pytest.mark.parametrize("kind", ["numbers", "images", "tokens"])
def test_an_edit_of_any_byte_is_found(kind, tmp_path):
    folder = tmp_path / "shards"
    small(folder, kind)
    verify_shards(folder)
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue  # the lock
        whole = path.read_bytes()
        for edited in edits(whole):
            path.write_bytes(edited)
            if edited != whole:
                with pytest.raises(ValueError, match="damaged|not whole|of a newer vqzoo"):
                    verify_shards(folder)
        path.unlink()
        with pytest.raises(ValueError, match="missing|has no manifest.json"):
            verify_shards(folder)
        path.write_bytes(whole)
    verify_shards(folder)


@pytest.mark.parametrize("kind", ["numbers", "images", "tokens"])
def test_an_edit_of_what_an_earlier_vqzoo_wrote_is_found(kind, tmp_path):
    """White space of the manifest, which no checksum covers there, may differ; what it says may not."""
    folder = tmp_path / "shards"
    small(folder, kind)
    of_format_1(folder)
    assert verify_shards(folder)["format_version"] == 1
    for name in ("manifest.json", "plan.json"):
        whole = (folder / name).read_bytes()
        for edited in edits(whole):
            (folder / name).write_bytes(edited)
            if name == "plan.json" and edited == whole.replace(b'"format_version": 1', b'"format_version": 2'):
                continue  # as the plan of shards that are about to be of the newer format
            if edited != whole and (name == "plan.json" or parsed(edited) != parsed(whole)):
                with pytest.raises(ValueError, match="damaged|not whole|of a newer vqzoo"):
                    verify_shards(folder)
        (folder / name).write_bytes(whole)


@pytest.mark.parametrize(
    "edit",
    [
        lambda manifest: manifest["plan"].update(sha256="0" * 64),
        lambda manifest: manifest["plan"].update(codebook_sizes=[17]),
        lambda manifest: manifest["plan"].update(preset="other"),
        lambda manifest: manifest["plan"].update(modality="audio"),
        lambda manifest: manifest.update(kind="images"),
        lambda manifest: manifest.update(rows=1.0),
        lambda manifest: manifest.update(note="mine"),
        lambda manifest: manifest.update(format_version=1),
        lambda manifest: manifest.pop("checksum"),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_an_edited_manifest_is_found(edit, version, tmp_path):
    folder = tmp_path / "shards"
    small(folder, "tokens")
    if version == 1:
        of_format_1(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    before = json.dumps(manifest)
    if version == 2 or "checksum" in manifest:
        edit(manifest)
    else:
        manifest["checksum"] = "0"
        edit(manifest)
        manifest.pop("checksum", None)
    if json.dumps(manifest) != before:
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))
        with pytest.raises(ValueError, match="damaged"):
            verify_shards(folder)


def test_shards_of_an_earlier_vqzoo_are_read_and_completed(folder):
    of_format_1(folder)
    assert len(Shards(folder, "numbers")) == 9
    (folder / "manifest.json").unlink()
    shard_path(folder, 2).unlink()
    writer = ShardWriter(folder, "numbers", 3, {"about": "numbers"})
    assert writer.missing() == [2]
    writer.write(2, rows_of(2))
    assert writer.finish()["format_version"] == 2
    assert verify_shards(folder)["rows"] == 9


def test_shards_of_a_newer_vqzoo_are_not_completed(folder):
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, "format_version": 3}))
    with pytest.raises(ValueError, match="of another command, with other format_version, from a newer vqzoo"):
        ShardWriter(folder, "numbers", 3, {"about": "numbers"})


@pytest.mark.parametrize("content", ["[]", "{}", '{"bytes": 1}', "[" * 10**5, '{"names": NaN}', "", "\0"])
def test_an_index_that_is_none_is_written_again(folder, content):
    (folder / "manifest.json").unlink()
    shard_path(folder, 1).with_suffix(".index.json").write_text(content)
    writer = ShardWriter(folder, "numbers", 3, {"about": "numbers"})
    assert writer.missing() == [1]
    writer.write(1, rows_of(1))
    writer.finish()
    assert verify_shards(folder)["rows"] == 9


def test_a_huge_index_is_not_read(folder, monkeypatch):
    index = shard_path(folder, 1).with_suffix(".index.json")
    os.truncate(index, 2**36)  # a hole: no disk is needed
    change_entry(folder, 1, index_bytes=2**36)
    with pytest.raises(ValueError, match="numbers-00001-of-00003.index.json is missing or damaged"):
        Shards(folder, "numbers")
    (folder / "manifest.json").unlink()
    assert ShardWriter(folder, "numbers", 3, {"about": "numbers"}).missing() == [1]
