import os
import pathlib

import pytest

from vqzoo.data import audio_info
from vqzoo.data import find_audio
from vqzoo.data import find_images
from vqzoo.data import find_text
from vqzoo.data import load_audio
from vqzoo.data import load_image
from vqzoo.data import load_long_audio
from vqzoo.data import open_images
from vqzoo.data import read_sentences
from vqzoo.data.files import FileList
from vqzoo.data.files import as_paths
from vqzoo.data.files import counted
from vqzoo.data.files import kept_going
from vqzoo.data.files import listed_files
from vqzoo.data.files import reason_of
from vqzoo.data.files import split_files


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def link(folder, name, to):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).symlink_to(to)


def listed(folder):
    found = listed_files(folder, (".a",), "thing", "take another")
    return [file.relative_to(folder).as_posix() for file in found], found.ignored


# What there is, links name -> what they lead to, what is listed.
LINKS = {
    "a folder": (["data/x.a", "away/cats/1.a"], {"data/cats": "../away/cats"}, ["cats/1.a", "x.a"]),
    "a file": (["data/x.a", "away/1.a"], {"data/y.a": "../away/1.a"}, ["x.a", "y.a"]),
    "itself": (["data/x.a"], {"data/self": "."}, ["x.a"]),
    "a parent": (["data/d/e/x.a"], {"data/d/e/up": "../.."}, ["d/e/x.a"]),
    "outside and round": (["data/x.a", "away/y.a"], {"data/l": "../away", "away/l": "../data"}, ["l/y.a", "x.a"]),
    "a pair": (["data/x.a"], {"data/p": "q", "data/q": "p"}, ["x.a"]),
    "the real name first": (["data/z/x.a"], {"data/a": "z", "data/b.a": "z/x.a"}, ["z/x.a"]),
    "twice outside": (["data/x.a", "away/y.a"], {"data/b": "../away", "data/c": "../away"}, ["b/y.a", "x.a"]),
    "a chain": (["data/x.a", "away/y.a"], {"data/b": "../c", "c": "away"}, ["b/y.a", "x.a"]),
    "nothing": (["data/x.a"], {"data/y.a": "missing"}, ["x.a", "y.a"]),  # reading names it
    "a hidden folder": (["data/x.a", "data/.away/y.a"], {"data/b": ".away"}, ["b/y.a", "x.a"]),
    "another name": (["data/x.a", "away/y.b"], {"data/y.a": "../away/y.b"}, ["x.a", "y.a"]),
    "a real name without the ending": (
        ["data/blobs/h0", "data/y.b"],
        {"data/0.a": "blobs/h0", "data/1.a": "y.b"},
        ["0.a", "1.a"],
    ),
}


@pytest.mark.parametrize("case", LINKS)
def test_links_are_followed_and_each_file_counts_once(case, tmp_path):
    files, links, expected = LINKS[case]
    touch(tmp_path, *files)
    for name, to in links.items():
        link(tmp_path, name, to)
    assert listed(tmp_path / "data")[0] == expected


def test_a_folder_that_is_a_link_itself_is_listed_under_the_link(tmp_path):
    touch(tmp_path, "data/x.a")
    link(tmp_path, "l", "data")
    assert listed_files(tmp_path / "l", (".a",), "thing", "") == [tmp_path / "l" / "x.a"]


def test_deep_folders_are_walked_without_recursion(tmp_path):
    folder = tmp_path
    for _ in range(60):
        folder = folder / "d"
    touch(folder, "x.a")
    assert listed_files(tmp_path, (".a",), "thing", "") == [folder / "x.a"]


def test_other_endings_are_counted(tmp_path):
    touch(tmp_path, "x.a", "y.A", "1.b", "d/2.B", "3.b.c", "noending", ".hidden.b", ".d/4.b", "5.")
    assert listed(tmp_path) == (["x.a", "y.A"], {".b": 2, ".c": 1, "no ending": 2})


