import dataclasses
import pathlib

import pytest

from vqzoo.runs.run_folder import RunFolder
from vqzoo.trainers import Position


@dataclasses.dataclass
class Config:
    out: str = "out"
    filters: int = 8
    multipliers: tuple = (1, 2)
    resume: bool = False
    checkpoint_minutes: float = 10.0


FILES = [pathlib.Path("a.png"), pathlib.Path("b.png")]


class Restored:
    """In place of `Checkpoints.restore`, which has tests of its own."""

    def __init__(self, monkeypatch):
        monkeypatch.setattr("vqzoo.trainers.Checkpoints.restore", lambda self, trainer: Position(7, 1))


@pytest.fixture
def stopped(tmp_path):
    """A run that left a checkpoint and has not ended."""
    run = RunFolder(tmp_path / "run", Config(), FILES)
    assert run.start(None) == (0, 0)
    run.checkpoints.folder.mkdir()
    (run.checkpoints.folder / "step_0000000007.npz").write_bytes(b"a checkpoint")
    run.lock.release()
    return tmp_path / "run"


def test_a_run_goes_on_with_its_settings(stopped, monkeypatch):
    Restored(monkeypatch)
    run = RunFolder(stopped, Config(out="moved", resume=True, checkpoint_minutes=1.0), FILES)
    assert run.resuming and run.start(None) == (7, 1)
    assert run.checkpoints.every_seconds == 60.0


def test_without_resume_a_run_that_has_not_ended_stays(stopped):
    message = "holds a run that has not ended. Resume it with --resume and the same settings, choose another --out"
    with pytest.raises(ValueError, match=message):
        RunFolder(stopped, Config(), FILES)
    assert (stopped / "checkpoints" / "step_0000000007.npz").exists()


def test_other_settings_are_named(stopped):
    with pytest.raises(ValueError, match="had other settings: --filters 16 instead of 8. Resume it with its own"):
        RunFolder(stopped, Config(filters=16, resume=True), FILES)


def test_other_data_are_told(stopped):
    with pytest.raises(ValueError, match="are not those of the run in '.*run': some were added, renamed or removed"):
        RunFolder(stopped, Config(resume=True), FILES[:1])


def test_resume_where_nothing_is_begins(tmp_path):
    run = RunFolder(tmp_path / "run", Config(resume=True), FILES)
    assert not run.resuming and run.start(None) == (0, 0)


def test_a_run_that_ended_gives_way(stopped, monkeypatch):
    Restored(monkeypatch)
    run = RunFolder(stopped, Config(resume=True), FILES)
    run.start(None)
    run.end()
    run.lock.release()
    run = RunFolder(stopped, Config(filters=16), FILES)
    assert not run.resuming and run.start(None) == (0, 0)
    assert not list((stopped / "checkpoints").iterdir())


def test_two_runs_in_one_folder_are_refused(tmp_path, fresh_python):
    run = RunFolder(tmp_path / "run", Config(), FILES)
    program = f"from vqzoo.files import FolderLock\nFolderLock({str(tmp_path / 'run')!r})"
    child = fresh_python("-c", program)
    assert child.returncode != 0 and "is writing into" in child.stderr and "process " in child.stderr
    run.lock.release()
    child = fresh_python("-c", program)
    assert child.returncode == 0, child.stderr


def test_a_further_worker_reads_and_writes_nothing(stopped, monkeypatch):
    Restored(monkeypatch)
    before = {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()}
    first = RunFolder(stopped, Config(resume=True), FILES)
    further = RunFolder(stopped, Config(resume=True), FILES, writes=False)  # though the first has the lock
    assert further.resuming and further.start(None) == (7, 1)
    further.end()
    RunFolder(stopped.parent / "new", Config(), FILES, writes=False).start(None)
    first.lock.release()
    assert {p: p.read_bytes() for p in stopped.parent.rglob("*") if p.is_file() and p.name != ".vqzoo.lock"} == {
        path: content for path, content in before.items() if path.name != ".vqzoo.lock"
    }


def test_a_run_may_go_on_on_other_devices(stopped, monkeypatch):
    Restored(monkeypatch)
    settings = stopped / "settings.json"
    settings.write_text(settings.read_text().replace('"resume": false', '"resume": false, "strategy": "mirrored"'))
    assert RunFolder(stopped, Config(resume=True), FILES).resuming


def test_files_of_another_size_are_other_data_and_any_name_will_do(tmp_path, monkeypatch):
    Restored(monkeypatch)
    file = tmp_path / "n\udce9.png"
    file.write_bytes(b"1")
    run = RunFolder(tmp_path / "run", Config(), [file])
    run.start(None)
    run.checkpoints.folder.mkdir()
    (run.checkpoints.folder / "step_0000000007.npz").write_bytes(b"a checkpoint")
    run.lock.release()
    file.write_bytes(b"22")
    with pytest.raises(ValueError, match="are not those of the run"):
        RunFolder(tmp_path / "run", Config(resume=True), [file])


def test_damaged_settings_are_named(stopped):
    (stopped / "settings.json").write_text("[]")
    with pytest.raises(ValueError, match="settings.json' is damaged .*Delete .* to start anew"):
        RunFolder(stopped, Config(resume=True), FILES)
