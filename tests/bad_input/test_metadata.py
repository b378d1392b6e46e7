"""Metadata, recipes and manifests of any content: each preset has one line, and the others are listed."""

import json
import random
import warnings

import pytest

import vqzoo.presets.find
from vqzoo.cli.main import main
from vqzoo.presets import find_preset
from vqzoo.presets import list_presets
from vqzoo.presets import push_to_hub
from vqzoo.presets import read_manifest
from vqzoo.presets import read_metadata
from vqzoo.presets import verify_preset
from vqzoo.presets.card import card_text
from vqzoo.presets.entries import wrong_entries
from vqzoo.presets.manifest import check_metadata
from vqzoo.presets.manifest import write_manifest

METADATA = {
    "name": "image-tiny",
    "modality": "image",
    "codebook_sizes": [512, 512],
    "description": "A tiny one.",
    "metrics": {"psnr": 21.5, "bits_per_pixel": 0.5, "images": 3, "dead": None},
    "labels": ["cat", "dog"],
    "captions": {"length": 17, "examples": ["red heart"]},
    "parts": {"label": {"kind": "labels", "names": ["cat", "dog"]}},
    "sampling": {"guidance": 2.5, "temperature": 1.0, "steps": None},
    "example": {"signal": [64, 64, 3], "tokens": [16, 16, 2]},
    "exports": {"saved_model": {"tokens": 1.0}},
    "signal": {"range": [-1.0, 1.0], "channels": 3},
    "licence": "apache-2.0",
    "format_version": 1,
    "model_file": "prior.keras",
    "parameters": 738304,
    "versions": {"python": "3.11.7", "keras": "3.15.1"},
    "created": "2026-11-23T12:05:23+00:00",
}
RECIPE = {"recipe": "image_vqvae", "size": 64, "noise": [1.0, 2.0], "flip": True}
FILES = {"metadata.json": METADATA, "recipe.json": RECIPE}


class Raw(str):
    """JSON text that stands where the value was."""


HOSTILE = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2**63,
        -(2**70),
        10**400,
        1.5,
        1e308,
        -1e308,
        "",
        "a",
        "a\nb",
        "[/red]",
        "\0",
        "é🙂",
    ),
    *(
        [],
        {},
        [1],
        ["a"],
        [None],
        [[]],
        {"a": 1},
        {"": None},
        {"\n": {"b": []}},
        [10**400],
        ["x" * 5000],
        [2**31] * 500,
    ),
    *map(Raw, ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 5000, '"\\ud800"', '{"\\udfff": 1}']),
    *map(
        Raw, ['"\\u0000"', "[" * 99 + "]" * 99, "[" * 5000 + "]" * 5000, '{"a":' * 5000 + "1" + "}" * 5000, "", "nul"]
    ),
]


def text_of(value, place, hostile):
    """JSON of `value` with another one at `place`."""
    if not place:
        return str(hostile) if isinstance(hostile, Raw) else json.dumps(hostile)
    parts = []
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        inner = text_of(item, place[1:], hostile) if key == place[0] else json.dumps(item)
        parts.append(f"{json.dumps(key)}: {inner}" if isinstance(value, dict) else inner)
    return "{" + ", ".join(parts) + "}" if isinstance(value, dict) else "[" + ", ".join(parts) + "]"


def places_of(value, place=()):
    yield place
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places_of(item, (*place, key))


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    """A folder of two presets, of whose models nobody asks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(vqzoo.presets.find, "__file__", str(tmp_path / "checkout" / "vqzoo" / "presets" / "find.py"))
    monkeypatch.setenv("VQZOO_PRESETS", str(tmp_path / "zoo"))
    for name in ("bad", "whole"):
        folder = tmp_path / "zoo" / name
        folder.mkdir(parents=True)
        for file, value in FILES.items():
            (folder / file).write_text(json.dumps(value))
        for file in ("prior.keras", "tokenizer.keras", "README.md"):
            (folder / file).write_bytes(b"x")
        write_manifest(folder)
    return tmp_path / "zoo"


def one_line(error):
    text = str(error)
    assert text.isprintable() and len(text) < 1500, text
    assert "Traceback" not in text and "AttributeError" not in text
    return text


def outcomes(folder):
    """What each function makes of a preset: None or the error's line; any other exception ends the test."""
    functions = (read_metadata, read_manifest, verify_preset, find_preset, card_text)
    told = []
    for function in functions:
        try:
            function(folder)
        except ValueError as error:
            told.append(one_line(error))
        else:
            told.append(None)
    return told


