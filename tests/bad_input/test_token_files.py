"""Token files as they come: how each is damaged, and that nothing is decoded from it."""

import json
import os
import pickle
import shutil
import zipfile

import numpy as np
import pytest

from vqzoo.cli.main import main
from vqzoo.presets import check_tokens_of
from vqzoo.presets import load_tokens
from vqzoo.presets import save_tokens
from vqzoo.tokenizers import ImageTokenizer

TOKENS = np.arange(12).reshape(3, 4, 1)


class Canary:
    """What pickle makes of it on loading: a folder of the name."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def file(preset, tmp_path):
    path = tmp_path / "photo.npz"
    save_tokens(path, TOKENS, size=(11, 14), preset=str(preset), folder=preset)
    return path


def cut(path, keep):
    path.write_bytes(path.read_bytes()[:keep])


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[round(place * (len(data) - 1))] ^= 0xFF
    path.write_bytes(data)


def rewrite(path, tokens=TOKENS, **changes):
    with np.load(path) as arrays:
        about = {**json.loads(str(arrays["about"])), **changes}
    np.savez(path, tokens=tokens, about=np.array(json.dumps(about)))


def without(path, name):
    with np.load(path) as arrays:
        about = json.loads(str(arrays["about"]))
    del about[name]
    with_about(path, json.dumps(about))


def with_about(path, text):
    np.savez(path, tokens=TOKENS, about=np.array(text))


def objects(path):
    about = np.array(json.dumps({}))
    np.savez(path, tokens=np.array([Canary(path.with_name("canary"))], object), about=about)


def raw_pickle(path):
    path.write_bytes(pickle.dumps(Canary(path.with_name("canary"))))


def bomb(path, megabytes):
    """A packed array of zeros."""
    packed = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with packed as archive, archive.open("tokens.npy", "w") as member:
        np.lib.format.write_array_header_1_0(
            member, {"descr": "<i4", "fortran_order": False, "shape": (megabytes * 2**18, 1)}
        )
        for _ in range(megabytes):
            member.write(bytes(2**20))


def lying_header(path):
    """A few bytes whose header claims a thousand gigabytes."""
    with zipfile.ZipFile(path, "w") as archive, archive.open("tokens.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<i4", "fortran_order": False, "shape": (2**38, 1)})


def lying_about(path):
    """A text that claims a gigabyte."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, kind in (("tokens", "<i4"), ("about", "<U268435456")):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array_header_1_0(member, {"descr": kind, "fortran_order": False, "shape": ()})
                member.write(bytes(4))


def no_letters(path):
    np.savez(path, tokens=TOKENS, about=np.array([0xFFFFFFF0, 65], "<u4").view("<U2")[0:1].reshape(()))


def bytes_behind(path):
    with zipfile.ZipFile(path, "a") as archive:
        about = archive.read("about.npy")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("about.npy", about)
        with archive.open("tokens.npy", "w") as member:
            np.lib.format.write_array_header_1_0(member, {"descr": "<i4", "fortran_order": False, "shape": (1, 1)})
            member.write(bytes(40))


