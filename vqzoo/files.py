"""Files that are written whole or not at all.

The bottom row of the package beside `ops`: data, presets, trainers and export all write files.
"""

import contextlib
import os
import pathlib
import shutil


@contextlib.contextmanager
def atomic_path(path):
    """Yields a temporary sibling of `path`; on success it is fsynced and renamed over `path`.

    A kill or an error at any moment leaves the old file or the new one, never half of one. A folder is replaced by
    two renames: a kill exactly between them leaves no folder of that name, and the old one beside it as `.NAME.old`.
    The temporary name keeps the suffix, because writers such as Keras choose the format by it.

    Args:
        path: str or path, the file or folder to write. Missing parent folders are made.

    Yields:
        `pathlib.Path` that the caller writes a file at, or a folder into.

    Example:
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> with atomic_path(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> [p.name for p in folder.iterdir()], (folder / "a.txt").read_text()
    (['a.txt'], 'whole')
    """
    path = pathlib.Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        _remove(temporary)
        yield temporary
        _fsync_tree(temporary)
        if temporary.is_dir() and path.exists():
            # A folder cannot be renamed over one that has content, so the old one steps aside first.
            aside = path.with_name(f".{path.name}.old")
            _remove(aside)
            os.replace(path, aside)
            os.replace(temporary, path)
            _remove(aside)
        else:
            os.replace(temporary, path)
        _fsync(path.parent)
    except BaseException:
        _remove(temporary)
        raise


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _fsync_tree(path):
    for child in path.rglob("*") if path.is_dir() else ():
        _fsync(child)
    _fsync(path)


def _fsync(path):
    if os.name == "nt":
        return  # Windows flushes only files opened for writing
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
