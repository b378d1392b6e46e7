"""Which formats are read, what their files are called, and files that are none at all."""

import os
import socket

import numpy as np
import pytest
from PIL import Image

from vqzoo.data import ImageCrops
from vqzoo.data import find_images
from vqzoo.data import load_image
from vqzoo.data.image import formats as image_formats
from vqzoo.data.image.formats import how_to_read
from vqzoo.data.image.formats import readable_formats
from vqzoo.data.image.formats import readable_suffixes
from vqzoo.data.image.pixels import decode_image
from vqzoo.data.image.pixels import image_format
from vqzoo.data.image.shards import write_image_shards

RAMP = np.linspace(0, 255, 32 * 48 * 3).reshape(32, 48, 3).astype(np.uint8)
SUFFIXES = {suffix: name for name, form in image_formats._FORMATS.items() for suffix in form.suffixes}


@pytest.fixture
def fresh():
    """The formats are found anew, before and after."""
    for function in (readable_formats, readable_suffixes):
        function.cache_clear()
    yield
    for function in (readable_formats, readable_suffixes):
        function.cache_clear()


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_each_suffix_is_found_and_read_or_named_with_its_way_out(suffix, tmp_path):
    path = tmp_path / f"a{suffix.upper()}"
    if SUFFIXES[suffix] not in readable_formats():
        path.write_bytes(b"\0\0\0\x20ftypheic" + bytes(20))
        with pytest.raises(ValueError, match="cannot be read here: pip install .*, or convert it"):
            find_images(path)
        with pytest.raises(ValueError, match="pictures are not read here: pip install"):
            load_image(path)
        Image.fromarray(RAMP).save(tmp_path / "b.png")
        assert find_images(tmp_path).ignored == {suffix: 1}
        return
    Image.fromarray(RAMP).save(path, SUFFIXES[suffix])
    assert find_images(tmp_path) == find_images(path) == [path]
    assert image_format(path) == image_format(path.read_bytes()) == SUFFIXES[suffix]
    image = load_image(path)
    assert image.shape == (32, 48, 3)
    assert np.abs(image - (RAMP / 127.5 - 1)).mean() < 0.1  # a palette, and lossy ones
    with pytest.raises(ValueError, match="is too large to decode: 48 x 32 pixels are more than max_pixels=1535"):
        load_image(path, max_pixels=1535)
    content = path.read_bytes()
    for length in (4, 20, len(content) // 2):
        with pytest.raises(ValueError, match="Cannot read the picture a: .*damaged"):
            decode_image(content[:length], "a", 3, 10**6)


@pytest.mark.parametrize("suffix", [".jp2", ".avif", ".webp", ".tiff"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_modes_of_other_formats(suffix, mode, tmp_path):
    if suffix not in readable_suffixes():
        pytest.skip(f"this Pillow has no {suffix}")
    picture = Image.new("RGBA", (32, 32), (200, 100, 50, 0)).convert(mode)
    picture.save(tmp_path / f"a{suffix}")
    expected = {"L": [124] * 3, "RGB": [200, 100, 50], "RGBA": [255] * 3}[mode]
    made = (load_image(tmp_path / f"a{suffix}")[9, 9] + 1) * 127.5
    np.testing.assert_allclose(made, expected, atol=3)


def test_what_is_not_installed_is_not_listed_and_says_how(tmp_path, monkeypatch, fresh):
    monkeypatch.setattr(image_formats, "pillow_heif", None)
    monkeypatch.setattr(image_formats.features, "modules", {})
    assert readable_formats() == ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "TIFF")
    assert not {".avif", ".heic", ".heif", ".webp"} & set(readable_suffixes())
    for name in ("a.png", "b.heic", "c.HEIF", "d.avif", "e.webp", "f.cr2"):
        Image.fromarray(RAMP).save(tmp_path / name, "PNG")
    found = find_images(tmp_path)
    assert [path.name for path in found] == ["a.png"]
    assert found.ignored == {".avif": 1, ".cr2": 1, ".heic": 1, ".heif": 1, ".webp": 1}
    for name, install in (("b.heic", r"vqzoo\[heic\]"), ("d.avif", "pillow>=11.3"), ("e.webp", "install a Pillow")):
        with pytest.raises(ValueError, match=f"{name} cannot be read here: .*{install}"):
            find_images(tmp_path / name)
        assert load_image(tmp_path / name).shape == (32, 48, 3)  # the content decides
    with pytest.raises(ValueError, match="f.cr2 is not a picture by its suffix"):
        find_images(tmp_path / "f.cr2")


@pytest.mark.parametrize(
    "start, told",
    [
        (b"\0\0\0\x20ftypheic", "HEIF"),
        (b"\0\0\0\x20ftypmif1", "HEIF"),
        (b"\0\0\0\x20ftypavif", "AVIF"),
        (b"\0\0\0\x20ftypmp42", ""),
        (b"\x89PNG\r\n\x1a\n\0\0\0\r", ""),
        (b"hello, world", ""),
    ],
)
def test_a_known_format_that_is_not_read_is_named_by_its_content(start, told, tmp_path, monkeypatch, fresh):
    monkeypatch.setattr(image_formats, "pillow_heif", None)
    monkeypatch.setattr(image_formats.features, "modules", {})
    assert how_to_read(start=start).startswith(told) and bool(how_to_read(start=start)) == bool(told)
    (tmp_path / "a.jpg").write_bytes(start + bytes(100))
    message = f"{told} pictures are not read here: pip install" if told else "damaged"
    with pytest.raises(ValueError, match=rf"a\.jpg: .*{message}"):
        load_image(tmp_path / "a.jpg")


def test_formats_are_looked_for_once(monkeypatch, fresh):
    calls = []
    monkeypatch.setattr(image_formats, "_is_readable", lambda form: calls.append(form) or True)
    for _ in range(3):
        readable_suffixes()
        how_to_read("a.heic")
    assert len(calls) == len(image_formats._FORMATS)


# === What is no regular file ===


def special(kind, folder):
    path = folder / "b.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        where = os.getcwd()
        os.chdir(folder)  # a socket's path has at most 107 characters
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind("b.png")
        finally:
            os.chdir(where)
    elif kind == "folder":
        path.mkdir()
    elif kind == "broken link":
        path.symlink_to(folder / "absent")
    else:
        path.symlink_to(kind)
    return path


SPECIAL = {
    "pipe": "not a regular file but a named pipe. Give another file, or leave it out",
    "socket": "not a regular file but a socket. Give another file, or leave it out",
    "/dev/zero": "not a regular file but a device. Give another file, or leave it out",
    "/dev/random": "not a regular file but a device. Give another file, or leave it out",
    "/dev/tty": "not a regular file but a device. Give another file, or leave it out",
    "folder": "Is a directory. Call `[vqzoo.data.load_image(path) for path in vqzoo.data.find_images({path!r})]`",
    "broken link": "No such file or directory. It is a link to something that does not exist",
}


@pytest.mark.skipif(os.name == "nt", reason="POSIX files")
@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_regular_file_is_refused_before_it_is_opened(kind, tmp_path):
    path, good = special(kind, tmp_path), tmp_path / "a.png"
    message = f"Cannot read the picture {path}: {SPECIAL[kind].format(path=str(path))}."
    with pytest.raises(ValueError) as caught:
        load_image(path)
    assert str(caught.value) == message
    reason = message.split(". ")[0]
    with pytest.raises(ValueError) as caught:
        decode_image(path, path, 3, 10**6)
    assert str(caught.value).startswith(reason)
    Image.fromarray(RAMP).save(good)
    crops = ImageCrops([good, path], 16, 4)
    crops.batch(0)
    assert list(crops.skipped) == [path] and crops.skipped[path].startswith(reason)
    manifest = write_image_shards([(good, "a"), (path, "b")], tmp_path / "shards")
    assert manifest["rows"] == 1 and list(manifest["failed"]) == ["b"] and "\n" not in manifest["failed"]["b"]
    assert SPECIAL[kind].split(".")[0] in manifest["failed"]["b"]