def listed():
    """The names in the list, and the lines of those that are left out."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        names = [preset.name for preset in list_presets()]
    return names, [one_line(warning.message) for warning in caught]


def run(arguments, capsys):
    """The exit status, the lines on standard output, and those on standard error."""
    try:
        status = main(arguments)
    except SystemExit as error:
        status = error.code
    told = capsys.readouterr()
    return status, told.out.splitlines(), told.err.splitlines()


CASES = [
    ("metadata.json", ("metrics", "psnr"), [1], "metrics={'psnr': [1]"),
    ("metadata.json", ("metrics", "psnr"), "21.5", "metrics={'psnr': '21.5'"),
    ("metadata.json", ("metrics", "psnr"), True, "a dict of name to number or null"),
    ("metadata.json", ("metrics", "psnr"), 10**400, "metrics="),
    ("metadata.json", ("metrics", "psnr"), Raw("NaN"), "NaN is not a number of JSON"),
    ("metadata.json", ("metrics", "psnr"), Raw("1e999"), "1e999 is beyond the range of numbers"),
    ("metadata.json", ("parameters",), 10**400, "parameters=1000"),
    ("metadata.json", ("parameters",), True, "parameters=True"),
    ("metadata.json", ("parameters",), -1, "parameters=-1"),
    ("metadata.json", ("parameters",), 1.5, "an int from 0 to 2**63 - 1"),
    ("metadata.json", ("parameters",), Raw("1" + "0" * 5000), "digits"),
    ("metadata.json", ("codebook_sizes",), [True], "codebook_sizes=[True]"),
    ("metadata.json", ("codebook_sizes",), [0], "codebook_sizes=[0]"),
    ("metadata.json", ("codebook_sizes",), [2] * 5000, "codebook_sizes=[2, 2"),
    ("metadata.json", ("example", "tokens"), [2**31] * 500, "example="),
    ("metadata.json", ("example", "signal"), None, "example="),
    ("metadata.json", ("versions", "keras"), 3, "versions="),
    ("metadata.json", ("labels",), [1, 2], "labels=[1, 2]"),
    ("metadata.json", ("captions",), {"length": 3, "other": 1}, "captions="),
    ("metadata.json", ("captions", "length"), "17", "captions="),
    ("metadata.json", ("sampling", "guidance"), [1], "sampling="),
    ("metadata.json", ("name",), Raw('"\\ud800"'), "half of a character"),
    ("metadata.json", ("description",), Raw("[" * 200 + "]" * 200), "nested more than 100 times"),
    ("metadata.json", (), [], "it does not hold a dict"),
    ("manifest.json", ("files", "README.md", "bytes"), None, "Its entry of README.md is"),
    ("manifest.json", ("files", "README.md"), {"sha256": "0" * 64}, "Its entry of README.md is"),
    ("manifest.json", ("files", "README.md", "bytes"), True, "Its entry of README.md is"),
    ("manifest.json", ("files", "README.md", "bytes"), 10**400, "Its entry of README.md is"),
    ("manifest.json", ("files", "README.md", "bytes"), 1.0, "Its entry of README.md is"),
    ("manifest.json", ("files", "README.md", "sha256"), [], "Its entry of README.md is"),
    ("manifest.json", ("files", "README.md", "sha256"), "0", "Its entry of README.md is"),
    ("manifest.json", ("files",), {"a\0b": {"bytes": 1, "sha256": "0" * 64}}, "not inside the folder: 'a\\x00b'"),
    ("manifest.json", ("files",), {"a" * 300: {"bytes": 1, "sha256": "0" * 64}}, "not inside the folder"),
    ("manifest.json", ("files",), {"a/" * 900 + "b": {"bytes": 1, "sha256": "0" * 64}}, "not inside the folder"),
    ("manifest.json", ("files",), Raw('{"\\udcff": {}}'), "half of a character"),
    ("manifest.json", ("format_version",), True, "it is not a manifest"),
    ("manifest.json", ("format_version",), 1.0, "it is not a manifest"),
    ("manifest.json", ("format_version",), 10**400, "it is not a manifest"),
    ("recipe.json", ("size",), Raw("-Infinity"), "-Infinity is not a number of JSON"),
    ("recipe.json", (), 3, "it does not hold a dict"),
]


def damage(folder, name, place, hostile):
    """Writes the value; the manifest is written anew, if it can be, so that only the content is wrong."""
    value = json.loads((folder / name).read_text())
    (folder / name).write_text(text_of(value, place, hostile))
    if name != "manifest.json":
        write_manifest(folder)


@pytest.mark.parametrize(("name", "place", "hostile", "told"), CASES, ids=lambda x: str(x)[:40])
def test_damage_is_named_in_one_line_and_the_others_are_listed(zoo, capsys, name, place, hostile, told):
    damage(zoo / "bad", name, place, hostile)
    assert any(line is not None and told in line for line in outcomes(zoo / "bad"))
    if name == "metadata.json":
        names, lines = listed()
        assert names == ["whole"] and len(lines) == 1 and told in lines[0]
        status, out, err = run(["list", "--json"], capsys)
        about = json.loads("\n".join(out))
        assert status == 1 and [preset["name"] for preset in about["presets"]] == ["whole"]
        assert list(about["failed"]) == ["bad"] and told in about["failed"]["bad"]
        assert len(err) == 1 and err[0].startswith("error: ") and told in err[0]
    if name != "recipe.json":
        status, out, err = run(["info", str(zoo / "bad")], capsys)
        assert status == 1 and not out and len(err) == 1 and told in err[0]
    with pytest.raises(ValueError) as caught:
        push_to_hub(zoo / "bad", "somebody/tiny")
    one_line(caught.value)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_any_value_anywhere_is_read_or_named(zoo, capsys, name):
    """Every place of each file takes some of the hostile values, all of which come."""
    rng = random.Random(name)
    value = json.loads((zoo / "bad" / name).read_text())
    places = list(places_of(value))
    pairs = {(place, i) for place in places for i in rng.sample(range(len(HOSTILE)), 9)}
    pairs |= {(rng.choice(places), i) for i in range(len(HOSTILE))}
    sometimes = set(rng.sample(sorted(pairs, key=str), 12))
    for place, i in sorted(pairs, key=str):
        (zoo / "bad" / name).write_text(text_of(value, place, HOSTILE[i]))
        if name != "manifest.json":
            write_manifest(zoo / "bad")
        found = outcomes(zoo / "bad")
        names, lines = listed()
        assert "whole" in names and len(names) + len(lines) == 2 - (names == ["whole"] and not lines)
        if (place, i) in sometimes:  # what is read can also be printed
            for arguments in (["list"], ["list", "--json"], ["info", str(zoo / "bad")]):
                status, _, err = run(arguments, capsys)
                assert status == len(err) and len(err) <= 1
            if found[0] is None:
                assert run(["info", "--json", str(zoo / "bad")], capsys)[0] in (0, 1)


@pytest.mark.parametrize(
    "name", ["[red]", "[bold", "[@click=a]b", "a\nb", "a\x1b[31m", b"\xff\xfe", "größe", "x" * 255]
)
def test_folders_of_any_name_are_listed(zoo, capsys, name):
    import os
    import pathlib

    folder = (zoo / "bad").rename(zoo / pathlib.Path(os.fsdecode(name) if isinstance(name, bytes) else name))
    status, out, err = run(["list"], capsys)
    assert status == 0 and not err and any("whole" in line for line in out)
    assert not any("\x1b" in line for line in out)
    status, out, _ = run(["list", "--json"], capsys)
    assert status == 0 and len(json.loads("\n".join(out))["presets"]) == 2
    assert run(["info", str(folder)], capsys)[0] == run(["info", "--json", str(folder)], capsys)[0] == 0
    assert f"# {METADATA['name']}\n" in card_text(folder)
    status, out, err = run(["info", "nothing"], capsys)
    assert status == 1 and len(err) == 1 and err[0].isprintable() and "Known presets: " in err[0]


@pytest.mark.parametrize("name", ["metadata.json", "manifest.json"])
def test_what_is_no_file_is_named(zoo, name):
    (zoo / "bad" / name).unlink()
    (zoo / "bad" / name).mkdir()
    names, lines = listed()
    assert names == ["whole"] and len(lines) == (name == "metadata.json")


def test_a_folder_that_is_not_for_us_to_read_ends_nothing(zoo, monkeypatch):
    real = vqzoo.presets.find.pathlib.Path.is_file

    def refuse(path):
        if path.parent.name == "bad":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr("pathlib.Path.is_file", refuse)
    assert listed() == (["whole"], [])
    monkeypatch.undo()


def test_a_file_that_cannot_be_read_is_named(zoo, monkeypatch):
    real = vqzoo.presets.find.pathlib.Path.read_bytes

    def refuse(path):
        if path.parts[-2:] == ("bad", "metadata.json"):
            raise OSError(5, "Input/output error", str(path))
        return real(path)

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    names, lines = listed()
    assert names == ["whole"] and len(lines) == 1 and "Input/output error" in lines[0]


def test_what_cannot_be_read_is_not_written():
    for name, place, hostile, _ in CASES:
        if name == "metadata.json" and place and not isinstance(hostile, Raw):
            with pytest.raises(ValueError, match=rf"metadata\['{place[0]}'\] must be|plain JSON") as caught:
                check_metadata(json.loads(text_of(METADATA, place, hostile)))
            one_line(caught.value)
    check_metadata({**METADATA, "codebook_sizes": (512, 512)})  # as a tuple is written
    assert not wrong_entries(METADATA) and not wrong_entries(dict.fromkeys(METADATA))
    with pytest.raises(ValueError, match="half of a character"):
        check_metadata({"name": "\ud800"})


def test_names_of_files_that_no_system_takes_are_not_sealed(zoo):
    import os

    (zoo / "bad" / os.fsdecode(b"\xff.txt")).write_text("x")
    with pytest.raises(ValueError, match=r"must be valid on every system. Received: '\\udcff.txt' in .* Rename"):
        write_manifest(zoo / "bad")


def test_samples_of_text_that_are_no_text_are_named(zoo, monkeypatch):
    (zoo / "bad" / "samples.md").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="samples.md' is not text in UTF-8 .*Write it again, or remove it"):
        card_text(zoo / "bad")
    (zoo / "bad" / "samples.md").write_bytes(b"a" * (2**20 + 1))
    with pytest.raises(ValueError, match="samples.md' has more than 1048576 bytes, too many for a card"):
        card_text(zoo / "bad")