def test_a_folder_of_other_things_says_what_it_holds(tmp_path):
    touch(tmp_path, "1.b", "2.b", "3.c")
    with pytest.raises(
        ValueError, match=r"hold no things\. It holds 2 \.b, 1 \.c\. Looked for \.a .* convert the things"
    ):
        listed_files(tmp_path, (".a",), "thing", "")
    with pytest.raises(ValueError, match="give another folder, or make some"):
        listed_files(tmp_path, (".a",), "thing", "", "make some")


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    touch(tmp_path, "x.a", "secret/y.a")
    scandir = os.scandir

    def refuse(path):
        if pathlib.Path(path).name == "secret":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    files, ignored = listed(tmp_path)
    assert files == ["x.a"] and ignored == {f"unreadable folder {tmp_path / 'secret'} (Permission denied)": 1}


@pytest.mark.parametrize("find", [find_images, find_audio, find_text])
def test_every_modality_lists_in_this_way(find, tmp_path):
    suffix = {find_images: ".png", find_audio: ".wav", find_text: ".txt"}[find]
    touch(tmp_path, f"data/a{suffix}", f"away/b{suffix}", "data/c.xyz")
    link(tmp_path, "data/l", "../away")
    found = find(tmp_path / "data")
    assert [file.name for file in found] == [f"a{suffix}", f"b{suffix}"] and found.ignored == {".xyz": 1}
    train, validation = split_files(found, 0.5, 0, "thing")
    assert train.ignored == {".xyz": 1} and not validation.ignored
    assert as_paths(found).ignored == {".xyz": 1}


def test_a_single_file_of_a_folder_of_others_keeps_the_count(tmp_path):
    files = FileList([tmp_path / "a.png"], {".b": 2})
    with pytest.warns(UserWarning, match="the only"):
        train, validation = split_files(files, 0.5, 0, "thing")
    assert train == validation == files and train.ignored == {".b": 2} and not validation.ignored


def test_counts_in_words():
    assert counted({}) == "" and counted({"no ending": 1, ".b": 2}) == "2 .b, 1 no ending"
    assert counted({f".{i}": 1 for i in range(12)}).endswith("1 .5, 4 others")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("a\n  b"), "a b"),
        (OSError(36, "File name too long", "x"), "[Errno 36] File name too long: 'x'"),
        (MemoryError(), "it does not fit in memory"),
        (MemoryError("Unable to allocate 8 PiB"), "it does not fit in memory (Unable to allocate 8 PiB)"),
        (RuntimeError("odd"), "RuntimeError: odd"),
        (TypeError(), "TypeError"),
        (ValueError(), "ValueError"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "UnicodeDecodeError: 'utf-8' codec can't decode byte"),
        (KeyError("a"), "KeyError: 'a'"),
        (RuntimeError("graph " * 10**6 + "end"), "RuntimeError: graph graph"),
        (ValueError("x" * 10**6), "x"),
    ],
)
def test_any_error_is_one_line_and_ends_nothing(error, reason):
    noted = []
    with kept_going(noted.append):
        raise error
    assert len(noted) == 1 and noted[0].startswith(reason) and noted == [reason_of(error)]
    assert len(noted[0]) < 2100


def test_what_ends_the_program_is_not_kept(monkeypatch):
    for error in (KeyboardInterrupt, SystemExit):
        with pytest.raises(error), kept_going(print):
            raise error


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ("photos", r"must be a list of paths: find_images\('photos'\) makes one"),
        (pathlib.Path("photos"), r"find_images\('photos'\) makes one"),
        (None, "Received: NoneType. Pass a list of str"),
        (3, "Received: int. Pass a list of str"),
        (["a.png", None], "Received: one of NoneType"),
        ([b"a.png"], "Received: one of bytes"),
        ([], "files is empty: give at least one picture"),
    ],
)
def test_what_is_no_list_of_paths_is_refused_in_one_line(files, message):
    with pytest.raises(ValueError, match=message):
        as_paths(files)


