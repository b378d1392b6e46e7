"""Atomic changes of a preset: new files are written aside and moved into place together."""

import contextlib
import os
import pathlib
import shutil

from vqzoo.files import working_folder
from vqzoo.presets.card import CARD
from vqzoo.presets.card import write_card
from vqzoo.presets.manifest import MANIFEST
from vqzoo.presets.manifest import folder_path
from vqzoo.presets.manifest import read_manifest
from vqzoo.presets.manifest import verify_preset
from vqzoo.presets.manifest import write_manifest

METADATA = "metadata.json"


@contextlib.contextmanager
def changed_preset(folder, removed=(), sealed=None, verified=True):
    """Yields an empty folder for new files of a preset. At the end they replace the old ones.

    The preset stays complete until the new files are ready. Then its manifest is removed, old files are moved out, new
    ones are moved in, and the card and the manifest are written. If that fails, everything is moved back. A killed
    process leaves the old preset, the new one, or, during the moves, a folder without a manifest, which is not found.
    It never leaves a preset of mixed files. Links are moved as links, without their targets.

    Args:
        folder: str or path, the preset's folder, which exists.
        removed: iterable of str, files and folders of the preset to remove. Defaults to none.
        sealed: bool, whether it is a complete preset afterwards. Defaults to whether it was before.
        verified: bool, whether the remaining files of a complete preset are verified first. Otherwise a damaged file
            would be sealed as valid. Defaults to True.

    Yields:
        `pathlib.Path` of a hidden folder inside `folder`.

    Raises:
        ValueError: a remaining file is damaged, or there is no metadata for the card.

    Example:
    >>> import tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> with changed_preset(folder, sealed=True) as new:
    ...     _ = (new / "metadata.json").write_text('{"modality": "image"}')
    >>> sorted(path.name for path in folder.iterdir())
    ['README.md', 'manifest.json', 'metadata.json']
    """
    folder = folder_path(folder)
    complete = (folder / MANIFEST).is_file()
    if complete and verified:
        listed = read_manifest(folder)["files"]
        verify_preset(folder, files=[name for name in listed if pathlib.PurePosixPath(name).parts[0] not in removed])
    with working_folder(folder) as inside:
        new, old = inside / "new", inside / "old"
        new.mkdir()
        old.mkdir()
        try:
            yield new
        except ValueError as error:
            if str(new) in str(error):  # an internal folder, which the user does not know
                raise ValueError(str(error).replace(str(new), str(folder))) from error
            raise
        _exchange(folder, new, old, removed, complete if sealed is None else sealed)


def _exchange(folder, new, old, removed, sealed):
    """Moves old files out and new ones in, and back again if that fails."""
    made = sorted(path.name for path in new.iterdir())
    names = list(dict.fromkeys((MANIFEST, *removed, *made, CARD)))
    before = [name for name in names if os.path.lexists(folder / name)]
    moved = []
    try:
        for name in before:  # the manifest first; without it the folder is not a preset
            _set_aside(folder / name, old / name, stays=(new / name).is_file())
            moved.append(name)
        for name in made:
            os.replace(new / name, folder / name)
        if sealed or (folder / METADATA).is_file():
            write_card(folder)
        if sealed:
            write_manifest(folder)
    except BaseException:
        for name in names:
            if (name in moved or name not in before) and os.path.lexists(folder / name):
                os.replace(folder / name, new / f"{name}.back")
        for name in reversed(moved):
            os.replace(old / name, folder / name)
        raise


def _set_aside(path, aside, stays):
    """Moves a file or folder. One that stays until it is overwritten is linked or copied instead."""
    if not stays or path.is_dir():
        os.replace(path, aside)
        return
    try:
        os.link(path, aside, follow_symlinks=False)
    except (OSError, NotImplementedError):  # a system without links
        shutil.copy2(path, aside, follow_symlinks=False)
