"""Lists image files and the five sample photographs, and splits them."""

import importlib.util
import pathlib

from vqzoo.data.files import listed_files
from vqzoo.data.files import split_files
from vqzoo.data.image.formats import readable_suffixes
from vqzoo.data.image.formats import unread_suffixes
from vqzoo.data.paths import checked_folder

# The colour photographs in scikit-image's wheel with permissive licences. Its other images are grey, medical, drawn
# or downloaded.
_SAMPLES = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")


def find_images(path):
    """Lists the images of a folder and its subfolders, by suffix.

    Files and folders whose name starts with a dot are skipped. No file is opened. The suffixes depend on the installed
    Pillow, see `load_image`. Other files are counted.

    Args:
        path: str or path, a folder or one image. A str that begins with `~/` is below the home folder.

    Returns:
        `FileList` of `pathlib.Path`, sorted. Its `ignored` holds the number of other files by ending.

    Raises:
        ValueError: The path does not exist, is a file of another kind, or is a folder without images.

    Example:
    >>> find_images(sample_images()[0])[0].name
    'astronaut.png'
    """
    path = checked_folder(path, "find_images")
    instead = "take sample_images(), as recipes without --data do: five photographs"
    return listed_files(path, readable_suffixes(), "picture", instead, readers=unread_suffixes())


def sample_images():
    """Five colour photographs of about 500 x 500 pixels from scikit-image's wheel, without a download.

    Returns:
        List of five `pathlib.Path`, sorted.

    Raises:
        ValueError: The installed scikit-image lacks them.

    Example:
    >>> [path.name for path in sample_images()]
    ['astronaut.png', 'chelsea.png', 'coffee.png', 'motorcycle_left.png', 'rocket.jpg']
    """
    spec = importlib.util.find_spec("skimage")  # finds the folder without an import
    folder = pathlib.Path(spec.submodule_search_locations[0] if spec else "skimage", "data")
    files = [folder / name for name in _SAMPLES]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ValueError(
            f"The sample pictures {', '.join(missing)} are not in {folder}. "
            "Run pip install --force-reinstall scikit-image, or use pictures of your own with find_images."
        )
    return files


def split_images(files, validation=0.2, seed=0):
    """Splits image files into training and validation files.

    A file belongs to validation if a hash of (seed, its name), in [0, 1), is below `validation`. Adding, removing or
    moving files therefore does not change the side of the others. With two or more files neither side is empty, because
    the smallest hash always validates and the largest always trains.

    Args:
        files: list of paths, as from `find_images`, or an `ImageSource`.
        validation: float in (0, 1), the expected fraction of validation files. Default 0.2.
        seed: int, seed of the split. Default 0.

    Returns:
        `(train, validation)`, two lists of `pathlib.Path` (two sources of a source) in the order of `files`. A single
        file is on both sides, with a warning.

    Raises:
        ValueError: `files` is empty or one path instead of a list, or `validation` is outside (0, 1).

    Example:
    >>> train, validation = split_images(sample_images())
    >>> len(train), [path.name for path in validation]
    (4, ['chelsea.png'])
    """
    return split_files(files, validation, seed, "picture")
