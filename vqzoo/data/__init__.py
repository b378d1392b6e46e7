"""Files to arrays to `tf.data`."""

from vqzoo.data.image import load_image
from vqzoo.data.image import save_image
from vqzoo.data.image_crops import ImageCrops
from vqzoo.data.image_files import find_images
from vqzoo.data.image_files import sample_images
from vqzoo.data.image_files import split_images
from vqzoo.data.image_open import open_images
from vqzoo.data.image_shards import ShardedImages
from vqzoo.data.image_shards import write_image_shards
from vqzoo.data.image_source import ImageSource
from vqzoo.data.image_tfds import TfdsImages
from vqzoo.data.shards import holds_shards
from vqzoo.data.shards import verify_shards
from vqzoo.data.token_shards import TokenRow
from vqzoo.data.token_shards import TokenShards
from vqzoo.data.token_shards import write_token_shards

__all__ = [
    "ImageCrops",
    "ImageSource",
    "ShardedImages",
    "TfdsImages",
    "TokenRow",
    "TokenShards",
    "find_images",
    "holds_shards",
    "load_image",
    "open_images",
    "sample_images",
    "save_image",
    "split_images",
    "verify_shards",
    "write_image_shards",
    "write_token_shards",
]
