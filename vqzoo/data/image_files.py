"""Which pictures: a folder's files, the five sample photographs, and their split by photo."""

import hashlib
import importlib.util
import os
import pathlib
import warnings

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
# The colour photographs of scikit-image's wheel whose licences allow everything; its other pictures are grey,
# medical, drawn, or fetched from the network.
_SAMPLES = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")


def find_images(path):
    """Lists the pictures of a folder and its subfolders, by suffix.

    Files and folders whose name starts with a dot are skipped. Nothing is opened.

    Args:
        path: str or path, a folder or one picture. `~` is the home folder.

    Returns:
        List of `pathlib.Path`, sorted.

    Raises:
        ValueError: The path does not exist, is a file of another kind, or is a folder without pictures.

    Example:
    >>> find_images(sample_images()[0])[0].name
    'astronaut.png'
    """
    path = pathlib.Path(path).expanduser()
    looked_for = f"Looked for {' '.join(SUFFIXES)}"
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise ValueError(f"{path} is not a picture by its suffix. {looked_for}: convert or rename it.")
        return [path]
    if not path.is_dir():
        raise ValueError(
            f"{path} does not exist. {looked_for}: give a folder or a picture, "
            "or leave it out (sample_images() in Python) for five photographs that are already here."
        )
    found = []
    for folder, subfolders, names in os.walk(path):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found += [pathlib.Path(folder, name) for name in names if not name.startswith(".")]
    found = sorted(file for file in found if file.suffix.lower() in SUFFIXES)
    if not found:
        raise ValueError(
            f"{path} and its subfolders hold no pictures. {looked_for} (hidden files do not count): "
            "give another folder, or convert the pictures to one of these kinds."
        )
    return found


def sample_images():
    """Five colour photographs of about 500 x 500 pixels that scikit-image's wheel carries; no download.

    Returns:
        List of five `pathlib.Path`, sorted.

    Raises:
        ValueError: The installed scikit-image lacks them.

    Example:
    >>> [path.name for path in sample_images()]
    ['astronaut.png', 'chelsea.png', 'coffee.png', 'motorcycle_left.png', 'rocket.jpg']
    """
    spec = importlib.util.find_spec("skimage")  # finds the folder without importing the package
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
    """Splits pictures into training and validation files, whole pictures at a time.

    Each file's side follows from a hash of (seed, its name), in [0, 1): below `validation` it validates. So
    files that are added, removed or moved leave the others where they were. Two files or more never leave a
    side empty: the smallest hash always validates and the largest always trains.

    Args:
        files: list of paths, as from `find_images`.
        validation: float in (0, 1), the expected share of files that validate. Default 0.2.
        seed: int, another seed is another split. Default 0.

    Returns:
        `(train, validation)`, two lists of `pathlib.Path` in the order of `files`. A single file is on both
        sides, with a warning.

    Raises:
        ValueError: `files` is empty or one path instead of a list, or `validation` is outside (0, 1).

    Example:
    >>> train, validation = split_images(sample_images())
    >>> len(train), [path.name for path in validation]
    (4, ['chelsea.png'])
    """
    files = as_paths(files)
    if not 0 < validation < 1:
        raise ValueError(f"validation must be a share between 0 and 1, both excluded. Received: {validation}")
    if len(files) == 1:
        warnings.warn(f"{files[0]} is the only picture: it trains and validates.", stacklevel=2)
        return files, list(files)
    hashes = [_hash(file.name, seed) for file in files]
    by_hash = sorted(range(len(files)), key=lambda i: hashes[i])
    count = sum(value < validation for value in hashes)
    validating = set(by_hash[: min(max(count, 1), len(files) - 1)])
    train = [file for i, file in enumerate(files) if i not in validating]
    return train, [file for i, file in enumerate(files) if i in validating]


def as_paths(files):
    """Checks a list of files and returns it as a new list of `pathlib.Path`, `~` expanded.

    Args:
        files: list of str or paths.

    Returns:
        List of `pathlib.Path`, at least one.

    Raises:
        ValueError: `files` is empty or one path instead of a list.

    Example:
    >>> as_paths(["a.png"])[0].name
    'a.png'
    """
    if isinstance(files, (str, os.PathLike)):
        raise ValueError(f"files must be a list of paths: find_images({str(files)!r}) makes one of a folder.")
    files = [pathlib.Path(file).expanduser() for file in files]
    if not files:
        raise ValueError("files is empty: give at least one picture, such as find_images(folder) lists.")
    return files


def _hash(name, seed):
    digest = hashlib.sha256(f"{seed}/{name}".encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
