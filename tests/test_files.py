import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

import vqzoo.files
from vqzoo.files import atomic_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_appears_only_at_the_end(tmp_path):
    target = tmp_path / "made" / "on the way" / "ünïcode.json"
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
        assert temporary.parent == target.parent  # a rename is atomic within one file system only
    assert target.read_text() == "new"
    assert names(target.parent) == ["ünïcode.json"]


def test_the_temporary_name_is_hidden_and_keeps_the_suffix(tmp_path):
    with atomic_path(tmp_path / "tokenizer.keras") as temporary:
        assert temporary.name.startswith(".") and temporary.suffix == ".keras"
        temporary.write_text("")


def test_a_relative_path_survives_a_change_of_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with atomic_path("a.txt") as temporary:
        os.chdir("elsewhere")
        temporary.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_the_middle_keeps_the_old_file(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error), atomic_path(target) as temporary:
        temporary.write_text("ne")
        raise error
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_writing_nothing_is_an_error_and_keeps_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(FileNotFoundError), atomic_path(target):
        pass
    assert target.read_text() == "old"


def write_folder(folder, files):
    folder.mkdir()
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "saved_model"
    write_folder(target, {"old.pb": "old", "variables/old": "old"})
    with atomic_path(target) as temporary:
        write_folder(temporary, {"new.pb": "new", "variables/new": "new"})
    assert names(target) == ["new.pb", "variables"] and names(target / "variables") == ["new"]
    assert names(tmp_path) == ["saved_model"]


def test_an_error_in_the_middle_keeps_the_old_folder(tmp_path):
    target = tmp_path / "saved_model"
    write_folder(target, {"old.pb": "old"})
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        write_folder(temporary, {"new.pb": "ne"})
        raise RuntimeError
    assert names(target) == ["old.pb"] and names(tmp_path) == ["saved_model"]


def test_what_a_killed_process_of_the_same_number_left_does_not_get_in(tmp_path):
    target = tmp_path / "saved_model"
    with atomic_path(target) as temporary:
        stale = temporary
        write_folder(temporary, {"a": "1"})
    write_folder(stale, {"half": "written"})
    with atomic_path(target) as temporary:
        write_folder(temporary, {"b": "2"})
    assert names(target) == ["b"]


# Writes the file again and again, each time 8 MB of one letter. Loaded by path, because Keras takes seconds
# to import.
WRITER = """
import itertools, runpy, sys
atomic_path = runpy.run_path(sys.argv[1])["atomic_path"]
for letter in itertools.cycle("abcdefgh"):
    with atomic_path(sys.argv[2]) as temporary:
        temporary.write_text(letter * 8_000_000)
    print(letter, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path):
    target = tmp_path / "big.txt"
    rng = random.Random(0)
    kills_with_a_half_file = 0
    for _ in range(20):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, vqzoo.files.__file__, str(target)], stdout=subprocess.PIPE
        )
        writer.stdout.readline()  # the first file is there
        time.sleep(rng.uniform(0, 0.1))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        text = target.read_text()
        assert len(text) == 8_000_000 and len(set(text)) == 1
        for half in pathlib.Path(tmp_path).glob(".big.*.tmp.txt"):
            kills_with_a_half_file += 1
            half.unlink()
    assert kills_with_a_half_file  # else no kill came in the middle, and nothing was tested


def test_what_killed_processes_left_is_swept(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "run").mkdir()
    stale = [tmp_path / f".tokenizer.{dead.pid}.tmp.keras", tmp_path / "run" / f".metrics.{dead.pid}.tmp.csv"]
    kept = [tmp_path / f".tokenizer.{os.getpid()}.tmp.keras", tmp_path / ".notes.tmp", tmp_path / f"a.{dead.pid}.tmp.b"]
    for path in (*stale, *kept):
        path.write_text("half")
    folder = tmp_path / f".saved_model.{dead.pid}.tmp"
    folder.mkdir()
    (folder / "weights").write_text("half")
    assert set(vqzoo.files.sweep_temporaries(tmp_path)) == {*stale, folder}
    assert all(path.exists() for path in kept) and not any(path.exists() for path in (*stale, folder))
