"""A folder, shards, or a name: which of them it is."""

import pathlib

import pytest

from vqzoo.data import ShardedImages
from vqzoo.data import open_images
from vqzoo.data import sample_images
from vqzoo.data import write_image_shards


def test_folders_and_pictures_are_files():
    assert open_images(sample_images()[0]) == sample_images()[:1]
    assert set(sample_images()) <= set(open_images(str(sample_images()[0].parent)))


def test_shards_are_noticed_also_where_they_are_not_whole(tmp_path):
    write_image_shards([(sample_images()[0], "a.png")], tmp_path)
    assert isinstance(open_images(str(tmp_path)), ShardedImages)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(ValueError, match="the run that wrote its shards did not finish. Repeat its command"):
        open_images(tmp_path)


def test_a_name_that_is_nothing(tmp_path):
    with pytest.raises(ValueError, match="absent does not exist"):
        open_images(tmp_path / "absent")


NO_PATHS = {
    "list": (["a.png", "b.png"], "A folder is a str or a pathlib.Path. Received: a list of 2 str. Call `"),
    "paths": ([pathlib.Path("a.png")], "A folder is a str or a pathlib.Path. Received: a list of 1 .*Path. Call `"),
    "none": (None, r"A folder is a str or a pathlib.Path. Received: None. Pass `"),
    "number": (3, r"A folder is a str or a pathlib.Path. Received: .*3.* Pass `"),
}


@pytest.mark.parametrize("name", NO_PATHS)
def test_what_is_no_path_is_named(name):
    given, message = NO_PATHS[name]
    with pytest.raises(ValueError, match=message) as caught:
        open_images(given)
    assert "\n" not in str(caught.value)
