"""Pictures in shards train as the files do."""

import collections

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from vqzoo.data import ImageCrops
from vqzoo.data import ShardedImages
from vqzoo.data import open_images
from vqzoo.data import sample_images
from vqzoo.data import split_images
from vqzoo.data import write_image_shards


@pytest.fixture
def flat(tmp_path):
    """Twelve grey pictures of the values 0, 20 ... 220, each of as many bytes."""
    (tmp_path / "flat").mkdir()
    files = [tmp_path / "flat" / f"{value:03d}.bmp" for value in range(0, 240, 20)]
    for value, file in enumerate(files):
        Image.fromarray(np.full((8, 8), 20 * value, np.uint8)).save(file)
    return files


@pytest.fixture
def folder(flat, tmp_path):
    """Four shards of three of them."""
    size = flat[0].stat().st_size
    manifest = write_image_shards([(file, f"a/{file.name}") for file in flat], tmp_path / "shards", 3 * size + 10)
    assert [entry["rows"] for entry in manifest["shards"]] == [3, 3, 3, 3]
    return tmp_path / "shards"


def greys(batch):
    return np.rint((batch[:, 0, 0, 0] + 1) * 127.5).astype(int).tolist()


def test_the_bytes_are_untouched_and_tell_their_format(tmp_path):
    write_image_shards([(file, file.name) for file in sample_images()], tmp_path, 2**20)
    files = sorted(map(str, tmp_path.glob("*.tfrecord")))
    features = {f"image/{name}": tf.io.FixedLenFeature([], tf.string) for name in ("encoded", "filename", "format")}
    rows = [tf.io.parse_single_example(record, features) for record in tf.data.TFRecordDataset(files)]
    assert [row["image/encoded"].numpy() for row in rows] == [file.read_bytes() for file in sample_images()]
    assert [row["image/filename"].numpy().decode() for row in rows] == [file.name for file in sample_images()]
    assert [row["image/format"].numpy() for row in rows] == [b"PNG"] * 4 + [b"JPEG"]


def test_crops_and_split_are_those_of_the_files(tmp_path):
    write_image_shards([(file, file.name) for file in sample_images()], tmp_path, 2**20)
    images = open_images(tmp_path)
    assert isinstance(images, ShardedImages)
    options = {"size": (16, 24), "batch_size": 7, "jitter": 0.2, "seed": 3}
    for files, rows in [
        (sample_images(), images),
        *zip(split_images(sample_images()), split_images(images), strict=True),
    ]:
        np.testing.assert_array_equal(ImageCrops(rows, **options).batch(2), ImageCrops(files, **options).batch(2))


def test_each_worker_reads_an_equal_range_once_an_epoch(folder):
    crops = ImageCrops(ShardedImages(folder), 8, 6)
    for worker, values in ((0, range(0, 120, 20)), (1, range(120, 240, 20))):
        steps = [crops.batch(step, worker, 2) for step in range(4)]
        for epoch in (steps[:2], steps[2:]):
            assert sorted(greys(np.concatenate(epoch))) == list(values)
    train, validation = split_images(ShardedImages(folder), 0.4)
    assert sorted(greys(ImageCrops(train, 8, len(train)).batch(0))) == sorted(
        int(name[-7:-4]) for name in map(str, train)
    )
    assert set(train) | set(validation) == set(ShardedImages(folder))
    with pytest.raises(ValueError, match="24 workers cannot share 12 examples"):
        ImageCrops(ShardedImages(folder), 8, 24).dataset(worker=0, workers=24)


def counts(images, batch_size, steps, workers):
    """How often each picture comes in so many steps of all workers."""
    crops = ImageCrops(images, 8, batch_size)
    batches = [crops.batch(step, worker, workers) for step in range(steps) for worker in range(workers)]
    return collections.Counter(greys(np.concatenate(batches)))


def test_unequal_shards_do_not_make_some_pictures_more_frequent(flat, tmp_path):
    size = flat[0].stat().st_size
    flat[9].write_bytes(flat[9].read_bytes() + bytes(2 * size))  # a shard of its own, as bytes tell
    manifest = write_image_shards([(file, file.name) for file in flat], tmp_path / "shards", 9 * size)
    assert [entry["rows"] for entry in manifest["shards"]] == [9, 3]
    images = ShardedImages(tmp_path / "shards")
    assert counts(images, 6, 2, 2) == dict.fromkeys(range(0, 240, 20), 1)
    assert counts(images, 6, 2, 3) == dict.fromkeys(range(0, 240, 20), 1)  # more workers than shards
    # Of a subset all but two are in the first shard; 7 do not divide by 2: one epoch of 8 rows, one row comes again.
    some = images.subset([0, 1, 3, 4, 7, 9, 11])
    often = counts(some, 4, 2, 2)
    assert sorted(often) == [0, 20, 60, 80, 140, 180, 220] and sorted(often.values()) == [1] * 6 + [2]
    np.testing.assert_array_equal(some.part(0, 2), [0, 1, 2])
    np.testing.assert_array_equal(some.subset([2, 5]).part(1, 2), [1])


