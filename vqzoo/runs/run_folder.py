"""The folder `run/` of a recipe: one run at a time, with settings that a resumed run has to repeat."""

import dataclasses
import hashlib
import pathlib

from vqzoo.files import FolderLock
from vqzoo.files import atomic_path
from vqzoo.jsons import json_text
from vqzoo.jsons import parse_json
from vqzoo.trainers import Checkpoints
from vqzoo.trainers import Position

_SETTINGS = "settings.json"
# A resumed run may have others: where it is, and what changes no step.
_FREE = ("out", "resume", "checkpoint_minutes", "validation_data", "validation_crops", "strategy", "deterministic")
_FREE += ("exports", "tensorboard", "validation_examples", "guidance", "temperature", "top_p", "sampling_steps")


class RunFolder:
    """Keeps two runs apart, and a run's checkpoints with its settings.

    Args:
        folder: path of `OUT/run`, made when missing, and locked until the process ends.
        config: the recipe's settings, a dataclass with `resume` and `checkpoint_minutes` among them.
        files: list of paths, the training data in their order; or of str, the sentences themselves.
        writes: bool. False only reads, as all workers but the first do. Defaults to True.

    Raises:
        ValueError: if another process has the folder; if it holds checkpoints of a run that has not ended, and
            `resume` is not set; or if that run had other settings or data.
    """

    def __init__(self, folder, config, files, writes=True):
        self.folder = pathlib.Path(folder)
        self.config = config
        self.writes = writes
        if writes:
            self.lock = FolderLock(self.folder)
        self.checkpoints = Checkpoints(self.folder / "checkpoints", every_seconds=60.0 * config.checkpoint_minutes)
        settings = {**parse_json(json_text(dataclasses.asdict(config))), "files": _digest(files)}
        found = self.checkpoints.latest() is not None and (self.folder / _SETTINGS).is_file()
        earlier = self._read() if found else {}
        self.resuming = bool(config.resume and found)
        if self.resuming:
            self._check_same(earlier["settings"], settings)
        elif found and not earlier["ended"]:
            raise ValueError(
                f"{str(self.folder.parent)!r} holds a run that has not ended. Resume it with --resume and the same "
                f"settings, choose another --out, or delete {str(self.folder)!r}."
            )
        self._settings = settings
        self._began = False

    def start(self, trainer):
        """Restores the trainer where the run is resumed, and forgets the checkpoints of an earlier run where not.

        Args:
            trainer: built and compiled `Trainer`.

        Returns:
            `Position`.
        """
        position = Position(0, 0)
        if self.resuming:
            position = self.checkpoints.restore(trainer)
        elif self.writes:
            self.checkpoints.forget()
        self._write(ended=False)
        return position

    def end(self):
        """Notes that the run has ended, so that the next one may take its place."""
        self._write(ended=True)

    def _read(self):
        path = self.folder / _SETTINGS
        try:
            earlier = parse_json(path.read_bytes())
            return {"ended": bool(earlier["ended"]), "settings": {"files": None, **earlier["settings"]}}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{str(path)!r} is damaged ({error}), so its run cannot be resumed. Delete "
                f"{str(self.folder)!r} to start anew."
            ) from error

    def _write(self, ended):
        if not self.writes:
            return
        with atomic_path(self.folder / _SETTINGS) as temporary:
            temporary.write_text(json_text({"ended": ended, "settings": self._settings}, indent=1), encoding="utf-8")

    def _check_same(self, earlier, settings):
        if earlier["files"] != settings["files"]:
            raise ValueError(
                f"The images, clips or texts are not those of the run in {str(self.folder)!r}: some were added, "
                "renamed or removed since, or the tokenizer of a prior was trained again, or its tokens were encoded "
                "again. Bring them back, or start a new run in another --out."
            )
        names = [n for n in {**earlier, **settings} if n not in _FREE and earlier.get(n) != settings.get(n)]
        if names:
            changes = ", ".join(f"--{n} {settings.get(n)} instead of {earlier.get(n)}" for n in names)
            raise ValueError(f"The run in {str(self.folder)!r} had other settings: {changes}. Resume it with its own.")


def _digest(files):
    """Changes with the names of the files, and with their sizes where they are files; or with the sentences."""
    names = [file if isinstance(file, str) else f"{pathlib.Path(file).name} {_size(file)}" for file in files]
    return hashlib.sha256("\n".join(names).encode(errors="surrogatepass")).hexdigest()


def _size(file):
    path = pathlib.Path(file)
    return path.stat().st_size if path.is_file() else ""
