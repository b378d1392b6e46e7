"""Every public reader and writer, and what is no path of anything: one line of ours each, and nothing left behind."""

import pathlib

import numpy as np
import pytest

from vqzoo import data
from vqzoo import presets

ABOUT = {"preset": "mine", "sha256": "", "modality": "image", "codebook_sizes": [16]}
PICTURE = np.zeros((8, 8, 3), "float32")
ROW = data.TokenRow(np.zeros((2, 2, 1), "int32"), (8, 8), "a.png")


def _opened(path):
    with presets.changed_preset(path):
        raise AssertionError("it is to be refused before it yields")


READERS = {
    **{
        name: getattr(data, name)
        for name in [
            *("CaptionTable", "ShardedImages", "TokenShards", "audio_info", "find_audio", "find_images", "find_text"),
            *("holds_shards", "load_audio", "load_image", "load_long_audio", "load_vectors", "open_images"),
            *("verify_shards",),
        ]
    },
    "read_sentences": lambda path: data.read_sentences([path]),
    "split_images": lambda path: data.split_images(path),
    "split_audio": lambda path: data.split_audio(path),
    **{
        name: getattr(presets, name)
        for name in [
            *("check_folder", "describe_tokens", "exports_of", "find_preset", "load_preset", "load_tokens"),
            *("read_manifest", "read_metadata", "remove_exports", "seal_preset", "update_metadata", "verify_preset"),
        ]
    },
    "changed_preset": _opened,
    "check_tokens_of": lambda path: presets.check_tokens_of(None, path, "a.npz"),
    "push_to_hub": lambda path: presets.push_to_hub(path, "nobody/nothing"),
    "write_metadata": lambda path: presets.write_metadata(path, pathlib.Path()),
}
# What is asked of anything, and what needs no file, answers.
ANSWERS = {"holds_shards", "check_folder", "exports_of", "remove_exports", "split_images", "split_audio"}
NO_PATHS = {"None": None, "a number": 5, "a list": [None], "an array": np.zeros(3)}
NO_FILES = {
    "a long name": "x" * 300,
    "a very long name": "x" * 5000,
    "a long path": "d/" * 3000 + "a",
    "a zero": "a\0b",
    "half a character": "a\ud800",
    "a line end": "a\nb",
    "in a file": "file/a",
    "a loop": "loop",
}


def told_in_one_line(function, path):
    with pytest.raises(ValueError) as told:
        function(path)
    message = str(told.value)
    assert told.type is ValueError, message
    assert "\n" not in message and ".vqzoo-" not in message and "PosixPath" not in message and "Errno" not in message
    return message


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """A file, a link to itself and a folder of each ending; afterwards there is nothing else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to("loop")
    for ending in ("", ".png", ".wav", ".npz"):
        (tmp_path / f"folder{ending}").mkdir()
    before = sorted(tmp_path.rglob("*"))
    yield
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", READERS)
def test_what_is_no_path_is_read_by_nobody(name):
    for path in NO_PATHS.values():
        told_in_one_line(READERS[name], path)


@pytest.mark.parametrize("name", [name for name in READERS if name not in ANSWERS])
def test_what_no_file_can_be_called_is_read_by_nobody(name):
    # A change of a preset makes the folder where there is none.
    rows = NO_FILES.keys() - ({"a line end"} if name == "changed_preset" else set())
    for row in rows:
        told_in_one_line(READERS[name], NO_FILES[row])


def test_who_is_asked_whether_there_are_shards_says_no():
    for path in NO_FILES.values():
        assert data.holds_shards(path) is False


def _save_tokens(path, folder):
    presets.save_tokens(path, ROW.tokens, size=(8, 8), preset="mine", folder=folder)


WRITERS = {  # name: (function of a path and of a preset's folder, ending of a file)
    "save_image": (lambda path, _: data.save_image(path, PICTURE), ".png"),
    "save_audio": (lambda path, _: data.save_audio(path, PICTURE[0, :, :1], 8000), ".wav"),
    "save_tokens": (_save_tokens, ".npz"),
    "save_tokens of a preset": (lambda path, _: _save_tokens("a.npz", path), None),
    "write_image_shards": (lambda path, _: data.write_image_shards([("file", "a.png")], path), ""),
    "write_token_shards": (
        lambda path, _: data.write_token_shards([("file", "a.png")], path, ABOUT, lambda files, failed: [ROW]),
        "",
    ),
    "write_variants": (lambda path, preset: data.write_variants([preset.parent / "a.wav"], path, 1), ""),
    "save_preset": (lambda path, _: presets.save_preset(Model(), path, metadata={}), ""),
}


class Model:
    """What there is no time to save."""

    weights = ()

    def save(self, path):
        raise AssertionError("the path is to be refused before that")


@pytest.fixture(scope="module")
def preset(saved_once):
    data.save_audio(saved_once.parent / "a.wav", PICTURE[0, :, :1], 8000)
    return saved_once


@pytest.mark.parametrize("name", WRITERS)
def test_nobody_writes_where_no_file_can_be(name, preset):
    function, ending = WRITERS[name]
    for path in NO_PATHS.values():
        told_in_one_line(lambda path: function(path, preset), path)
    for row, path in NO_FILES.items():
        if ending is not None and row in ("a line end", "a loop" if ending else None):
            continue  # a name like any other, and one that is replaced
        told_in_one_line(lambda path: function(path, preset), path + (ending or ""))
    if ending is not None:
        message = told_in_one_line(lambda path: function(path, preset), f"/dev/null/a{ending}")
        assert message == "A folder is needed where something else is. Received: '/dev/null'. Give another place."


@pytest.mark.parametrize("name", ["save_image", "save_audio", "save_tokens"])
def test_a_file_takes_no_other_ending_and_no_place_of_a_folder(name, preset):
    function, ending = WRITERS[name]
    for path, told in [
        (f"folder{ending}", r"A file must not replace a folder. Received: '/"),
        ("new", f"Pass `'new{ending}'`"),
        ("new.foo", f"Pass `'new{ending}'`"),
        (".", f"Pass `'new{ending}'`"),
        ("", f"Pass `'new{ending}'`"),
    ]:
        assert told in told_in_one_line(lambda path: function(path, preset), path)


def test_the_ending_of_tokens_may_be_of_capitals(preset, tmp_path):
    _save_tokens("A.NPZ", preset)
    assert presets.load_tokens("A.NPZ").size == (8, 8)
    (tmp_path / "A.NPZ").unlink()
