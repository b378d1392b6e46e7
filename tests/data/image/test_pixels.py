"""Pictures in and out: every mode, orientation and kind of damage, by typed-out pixel values."""

import pathlib
import struct
import sys
import warnings
import zlib

import keras
import numpy as np
import pytest
from PIL import Image

from vqzoo.data import ImageCrops
from vqzoo.data import load_image
from vqzoo.data import sample_images
from vqzoo.data import save_image

RED, BLUE = (255, 0, 0), (0, 0, 255)


def pixels(path, channels=3):
    """The picture as 8-bit integers, after a check that it is made of exactly such values."""
    image = load_image(path, channels)
    assert image.dtype == np.float32
    values = np.rint((image + 1) * 127.5)
    np.testing.assert_array_equal(image, values / np.float32(127.5) - 1)
    return values.astype(int).tolist()


def save(path, array, **options):
    Image.fromarray(np.array(array, options.pop("dtype", np.uint8))).save(path, **options)
    return path


def header(path, name):
    with Image.open(path) as picture:
        return getattr(picture, name)


def palette(path, **options):
    picture = Image.new("P", (2, 1))
    picture.putpalette([*RED, *BLUE])
    picture.putpixel((1, 0), 1)
    picture.save(path, **options)
    return path


# === Modes ===


def test_extremes_are_exactly_minus_one_and_one(tmp_path):
    image = load_image(save(tmp_path / "a.png", [[0, 255, 51]]), channels=1)
    np.testing.assert_array_equal(image, np.float32([[[-1], [1], [-0.6]]]))


def test_rgb(tmp_path):
    path = save(tmp_path / "a.png", [[RED, (10, 20, 30)]])
    assert pixels(path) == [[[255, 0, 0], [10, 20, 30]]]
    assert pixels(path, 1) == [[[76], [18]]]  # 0.299 R + 0.587 G + 0.114 B
    assert pixels(path, 4) == [[[255, 0, 0, 255], [10, 20, 30, 255]]]


def test_grey(tmp_path):
    path = save(tmp_path / "a.png", [[0], [200]])
    assert pixels(path) == [[[0, 0, 0]], [[200, 200, 200]]]
    assert pixels(path, 1) == [[[0]], [[200]]]
    assert pixels(path, 4) == [[[0, 0, 0, 255]], [[200, 200, 200, 255]]]


def test_grey_with_alpha_is_composited_on_white(tmp_path):
    path = save(tmp_path / "a.png", [[(100, 255), (100, 0), (100, 51)]])
    assert header(path, "mode") == "LA"
    assert pixels(path, 1) == [[[100], [255], [224]]]
    assert pixels(path) == [[[100] * 3, [255] * 3, [224] * 3]]
    assert pixels(path, 4) == [[[100, 100, 100, 255], [100, 100, 100, 0], [100, 100, 100, 51]]]


def test_rgba_is_composited_on_white(tmp_path):
    path = save(tmp_path / "a.png", [[(*RED, 255), (*RED, 0), (*BLUE, 51)]])
    assert pixels(path) == [[[255, 0, 0], [255, 255, 255], [204, 204, 255]]]
    assert pixels(path, 1) == [[[76], [255], [210]]]
    assert pixels(path, 4) == [[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 255, 51]]]


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path):
    path = save(tmp_path / "a.png", [[0, 256, 25700, 65535]], dtype=np.uint16)
    assert header(path, "mode").startswith("I")
    assert pixels(path, 1) == [[[0], [1], [100], [255]]]
    assert pixels(path) == [[[0] * 3, [1] * 3, [100] * 3, [255] * 3]]


def test_one_bit(tmp_path):
    path = save(tmp_path / "a.png", [[False, True]], dtype=bool)
    assert header(path, "mode") == "1"
    assert pixels(path) == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("kind", ["png", "gif", "bmp"])
def test_palette(tmp_path, kind):
    assert pixels(palette(tmp_path / f"a.{kind}")) == [[[255, 0, 0], [0, 0, 255]]]


@pytest.mark.parametrize(
    "kind, transparency, blue", [("gif", 1, [255] * 3), ("png", bytes([255, 51]), [204, 204, 255])]
)
def test_palette_with_transparency(tmp_path, kind, transparency, blue):
    path = palette(tmp_path / f"a.{kind}", transparency=transparency)
    assert pixels(path) == [[[255, 0, 0], blue]]
    assert [pixel[3] for pixel in pixels(path, 4)[0]] == [255, 0 if kind == "gif" else 51]


