"""Files to arrays to `tf.data`."""

from vqzoo.data.image import ImageCrops
from vqzoo.data.image import load_image
from vqzoo.data.image import save_image
from vqzoo.data.image_files import find_images
from vqzoo.data.image_files import sample_images
from vqzoo.data.image_files import split_images

__all__ = ["ImageCrops", "find_images", "load_image", "sample_images", "save_image", "split_images"]
