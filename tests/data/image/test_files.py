"""Which files are pictures, and which side of the split they are on."""

import importlib.machinery
import importlib.util
import os
import pathlib

import pytest

from vqzoo.data import find_images
from vqzoo.data import sample_images
from vqzoo.data import split_images
from vqzoo.data.files import as_paths


def touch(folder, *names):
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def test_finds_pictures_sorted_in_subfolders_and_skips_the_rest(tmp_path):
    touch(tmp_path, "b.JPG", "a.jpeg", "ü ber/ö 1.Png", "ü ber/c.webp", "d.gif", "e.bmp")
    touch(tmp_path, "notes.txt", "raw.cr2", "png", ".hidden.png", ".cache/f.png", "ü ber/.thumbs/g.png")
    (tmp_path / "folder.png").mkdir()
    found = [file.relative_to(tmp_path).as_posix() for file in find_images(tmp_path)]
    assert found == ["a.jpeg", "b.JPG", "d.gif", "e.bmp", "ü ber/c.webp", "ü ber/ö 1.Png"]


def test_one_file_and_the_home_folder(tmp_path, monkeypatch):
    touch(tmp_path, "a.PNG")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert find_images("~/a.PNG") == find_images("~") == [tmp_path / "a.PNG"]


@pytest.mark.parametrize(
    "name, message",
    [
        ("absent", r"absent does not exist\. Looked for .*\.bmp .* \.webp: .*sample_images"),
        ("empty", r"empty and its subfolders hold no pictures\. Looked for .*\.bmp .*: give another folder"),
        ("a.cr2", r"a\.cr2 is not a picture by its suffix\. Looked for .*\.bmp .*: convert or rename it"),
    ],
)
def test_finding_nothing_names_the_path_and_the_suffixes(tmp_path, name, message):
    touch(tmp_path, "a.cr2", "empty/.hidden.png")
    with pytest.raises(ValueError, match=message):
        find_images(tmp_path / name)


def test_samples_are_five_photographs():
    assert [file.suffix for file in sample_images()] == [".png", ".png", ".png", ".png", ".jpg"]
    assert find_images(sample_images()[0].parent)  # they exist, beside others


def test_missing_samples_are_named(tmp_path, monkeypatch):
    spec = importlib.machinery.ModuleSpec("skimage", None, is_package=True)
    spec.submodule_search_locations.append(str(tmp_path))
    touch(tmp_path, "data/astronaut.png", "data/coffee.png")
    for found in (spec, None):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, found=found: found)
        with pytest.raises(ValueError, match=r"chelsea\.png, .*rocket\.jpg are not in .*force-reinstall scikit-image"):
            sample_images()


def test_split_of_the_samples_and_of_another_seed():
    train, validation = split_images(sample_images())
    assert [file.name for file in validation] == ["chelsea.png"]
    assert [file.name for file in train] == ["astronaut.png", "coffee.png", "motorcycle_left.png", "rocket.jpg"]
    assert [file.name for file in split_images(sample_images(), seed=1)[1]] != ["chelsea.png"]


def test_split_has_the_share_asked_for_and_keeps_sides_when_files_come_and_go():
    files = [pathlib.Path("photos", f"{i}.jpg") for i in range(2000)]
    train, validation = split_images(files, 0.25)
    assert sorted(train + validation) == sorted(files)
    assert 450 < len(validation) < 550
    _, fewer = split_images([pathlib.Path("moved", file.name) for file in files[::3]], 0.25)
    assert [file.name for file in fewer] == [file.name for file in files[::3] if file in set(validation)]
    assert set(split_images(files, 0.1)[1]) < set(validation)


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("share", [1e-9, 1 - 1e-9])
def test_no_side_is_empty(count, share):
    files = [pathlib.Path(f"{i}.png") for i in range(count)]
    train, validation = split_images(files, share)
    small = min(len(train), len(validation))
    assert (small, len(train) + len(validation)) == (1, count)
    assert len(validation if share < 0.5 else train) == 1


def test_a_single_file_is_on_both_sides_with_a_warning():
    with pytest.warns(UserWarning, match=r"a\.png is the only picture: it trains and validates"):
        assert split_images(["a.png"]) == ([pathlib.Path("a.png")], [pathlib.Path("a.png")])


@pytest.mark.parametrize("share", [0, 1, -0.1, 20, float("nan")])
def test_the_share_is_checked(share):
    with pytest.raises(ValueError, match="validation must be a fraction between 0 and 1, both excluded. Received"):
        split_images(["a.png", "b.png"], share)


def test_lists_of_files_are_checked(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert as_paths(("~/a.png", pathlib.Path("b.png"))) == [tmp_path / "a.png", pathlib.Path("b.png")]
    with pytest.raises(ValueError, match="files is empty: give at least one picture"):
        as_paths([])
    for path in ("photos", pathlib.Path("photos")):
        with pytest.raises(ValueError, match=r"files must be a list of paths: find_images\('photos'\)"):
            as_paths(path)


@pytest.mark.skipif(os.name == "nt", reason="Windows names are Unicode")
def test_names_that_are_not_unicode_are_split():
    files = [os.fsdecode(b"\xff.png"), "a.png"]
    assert sum(map(len, split_images(files))) == 2
