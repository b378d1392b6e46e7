"""Settings that recipes share: their groups in the help, and files of settings."""

import dataclasses
import json

import pytest

from vqzoo.export import EXPORT_FORMS
from vqzoo.runs import RunSettings
from vqzoo.runs import TokenizerSettings
from vqzoo.runs import parse_config


@dataclasses.dataclass(frozen=True)
class Config(TokenizerSettings):
    # Data
    size: int = 64  # pixels a side
    # Network
    multipliers: tuple[int, ...] = (1, 2)  # of the filters
    # Training
    batch_size: int = 8
    learning_rate: float = 2e-3


VARIANTS = {"default": Config(), "tiny": Config(size=8, epochs=2)}


def refused(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse_config(VARIANTS, arguments)
    assert stopped.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_the_help_has_the_groups_of_the_recipe_and_of_its_bases(capsys):
    with pytest.raises(SystemExit):
        parse_config(VARIANTS, ["--help"])
    lines = capsys.readouterr().out
    headings = [line[:-1] for line in lines.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings[-5:] == ["Data", "Network", "Training", "Run", "Devices"]
    text = " ".join(lines.split())
    # Its own default, with the comment of the base; and both bases' in one group.
    assert "--batch_size BATCH_SIZE examples, over all devices (default: 8)" in text
    run = lines[lines.index("\nRun:") : lines.index("\nDevices:")]
    assert "--exports" in run and "--seed" in run and "--size" not in run


FILES = {
    "toml": ("run.toml", 'size = 16\nmultipliers = [1, 2, 4]\nlearning_rate = 1\ndata = "photos"\nresume = true\n'),
    "json": (
        "recipe.json",
        json.dumps(
            {"recipe": "test_settings", "size": 16, "multipliers": [1, 2, 4], "learning_rate": 1.0, "data": "photos"}
            | {"resume": True}
        ),
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_gives_settings_and_flags_have_precedence(kind, tmp_path):
    name, text = FILES[kind]
    (tmp_path / name).write_text(text)
    config = parse_config(VARIANTS, ["tiny", "--config", str(tmp_path / name), "--data", "mine", "--no-resume"])
    assert config == Config(size=16, multipliers=(1, 2, 4), learning_rate=1.0, data="mine", epochs=2)
    assert type(config.learning_rate) is float


def test_what_a_run_has_written_can_be_given_back(tmp_path):
    config = Config(size=32, exports="litert", out="elsewhere")
    (tmp_path / "recipe.json").write_text(json.dumps({"recipe": "test_settings", **dataclasses.asdict(config)}))
    assert parse_config(VARIANTS, ["--config", str(tmp_path / "recipe.json")]) == config


BAD = {
    "missing": ("no.toml", None, "Cannot read the settings no.toml: No such file or directory"),
    "ending": ("run.yaml", "size: 3", "Settings are read from .toml and .json. Received: run.yaml"),
    "broken_toml": ("run.toml", "size = ", "Cannot read the settings run.toml: "),
    "broken_json": ("run.json", "{", "Cannot read the settings run.json: "),
    "a_list": ("run.json", "[1]", "it holds no names with values"),
    "latin": ("run.toml", b'data = "\xe4"', "Cannot read the settings run.toml: "),
    "large": ("run.toml", b"#" * (2**20 + 1), "it has more than 1048576 bytes"),
    "unknown": ("run.toml", "sise = 3", "run.toml holds an unknown setting, 'sise'. Did you mean size?"),
    "of_another": ("run.json", '{"recipe": "audio_vqgan"}', "holds settings of 'audio_vqgan'. This is test_settings."),
    "a_text": ("run.toml", 'size = "3"', "run.toml: size is of the type int. Received: '3'"),
    "a_float": ("run.toml", "size = 3.0", "run.toml: size is of the type int. Received: 3.0"),
    "a_bool": ("run.toml", "size = true", "run.toml: size is of the type int. Received: True"),
    "a_number": ("run.toml", "resume = 1", "run.toml: resume is of the type bool. Received: 1"),
    "no_list": ("run.toml", "multipliers = 3", "run.toml: multipliers is of the type list of int. Received: 3"),
    "a_list_of_floats": ("run.toml", "multipliers = [1.5]", "multipliers is of the type list of int"),
    "of_its_own_check": ("run.toml", 'exports = "onnx"', "--exports is all, none, or some of saved_model"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_cannot_be_taken_is_named_in_one_line(case, tmp_path, monkeypatch, capsys):
    name, content, message = BAD[case]
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert message in refused(["--config", name], capsys)


def test_a_pipe_is_no_file_of_settings(tmp_path, monkeypatch, capsys):
    import os

    monkeypatch.chdir(tmp_path)
    os.mkfifo("run.toml")
    assert "Cannot read the settings run.toml: " in refused(["--config", "run.toml"], capsys)


@pytest.mark.parametrize("text", ["", "onnx", "all,litert", "none,none", "litert,", "litert;portable"])
def test_exports_are_checked(text):
    with pytest.raises(ValueError, match="--exports is all, none, or some of saved_model, litert"):
        TokenizerSettings(exports=text)


def test_exports_are_forms():
    assert TokenizerSettings().forms == EXPORT_FORMS and TokenizerSettings(exports="none").forms == ()
    assert TokenizerSettings(exports="portable,litert_int8").forms == ("portable", "litert_int8")


def test_settings_that_are_free_when_a_run_is_resumed_exist():
    from vqzoo.runs import run_folder

    known = {field.name for field in dataclasses.fields(TokenizerSettings)}
    assert {"out", "resume", "exports", "tensorboard"} <= known & set(run_folder._FREE)
    assert issubclass(TokenizerSettings, RunSettings)
