"""Settings and surroundings: what the command line says of them, and its exit status."""

import importlib
import json
import os
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

import vqzoo
from vqzoo.cli.main import VERBS
from vqzoo.cli.main import main
from vqzoo.runs.flags import Parser

ROOT = pathlib.Path(__file__).parents[2]
WITH_JAX = os.environ.get("VQZOO_PEERS_PYTHON", "")

# By argparse, with status 2 and the usage above.
FLAGS = {
    "no_verb": ([], "the following arguments are required: VERB"),
    "unknown_verb": (["encodee"], "invalid choice: 'encodee'"),
    "unknown_flag": (["list", "--jsno"], "unrecognized arguments: --jsno"),
    "no_preset": (["encode"], "the following arguments are required: preset, PATH"),
    "no_paths": (["encode", "image-tiny"], "the following arguments are required: PATH"),
    "text_for_a_number": (
        ["evaluate", "a", ".", "--size", "large"],
        "--size: an integer from 1 to 2147483647. Received: 'la",
    ),
    "text_for_a_float": (
        ["evaluate", "a", ".", "--scale", "half"],
        "--scale: a number above 0 and at ",
    ),
    "batch_of_none": (["encode", "a", "b", "--batch_size", "0"], "--batch_size: an integer from 1 to "),
    "crops_of_none": (["evaluate", "a", "b", "--crops", "-3"], "--crops: an integer from 1 to "),
    "crops_of_nothing": (["evaluate", "a", "b", "--size", "0"], "--size: an integer from 1 to "),
    "negative_scale": (["evaluate", "a", "a.png", "--scale", "-1e2"], "--scale: a number above 0 and at most 1000. "),
    "negative_seed": (["evaluate", "a", "a.png", "--seed", "-1"], "--seed: an integer from 0 to 9223372036854775807. "),
    "shards_of_none": (["encode", "a", "b", "--out", "c", "--shards", "0"], "--shards: an integer from 1 to "),
    "negative_shards": (["shard", ".", "--out", "a", "--shard_size", "-1e-2"], "--shard_size: a number above 0 and at"),
    "endless_shards": (["shard", ".", "--out", "a", "--shard_size", "inf"], "and at most 1048576. Received: 'inf'"),
    "box_of_three": (["inpaint", "a", "b", "--out", "c", "--box", "1,2,3"], "--box: four integers, TOP,LEFT,HEIGHT,WI"),
    "unknown_choice": (["export", "image-tiny", "--litert", "int4"], "--litert: invalid choice: 'int4'"),
}
# By the verbs, with status 1 and one line. PRESET is a whole one, and a.png a picture.
VALUES = {
    "unknown_preset": (["info", "image-vqgan-foto-f4"], "There is no preset 'image-vqgan-foto-f4'. Did you mean"),
    "no_out": (["encode", "PRESET", "a.png"], "--out DIR is the folder for the tokens"),
    "export_over_a_folder": (["export", "PRESET", "--out", "taken"], "is there already. Give --force"),
    "a_repository_without_user": (["push", "PRESET", "mine"], "A repository of the Hub is user/name"),
}


@pytest.mark.parametrize("row", FLAGS)
def test_a_flag_that_is_refused(row, capsys):
    arguments, told = FLAGS[row]
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert told in capsys.readouterr().err


def numeric_flags():
    """(verb, flag, whether it takes whole numbers alone, a value that it takes)"""
    for verb in VERBS:
        parser = Parser()
        importlib.import_module(f"vqzoo.cli.verbs.{verb}").add_arguments(parser)
        for action in parser._actions:
            if action.type is not None or type(action.default) in (int, float):
                good = "1,2,3,4" if action.dest == "box" else "1"
                yield verb, action.option_strings[0], not isinstance(action.type(good), float), good


NUMBERS = [*numeric_flags()]


@pytest.mark.parametrize(("verb", "flag", "whole", "good"), NUMBERS, ids=lambda value: str(value))
def test_every_number_is_read_in_the_same_way(verb, flag, whole, good, capsys):
    wrong = ["x", "", "nan", "inf", "-inf", "0x10", "1e400", "1\n2", "\udcff", "9" * 5000, *["1e3", "1.5"] * whole]
    for text in wrong:
        with pytest.raises(SystemExit) as caught:
            main([verb, f"{flag}={text}"])
        told = capsys.readouterr().err.split("error: ")
        assert caught.value.code == 2 and len(told) == 2
        rule = "(an integer from .* to|(0, or )?a number (from .* to|above .* and at most)|four integers, TOP,LEFT).*"
        assert re.fullmatch(rf"argument {flag}: {rule}\. Received: '.*'?(\.\.\.)?\n", told[1]), told
        assert len(told[1]) < 250
    with pytest.raises(SystemExit):  # for want of all others
        main([verb, f"{flag}={good}"])
    assert "the following arguments are required" in capsys.readouterr().err


