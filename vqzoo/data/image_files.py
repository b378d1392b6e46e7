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
    return listed_files(
        path, SUFFIXES, "picture", "leave it out (sample_images() in Python) for five photographs that are already here"
    )


def listed_files(path, suffixes, noun, instead):
    """Lists the files of some suffixes in a folder and its subfolders, hidden ones skipped.

    Args:
        path: str or path, a folder or one file.
        suffixes: tuple of str, lower case.
        noun: str, what messages call such a file.
        instead: str, what messages tell to do where the path does not exist.

    Returns:
        List of `pathlib.Path`, sorted.

    Raises:
        ValueError: The path does not exist, is a file of another kind, or is a folder without such files.

    Example:
    >>> [file.name for file in listed_files(sample_images()[0], (".png",), "picture", "take another")]
    ['astronaut.png']
    """
    path = pathlib.Path(path).expanduser()
    looked_for = f"Looked for {' '.join(suffixes)}"
    if path.is_file():
        if path.suffix.lower() not in suffixes:
            raise ValueError(f"{path} is not a {noun} by its suffix. {looked_for}: convert or rename it.")
        return [path]
    if not path.is_dir():
        raise ValueError(f"{path} does not exist. {looked_for}: give a folder or a {noun}, or {instead}.")
    found = []
    for folder, subfolders, names in os.walk(path):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found += [pathlib.Path(folder, name) for name in names if not name.startswith(".")]
    found = sorted(file for file in found if file.suffix.lower() in suffixes)
    if not found:
        raise ValueError(
            f"{path} and its subfolders hold no {noun}s. {looked_for} (hidden files do not count): "
            f"give another folder, or convert the {noun}s to one of these kinds."
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
        files: list of paths, as from `find_images`, or an `ImageSource`.
        validation: float in (0, 1), the expected share of files that validate. Default 0.2.
        seed: int, another seed is another split. Default 0.

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


def split_files(files, validation, seed, noun):
    """Splits files of any kind, as `split_images` and `split_audio` say.

    Args:
        files: list of paths, or a source with `subset`.
        validation: float in (0, 1).
        seed: int.
        noun: str, what messages call such a file.

    Returns:
        `(train, validation)`.

    Raises:
        ValueError: As `split_images`.

    Example:
    >>> [len(side) for side in split_files(["a.wav", "b.wav"], 0.5, 0, "recording")]
    [1, 1]
    """
    take = getattr(files, "subset", None)  # a source's
    names = list(files) if take else as_paths(files, noun)
    if not 0 < validation < 1:
        raise ValueError(f"validation must be a share between 0 and 1, both excluded. Received: {validation}")
    take = take or (lambda numbers: [names[i] for i in numbers])
    if len(names) == 1:
        warnings.warn(f"{names[0]} is the only {noun}: it trains and validates.", stacklevel=3)
        return take([0]), take([0])
    validating = validating_by_hash([pathlib.PurePath(name).name for name in names], validation, seed)
    train = take([i for i in range(len(names)) if i not in validating])
    return train, take(sorted(validating))


def validating_by_hash(keys, validation, seed):
    """Chooses those whose hash of (seed, key) is below `validation`; of two or more at least one, and not all.

    Args:
        keys: list of str.
        validation: float in (0, 1).
        seed: int.

    Returns:
        Set of int, their places.

    Example:
    >>> validating_by_hash(["a.wav", "b.wav", "c.wav"], 0.5, 0)
    {2}
    """
    hashes = [_hash(key, seed) for key in keys]
    by_hash = sorted(range(len(keys)), key=lambda i: hashes[i])
    count = sum(value < validation for value in hashes)
    return set(by_hash[: min(max(count, 1), len(keys) - 1)])


def as_paths(files, noun="picture"):
    """Checks a list of files and returns it as a new list of `pathlib.Path`, `~` expanded.

    Args:
        files: list of str or paths.
        noun: str, "picture", "recording" or "text file", what messages call such a file. Default "picture".

    Returns:
        List of `pathlib.Path`, at least one.

    Raises:
        ValueError: `files` is empty or one path instead of a list.

    Example:
    >>> as_paths(["a.png"])[0].name
    'a.png'
    """
    find = {"picture": "find_images", "recording": "find_audio"}.get(noun, "find_text")
    if isinstance(files, (str, os.PathLike)):
        raise ValueError(f"files must be a list of paths: {find}({str(files)!r}) makes one of a folder.")
    files = [pathlib.Path(file).expanduser() for file in files]
    if not files:
        raise ValueError(f"files is empty: give at least one {noun}, such as {find}(folder) lists.")
    return files


def _hash(name, seed):
    digest = hashlib.sha256(f"{seed}/{name}".encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
