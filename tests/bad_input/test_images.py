"""Picture files as they come: how each is made, and what reading and encoding it does."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from vqzoo.cli.main import main
from vqzoo.data import load_image
from vqzoo.presets import load_tokens

NOISE = np.random.default_rng(0).integers(0, 256, (24, 30, 3), "uint8")


def picture(kind, pixels=NOISE, mode=None, **options):
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def animation(kind):
    frames = [Image.fromarray(np.full((24, 30, 3), value, "uint8")) for value in (255, 0, 0)]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
    )
    return buffer.getvalue()


def rotated():
    exif = Image.Exif()
    exif[274] = 6  # shown a quarter turned
    return picture("JPEG", exif=exif)


def see_through():
    image = Image.fromarray(np.zeros((24, 30), "uint8"), "P")
    image.putpalette([200, 0, 0])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=0)
    return buffer.getvalue()


def deep():
    return picture("PNG", np.full((24, 30), 65535, "uint16"))


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bomb(kind, side=20_000):
    """A header that claims 20,000 x 20,000 pixels."""
    if kind == "PNG":
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        rows = zlib.compress(bytes(10_000_000), 1)
        return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")
    data = bytearray(picture(kind))
    if kind == "JPEG":
        frame = data.index(b"\xff\xc0") + 5
        data[frame : frame + 4] = struct.pack(">HH", side, side)
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", side, side)
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", side, side)
    else:  # a WebP's frame begins behind its start code, and has 14 bits a side
        frame = data.index(b"\x9d\x01\x2a") + 3
        data[frame : frame + 4] = struct.pack("<HH", 16_383, 16_383)
    return bytes(data)


NOT_ONE = "its content is none of .*BMP, GIF, .*JPEG, .*PNG, TIFF, WEBP"
DAMAGED = "it is damaged or truncated"
TOO_LARGE = "is too large to decode: "
REFUSED = {
    "empty": ("a.png", lambda: b"", "the file is empty"),
    "one_byte": ("a.jpg", lambda: b"\xff", NOT_ONE),
    "truncated_jpg": ("a.jpg", lambda: picture("JPEG")[:-200], DAMAGED),
    "truncated_png": ("a.png", lambda: picture("PNG")[:-200], DAMAGED),
    "truncated_webp": ("a.webp", lambda: picture("WEBP")[:-200], DAMAGED),
    "truncated_gif": ("a.gif", lambda: picture("GIF")[:-200], DAMAGED),
    "truncated_bmp": ("a.bmp", lambda: picture("BMP")[:-200], DAMAGED),
    "header_alone": ("a.png", lambda: picture("PNG")[:20], DAMAGED),
    "flipped_bytes": ("a.png", lambda: picture("PNG")[:300] + b"????" + picture("PNG")[304:], DAMAGED),
    "zeros": ("a.bmp", lambda: bytes(5_000), NOT_ONE),
    "text": ("a.jpg", lambda: b"not a picture\n", NOT_ONE),
    "html": ("a.png", lambda: b"<!DOCTYPE html><title>404</title>", NOT_ONE),
    "svg": ("a.svg", lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', NOT_ONE),
    "ppm": ("a.png", lambda: picture("PPM"), NOT_ONE),
    "postscript": ("a.jpg", lambda: picture("EPS"), NOT_ONE),  # Pillow would run Ghostscript on it
    "bomb_png": ("a.png", lambda: bomb("PNG"), TOO_LARGE),
    "bomb_jpg": ("a.jpg", lambda: bomb("JPEG"), TOO_LARGE),
    "bomb_webp": ("a.webp", lambda: bomb("WEBP"), f"{TOO_LARGE}|{DAMAGED}|{NOT_ONE}"),
    "bomb_gif": ("a.gif", lambda: bomb("GIF"), TOO_LARGE),
    "bomb_bmp": ("a.bmp", lambda: bomb("BMP"), TOO_LARGE),
    "text_bomb": ("a.png", lambda: text_bomb(), f"{DAMAGED}"),
}


def text_bomb():
    """A PNG of one pixel with 320 MB of text, packed."""
    text = b"comment\0\0" + zlib.compress(bytes(320 * 2**20), 1)
    whole = picture("PNG", NOISE[:1, :1])
    return whole[:33] + png_chunk(b"zTXt", text) + whole[33:]


def is_white(image):
    return (image == 1).all()


def is_noise(image):
    return np.abs(image - (NOISE / 127.5 - 1)).max() < 1e-6


READ = {
    "one_pixel": ("a.png", lambda: picture("PNG", NOISE[:1, :1]), (1, 1), np.isfinite),
    "one_row": ("a.png", lambda: picture("PNG", np.tile(NOISE[:1], (1, 100, 1))), (1, 3_000), np.isfinite),
    "one_column": ("a.png", lambda: picture("PNG", np.tile(NOISE[:, :1], (100, 1, 1))), (2_400, 1), np.isfinite),
    "odd_size": ("a.png", lambda: picture("PNG", NOISE[:23, :29]), (23, 29), np.isfinite),
    "png_named_jpg": ("a.jpg", lambda: picture("PNG"), (24, 30), is_noise),
    "no_suffix": ("picture", lambda: picture("PNG"), (24, 30), is_noise),
    "name_of_many_scripts": ("Grüße 画像 🙂.png", lambda: picture("PNG"), (24, 30), is_noise),
    "first_frame_of_gif": ("a.gif", lambda: animation("GIF"), (24, 30), is_white),
    "first_frame_of_webp": ("a.webp", lambda: animation("WEBP"), (24, 30), is_white),
    "turned_by_exif": ("a.jpg", rotated, (30, 24), np.isfinite),
    "cmyk": ("a.jpg", lambda: picture("JPEG", mode="CMYK"), (24, 30), np.isfinite),
    "grey": ("a.png", lambda: picture("PNG", NOISE[..., 0]), (24, 30), np.isfinite),
    "two_colours": ("a.png", lambda: picture("PNG", mode="1"), (24, 30), np.isfinite),
    "sixteen_bits": ("a.png", deep, (24, 30), is_white),
    "rgba": ("a.png", lambda: picture("PNG", np.zeros((24, 30, 4), "uint8")), (24, 30), is_white),
    "palette_that_is_see_through": ("a.png", see_through, (24, 30), is_white),
    "rubbish_behind_the_end": ("a.png", lambda: picture("PNG") + b"rubbish", (24, 30), is_noise),
    "damaged_exif": ("a.jpg", lambda: picture("JPEG", exif=b"Exif\0\0rubbish"), (24, 30), np.isfinite),
}


@pytest.fixture(autouse=True)
def loaded_once(tokenizer, monkeypatch):
    """The command line's tokenizer: reading it from its file is not what is tested here, and takes the longest."""
    monkeypatch.setattr("vqzoo.tokenizers.Tokenizer.from_preset", lambda name: tokenizer)


