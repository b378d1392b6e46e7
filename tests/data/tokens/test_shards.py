"""Tokens in shards: what comes back, batches of them, and rows that are not what they tell."""

import numpy as np
import pytest
import tensorflow as tf

from vqzoo.data import TokenRow
from vqzoo.data import TokenShards
from vqzoo.data import write_token_shards
from vqzoo.data.shard_writer import ShardWriter

ABOUT = {"preset": "mine", "sha256": "abc", "modality": "image", "codebook_sizes": (16, 1000)}


def row(number, shape=(2, 3, 2)):
    return TokenRow(np.full(shape, number, "int32"), (8, 11), f"ö/{number}.png")


def write(folder, rows, files_per_shard=2, **about):
    rows = {one.name: one for one in rows}
    files = [(name, name) for name in rows]
    return write_token_shards(
        files,
        folder,
        {**ABOUT, **about},
        lambda files, failed: [rows[name] for _, name in files],
        files_per_shard,
    )


@pytest.fixture
def shards(tmp_path):
    manifest = write(tmp_path, [row(i) for i in range(12)])
    assert [entry["rows"] for entry in manifest["shards"]] == [2] * 6
    return TokenShards(tmp_path)


def test_rows_come_back(shards):
    assert len(shards) == 12
    np.testing.assert_array_equal(shards[7].tokens, np.full((2, 3, 2), 7))
    assert shards[7].tokens.dtype == np.int32 and shards[7][1:] == ((8, 11), "ö/7.png")
    told = (shards.preset, shards.sha256, shards.modality, shards.codebook_sizes, shards.shapes)
    assert told == ("mine", "abc", "image", (16, 1000), {(2, 3, 2): 12})


def test_plain_tensorflow_reads_them(shards, tmp_path):
    features = {"tokens": tf.io.FixedLenFeature([], tf.string), "shape": tf.io.FixedLenFeature([3], tf.int64)}
    files = sorted(map(str, tmp_path.glob("*.tfrecord")))
    for number, record in enumerate(tf.data.TFRecordDataset(files)):
        parsed = tf.io.parse_single_example(record, features)
        tokens = tf.reshape(tf.io.decode_raw(parsed["tokens"], tf.int32), parsed["shape"])
        np.testing.assert_array_equal(tokens, np.full((2, 3, 2), number))


def numbers(dataset):
    return [batch[:, 0, 0, 0].tolist() for batch in dataset.as_numpy_iterator()]


def test_batches_have_each_row_once_an_epoch_and_resume(shards):
    steps = numbers(shards.dataset(4, steps=6))
    assert sorted(sum(steps[:3], [])) == sorted(sum(steps[3:], [])) == list(range(12))
    assert steps[:3] != steps[3:] and steps != numbers(shards.dataset(4, steps=6, seed=1))
    assert numbers(shards.dataset(4, start=2, steps=4)) == steps[2:]
    first, second = (sum(numbers(shards.dataset(4, steps=3, worker=worker, workers=2)), []) for worker in (0, 1))
    assert sorted(first) == [0, 1, 2, 3, 4, 5] and sorted(second) == [6, 7, 8, 9, 10, 11]
    assert shards.dataset(4, workers=2).element_spec == tf.TensorSpec((2, 2, 3, 2), tf.int32)
    with pytest.raises(ValueError, match="24 workers cannot share 12 examples"):
        shards.dataset(24, workers=24)


def test_a_batch_has_one_shape(tmp_path):
    write(tmp_path, [row(i, (1, 2, 2) if i % 3 else (2, 1, 2)) for i in range(9)])
    shards = TokenShards(tmp_path)
    assert shards.shapes == {(2, 1, 2): 3, (1, 2, 2): 6}
    assert sorted(sum(numbers(shards.dataset(3, shape=(2, 1, 2), steps=1)), [])) == [0, 3, 6]
    with pytest.raises(ValueError, match=r"one shape: pass shape=. There are 3 of \(2, 1, 2\), 6 of \(1, 2, 2\)"):
        shards.dataset(3)
    with pytest.raises(ValueError, match=r"No tokens have the shape \(5, 1, 2\). There are 3 of"):
        shards.dataset(3, shape=(5, 1, 2))