def test_cmyk(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("CMYK", (8, 8), (0, 204, 255, 51)).save(path, quality=100)
    np.testing.assert_allclose(pixels(path)[4][4], [204, 41, 0], atol=2)


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_the_first_frame_of_an_animation(tmp_path, kind):
    first, second = Image.new("RGB", (4, 4), RED), Image.new("RGB", (4, 4), BLUE)
    options = {"lossless": True} if kind == "webp" else {}
    first.save(tmp_path / f"a.{kind}", save_all=True, append_images=[second], **options)
    assert header(tmp_path / f"a.{kind}", "n_frames") == 2
    assert pixels(tmp_path / f"a.{kind}") == [[[255, 0, 0]] * 4] * 4


@pytest.mark.parametrize(
    "orientation, upright",
    [
        (1, [[1, 2, 3], [4, 5, 6]]),
        (2, [[3, 2, 1], [6, 5, 4]]),
        (3, [[6, 5, 4], [3, 2, 1]]),
        (4, [[4, 5, 6], [1, 2, 3]]),
        (5, [[1, 4], [2, 5], [3, 6]]),
        (6, [[4, 1], [5, 2], [6, 3]]),
        (7, [[6, 3], [5, 2], [4, 1]]),
        (8, [[3, 6], [2, 5], [1, 4]]),
    ],
)
def test_exif_orientation(tmp_path, orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", [[1, 2, 3], [4, 5, 6]], exif=exif)
    assert [[value for (value,) in row] for row in pixels(path, 1)] == upright


def test_a_damaged_exif_block_does_not_matter(tmp_path):
    path = save(tmp_path / "a.jpg", np.full((8, 8), 7), exif=b"Exif\0\0MM nonsense", quality=100)
    assert pixels(path, 1)[0][0] == [7]


def test_names_with_spaces_and_letters_of_any_script(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save(tmp_path / "ein Bild 画像.png", [[7]])
    assert pixels("~/ein Bild 画像.png", 1) == [[[7]]]


def test_the_content_decides_not_the_suffix(tmp_path):
    assert pixels(save(tmp_path / "a.jpg", [[7]], format="PNG"), 1) == [[[7]]]


# === What cannot be read ===


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "gif", "bmp"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.99])
def test_truncated_files_are_refused(tmp_path, kind, part):
    path = save(tmp_path / f"a.{kind}", np.random.default_rng(0).integers(0, 256, (64, 64, 3)))
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ValueError, match=rf"Cannot read the picture .*a\.{kind}: .*damaged.* Get the file again"):
        load_image(path)


@pytest.mark.parametrize(
    "content, reason",
    [(b"", "the file is empty"), (b"\x89", "none of .*BMP, GIF"), (b"not a picture, but a text", "none of .*BMP, GIF")],
)
def test_what_is_no_picture_is_refused(tmp_path, content, reason):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ValueError, match=rf"Cannot read the picture .*a\.png: .*{reason}"):
        load_image(tmp_path / "a.png")


def test_other_formats_of_pillow_are_refused(tmp_path):
    save(tmp_path / "a.png", [[7]], format="PPM")
    with pytest.raises(ValueError, match=r"a\.png: its content is none of .*BMP, GIF, .*JPEG, .*PNG, TIFF, WEBP"):
        load_image(tmp_path / "a.png")


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"absent\.png: No such file"):
        load_image(tmp_path / "absent.png")
    with pytest.raises(ValueError, match="Cannot read the picture"):
        load_image(tmp_path)


@pytest.mark.parametrize("channels", [0, 2, "rgb", True, 3.0, None, np.float32(1), [3], np.array([1, 3])])
def test_channels_are_checked(channels):
    with pytest.raises(ValueError, match=r"channels must be 1 \(luma\), 3 \(RGB\) or 4 \(RGBA\). Received"):
        load_image("a.png", channels)
    with pytest.raises(ValueError, match=r"channels must be 1 \(luma\), 3 \(RGB\) or 4 \(RGBA\). Received"):
        ImageCrops(sample_images(), size=8, batch_size=1, channels=channels)


def bomb(path, side):
    """A small PNG of side x side pixels, all of them there."""
    data = zlib.compressobj(1)
    rows = b"".join(data.compress(bytes(1 + side)) for _ in range(side)) + data.flush()
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b""))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(struct.pack(">I", len(b)) + a + b + struct.pack(">I", zlib.crc32(a + b)) for a, b in chunks)
    )
    return path


