"""Writing shards: an interrupted run goes on, another one is refused, and nobody's files are touched."""

import json

import pytest
import tensorflow as tf

from vqzoo.data.shard_writer import ShardWriter
from vqzoo.data.shards import Shards


def rows(shard):
    return [(f"{i}", "", {"data": bytes([i]) * 100, "more": [i], "text": "ö", "zero": b""}) for i in range(shard, 9, 3)]


def write(folder, plan, force=False, stop=3):
    writer = ShardWriter(folder, "numbers", 3, plan, force)
    missing = writer.missing()
    for shard in missing[:stop]:
        writer.write(shard, rows(shard))
    if stop == 3:
        writer.finish()
    return missing


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".vqzoo.lock"}


def test_an_interrupted_run_ends_with_the_same_bytes(tmp_path):
    write(tmp_path / "once", {"a": 1, "b": (2, 3)})
    assert write(tmp_path / "twice", {"a": 1, "b": (2, 3)}, stop=1) == [0, 1, 2]

    def breaks():
        yield rows(1)[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ShardWriter(tmp_path / "twice", "numbers", 3, {"a": 1, "b": (2, 3)}).write(1, breaks())
    # The index marks a shard as done: one without it is written again.
    (tmp_path / "twice" / "numbers-00001-of-00003.tfrecord").write_bytes(b"half")
    assert write(tmp_path / "twice", {"a": 1, "b": (2, 3)}) == [1, 2]
    assert contents(tmp_path / "twice") == contents(tmp_path / "once")
    assert write(tmp_path / "twice", {"a": 1, "b": (2, 3)}) == []
    assert contents(tmp_path / "twice") == contents(tmp_path / "once")


def test_another_plan_is_refused_and_force_replaces_it(tmp_path):
    write(tmp_path, {"a": 1, "b": 2})
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="holds shards of another command, with other b, c. Repeat .* give --force"):
        write(tmp_path, {"a": 1, "b": 3, "c": 4})
    assert contents(tmp_path) == before
    (tmp_path / "notes.txt").write_text("mine")
    writer = ShardWriter(tmp_path, "numbers", 1, {"a": 2}, force=True)
    assert sorted(contents(tmp_path)) == ["notes.txt", "plan.json"]
    writer.write(0, [])
    assert writer.finish()["rows"] == 0
    assert len(Shards(tmp_path, "numbers")) == 0
    assert write(tmp_path, {"a": 2}, force=True) == [0, 1, 2]
    assert write(tmp_path, {"a": 2}, force=True) == [0, 1, 2]  # also where the plan is the same


def test_a_stopped_run_with_force_goes_on(tmp_path):
    write(tmp_path / "once", {"a": 1})
    write(tmp_path / "twice", {"a": 0})
    assert write(tmp_path / "twice", {"a": 1}, force=True, stop=2) == [0, 1, 2]
    assert write(tmp_path / "twice", {"a": 1}, force=True) == [2]
    assert contents(tmp_path / "twice") == contents(tmp_path / "once")


def test_old_shards_do_not_pass_for_new_ones_after_a_kill_while_they_are_deleted(tmp_path, monkeypatch):
    write(tmp_path, {"a": 1})
    deleted, unlink = [], type(tmp_path).unlink

    def stop(path, missing_ok=False):
        if path.suffix == ".tfrecord":
            deleted.append(path)
            raise KeyboardInterrupt
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(type(tmp_path), "unlink", stop)
        write(tmp_path, {"a": 1}, force=True)
    assert deleted and not (tmp_path / "manifest.json").exists()
    with pytest.raises(ValueError, match="holds shards of another command, with other content"):
        write(tmp_path, {"a": 1})
    assert write(tmp_path, {"a": 1}, force=True) == [0, 1, 2]
    assert len(Shards(tmp_path, "numbers")) == 9


