import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
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
        assert temporary.parent.parent == target.parent  # a rename is atomic within one file system only
    assert target.read_text() == "new"
    assert names(target.parent) == ["ünïcode.json"]


def test_the_temporary_file_has_the_target_s_own_name_in_a_hidden_folder(tmp_path):
    with atomic_path(tmp_path / "tokenizer.keras") as temporary:
        assert temporary.name == "tokenizer.keras" and temporary.parent.name.startswith(".vqzoo-")
        temporary.write_text("")


@pytest.mark.parametrize("name", ["a" * 255, "ü" * 127, "a" * 251 + ".npz", ".hidden", "a.b.c", " ", "-rf", "~", "\n"])
def test_every_name_that_the_file_system_takes_can_be_written(tmp_path, name):
    for overwrite in (False, True):
        with atomic_path(tmp_path / name, overwrite) as temporary:
            temporary.write_text(str(overwrite))
    with atomic_path(tmp_path / "folder" / name) as temporary:
        temporary.mkdir()
    assert names(tmp_path) == sorted([name, "folder"]) and (tmp_path / name).read_text() == "True"


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


def test_an_error_leaves_no_folder_that_was_not_there(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "mine" / "made" / "below" / "a.txt") as temporary:
        temporary.write_text("ne")
        (tmp_path / "mine" / "b").write_text("")
        raise RuntimeError
    assert names(tmp_path) == ["mine"] and names(tmp_path / "mine") == ["b"]


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


def links_to(folder, made):
    made.symlink_to(folder)
    return made


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path):
    write_folder(tmp_path / "elsewhere", {"precious": "1"})
    for number, write in enumerate((lambda path: path.write_text("new"), lambda path: write_folder(path, {"a": "1"}))):
        for to in ("elsewhere", "elsewhere/precious", "missing"):
            link = links_to(tmp_path / to, tmp_path / f"link{number}{pathlib.Path(to).name}")
            with atomic_path(link) as temporary:
                write(temporary)
            assert not link.is_symlink() and link.exists()
    assert (tmp_path / "elsewhere" / "precious").read_text() == "1"


def test_a_folder_called_old_beside_the_target_stays(tmp_path):
    write_folder(tmp_path / ".model.old", {"precious": "1"})
    for letter in "ab":
        with atomic_path(tmp_path / "model") as temporary:
            write_folder(temporary, {letter: ""})
    assert names(tmp_path) == [".model.old", "model"] and names(tmp_path / ".model.old") == ["precious"]


@pytest.mark.parametrize("kind", ["file", "folder", "empty folder", "link", "dangling link"])
def test_without_overwrite_what_is_there_stays(tmp_path, kind):
    target = tmp_path / "a"
    (tmp_path / "b").write_text("other")
    make = {
        "file": lambda: target.write_text("old"),
        "folder": lambda: write_folder(target, {"old": "old"}),
        "empty folder": target.mkdir,
        "link": lambda: target.symlink_to(tmp_path / "b"),
        "dangling link": lambda: target.symlink_to(tmp_path / "c"),
    }[kind]
    for writes in (lambda path: path.write_text("new"), lambda path: write_folder(path, {"new": "new"})):
        with pytest.raises(FileExistsError) as raised, atomic_path(target, overwrite=False) as temporary:
            writes(temporary)
            make()  # somebody else is faster
        assert raised.value.filename == str(target)
        state = os.lstat(target).st_mtime_ns, os.path.realpath(target), names(tmp_path)
        with pytest.raises(FileExistsError), atomic_path(target, overwrite=False) as temporary:
            writes(temporary)
        assert state == (os.lstat(target).st_mtime_ns, os.path.realpath(target), names(tmp_path))
        assert names(tmp_path) == ["a", "b"] and (tmp_path / "b").read_text() == "other"
        shutil.rmtree(target) if kind.endswith("folder") else target.unlink()


def test_without_hard_links_what_is_there_stays_all_the_same(tmp_path, monkeypatch):
    def link(*paths):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    target = tmp_path / "a"
    with atomic_path(target, overwrite=False) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"
    target.unlink()
    with pytest.raises(FileExistsError), atomic_path(target, overwrite=False) as temporary:
        temporary.write_text("newer")
        target.write_text("faster")
    assert target.read_text() == "faster" and names(tmp_path) == ["a"]