def test_a_worker_opens_no_shard_beyond_its_range(folder):
    images = ShardedImages(folder)  # which needs to see all of them
    for shard in (2, 3):
        (folder / f"images-{shard:05d}-of-00004.tfrecord").unlink()
    assert len(set(greys(ImageCrops(images, 8, 12).batch(0, 0, 2)))) == 6
    with pytest.raises(ValueError, match="2 of 4 shards in .* are damaged"):
        ShardedImages(folder)


def test_damaged_records_are_skipped_up_to_a_hundredth(folder, monkeypatch):
    path = folder / "images-00001-of-00004.tfrecord"
    data = bytearray(path.read_bytes())
    data[100] ^= 255
    path.write_bytes(data)
    crops = ImageCrops(ShardedImages(folder), 8, 12)
    assert len(set(greys(crops.batch(0)))) == 11
    name = "images-00001-of-00004.tfrecord/a/060.bmp"
    assert list(crops.skipped) == [name] and "its checksum is wrong" in crops.skipped[name]
    data[-50] ^= 255
    path.write_bytes(data)
    message = "2 of 12 images cannot be read so far, and at most 1.00% may fail(.|\n)*images-00001-of-00004"
    with pytest.raises(ValueError, match=message):
        ImageCrops(ShardedImages(folder), 8, 12).batch(0)
    monkeypatch.setattr(ShardedImages, "max_skipped", 0.2)
    assert len(set(greys(ImageCrops(ShardedImages(folder), 8, 12).batch(0)))) == 10


def test_a_picture_that_cannot_be_decoded_is_named_with_its_shard(flat, tmp_path, monkeypatch):
    flat[3].write_bytes(flat[3].read_bytes()[:-20])
    monkeypatch.setattr("vqzoo.data.image.shards.decode_image", lambda *arguments: None)
    write_image_shards([(file, file.name) for file in flat], tmp_path / "shards")
    crops = ImageCrops(ShardedImages(tmp_path / "shards"), 8, 12)
    crops.batch(0)
    reason = crops.skipped["images-00000-of-00001.tfrecord/060.bmp"]
    assert reason.startswith(
        "Cannot read the picture images-00000-of-00001.tfrecord/060.bmp: it is damaged or truncated"
    )


def test_records_without_a_picture_are_named(tmp_path):
    from vqzoo.data.shard_writer import ShardWriter

    writer = ShardWriter(tmp_path, "images", 1, {})
    writer.write(0, [("a", "", {"other": b""})])
    writer.finish()
    with pytest.raises(
        ValueError, match="images-00000-of-00001.tfrecord/a has no image/encoded. Make the shards again"
    ):
        ShardedImages(tmp_path).content(0)


def test_what_is_no_picture_is_left_out_and_named_also_after_a_stop(flat, tmp_path):
    flat[1].write_text("no picture")
    flat[7].unlink()
    files = [(file, file.name) for file in flat]
    told, size = [], flat[0].stat().st_size

    def stop(path, error):
        told.append((path.name, error is None))
        if len(told) == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_image_shards(files, tmp_path / "shards", 3 * size + 10, progress=stop)
    manifest = write_image_shards(files, tmp_path / "shards", 3 * size + 10)
    assert ("000.bmp", True) in told and ("020.bmp", False) in told
    assert manifest["rows"] == 10 and sorted(manifest["failed"]) == ["020.bmp", "140.bmp"]
    assert "none of " in manifest["failed"]["020.bmp"] and "No such file" in manifest["failed"]["140.bmp"]
    assert len(ShardedImages(tmp_path / "shards")) == 10


def test_arguments_are_checked(flat, tmp_path, monkeypatch):
    for files, size in (([], 1), ([(flat[0], "a")], 0)):
        with pytest.raises(
            ValueError, match="Shards need one file and one byte or more. Received: . files, shard_bytes=."
        ):
            write_image_shards(files, tmp_path / "shards", size)
    monkeypatch.setattr("vqzoo.data.image.shards.MAX_BYTES", 20)
    manifest = write_image_shards([(flat[0], "a")], tmp_path / "shards")
    assert "000.bmp has more than 20 bytes: leave it out of the shards" in manifest["failed"]["a"]