# === Names that no file can have, and names that are no line ===

NAMES = {
    "long": "x" * 300,
    "long_with_an_ending": "x" * 300 + ".png",
    "longer_than_a_path": "x" * 5000,
    "many_folders": "a/" * 3000,
    "a_zero": "a\0b",
    "missing_with_a_line_end": "y\nz",
    "a_folder_with_a_line_end": "folder\nname",
    "a_command_to_the_terminal": "\x1b[31m",
}
CONTENTS = {"image": "a\nb.png", "audio": "a\nb.wav", "text": "a\nb.txt", "other": "a\nb.zip"}
LOADS = {
    "load_image": load_image,
    "load_audio": load_audio,
    "load_long_audio": load_long_audio,
    "audio_info": audio_info,
    "read_sentences": lambda path: read_sentences([path]),
    "open_images": open_images,
    "find_images": find_images,
    "find_audio": find_audio,
    "find_text": find_text,
}
LISTED = {("find_images", "image"), ("open_images", "image"), ("find_audio", "audio"), ("find_text", "text")}
ROWS = [(load, name) for load in LOADS for name in (*NAMES, *CONTENTS) if (load, name) not in LISTED]


@pytest.mark.parametrize("load, name", ROWS)
def test_any_name_is_refused_in_one_line(load, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAMES["a_folder_with_a_line_end"]).mkdir()
    for other in CONTENTS.values():
        (tmp_path / other).write_bytes(b"\xff\xfe\0")
    for kind in (str, pathlib.Path):
        with pytest.raises(ValueError) as caught:
            LOADS[load](kind({**NAMES, **CONTENTS}[name]))
        told = str(caught.value)
        assert told.isprintable() and len(told) > 40


def test_the_only_file_is_named_in_one_line(tmp_path):
    with pytest.warns(UserWarning) as caught:
        split_files([tmp_path / "a\nb.png"], 0.5, 0, "picture")
    assert str(caught[0].message).isprintable()


@pytest.mark.parametrize("levels, name", [(25, "d" * 200), (120, "d" * 40)])
def test_what_is_too_deep_to_be_read_is_named_and_the_rest_listed(levels, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(levels):
        os.mkdir(name)
        os.chdir(name)
        pathlib.Path("x.a").touch()
    monkeypatch.undo()
    touch(tmp_path, "z/x.a")
    found = listed_files(tmp_path, (".a",), "thing", "take another")
    assert tmp_path / "z/x.a" in found and levels // 2 < len(found) < levels + 1
    assert all(os.path.exists(path) for path in found)
    assert sum(found.ignored.values()) in (1, 2)  # the folder, and the file beside it
    for told in found.ignored:
        assert told.startswith(f"unreadable folder {tmp_path}") and told.endswith("(File name too long)")
        assert len(told) < 400


def test_an_unreadable_folder_with_a_line_end_is_named_in_one_line(tmp_path, monkeypatch):
    touch(tmp_path, "x.a", "d\ne/y.a")
    real = os.scandir

    def scandir(path):
        if "\n" in str(path):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("os.scandir", scandir)
    (told,) = listed_files(tmp_path, (".a",), "thing", "").ignored
    assert told.isprintable() and "(Permission denied)" in told


def test_a_walk_asks_for_the_real_path_of_links_alone(tmp_path, monkeypatch):
    """Of a deep tree each costs as much as all of its folders."""
    touch(tmp_path, *(f"{'d/' * level}x.a" for level in range(20)))
    link(tmp_path, "l", "d/d")
    asked, real = [], os.path.realpath
    monkeypatch.setattr("os.path.realpath", lambda path: asked.append(path) or real(path))
    assert len(listed_files(tmp_path, (".a",), "thing", "")) == 20
    assert asked == [tmp_path, tmp_path / "l"]
