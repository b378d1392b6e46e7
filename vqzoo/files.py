"""Files that are written whole or not at all.

The bottom row of the package beside `ops`: data, presets, trainers and export all write files.
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

# What `atomic_path` makes beside a target: PREFIX...SUFFIX/, and in it the note of its owner.
_PREFIX, _SUFFIX = ".vqzoo-", ".tmp"
_OWNER = ".vqzoo-owner"
_ASIDE = ".vqzoo-aside"
_MOST_NOTE = 2**12  # bytes
_swept_folders = set()


def user_path(path):
    """A path as a person wrote it: only here, and only of text, `~` is the home folder.

    A `pathlib.Path` stays as it is: a listed file that is named `~` is never taken for the home folder. So does text
    that names a user this system does not have.

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
    r"""A path as messages show it: in one line, whatever its name holds.

    Args:
        path: str or path, or any text that holds one.

    Returns:
        str, in which line ends, commands to terminals and bytes that are no text are written out.

    Example:
    >>> shown_path("größe/a\nb.png")
    'größe/a\\nb.png'
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(path))


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
    try:
        mode = os.stat(path).st_mode
    except ValueError:  # a zero, which no name has
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        kind = "a named pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise OSError(errno.EINVAL, f"not a regular file but {kind}", str(path))


@contextlib.contextmanager
def atomic_path(path, overwrite=True):
    """Yields a temporary path; on success what was written there is fsynced and takes the place of `path`.

    A kill or an error at any moment leaves the old file or the new one, never half of one. An error leaves no folder
    behind that was not there before. A folder is replaced by two renames; after a kill exactly between them the next
    process that writes beside it puts the old folder back. A link is replaced itself, and what it leads to stays.

    The temporary path has the name of `path`, in a hidden folder beside it. That folder is locked while its process
    lives, and what dead processes left beside `path` is deleted.

    Args:
        path: str or path, the file or folder to write. Missing parent folders are made.
        overwrite: bool. False raises where `path` exists, also where another process made it in the meantime. Default
            True.

    Yields:
        `pathlib.Path` that the caller writes a file at, or a folder into.

    Raises:
        ValueError: No file can have such a name, or a file is to replace a folder or stand in what is none.
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
    """Yields an empty hidden folder inside a folder, which is deleted at the end, and swept if its process is killed.

    Args:
        folder: str or path, made when missing.

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
    """Makes a folder that is written to, and sweeps it; an error takes back what was made for nothing."""
    missing = [one for one in (folder, *folder.parents) if not os.path.exists(one)]
    make_folder(folder)
    _sweep_once(folder)
    try:
        yield
    except BaseException:
        for one in missing:
            with contextlib.suppress(OSError):  # others have put something in it
                one.rmdir()
        raise


class _Holder:
    """The hidden folder that something is written in, with a note of its owner that is locked while that one lives.

    Args:
        target: `pathlib.Path`, absolute, that is being written.
    """

    def __init__(self, target):
        self.target = target
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=_PREFIX, suffix=_SUFFIX, dir=target.parent))
        self.aside = self.folder / _ASIDE
        self._lock = None
        if fcntl is None:  # without locks nobody can know that an owner is dead, so its note would serve nobody
            return
        try:
            starting = self.folder / f"{_OWNER}.starting"
            self._lock = os.open(starting, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            # Locked before it has the name that others look for, so that nobody finds it unlocked.
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
        """Deletes the folder, unless what had been at the target could not be put back."""
        if self._lock is not None:
            os.close(self._lock)
        if os.path.lexists(self.target) or not os.path.lexists(self.aside):
            shutil.rmtree(self.folder, ignore_errors=True)


def _replace(temporary, path, holder):
    if os.path.lexists(path) and (temporary.is_dir() or (path.is_dir() and not path.is_symlink())):
        if not temporary.is_dir():
            raise ValueError(f"No file takes the place of a folder. Received: {str(path)!r}. Give another name.")
        # A folder cannot be renamed over one that has content, so the old one steps aside first.
        os.replace(path, holder.aside)
        try:
            os.replace(temporary, path)
        except BaseException:
            os.replace(holder.aside, path)
            raise
    else:
        os.replace(temporary, path)


def _create(temporary, path):
    """Gives a finished file or folder its name, which nothing else may have by now."""
    if temporary.is_dir():
        path.mkdir()  # raises where it exists; a rename over an empty folder is a replacement
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
    """Keeps other processes out of a folder until `release`, its end as an object, or the process's end.

    Where the system has no such locks (Windows), nothing is locked.

    Args:
        folder: str or path, made when missing.

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
    """Deletes what killed processes left in a folder while they were writing there with `atomic_path`.

    Only hidden folders that `atomic_path` made count, and of these only such whose owner is known to be dead: the lock
    on its note is free, and the note is of this running kernel, or of this host before it was started. A temporary of
    another host on a shared volume stays. Folders below are left alone.

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
    """Sweeps each folder the first time that this process writes there."""
    if folder not in _swept_folders:
        _swept_folders.add(folder)
        sweep_temporaries(folder)


def _swept(holder):
    """Deletes one holder of a dead process. A folder that had stepped aside in it is put back first."""
    owner = holder / _OWNER
    try:
        note = os.open(owner, os.O_RDWR)
    except OSError:  # not one of ours, or gone by now
        return False
    try:
        if not _try_lock(note) or not _is_dead(note):
            return False
        target = holder.parent / pathlib.PurePath(json.loads(os.pread(note, _MOST_NOTE, 0))["target"]).name
        if os.path.lexists(holder / _ASIDE) and not os.path.lexists(target):
            os.replace(holder / _ASIDE, target)
        shutil.rmtree(holder, ignore_errors=True)
        return True
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # damaged: whose it was is not known
        return False
    finally:
        os.close(note)


def _is_dead(note):
    """Whether the owner of an unlocked note is dead: the lock is of this kernel, or its kernel runs no more."""
    owner, here = json.loads(os.pread(note, _MOST_NOTE, 0)), _here()
    if owner["boot"] == here["boot"]:
        return bool(here["boot"]) or owner["host"] == here["host"]
    return owner["host"] == here["host"] and os.fstat(note).st_mtime < _booted()


def _here():
    """What tells this running system from others; containers on one kernel share its boot."""
    try:
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux
        boot = ""
    return {"host": socket.gethostname(), "boot": boot}


def _booted():
    """When this system was started, in seconds of `time.time()`; where that is not known, before everything."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() - time.clock_gettime(clock) if clock is not None else 0.0


def _try_lock(descriptor):
    """Takes the lock on an open file, which the kernel releases with the process; False if it cannot be had."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
