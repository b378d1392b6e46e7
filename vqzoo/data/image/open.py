"""Opens images from a folder, shards, or a public dataset by name."""

from vqzoo.data.image.files import find_images
from vqzoo.data.image.shards import ShardedImages
from vqzoo.data.image.tfds import PREFIX
from vqzoo.data.image.tfds import TfdsImages
from vqzoo.data.paths import checked_folder
from vqzoo.data.shards import holds_shards
from vqzoo.files import user_path


def open_images(path):
    """Opens images for `ImageCrops` and `split_images`.

    Args:
        path: str or path: a picture, a folder of pictures, a folder of shards that `vqzoo shard` made, or
            `tfds:NAME/SPLIT`, a data set of TensorFlow Datasets.

    Returns:
        List of paths, as from `find_images`, or an `ImageSource`.

    Raises:
        ValueError: as `find_images`, `ShardedImages` and `TfdsImages`.

    Example:
    >>> from vqzoo.data import sample_images
    >>> len(open_images(sample_images()[0]))
    1
    """
    if str(path).startswith(PREFIX):
        return TfdsImages(str(path))
    folder = user_path(checked_folder(path, "open_images"))
    return ShardedImages(folder) if holds_shards(folder) else find_images(path)