def test_all_numbers_are_seen():
    assert {flag for _, flag, _, _ in NUMBERS} >= {"--seed", "--scale", "--shards", "--shard_size", "--box", "--top_k"}


@pytest.mark.parametrize("word", ["--seconds=1\n2", "--\n", "a\nb", "--json=\r", "\x1b[2J", "--\udcff"])
@pytest.mark.parametrize("before", [[], ["info"], ["evaluate", "a", "b"], ["export", "a", "--litert"]])
def test_what_is_wrong_is_one_line_whatever_was_typed(before, word, capsys):
    with pytest.raises(SystemExit):
        main([*before, word, "--no_flag"])
    told = capsys.readouterr().err.split("error: ")
    assert len(told) == 2 and told[1].endswith("\n") and told[1][:-1].isprintable()


@pytest.mark.parametrize("row", VALUES)
def test_a_value_that_is_refused(row, preset, tmp_path, refused, monkeypatch):
    arguments, told = VALUES[row]
    monkeypatch.chdir(tmp_path)
    vqzoo.data.save_image("a.png", np.zeros((8, 8, 3)))
    (tmp_path / "taken").mkdir()
    refused([str(preset) if word == "PRESET" else word for word in arguments], "error: ", told)


@pytest.mark.parametrize("verb", ["encode", "decode", "reconstruct", "evaluate", "export", "verify"])
def test_another_backend_names_the_variable(verb, preset, tmp_path, refused, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    arguments = {
        "encode": [preset, "a.png", "--out", tmp_path / "o"],
        "decode": ["a.npz", "--out", tmp_path / "o"],
        "reconstruct": [preset, "a.png", "--out", tmp_path / "o"],
        "evaluate": [preset, "a.png"],
    }.get(verb, [preset])
    told = f"error: `vqzoo {verb}` needs Keras on TensorFlow. Received: Keras on jax. Set KERAS_BACKEND=tensorflow"
    refused([verb, *arguments], told)


def test_other_verbs_run_on_any_backend(preset, monkeypatch, capsys):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert main(["info", str(preset)]) == 0 and main(["list"]) == 0
    assert main(["doctor", "--json"]) == 1
    assert '"backend": "jax"' in capsys.readouterr().out


@pytest.mark.environment("peers")
def test_jax_has_the_quantizers_and_not_the_command_line(preset):
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    code = "import numpy, vqzoo; q = vqzoo.VectorQuantizer(8); print(q(numpy.zeros((1, 4, 2))).tokens.shape)"
    child = subprocess.run([WITH_JAX, "-c", code], env=environment, capture_output=True, text=True, cwd=ROOT)
    assert child.stdout == "(1, 4, 1)\n", child.stderr
    command = [WITH_JAX, "-m", "vqzoo", "encode", str(preset), "a.png", "--out", "o"]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    assert child.returncode == 1 and "Set KERAS_BACKEND=tensorflow" in child.stderr
    assert "Traceback" not in child.stderr


@pytest.mark.parametrize("extra", ["ai_edge_litert", "tensorboard", "tensorflow_io", "huggingface_hub"])
def test_doctor_tells_how_to_have_an_extra(extra, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, extra, None)
    assert main(["doctor"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith(extra)]
    assert line.startswith(f"{extra}: no: ") and "To have it: pip install " in line


@pytest.mark.parametrize(
    ("failure", "status", "told"),
    [(KeyboardInterrupt, 130, "stopped\n"), (MemoryError, 1, "error: MemoryError\n")],
)
def test_an_interrupt_or_a_full_memory_is_no_traceback(failure, status, told, monkeypatch, capsys, tmp_path):
    def fail(name):
        raise failure

    monkeypatch.setattr("vqzoo.cli.verbs.encode.find_preset", fail)
    with pytest.raises(SystemExit) as caught:
        main(["encode", "image-tiny", "a.png", "--out", str(tmp_path)])
    assert caught.value.code == status and capsys.readouterr().err == told
    monkeypatch.setenv("VQZOO_TRACEBACK", "1")
    with pytest.raises(failure):
        main(["encode", "image-tiny", "a.png", "--out", str(tmp_path)])


def test_the_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0 and capsys.readouterr().out == f"vqzoo {vqzoo.__version__}\n"


def test_a_line_of_json_stays_one_whatever_the_name(preset, tmp_path, capsys):
    (tmp_path / 'bad\n"name".png').write_bytes(b"")
    arguments = ["encode", str(preset), str(tmp_path / 'bad\n"name".png'), "--out", str(tmp_path / "o"), "--json"]
    assert main(arguments) == 1
    (line,) = capsys.readouterr().out.splitlines()
    (reason,) = json.loads(line)["failed"].values()
    assert "the file is empty" in reason