@pytest.mark.parametrize("method", ["__init__", "write", "close"])
def test_a_full_disk_is_told_and_the_run_goes_on(tmp_path, monkeypatch, method):
    class Full(tf.io.TFRecordWriter):
        pass

    def full(*arguments):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    setattr(Full, method, full)
    write(tmp_path, {"a": 1}, stop=1)
    with monkeypatch.context() as patch, pytest.raises(OSError) as raised:
        patch.setattr("tensorflow.io.TFRecordWriter", Full)
        write(tmp_path, {"a": 1})
    message, cause = str(raised.value), raised.value.__cause__
    del raised  # its traceback has the writer, and that the lock
    assert message.startswith(f"Cannot write the shard '{tmp_path}/numbers-00001-of-00003.tfrecord': No space left on")
    assert message.endswith("repeat the command, which resumes after the last complete shard, or choose another --out.")
    assert isinstance(cause, tf.errors.ResourceExhaustedError)
    del cause
    assert write(tmp_path, {"a": 1}) == [1, 2]


def test_an_error_of_the_records_stays_what_it_is(tmp_path):
    def records():
        raise tf.errors.ResourceExhaustedError(None, None, "the GPU is full")
        yield

    with pytest.raises(tf.errors.ResourceExhaustedError, match="the GPU is full"):
        ShardWriter(tmp_path, "numbers", 1, {}).write(0, records())


@pytest.mark.parametrize("name", ["manifest.json", "plan.json", "numbers-00000-of-00003.tfrecord"])
def test_files_of_others_are_left_alone(tmp_path, name):
    (tmp_path / name).write_text("{}")
    for force in (False, True):
        with pytest.raises(ValueError, match=f"holds other files of the names {name}, which would be"):
            write(tmp_path, {}, force)
    assert (tmp_path / name).read_text() == "{}"


def test_two_writers_keep_apart(tmp_path):
    writer = ShardWriter(tmp_path, "numbers", 1, {})
    with pytest.raises(ValueError, match="Another process .* is writing into"):
        ShardWriter(tmp_path, "numbers", 1, {})
    writer.write(0, [])
    writer.finish()
    ShardWriter(tmp_path, "numbers", 1, {})


FOREIGN = [
    "train-00000-of-00010.tfrecord",
    "mine-00000-of-00001.index.json",
    "numbers-00007-of-00008.tfrecord",
    "a.png",
]


def test_force_deletes_only_what_its_own_plan_names(tmp_path):
    write(tmp_path, {"a": 1})
    for name in FOREIGN:
        (tmp_path / name).write_text("years of work")
    write(tmp_path, {"a": 2}, force=True)
    write(tmp_path, {"a": 2}, force=True)
    assert all((tmp_path / name).read_text() == "years of work" for name in FOREIGN)


@pytest.mark.parametrize(
    "plan",
    [
        {"plan": {"steps": 3}, "title": "my project"},
        {"plan": {}, "kind": "numbers"},
        {"plan": {}, "kind": "../x", "shards": 1},
        {"plan": {}, "kind": "numbers", "shards": True},
        {"plan": {}, "kind": "numbers", "shards": 10**9},
        {"plan": [], "kind": "numbers", "shards": 1},
    ],
)
def test_a_plan_that_is_not_ours_protects_its_folder(plan, tmp_path):
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    (tmp_path / "train-00000-of-00002.tfrecord").write_text("years of work")
    before = contents(tmp_path)
    for force in (False, True):
        with pytest.raises(ValueError, match="holds other files of the names plan.json"):
            write(tmp_path, {"a": 1}, force=force)
    assert contents(tmp_path) == before


def test_shards_of_another_count_that_a_stopped_replacement_left_are_deleted(tmp_path):
    write(tmp_path, {"a": 1})
    old = sorted(path.name for path in tmp_path.glob("numbers-*"))
    plan = json.loads((tmp_path / "plan.json").read_text())
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "plan.json").write_text(json.dumps({**plan, "shards": 1, "replacing": [*old, "../x", 3, "a.png"]}))
    (tmp_path / "a.png").write_text("mine")
    write(tmp_path, {"a": 2}, force=True)
    assert (tmp_path / "a.png").read_text() == "mine"
