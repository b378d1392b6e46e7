"""Images as a part of a prior's space: arrays, files, and the tokens of a tokenizer."""

import os

import keras
import numpy as np

from vqzoo.data import load_image
from vqzoo.data.stream import is_count
from vqzoo.jsons import shown
from vqzoo.ops import area_matrix
from vqzoo.ops import bicubic_matrix
from vqzoo.ops import resize


class ImageSignal:
    """What a person writes for an image, and what comes out.

    Args:
        tokenizer: `ImageTokenizer`.
        size: tuple (height, width) in pixels. Defaults to whole strides.
    """

    has_size = True
    """bool, whether results have a size that their tokens do not determine."""
    axes = 3
    """int, of one image: height, width, channels."""

    def __init__(self, tokenizer, size=None):
        self.tokenizer = tokenizer
        if size is not None and (len(size) != 2 or not all(map(is_count, size))):
            raise ValueError(f"`size` is (height, width) in pixels, positive integers. Received: size={shown(size)}")
        self.size = None if size is None else tuple(int(n) for n in size)

    def read(self, path):
        """The image of a file; where the size is fixed, its middle, scaled to that size.

        Args:
            path: str or path.

        Returns:
            float32 array (height, width, channels) in [-1, 1].
        """
        image = load_image(path, channels=self.tokenizer.encoder.input_shape[-1])
        if self.size is None or image.shape[:2] == self.size:
            return image
        height, width = self.size
        scale = min(image.shape[0] / height, image.shape[1] / width)
        rows, columns = (max(1, round(n * scale)) for n in self.size)
        top, left = (image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2
        middle = image[None, top : top + rows, left : left + columns]
        matrices = [
            (area_matrix if have > want else bicubic_matrix)(have, want)
            for have, want in zip(middle.shape[1:3], self.size, strict=True)
        ]
        return np.clip(keras.ops.convert_to_numpy(resize(middle, *matrices))[0], -1.0, 1.0)

    def checked(self, image):
        """An image, an array or the path of a file, as an array; raises ValueError where it is not of the size."""
        image = self.read(image) if isinstance(image, str | os.PathLike) else image
        image = keras.ops.convert_to_numpy(self.tokenizer.checked_example(image))[0]
        if self.size is not None and image.shape[:2] != self.size:
            height, width = self.size
            raise ValueError(
                f"The prior has learnt images of {height}x{width} pixels here. Received: {image.shape[0]}x"
                f"{image.shape[1]}. Give the path of a file, which is scaled, or an image of that size."
            )
        return image

    def encode(self, image):
        """Tokens of one image: int32 array (*grid, num_codebooks)."""
        return keras.ops.convert_to_numpy(self.tokenizer.encode(image[None]))[0]

    def beginning(self, image):
        """Raises ValueError: an image has no beginning."""
        raise ValueError(
            "An image is completed, and has no beginning. Received: `prompt` for a prior of images. Call "
            "`vqzoo.inpaint(prior, image, mask)`, with the mask True where pixels are made."
        )

    def decode(self, tokens, batch_size=None):
        """Images of tokens: float32 array (count, *size, channels) in [-1, 1]."""
        options = {} if self.size is None else {"size": self.size}
        images = self.tokenizer.decode(tokens, batch_size=batch_size, **options)
        return np.clip(keras.ops.convert_to_numpy(images), -1.0, 1.0)

    def grid(self, length=None):
        """The grid of the tokens of one image."""
        size = self.size or self.tokenizer.encoder.input_shape[1:3]
        if None in size:
            raise ValueError("The tokens of images have a grid only where `size` says theirs. Received: size=None")
        blank = np.zeros((*size, self.tokenizer.encoder.input_shape[-1]), "float32")
        return self.encode(blank).shape[:-1]

    def about(self):
        """Dict of JSON values that a preset's metadata hold of a prior that makes this."""
        return {}

    def describe(self):
        """Dict of JSON values, what the constructor takes beside the tokenizer."""
        return {} if self.size is None else {"size": list(self.size)}
