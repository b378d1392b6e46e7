"""Every block of Python on a page runs, from the top of the page on; every command names what exists."""

import importlib
import importlib.util
import pathlib
import shlex
import sys

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from pages import PAGES  # noqa: E402
from pages import ROOT  # noqa: E402
from pages import blocks  # noqa: E402
from pages import commands  # noqa: E402
from pages import name_of  # noqa: E402

import vqzoo  # noqa: E402
from vqzoo.cli import main as command_line  # noqa: E402
from vqzoo.runs import parse_config  # noqa: E402

WITH_CODE = [page for page in PAGES if blocks(page, "python")]
QUICK = [page for page in WITH_CODE[1:] if any(not block.mark for block in blocks(page, "python"))]
WITH_COMMANDS = [page for page in [*PAGES, ROOT / "CONTRIBUTING.md"] if blocks(page, "bash")]
LONG = [page for page in WITH_CODE if any(block.mark == "slow" for block in blocks(page, "python"))]
PROGRAMS = {"export", "mkdocs", "pip", "pytest", "python", "ruff", "vqzoo", ".ci/run", ".ci/slow"}
# What a page leaves to its reader, or shortens for a test.
SHORTER = {"steps_per_epoch=100": "steps_per_epoch=2"}


def run(page, marks):
    names = {}
    for i, block in enumerate(blocks(page, "python")):
        if block.mark in marks:
            code = block.code
            for long, short in SHORTER.items():
                code = code.replace(long, short)
            exec(compile(code, f"{name_of(page)}, block {i + 1}", "exec"), names)
    return names


def test_pages_were_found():
    assert len(WITH_CODE) >= 10 and len(LONG) >= 3 and len(WITH_COMMANDS) >= 8


def test_a_block_is_found_with_its_mark_and_language(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("a\n```python\nx = 1\n```\n\n<!-- test: slow -->\n```python\ny = x\n```\n```cpp\nint x;\n```\n")
    assert blocks(page) == [("", "python", "x = 1\n"), ("slow", "python", "y = x\n"), ("", "cpp", "int x;\n")]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_marks_and_languages_are_known(page):
    for block in blocks(page):
        assert block.mark in ("", "slow", "download"), block
        assert block.language in ("python", "bash", "kotlin", "cpp", "javascript"), block
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(blocks(page))


@pytest.mark.parametrize("page", QUICK, ids=name_of)
def test_the_quick_code_of_a_page_runs(page, beside_files):
    run(page, [""])


def test_the_code_of_the_readme_gives_what_it_says(beside_files):
    names = run(ROOT / "README.md", [""])
    assert vqzoo.data.load_image("again.png").shape == names["image"].shape == (64, 64, 3)
    assert soundfile.info("again.wav").frames == len(names["sound"]) == 16000
    assert names["again"] == names["sentences"] == ["He went up into the mountain.", "They took bread and fish."]


@pytest.mark.slow
@pytest.mark.parametrize("page", LONG, ids=name_of)
def test_all_code_of_a_page_runs(page, beside_files):
    small = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=2, quantizer=vqzoo.EMAVectorQuantizer(8))
    for name in ("vqvae", "vqgan"):  # of the page of questions
        small.save_to_preset(name)
    names = run(page, ["", "slow"])
    if page.stem == "quantizers":
        tokenizer = vqzoo.Tokenizer.from_preset(beside_files / "saved_models" / "mine")
        assert tokenizer.encode(np.zeros((1, 16, 16, 3), "float32")).shape == (1, 8, 8, 1)
    if page.stem == "text":
        assert names["again"] == names["sentences"]


class Parsed(Exception):
    """Ends a verb before it does anything."""


def parsed(words, monkeypatch):
    """Lets the command line read a command."""

    def stop(arguments):
        raise Parsed

    if words[0] in command_line.VERBS:
        monkeypatch.setattr(importlib.import_module(f"vqzoo.cli.verbs.{words[0]}"), "run", stop)
    monkeypatch.setattr(command_line, "check_command", lambda given, words: None, raising=False)
    with pytest.raises(Parsed):
        command_line.main(words)


def settings_of(words):
    """Lets a recipe read its flags."""
    path = ROOT / words[0]
    name = f"recipe_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return parse_config(sys.modules[name].VARIANTS, words[1:])


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_every_command_names_what_exists(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for network in ("vgg16_hed.keras", "vgg16_hed_bfloat16.keras"):  # which `features.py` makes
        pathlib.Path(network).touch()
    for command in commands(page):
        words = [word for word in shlex.split(command.split(" < ")[0]) if word != "="]
        assert words[0] in PROGRAMS, command
        if words[0] == "vqzoo":
            parsed(words[1:], monkeypatch)
        elif words[0] == "python" and "--help" not in words and words[1].startswith("recipes/"):
            settings_of(words[1:])


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_the_first_commands_do_what_they_say(page, beside_files):
    words = [shlex.split(command)[1:] for command in commands(ROOT / page) if command.startswith("vqzoo ")]
    assert len(words) >= 4
    for command in words:
        assert command_line.main(command) == 0, command
    assert pathlib.Path("again/photo.png").is_file() and pathlib.Path("tokens/talk.npz").is_file()
    assert len(list(pathlib.Path("new").glob("*.png"))) == 16


def test_a_command_with_an_unknown_flag_is_noticed(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        parsed(["encode", "image-vqgan-photos-f4", "photo.jpg", "--no_such_flag"], monkeypatch)
    with pytest.raises(SystemExit):
        settings_of(["recipes/image_vqgan.py", "--no_such_flag", "1"])
