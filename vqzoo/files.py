"""Files that are written whole or not at all.

The bottom row of the package beside `ops`: data, presets, trainers and export all write files.
"""

import contextlib
import errno
import os
import pathlib
import re
import shutil
import stat

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def user_path(path):
    """A path as a person wrote it: only here, and only of text, `~` is the home folder.

    A `pathlib.Path` stays as it is. Folders are listed as such paths, so a file that is named `~` is never taken for
    the home folder. Text that names a user this system does not have stays as it is, too.

    Args:
        path: str or path.

    Returns:
        `pathlib.Path`.

    Example:
    >>> user_path("~/a.png") == pathlib.Path.home() / "a.png"
    True
    >>> user_path(pathlib.Path("~/a.png")).parts, user_path("~photo.png").parts
    (('~', 'a.png'), ('~photo.png',))
    """
    return pathlib.Path(os.path.expanduser(path) if isinstance(path, str) else path)


def check_regular(path):
    """Raises where a file cannot be read to an end: a named pipe, a socket or a device; also where there is none.

    Args:
        path: str or path. Links are followed.

    Raises:
        OSError: The file is missing, a folder, or no regular file.

    Example:
    >>> check_regular("/dev/zero")
    Traceback (most recent call last):
        ...
    OSError: [Errno 22] not a regular file but a device: '/dev/zero'
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        kind = "a named pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise OSError(errno.EINVAL, f"not a regular file but {kind}", str(path))


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


class FolderLock:
    """Keeps other processes out of a folder until `release`, its end as an object, or the process's end.

    Where the system has no such locks (Windows), nothing is locked.

    Args:
        folder: str or path, made when missing.

    Raises:
        ValueError: if another process, or another lock of this one, has the folder.

    Example:
    >>> import tempfile
    >>> lock = FolderLock(tempfile.mkdtemp())
    >>> lock.release()
    """

    def __init__(self, folder):
        self._file = None
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if fcntl is None:
            return
        self._file = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._file, 100).decode()
            self.release()
            raise ValueError(
                f"Another process ({owner or 'unknown'}) is writing into {str(folder)!r}. Wait for it, end it, or "
                "choose another folder."
            ) from None
        os.truncate(self._file, 0)
        os.write(self._file, f"process {os.getpid()}".encode())

    def release(self):
        """Lets others in."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    __del__ = release


def sweep_temporaries(folder):
    """Deletes what killed processes left of files that `atomic_path` was writing, here and in the folders below.

    Args:
        folder: str or path, which need not exist.

    Returns:
        List of the deleted paths.

    Example:
    >>> sweep_temporaries("no/such/folder")
    []
    """
    found = {path: re.fullmatch(r"\..+\.(\d+)\.tmp(\..*)?", path.name) for path in pathlib.Path(folder).rglob(".*")}
    stale = [path for path, match in found.items() if match and not _is_running(int(match[1]))]
    for path in stale:
        _remove(path)
    return stale


def _is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError, OSError):
        return True  # of somebody else, or not to be known
    return True
