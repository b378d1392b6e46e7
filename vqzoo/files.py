"""Atomic writes of files and folders, and locks.

It belongs to the bottom row of the package like `ops`, because data, presets, trainers and export write files.
"""

import contextlib
import errno
import json
import os
import pathlib
import shutil
import socket
import stat
import tempfile
import time

from vqzoo.names import check_name
from vqzoo.names import check_path
from vqzoo.names import make_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# The folder that `atomic_path` creates next to a target, PREFIX...SUFFIX/, with a note of its owner.
_PREFIX, _SUFFIX = ".vqzoo-", ".tmp"
_OWNER = ".vqzoo-owner"
_ASIDE = ".vqzoo-aside"
_MOST_NOTE = 2**12  # bytes
_swept_folders = set()


def user_path(path):
    """Converts a path from a user. A `~` at the start of a str is the home folder.

    A `pathlib.Path` is unchanged, so that a listed file named `~` is not the home folder. A str with an unknown user is
    unchanged too.

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
    check_path(path)
    return pathlib.Path(os.path.expanduser(path) if isinstance(path, str) else path)


def shown_path(path):
    r"""Formats a path for messages, in one line for any name.

    Args:
        path: str or path, or any text that holds one.

    Returns:
        str, with line ends, terminal commands and bytes that are not text escaped.

    Example:
    >>> shown_path("größe/a\nb.png")
    'größe/a\\nb.png'
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(path))


def check_regular(path):
    """Raises an error for a file without an end (a named pipe, a socket or a device) and for a missing one.

    Args:
        path: str or path. Links are followed.

    Raises:
        OSError: The file is missing, a folder, or not a regular file.

    Example:
    >>> check_regular("/dev/zero")
    Traceback (most recent call last):
        ...
    OSError: [Errno 22] not a regular file but a device: '/dev/zero'
    """
    try:
        mode = os.stat(path).st_mode
    except ValueError:  # a null character, which no name has
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        kind = "a named pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise OSError(errno.EINVAL, f"not a regular file but {kind}", str(path))


@contextlib.contextmanager
def atomic_path(path, overwrite=True):
    """Yields a temporary path. On success, its content is fsynced and replaces `path`.

    A killed process or an error leaves the old file or the new one, never a partial file. An error leaves no new
    folders. A folder is replaced by two renames. If the process is killed exactly between them, the next process that
    writes next to it restores the old folder. A link itself is replaced, and its target remains.

    The temporary path has the name of `path`, in a hidden folder next to it. That folder is locked while its process
    runs, and leftovers of dead processes next to `path` are deleted.

    Args:
        path: str or path, the file or folder to write. Missing parent folders are created.
        overwrite: bool. False raises an error if `path` exists, also if another process creates it in the meantime.
            Default True.

    Yields:
        `pathlib.Path` at which the caller writes a file or a folder.

    Raises:
        ValueError: The name is invalid, a file would replace a folder, or a parent is not a folder.
        FileExistsError: `path` exists and `overwrite` is False.

    Example:
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> with atomic_path(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> [p.name for p in folder.iterdir()], (folder / "a.txt").read_text()
    (['a.txt'], 'whole')
    """
    check_path(path)
    path = pathlib.Path(path).absolute()
    check_name(path)
    if not overwrite and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    with _made(path.parent), _Holder(path) as holder:
        temporary = holder.folder / path.name
        yield temporary
        _fsync_tree(temporary)
        if overwrite:
            _replace(temporary, path, holder)
        else:
            _create(temporary, path)
        _fsync(path.parent)


@contextlib.contextmanager
def working_folder(folder):
    """Yields an empty hidden folder inside a folder. It is deleted at the end, and swept if its process is killed.

    Args:
        folder: str or path, created if it is missing.

    Yields:
        `pathlib.Path`.

    Example:
    >>> import os
    >>> folder = tempfile.mkdtemp()
    >>> with working_folder(folder) as inside:
    ...     len(os.listdir(folder))
    1
    >>> os.listdir(folder)
    []
    """
    folder = pathlib.Path(folder).absolute()
    with _made(folder), _Holder(folder / _OWNER) as holder:
        inside = holder.folder / "work"
        inside.mkdir()
        yield inside


@contextlib.contextmanager
def _made(folder):
    """Creates and sweeps a folder to write to. On an error, unused new folders are removed."""
    missing = [one for one in (folder, *folder.parents) if not os.path.exists(one)]
    make_folder(folder)
    _sweep_once(folder)
    try:
        yield
    except BaseException:
        for one in missing:
            with contextlib.suppress(OSError):  # other processes have written into it
                one.rmdir()
        raise