NOT_WHOLE = "is not an intact token file"
DAMAGES = {
    "missing": (lambda path: path.unlink(), "does not exist or is not a file"),
    "empty": (lambda path: cut(path, 0), NOT_WHOLE),
    "one_byte": (lambda path: cut(path, 1), NOT_WHOLE),
    "half": (lambda path: cut(path, 300), NOT_WHOLE),
    "last_bytes_missing": (lambda path: cut(path, -30), NOT_WHOLE),
    "flipped_at_the_start": (lambda path: flip(path, 0.12), NOT_WHOLE),
    "flipped_in_the_middle": (lambda path: flip(path, 0.5), NOT_WHOLE),
    "text": (lambda path: path.write_text("1 2 3\n"), NOT_WHOLE),
    "a_picture": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)), NOT_WHOLE),
    "another_zip": (lambda path: zipfile.ZipFile(path, "w").close(), NOT_WHOLE),
    "one_array": (lambda path: np.savez(path, tokens=TOKENS), f"{NOT_WHOLE}: it has no arrays named tokens and about"),
    "objects": (objects, f"{NOT_WHOLE}.*allow_pickle=False"),
    "a_pickle": (raw_pickle, NOT_WHOLE),
    "about_is_no_json": (lambda path: with_about(path, "{"), NOT_WHOLE),
    "about_is_a_list": (lambda path: with_about(path, "[]"), NOT_WHOLE),
    "about_is_deep": (lambda path: with_about(path, "[" * 1_000_000), NOT_WHOLE),
    "newer_format": (lambda path: rewrite(path, format=99), "format 99 of a newer vqzoo; upgrade vqzoo"),
    "no_size": (lambda path: rewrite(path, size="large"), NOT_WHOLE),
    "size_of_zero": (lambda path: rewrite(path, size=[0, 4]), r"its size is \[0, 4\], which `vqzoo encode` does not"),
    "about_is_numbers": (lambda path: np.savez(path, tokens=TOKENS, about=np.arange(3)), "its about is not text"),
    "about_is_no_letters": (no_letters, "about.npy holds invalid characters"),
    "about_is_two": (lambda path: np.savez(path, tokens=TOKENS, about=np.array(["{}", "{}"])), "its about is not text"),
    "about_has_nan": (lambda path: with_about(path, '{"size": NaN}'), "NaN is not a number of JSON"),
    "about_is_null": (lambda path: with_about(path, "null"), "its about is not a dict"),
    **{
        f"{name}={value!r:.20}": (
            lambda path, name=name, value=value: rewrite(path, **{name: value}),
            f"its {name} is .*, which `vqzoo encode` does not write",
        )
        for name, value in [
            *(("format", value) for value in (True, False, 1.0, "1", None, [1], 0, -1)),
            *(("size", value) for value in ([11.0, 14.0], ["11", "14"], [True, True], [None], 11, "11", {"a": 1})),
            *(("size", value) for value in ([[11, 14]], [10**400], [2**40, 1], [1] * 100, None, [11.5, 14])),
            *(("codebook_sizes", value) for value in ([16.0], ["16"], [True], [], [None], [0], [-16], 16, "16", None)),
            *(("codebook_sizes", value) for value in ([[16]], {"16": 16}, [10**400])),
            *(("preset", value) for value in (None, 1, True, ["a"], {}, "a" * 100_000)),
            *(("modality", value) for value in (None, 1, ["image"], "a" * 100_000)),
            *(("sha256", value) for value in (None, 1, True, ["a"])),
        ]
    },
    **{
        f"without_{name}": (lambda path, name=name: without(path, name), f"its {name} is missing, which")
        for name in ("format", "size", "codebook_sizes", "preset", "modality", "sha256")
    },
    "negative": (lambda path: rewrite(path, TOKENS - 1), "holds tokens from -1 to 10"),
    "too_large": (lambda path: rewrite(path, TOKENS + 9), "holds tokens from 9 to 20, where the codebooks have"),
    "floats": (lambda path: rewrite(path, TOKENS * 1.0), "must be integers .*Received: float64"),
    "two_codebooks": (
        lambda path: rewrite(path, TOKENS.reshape(3, 2, 2)),
        "must be integers .*Received: int64 .3, 2, 2.",
    ),
    "none": (lambda path: rewrite(path, TOKENS[:0]), "and not empty. Received: int64 .0, 4, 1."),
    "bomb": (lambda path: bomb(path, 320), "it claims 335544448 bytes, and at most 268435456 are read"),
    "lying_header": (lying_header, NOT_WHOLE),
    "lying_header_of_text": (lying_about, "about.npy claims <U"),
    "bytes_behind_the_array": (bytes_behind, "tokens.npy claims int32"),
}


@pytest.mark.parametrize("row", DAMAGES)
def test_a_file_that_is_refused(row, file, preset, refused, little_memory):
    damage, told = DAMAGES[row]
    damage(file)
    with little_memory():
        with pytest.raises(ValueError, match=told) as caught:
            load_tokens(file)
        assert "photo.npz" in str(caught.value) and "ncode" in str(caught.value)
        line = refused(["decode", file, "--out", file.parent / "out"], "decoded 0 files, 1 failed:")
    assert str(caught.value) in line
    assert not file.with_name("canary").exists()


def test_a_long_name_of_a_preset_is_a_short_line(file, refused):
    rewrite(file, preset="a" * 4000)
    assert len(refused(["decode", file, "--out", file.parent / "out"], "There is no preset 'aaa")) < 2500


@pytest.mark.parametrize("modality", ["audio", "text", "x"])
def test_tokens_of_another_modality_than_their_preset(modality, file, refused):
    rewrite(file, modality=modality)
    told = refused(
        ["decode", file, "--out", file.parent / "out"], f"tokens of '{modality}', and its preset is of image"
    )
    assert ".vqzoo-" not in told