# `vqzoo.files` without what the package imports, which takes seconds.
BARE = """
import sys, types
sys.modules["vqzoo"] = package = types.ModuleType("vqzoo")
package.__path__ = [sys.argv[1]]
from vqzoo.files import atomic_path
"""


def python(program, *arguments):
    """A process that runs the program with `atomic_path`; its first argument is `sys.argv[2]`."""
    folder = pathlib.Path(vqzoo.files.__file__).parent
    command = [sys.executable, "-c", BARE + program, str(folder), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


# Several processes at once, without overwriting: exactly one of them is told that it was the first.
RACER = """
won = 0
for number in range(50):
    try:
        with atomic_path(f"{sys.argv[2]}/{number}", overwrite=False) as temporary:
            if number % 2:
                temporary.mkdir()
                (temporary / "of").write_text(sys.argv[3])
            else:
                temporary.write_text(sys.argv[3])
        print(number)
    except FileExistsError:
        pass
"""


def test_of_several_processes_exactly_one_makes_each_file(tmp_path):
    racers = [python(RACER, tmp_path, name) for name in "abc"]
    won = [set(map(int, racer.communicate(timeout=60)[0].split())) for racer in racers]
    assert sum(map(len, won)) == 50 and set.union(*won) == set(range(50))
    for name, numbers in zip("abc", won, strict=True):
        for number in numbers:
            path = tmp_path / str(number)
            assert (path / "of" if number % 2 else path).read_text() == name


# Writes the file again and again, each time 8 MB of one letter.
WRITER = """
import itertools
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
        writer = python(WRITER, target)
        writer.stdout.readline()  # the first file is there
        time.sleep(rng.uniform(0, 0.1))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        text = target.read_text()
        assert len(text) == 8_000_000 and len(set(text)) == 1
        kills_with_a_half_file += len(vqzoo.files.sweep_temporaries(tmp_path))
        for holder in tmp_path.glob(".vqzoo-*.tmp"):  # killed before its note was written: whose it is, is unknown
            note = holder / vqzoo.files._OWNER
            assert not note.exists() or not note.stat().st_size
            assert {path.name for path in holder.iterdir()} <= {note.name, f"{note.name}.starting"}  # nothing is lost
            shutil.rmtree(holder)
        assert names(tmp_path) == ["big.txt"]
    assert kills_with_a_half_file  # else no kill came in the middle, and nothing was tested


# Stands still in the middle of writing, so that it can be killed there.
STOPPED = """
import time
with atomic_path(sys.argv[2]) as temporary:
    temporary.write_text("half")
    print(temporary.parent, flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def writer_of(target):
    writer = python(STOPPED, target)
    try:
        yield writer, pathlib.Path(writer.stdout.readline().strip())
    finally:
        writer.kill()
        writer.communicate()


def killed(target):
    """The holder that a killed process left. It worked elsewhere, because it would sweep what the others left."""
    apart = target.parent / "apart" / target.name
    with writer_of(apart) as (writer, holder):
        writer.kill()
        writer.wait()
    assert holder.is_dir()
    left = target.parent / holder.name
    holder.rename(left)
    apart.parent.rmdir()
    return left


def test_what_killed_processes_left_is_swept_and_what_a_living_one_writes_stays(tmp_path):
    with writer_of(tmp_path / "b.txt") as (_, living):
        dead = killed(tmp_path / "a.txt")
        assert vqzoo.files.sweep_temporaries(tmp_path) == [dead]
        assert living.is_dir() and names(tmp_path) == [living.name]


def test_writing_sweeps_its_own_folder_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(vqzoo.files, "_swept_folders", set())
    dead, below = killed(tmp_path / "a.txt"), killed(tmp_path / "below" / "a.txt")
    with atomic_path(tmp_path / "b.txt") as temporary:
        temporary.write_text("")
    assert not dead.exists() and below.exists()


def note_of(holder, **changes):
    path = holder / ".vqzoo-owner"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return path


def test_a_temporary_of_another_machine_is_swept_only_where_that_machine_is_known_to_be_gone(tmp_path):
    other = {"boot": "another boot"}
    elsewhere = killed(tmp_path / "a")  # another machine on the same volume
    note_of(elsewhere, host="another host", **other)
    os.utime(elsewhere / ".vqzoo-owner", (1, 1))
    twin = killed(tmp_path / "b")  # one of our name that writes now, while we run
    note_of(twin, **other)
    earlier = killed(tmp_path / "c")  # this machine before it was started again
    note_of(earlier, **other)
    os.utime(earlier / ".vqzoo-owner", (1, 1))
    container = killed(tmp_path / "d")  # of this kernel
    note_of(container, host="another host")
    assert set(vqzoo.files.sweep_temporaries(tmp_path)) == {earlier, container}
    assert elsewhere.exists() and twin.exists()


@pytest.mark.parametrize("note", ["", "[]", "{", '{"host": 1}', "null", "not ours", '{"boot": ""}', "[" * 4000])
def test_a_note_that_nobody_can_read_protects_its_folder(tmp_path, note):
    holder = killed(tmp_path / "a")
    (holder / ".vqzoo-owner").write_text(note)
    assert vqzoo.files.sweep_temporaries(tmp_path) == [] and (holder / "a").exists()


def test_files_of_other_people_stay_whatever_they_are_called(tmp_path):
    holder = killed(tmp_path / "model")
    note = (holder / ".vqzoo-owner").read_text()
    shutil.rmtree(holder)
    for path in (
        ".thesis.4194303.tmp/chapter.tex",
        ".report.123456.tmp.docx",
        ".tokenizer.999999999.tmp.keras",
        ".vqzoo-notes.tmp",  # a file
        ".vqzoo-mine.tmp/text",  # no note in it
        ".vqzoo-mine/.vqzoo-owner",
        "vqzoo-mine.tmp/.vqzoo-owner",
        "below/.vqzoo-x.tmp/.vqzoo-owner",  # of a folder that nobody writes to
        ".model.old/weights",
        ".lock",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(note)
    (tmp_path / ".vqzoo-linked.tmp").symlink_to(tmp_path / "below" / ".vqzoo-x.tmp")
    before = sorted(tmp_path.rglob("*"))
    vqzoo.files.FolderLock(tmp_path).release()
    with atomic_path(tmp_path / "model") as temporary:
        write_folder(temporary, {"a": ""})
    assert vqzoo.files.sweep_temporaries(tmp_path) == []
    (tmp_path / ".vqzoo.lock").unlink()
    shutil.rmtree(tmp_path / "model")
    assert sorted(tmp_path.rglob("*")) == before and (tmp_path / ".lock").read_text() == note


def test_a_note_names_no_place_elsewhere(tmp_path):
    (tmp_path / "inside").mkdir()
    holder = killed(tmp_path / "inside" / "model")
    note_of(holder, target="../up")
    write_folder(holder / ".vqzoo-aside", {"old": "1"})
    vqzoo.files.sweep_temporaries(tmp_path / "inside")
    assert not (tmp_path / "up").exists() and (tmp_path / "inside" / "up" / "old").exists()


def test_a_folder_that_had_stepped_aside_is_put_back(tmp_path):
    holder = killed(tmp_path / "model")
    write_folder(holder / ".vqzoo-aside", {"old": "1"})  # a kill between the two renames
    assert vqzoo.files.sweep_temporaries(tmp_path) == [holder]
    assert names(tmp_path) == ["model"] and names(tmp_path / "model") == ["old"]


@pytest.mark.parametrize("path", ["~/a", "~", "~nobody-of-this-name/a", "~photo.png", "a/~/b", "", "./~"])
def test_only_what_a_person_wrote_is_expanded(path, monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    home = path == "~" or path.startswith("~/")
    assert str(vqzoo.files.user_path(path)) == (f"/somewhere{path[1:]}" if home else str(pathlib.Path(path)))
    assert vqzoo.files.user_path(pathlib.Path(path)) == pathlib.Path(path)


def test_what_can_not_be_read_to_an_end_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "a").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        kinds = {"pipe": "a named pipe", "zero": "a device", "socket": "a socket"}
        for name, kind in kinds.items():
            with pytest.raises(OSError, match=f"not a regular file but {kind}"):
                vqzoo.files.check_regular(tmp_path / name)
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        vqzoo.files.check_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        vqzoo.files.check_regular(tmp_path / "missing")
    vqzoo.files.check_regular(tmp_path / "link")