class _Holder:
    """The hidden folder of a write, with a note of its owner that is locked while the owner runs.

    Args:
        target: `pathlib.Path`, absolute, the path to write.
    """

    def __init__(self, target):
        self.target = target
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX, suffix=_SUFFIX, dir=target.parent))
        self.aside = self.folder / _ASIDE
        self._lock = None
        if fcntl is None:  # without locks it is unknown whether an owner is dead, so that its note is useless
            return
        try:
            starting = self.folder / f"{_OWNER}.starting"
            self._lock = os.open(starting, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            # Locked before it gets the name that others search, so that they never find it unlocked.
            _try_lock(self._lock)
            os.write(self._lock, json.dumps({**_here(), "pid": os.getpid(), "target": target.name}).encode())
            os.replace(starting, self.folder / _OWNER)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        """Deletes the folder, unless the old content of the target could not be restored."""
        if self._lock is not None:
            os.close(self._lock)
        if os.path.lexists(self.target) or not os.path.lexists(self.aside):
            shutil.rmtree(self.folder, ignore_errors=True)


def _replace(temporary, path, holder):
    if os.path.lexists(path) and (temporary.is_dir() or (path.is_dir() and not path.is_symlink())):
        if not temporary.is_dir():
            raise ValueError(f"A file must not replace a folder. Received: {str(path)!r}. Give another name.")
        # A folder cannot be renamed over a non-empty one, so that the old one is moved aside first.
        os.replace(path, holder.aside)
        try:
            os.replace(temporary, path)
        except BaseException:
            os.replace(holder.aside, path)
            raise
    else:
        os.replace(temporary, path)


def _create(temporary, path):
    """Moves a finished file or folder to its name, which must not exist."""
    if temporary.is_dir():
        path.mkdir()  # raises an error if it exists; a rename over an empty folder would replace it
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
    except OSError:  # a file system without hard links
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.replace(temporary, path)


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
    """Locks a folder against other processes until `release`, its deletion, or the end of the process.

    On a system without such locks (Windows), nothing is locked.

    Args:
        folder: str or path, created if it is missing.

    Raises:
        ValueError: if another process, or another lock of this one, has the folder; or as `make_folder`.

    Example:
    >>> import tempfile
    >>> lock = FolderLock(tempfile.mkdtemp())
    >>> lock.release()
    """

    def __init__(self, folder):
        self._file = None
        folder = make_folder(folder)
        if fcntl is None:
            return
        self._file = os.open(folder / ".vqzoo.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._file, 100).decode()
            self.release()
            raise ValueError(
                f"Another process ({owner or 'unknown'}) is writing into {str(folder)!r}. Wait for it, stop it, or "
                "choose another folder."
            ) from None
        os.truncate(self._file, 0)
        os.write(self._file, f"process {os.getpid()}".encode())

    def release(self):
        """Releases the lock."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    __del__ = release


def sweep_temporaries(folder):
    """Deletes leftovers of `atomic_path` of killed processes in a folder.

    Only hidden folders of `atomic_path` are deleted, and only if their owner is known to be dead. This requires that
    the lock on the note is free, and that the note is from this running kernel, or from this host before its start.
    Folders of another host on a shared volume are kept. Subfolders are not searched.

    Args:
        folder: str or path, which need not exist.

    Returns:
        List of the deleted paths.

    Example:
    >>> sweep_temporaries("no/such/folder")
    []
    """
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if e.name.startswith(_PREFIX) and e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    found = [pathlib.Path(folder, name) for name in names if name.endswith(_SUFFIX)]
    return [path for path in found if _swept(path)]


def _sweep_once(folder):
    """Sweeps each folder at the first write of this process."""
    if folder not in _swept_folders:
        _swept_folders.add(folder)
        sweep_temporaries(folder)


def _swept(holder):
    """Deletes the hidden folder of a dead process. An old folder inside it is restored first."""
    owner = holder / _OWNER
    try:
        note = os.open(owner, os.O_RDWR)
    except OSError:  # not of vqzoo, or already deleted
        return False
    try:
        if not _try_lock(note) or not _is_dead(note):
            return False
        target = holder.parent / pathlib.PurePath(json.loads(os.pread(note, _MOST_NOTE, 0))["target"]).name
        if os.path.lexists(holder / _ASIDE) and not os.path.lexists(target):
            os.replace(holder / _ASIDE, target)
        shutil.rmtree(holder, ignore_errors=True)
        return True
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # damaged, so that the owner is unknown
        return False
    finally:
        os.close(note)


def _is_dead(note):
    """Whether the owner of an unlocked note is dead: the lock is of this kernel, or of one that no longer runs."""
    owner, here = json.loads(os.pread(note, _MOST_NOTE, 0)), _here()
    if owner["boot"] == here["boot"]:
        return bool(here["boot"]) or owner["host"] == here["host"]
    return owner["host"] == here["host"] and os.fstat(note).st_mtime < _booted()


def _here():
    """The identity of this running system. Containers on one kernel share it."""
    try:
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux
        boot = ""
    return {"host": socket.gethostname(), "boot": boot}


def _booted():
    """The start time of this system, in seconds of `time.time()`; minus infinity if unknown."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() - time.clock_gettime(clock) if clock is not None else 0.0


def _try_lock(descriptor):
    """Locks an open file until the process ends. Returns False if it is locked already."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