@pytest.mark.parametrize("side", [8200, 9700, 20000])  # below Pillow's warning, above it, above its error
def test_bombs_are_refused_before_they_are_decoded(tmp_path, side):
    resource = pytest.importorskip("resource")
    path = bomb(tmp_path / "a.png", side)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"a\.png is too large to decode: .* pixels.*raise max_pixels"):
        load_image(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < (3e7 if sys.platform == "darwin" else 3e4)


def test_max_pixels(tmp_path):
    path = save(tmp_path / "a.png", np.zeros((10, 11)))
    assert load_image(path, max_pixels=110).shape == (10, 11, 3)
    with pytest.raises(ValueError, match="11 x 10 pixels are more than max_pixels=109"):
        load_image(path, max_pixels=109)


def test_the_cap_holds_without_warnings(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="9700 x 9700 pixels are more than max_pixels=67108864"):
            load_image(bomb(tmp_path / "a.png", 9700))


# === Saving ===


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_round_trip_is_exact(tmp_path, channels):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype(np.float32) / 127.5 - 1
    path = tmp_path / "new folder" / "ä b.PNG"
    save_image(path, image)
    np.testing.assert_array_equal(load_image(path, channels), image)
    assert [file.name for file in path.parent.iterdir()] == ["ä b.PNG"]  # no temporary file is left


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "webp"])
def test_lossy_round_trip_is_close_and_keeps_colours(tmp_path, suffix):
    ramp = np.linspace(-1, 1, 32, dtype=np.float32)
    image = np.stack([*np.broadcast_arrays(ramp[:, None], ramp[None, :], -ramp[:, None])], axis=-1)
    save_image(tmp_path / f"a.{suffix}", image)
    assert np.abs(load_image(tmp_path / f"a.{suffix}") - image).mean() < 0.02
    save_image(tmp_path / f"a.{suffix}", image[..., :1])
    assert np.abs(load_image(tmp_path / f"a.{suffix}", 1) - image[..., :1]).mean() < 0.02


def test_values_are_clipped_and_rounded(tmp_path):
    save_image(tmp_path / "a.png", np.array([[[-1.3], [1.2], [0.0], [50.6 / 127.5 - 1]]]))
    assert pixels(tmp_path / "a.png", 1) == [[[0], [255], [128], [51]]]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_tensors_of_any_precision_are_saved(tmp_path, dtype):
    save_image(tmp_path / "a.png", keras.ops.full((2, 3, 3), -0.6, dtype))
    assert pixels(tmp_path / "a.png") == [[[51, 51, 51]] * 3] * 2


@pytest.mark.parametrize(
    "name, image, message",
    [
        (
            "a.tiff",
            np.zeros((2, 2, 3)),
            r"are saved as \.jpeg \.jpg \.png \.webp\. Received: .*a\.tiff",
        ),
        ("a", np.zeros((2, 2, 3)), "Files of this kind are saved as .*Pass `.*a.png.`"),
        ("a.jpg", np.zeros((2, 2, 4)), r"JPEG has no alpha. Received: a\.jpg. Save it as \.png"),
        ("a.png", np.zeros((1, 2, 2, 3)), r"1, 3 or 4 channels.*\(1, 2, 2, 3\).*Pass `x.0.`"),
        ("a.png", np.zeros((3, 8, 8)), r"Received: shape=\(3, 8, 8\).*Pass `np.moveaxis\(x, 0, -1\)`"),
        ("a.png", np.zeros((8, 8)), r"Received: shape=\(8, 8\).*Pass `x\[..., None\]`"),
        ("a.png", np.zeros((0, 8, 3)), r"Received: shape=\(0, 8, 3\).*It is empty"),
        ("a.png", np.zeros((2, 2, 3), np.uint8), r"Received: dtype=uint8. Pass `x / 127.5 - 1`"),
        ("a.png", np.full((2, 2, 3), 255.0), r"Received: values from 255 to 255. Pass `x / 127.5 - 1`"),
        ("a.png", np.full((2, 2, 1), np.nan), "values that are NaN or infinite. Pass `np.nan_to_num"),
        ("a.png", np.full((2, 2, 1), np.inf), "values that are NaN or infinite. Pass `np.nan_to_num"),
    ],
)
def test_what_cannot_be_saved_is_refused(tmp_path, name, image, message):
    with pytest.raises(ValueError, match=message):
        save_image(tmp_path / name, image)
    assert not list(pathlib.Path(tmp_path).iterdir())
