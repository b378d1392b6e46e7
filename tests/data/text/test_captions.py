import os

import numpy as np
import pytest

from vqzoo.data import CaptionTable
from vqzoo.data import find_images
from vqzoo.data import save_image
from vqzoo.data import write_image_shards

TABLE = """file\tcodes\tname\ttext
a/1.png\tx\t red  heart \tone
2.png\tx\tblue heart\ttwo
2.png\ty\tcold heart\tthree

lost.png\tx\tgone\tfour
3.png\tx\t\tfive
4.png
\tx\tnobody\tsix
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "captions.tsv").write_text(TABLE, newline="\r\n")
    for name in ("a/1.png", "2.png", "3.png", "5.png"):
        save_image(tmp_path / name, np.zeros((4, 4, 3)))
    return tmp_path


def test_each_picture_has_its_captions_wherever_it_is_told_from(folder, monkeypatch):
    table = CaptionTable(folder / "captions.tsv")
    assert table.column == "name"
    assert table.of(folder / "a" / "1.png") == ("red heart",) and table.of("2.png") == ("blue heart", "cold heart")
    assert table.of(folder / "3.png") == () == table.of(folder / "1.png")
    assert list(table.skipped) == [f"{table.path}, line {n}" for n in (7, 8, 9)]
    assert CaptionTable(folder / "captions.tsv", "text").of("3.png") == ("five",)
    # Relative to the pictures' folder, too, and from any working folder.
    (folder / "tables").mkdir()
    moved = CaptionTable((folder / "captions.tsv").rename(folder / "tables" / "captions.tsv"))
    assert moved.of(folder / "2.png") == () and moved.of(folder / "2.png", folder)[0] == "blue heart"
    monkeypatch.chdir(folder)
    assert moved.of("a/../a/1.png", ".") == ("red heart",)
    assert CaptionTable("tables/captions.tsv").of("2.png", "")[1] == "cold heart"


def test_pictures_without_a_caption_are_left_out_and_missing_ones_are_named(folder):
    table = CaptionTable(folder / "captions.tsv")
    expected = {folder / "a" / "1.png", folder / "2.png"}
    assert set(table.pictures()) == expected == set(table.pictures(folder))
    assert table.pictures(folder / "a") == [folder / "a" / "1.png"]
    assert table.missing(folder) == {"lost.png": "captions.tsv names it, but it does not exist"}
    (folder / "elsewhere").mkdir()
    save_image(folder / "elsewhere" / "lost.png", np.zeros((4, 4, 3)))
    assert table.missing("", folder / "elsewhere") == {}
    write_image_shards([(path, str(path.relative_to(folder))) for path in find_images(folder)], folder / "shards")
    source = table.pictures(folder / "shards")
    assert sorted(table.of_record(source.name(i))[0] for i in range(len(source))) == ["blue heart", "red heart"]


@pytest.mark.parametrize(
    "text, column, message",
    [
        (b"file,name\n1.png,heart\n", "", "has no column file and no column caption or name or text. Received: file,n"),
        (b"file\tname\n1.png\theart\n", "title", "has no column title. Received: file, name"),
        (b"file\tname\n1.png\t\n", "", "No line of .* has a file and a caption. Its columns are file, name"),
        (b"", "", "has no column file"),
        (b"file\tname\n1.png\t\xff\n", "", "is not text in UTF-8"),
        (None, "", "cannot be read: No such file"),
    ],
)
def test_what_is_no_table_is_told(text, column, message, tmp_path):
    if text is not None:
        (tmp_path / "it.tsv").write_bytes(text)
    with pytest.raises(ValueError, match=message):
        CaptionTable(tmp_path / "it.tsv", column)


def test_a_table_of_other_pictures_is_told(folder):
    (folder / "other.tsv").write_text("file\tname\n9.png\tnine\n")
    with pytest.raises(ValueError, match="None of the 1 files that .* names, such as '9.png', is a picture of"):
        CaptionTable(folder / "other.tsv").pictures(folder)


def test_a_table_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "captions.tsv"
    path.write_text("file\tcaption\n1.png\tred heart\n")
    os.truncate(path, 2**40)  # a hole: no disk is needed
    monkeypatch.setattr("builtins.open", lambda *_, **__: pytest.fail("the table is read"))
    with pytest.raises(ValueError, match=f"captions.tsv has {2**40} bytes, and at most 536870912 are read. Split it"):
        CaptionTable(path)


def test_a_line_that_is_too_long_is_not_read_whole(tmp_path):
    path = tmp_path / "captions.tsv"
    path.write_text("file\tcaption\n1.png\tred heart\n")
    os.truncate(path, 2**28)
    with pytest.raises(
        ValueError, match="Line 3 of .*captions.tsv has more than 1048576 characters. It is not a table"
    ):
        CaptionTable(path)


def test_a_table_that_never_ends_is_not_read(tmp_path):
    (tmp_path / "captions.tsv").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="captions.tsv cannot be read: not a regular file but a device. Give another"):
        CaptionTable(tmp_path / "captions.tsv")


def test_line_ends_of_all_systems(tmp_path):
    for end in ("\n", "\r\n", "\r"):
        path = tmp_path / "captions.tsv"
        path.write_bytes(f"\ufefffile\tcaption{end}1.png\tred heart{end}2.png\t{end}".encode())
        table = CaptionTable(path)
        assert table.captions == {"1.png": ("red heart",)} and list(table.skipped) == [f"{path}, line 3"]