def test_workers_share_the_rows_of_one_shape_equally(tmp_path):
    write(tmp_path, [row(i, (1, 2, 2) if i < 7 or i == 9 else (2, 1, 2)) for i in range(10)], files_per_shard=7)
    shards = TokenShards(tmp_path)  # of 7 and 3 rows; one shape has 7 and 1, the other 0 and 2
    for shape, batch_size, steps, rows in [
        ((1, 2, 2), 4, 2, [[0, 1, 2, 3], [4, 5, 6, 9]]),
        ((2, 1, 2), 2, 1, [[7], [8]]),
    ]:
        for worker in (0, 1):
            batches = shards.dataset(batch_size, shape=shape, steps=steps, worker=worker, workers=2)
            assert sorted(sum(numbers(batches), [])) == rows[worker]


def test_a_stopped_run_goes_on_and_another_one_is_refused(tmp_path):
    rows = [row(i) for i in range(5)]
    write(tmp_path / "once", rows)
    asked = []

    def encode(files, failed):
        asked.append(len(files))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return [rows[int(name[2:-4])] for _, name in files]

    arguments = ([(one.name, one.name) for one in rows], tmp_path / "twice", ABOUT, encode, 2)
    with pytest.raises(KeyboardInterrupt):
        write_token_shards(*arguments)
    with pytest.raises(ValueError, match="the run that wrote its shards did not finish"):
        TokenShards(tmp_path / "twice")
    write_token_shards(*arguments)
    assert asked == [2, 2, 2, 1]
    for path in (tmp_path / "once").iterdir():
        assert path.name == ".vqzoo.lock" or (tmp_path / "twice" / path.name).read_bytes() == path.read_bytes()
    with pytest.raises(ValueError, match="holds shards of another command, with other sha256"):
        write(tmp_path / "once", rows, sha256="def")
    with pytest.raises(ValueError, match="with other shards, files"):
        write(tmp_path / "once", rows[:3])


# === What is not as it tells ===


def lying(folder, tokens, shape=(2, 3, 2), label="2x3x2", plan=ABOUT):
    writer = ShardWriter(folder, "tokens", 1, plan)
    features = {"tokens": np.asarray(tokens, "<i4").tobytes(), "shape": shape, "size": (8, 11), "filename": "a"}
    writer.write(0, [("a", label, features)])
    writer.finish()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens": np.full(12, 16)}, r"holds tokens \(2, 3, 2\) from 16 to 16, where the codebooks have \(16, 1000\)"),
        ({"tokens": np.full(12, -1)}, "from -1 to -1"),
        ({"tokens": np.zeros(11)}, r"tokens-00000-of-00001.tfrecord/a has no tokens of shape \(2, 3, 2\)"),
        ({"tokens": np.zeros(0)}, "has no tokens of shape"),
        ({"tokens": np.zeros(12), "shape": (3, 2, 2)}, "has no tokens of shape"),
        ({"tokens": np.zeros(12), "shape": (-2, -3, 2)}, "has no tokens of shape"),
        ({"tokens": np.zeros(12), "shape": (12, 1), "label": "12x1"}, r"holds tokens \(12, 1\) from 0 to 0"),
    ],
)
def test_rows_that_lie_are_named(tmp_path, changes, message):
    lying(tmp_path, **changes)
    with pytest.raises(ValueError, match=message):
        TokenShards(tmp_path)[0]
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(iter(TokenShards(tmp_path).dataset(1)))


def about(**changes):
    return {"plan": {**ABOUT, **changes}}


@pytest.mark.parametrize(
    "changes",
    [
        {"plan": {}},
        *({"label": label} for label in ("wide", "", "2x3x2.0", " 2x3x2", "2x-3x2", "0x3x2", "2", "٢x3x2", "2x" * 99)),
        *(about(codebook_sizes=wrong) for wrong in (None, [], 16, "16", ["16", "1000"], [16.0, 1000.0], [True, True])),
        *(about(codebook_sizes=wrong) for wrong in ([0, 1000], [-16, 1000], [[16]], {"16": 1}, [None], [2**40, 1])),
        *(about(**{name: wrong}) for name in ("preset", "sha256", "modality") for wrong in (None, 1, True, ["a"], {})),
    ],
    ids=str,
)
def test_manifests_that_do_not_tell_are_named(tmp_path, changes):
    lying(tmp_path, np.zeros(12), **changes)
    with pytest.raises(ValueError, match="do not describe their tokens .* Encode again, with --force"):
        TokenShards(tmp_path)


def test_arguments_are_checked(tmp_path):
    with pytest.raises(ValueError, match="Shards need at least one file each. Received: 0 files, files_per_shard=2"):
        write(tmp_path, [])
    with pytest.raises(ValueError, match="Received: 1 files, files_per_shard=0"):
        write(tmp_path, [row(0)], files_per_shard=0)