@pytest.mark.parametrize("name", ["hf://somebody/tiny", "hf://somebody/tiny@main"])
def test_nothing_is_fetched_because_a_file_says_so(name, file, refused, monkeypatch):
    asked = []
    monkeypatch.setattr("vqzoo.presets.find.download_preset", lambda name: asked.append(name) or file.parent / "preset")
    rewrite(file, preset=name)
    refused(["decode", file, "--out", file.parent / "out"], f"'{name}'", "To fetch it, give it as --preset.")
    assert not asked
    assert main(["decode", str(file), "--out", str(file.parent / "out"), "--preset", name]) == 0 and asked == [name]


def test_the_canary_works(tmp_path):
    pickle.loads(pickle.dumps(Canary(tmp_path / "canary")))
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("size", "grid", "told"),
    [
        ([100, 100], (3, 4), "size (100, 100) has tokens of the grid (25, 25). Received: (3, 4)"),
        ([11, 14], (2**20, 1), "size (11, 14) has tokens of the grid (3, 4). Received: (1048576, 1)"),
        ([11, 14], (1, 2**20), "Received: (1, 1048576)"),
        ([11, 14], (3, 5), "Received: (3, 5)"),
        ([11, 14], (4, 4), "Received: (4, 4)"),
        ([2**22, 4], (2**20, 1), None),
        ([2**15, 2**15], (3, 4), "at most 67108864 values. Received: a size of (32768, 32768)"),
        ([2**31, 1], (2**20, 1), "at most 67108864 values"),
        ([11], (3, 4), "A size of 2 numbers is needed. Received: (11,)"),
        ([11, 14, 3], (3, 4), "A size of 2 numbers is needed. Received: (11, 14, 3)"),
        ([11, 14], (12,), "Received: (12,)"),
        ([11, 14], (3, 4, 1), "Received: (3, 4, 1)"),
    ],
)
def test_a_size_that_the_tokens_do_not_have(size, grid, told, file, refused, monkeypatch):
    decoded = []
    monkeypatch.setattr(ImageTokenizer, "decode", lambda self, *arguments, **options: decoded.append(1))
    rewrite(file, np.zeros((*grid, 1), int), size=size)
    refused(["decode", file, "--out", file.parent / "out"], "photo.npz", told or "")
    assert bool(decoded) == (told is None)


def test_tokens_of_another_model(file, preset, saved_once, tokenizer, refused, tmp_path):
    other = shutil.copytree(saved_once, tmp_path / "other")
    tokenizer.encoder.trainable = False  # the same weights in another file
    tokenizer.save_to_preset(other)
    tokenizer.encoder.trainable = True
    with pytest.raises(ValueError, match="was encoded by another model .*Decode it with its own preset, or encode"):
        check_tokens_of(load_tokens(file), other, file)
    arguments = ["decode", file, "--preset", other, "--out", file.parent / "out"]
    refused(arguments, "was encoded by another model")


def test_a_folder_of_the_name(file, refused):
    file.unlink()
    file.mkdir()
    with pytest.raises(ValueError, match="photo.npz' does not exist or is not a file. `vqzoo encode` writes"):
        load_tokens(file)
    refused(["decode", file, "--out", file.parent / "out"], "photo.npz and its subfolders hold no token files")


def test_a_preset_that_is_gone(file, preset, refused):
    shutil.rmtree(preset)
    refused(["decode", file, "--out", file.parent / "out"], "There is no preset", str(preset))


def test_a_good_file_among_bad_ones_is_decoded(file, tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"")
    assert main(["decode", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo.png"]


@pytest.mark.parametrize("size", [(11.0, 14.0), ("11", "14"), (True, None), (0, 4), (11.5, 14), (2**40, 1)])
def test_sizes_that_are_none_are_not_written(size, preset, tmp_path):
    with pytest.raises(ValueError, match=r"`size` must be that of the signal, positive ints. Received: size=\["):
        save_tokens(tmp_path / "a.npz", TOKENS, size=size, preset=str(preset), folder=preset)
    assert not (tmp_path / "a.npz").exists()
    save_tokens(tmp_path / "a.npz", TOKENS, size=np.array([11, 14]), preset=str(preset), folder=preset)
    assert load_tokens(tmp_path / "a.npz").size == (11, 14)
