"""Shards of images."""

import functools
import pathlib

from vqzoo.data.files import kept_going
from vqzoo.data.image.bounds import MAX_BYTES  # a record is a protocol buffer, whose limit is twice this
from vqzoo.data.image.pixels import MAX_PIXELS
from vqzoo.data.image.pixels import decode_image
from vqzoo.data.image.pixels import image_format
from vqzoo.data.image.source import ImageSource
from vqzoo.data.shard_writer import ShardWriter
from vqzoo.data.shard_writer import digest_files
from vqzoo.data.shard_writer import size_of
from vqzoo.data.shards import Shards
from vqzoo.files import check_regular
from vqzoo.files import shown_path

KIND = "images"


class ShardedImages(ImageSource):
    """The images of shards written by `vqzoo shard`.

    All workers need access to the whole folder, whose files are checked. Each worker reads an equal range of the
    images, which are whole shards except those that two neighbours share. A record with a wrong checksum is skipped and
    recorded. More than one in a hundred is an error.

    Args:
        folder: str or path.

    Raises:
        ValueError: as `Shards`.

    Example:
    >>> import tempfile
    >>> from vqzoo.data import sample_images
    >>> folder = tempfile.mkdtemp()
    >>> manifest = write_image_shards([(path, path.name) for path in sample_images()], folder, shard_bytes=10**6)
    >>> manifest["rows"], len(manifest["shards"]), manifest["failed"]
    (5, 3, {})
    >>> images = ShardedImages(folder)
    >>> images.name(4)
    'images-00002-of-00003.tfrecord/rocket.jpg'
    >>> images.content(4) == sample_images()[4].read_bytes()
    True
    """

    max_skipped = 0.01

    def __init__(self, folder):
        self.shards = Shards(folder, KIND)

    def __len__(self):
        return len(self.shards)

    def name(self, number):
        return self.shards.name(number)

    def content(self, number):
        feature = self.shards.record(number)["image/encoded"].bytes_list.value
        if len(feature) != 1:
            raise ValueError(f"{self.name(number)} has no image/encoded. Make the shards again.")
        return feature[0]

    def part(self, worker, workers):
        return self.shards.part(worker, workers)


def write_image_shards(files, folder, shard_bytes=2**28, force=False, progress=None):
    """Packs image files into shards in the given order, with unchanged bytes.

    Each record is a `tf.train.Example` with `image/encoded`, `image/filename` and `image/format` (JPEG, PNG ...). A
    stopped run can be resumed. Files that are not images are left out and recorded.

    Args:
        files: list of (path, name), the file and its name in the record.
        folder: str or path, for the shards.
        shard_bytes: int, bytes of images per shard; a larger image has its own shard. Default 2**28.
        force: bool, whether to replace shards of other files, and to write complete ones of these again. A stopped
            run is resumed in any case. Default False.
        progress: callable (path, reason or None), called after each file. Default None.

    Returns:
        Dict, the manifest, with `failed`: name -> reason.

    Raises:
        ValueError: `files` is empty, `shard_bytes` is below 1, or the folder holds other files.
        OSError: A shard cannot be written, for example on a full disk.
    """
    if not files or shard_bytes < 1:
        raise ValueError(f"Shards need one file and one byte or more. Received: {len(files)} files, {shard_bytes=}")
    groups, filled = [[]], 0
    for file in files:
        size = size_of(file[0])
        if groups[-1] and filled + size > shard_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(file)
        filled += size
    plan = {"pictures": digest_files(files), "shard_size": shard_bytes}
    writer = ShardWriter(folder, KIND, len(groups), plan, force)
    for shard in writer.missing():
        failed = {}
        writer.write(shard, _records(groups[shard], failed, progress), failed)
    return writer.finish()


def _records(group, failed, progress):
    for path, name in group:
        features = None
        with kept_going(functools.partial(failed.__setitem__, name)):
            features = _features(path, name)
        if features is not None:
            yield name, features["image/format"], features
        if progress is not None:
            progress(path, failed.get(name))


def _features(path, name):
    check_regular(path)
    if size_of(path) > MAX_BYTES:
        raise ValueError(f"{shown_path(path)} has more than {MAX_BYTES} bytes: leave it out of the shards.")
    data = pathlib.Path(path).read_bytes()
    decode_image(data, path, 3, MAX_PIXELS)  # raises an error if it is not an image
    return {"image/encoded": data, "image/filename": name, "image/format": image_format(data)}