@pytest.mark.parametrize("row", REFUSED)
def test_a_file_that_is_refused(row, tmp_path, saved_once, refused, little_memory):
    name, make, told = REFUSED[row]
    (tmp_path / name).write_bytes(make())
    with little_memory():
        with pytest.raises(ValueError, match=told) as caught:
            load_image(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "Get the file again, or leave it out" in str(caught.value) or "Shrink the picture" in str(caught.value)
        line = refused(["encode", saved_once, tmp_path / name, "--out", tmp_path / "out"], "encoded 0 files, 1 failed:")
    assert str(caught.value) in line


@pytest.mark.parametrize("row", READ)
def test_a_file_that_is_read(row, tmp_path, saved_once, capsys):
    name, make, size, fits = READ[row]
    (tmp_path / name).write_bytes(make())
    image = load_image(tmp_path / name)
    assert image.shape == (*size, 3) and image.dtype == "float32" and np.all(fits(image)) and np.abs(image).max() <= 1
    assert main(["encode", str(saved_once), str(tmp_path / name), "--out", str(tmp_path / "out")]) == 0
    (file,) = (tmp_path / "out").iterdir()
    tokens = load_tokens(file)
    assert tokens.size == size and tokens.tokens.shape == (-(-size[0] // 4), -(-size[1] // 4), 1)
    assert "Traceback" not in capsys.readouterr().err


def test_a_missing_file_and_a_folder(tmp_path, saved_once, refused):
    with pytest.raises(ValueError, match=r"Cannot read the picture .*absent\.png: No such file"):
        load_image(tmp_path / "absent.png")
    with pytest.raises(ValueError, match="Cannot read the picture .*: Is a directory"):
        load_image(tmp_path)
    out = ["--out", tmp_path / "out"]
    refused(["encode", saved_once, tmp_path / "absent.png", *out], "absent.png: No such file")
    refused(["reconstruct", saved_once, tmp_path / "absent.png", *out], "absent.png: No such file")
    (tmp_path / "empty").mkdir()
    refused(["encode", saved_once, tmp_path / "empty", *out], f"error: {tmp_path / 'empty'}")
    refused(["evaluate", saved_once, tmp_path / "absent"], "absent does not exist")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_the_right_to_read_it(tmp_path, saved_once, refused):
    (tmp_path / "a.png").write_bytes(picture("PNG"))
    (tmp_path / "a.png").chmod(0)
    refused(["encode", saved_once, tmp_path / "a.png", "--out", tmp_path / "out"], "a.png: Permission denied")


@pytest.mark.parametrize("verb", ["encode", "reconstruct"])
def test_the_folder_of_the_results_is_a_file(tmp_path, saved_once, refused, verb):
    (tmp_path / "a.png").write_bytes(picture("PNG"))
    (tmp_path / "taken").write_text("mine")
    refused([verb, saved_once, tmp_path / "a.png", "--out", tmp_path / "taken"], "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def test_good_files_among_bad_ones_are_done(tmp_path, saved_once, capsys):
    for i, (name, make, _) in enumerate(REFUSED[row] for row in ("empty", "text", "truncated_jpg")):
        (tmp_path / f"{i}{name}").write_bytes(make())
    (tmp_path / "good.png").write_bytes(picture("PNG"))
    assert main(["reconstruct", str(saved_once), str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]
    assert "reconstructed 1 file, 3 failed:" in capsys.readouterr().err
