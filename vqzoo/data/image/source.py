"""Sources of images: a list of files, shards, a public dataset, or a custom class."""

import abc
import os

import numpy as np

from vqzoo.data.files import as_paths
from vqzoo.data.stream import equal_part


class ImageSource(abc.ABC):
    """Random access to images. `ImageCrops` needs only these three methods.

    Random access from any thread makes a batch a pure function of its step.

    Example:
    >>> class Greys(ImageSource):
    ...     def __len__(self):
    ...         return 200
    ...
    ...     def name(self, number):
    ...         return f"grey {number}"
    ...
    ...     def content(self, number):
    ...         return np.full((8, 8, 3), number, "uint8")
    >>> from vqzoo.data import ImageCrops
    >>> ImageCrops(Greys(), size=8, batch_size=4).batch(0).shape
    (4, 8, 8, 3)
    """

    max_skipped = 1.0
    """float, the fraction of images that may be unreadable. More stop the training with an error."""

    @abc.abstractmethod
    def __len__(self):
        """The number of images."""

    def __iter__(self):
        """The names of all images."""
        return map(self.name, range(len(self)))

    @abc.abstractmethod
    def name(self, number):
        """The name of an image in messages, by which `split_images` splits.

        Args:
            number: int, from 0.

        Returns:
            str or path.
        """

    @abc.abstractmethod
    def content(self, number):
        """One image as it is stored.

        Args:
            number: int, from 0.

        Returns:
            Path of a file, bytes of one, or a uint8 array (height, width, channels) of 1, 3 or 4 channels.

        Raises:
            ValueError: The image cannot be read. It is skipped, and the message is kept.
        """

    def part(self, worker, workers):
        """The images of one of several workers, if each reads its own part.

        All workers take the same number per step, so that images are equally frequent if the parts have equal length. A
        `subset` of a source with parts is divided again into equal ranges.

        Args:
            worker: int, from 0.
            workers: int.

        Returns:
            Ascending int array of numbers, or None (here), if all workers share one order of all images.
        """
        return None

    def subset(self, numbers):
        """A subset of the images.

        Args:
            numbers: ascending ints, from 0.

        Returns:
            `ImageSource`.
        """
        return ImageSubset(self, numbers)


class ImageFiles(ImageSource):
    """A list of files.

    Args:
        files: list of paths, as from `find_images`.

    Raises:
        ValueError: `files` is empty or one path instead of a list.

    Example:
    >>> from vqzoo.data import sample_images
    >>> len(ImageFiles(sample_images()))
    5
    """

    def __init__(self, files):
        self.files = as_paths(files)

    def __len__(self):
        return len(self.files)

    def name(self, number):
        return self.files[number]

    def content(self, number):
        return self.files[number]


class ImageSubset(ImageSource):
    """A subset of a source. If the source has parts for workers, each gets an equal range of the subset.

    Args:
        source: `ImageSource`.
        numbers: ascending ints, the numbers of its images.

    Example:
    >>> from vqzoo.data import sample_images
    >>> ImageSubset(ImageFiles(sample_images()), [1, 3]).name(1).name
    'motorcycle_left.png'
    """

    def __init__(self, source, numbers):
        self.source = source
        self.numbers = np.asarray(numbers, np.int64)
        self.max_skipped = source.max_skipped

    def __len__(self):
        return len(self.numbers)

    def name(self, number):
        return self.source.name(self.numbers[number])

    def content(self, number):
        return self.source.content(self.numbers[number])

    def part(self, worker, workers):
        if self.source.part(worker, workers) is None:
            return None
        return equal_part(len(self), worker, workers)  # not its part of the source, whose lengths may differ


def as_source(files):
    """Converts a list of files to a source. A source is returned unchanged.

    Args:
        files: list of paths, or `ImageSource`.

    Returns:
        `ImageSource`, not empty.

    Raises:
        ValueError: There is no image, or `files` is one path instead of a list.

    Example:
    >>> as_source(["a.png"]).name(0).name
    'a.png'
    """
    if isinstance(files, ImageSource):
        if not len(files):
            raise ValueError(f"{type(files).__name__} has no pictures: give a source with at least one.")
        return files
    if not isinstance(files, (str, os.PathLike)) and not hasattr(files, "__iter__"):
        raise ValueError(f"files must be a list of paths or a vqzoo.data.ImageSource. Received: {files!r}")
    return ImageFiles(files)
