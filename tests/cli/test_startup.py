"""The command as a process: what it does not import, and that every preset loads in it all the same."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import vqzoo
from vqzoo import startup
from vqzoo.cli.main import VERBS

ROOT = pathlib.Path(vqzoo.__file__).parents[1]
LAZY = ("vqzoo", "vqzoo.runs", "vqzoo.data", "vqzoo.presets", "vqzoo.priors")
# Runs the command in a process that says at its end which of the slow packages it has imported.
COMMAND = """
import atexit, runpy, sys
slow = {"keras", "tensorflow", "jax", "torch", "librosa"}
atexit.register(lambda: print("imported:", *sorted(slow & {*sys.modules})))
sys.argv = ["/usr/bin/vqzoo", *sys.argv[1:]]
runpy.run_module("vqzoo", run_name="__main__")
"""


def command(*arguments, code=None, **variables):
    program = ["-c", code] if code else ["-m", "vqzoo"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(
        [sys.executable, *program, *map(str, arguments)], capture_output=True, text=True, env=environment, cwd=ROOT
    )


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["list"], ["info", "image-vqgan-photos-f4"], *([verb, "--help"] for verb in VERBS)],
    ids=" ".join,
)
def test_help_and_presets_are_shown_without_keras(arguments):
    ended = command(*arguments, code=COMMAND)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith("\nimported:\n") and ended.stderr == ""


def test_a_preset_that_is_not_there_is_named_without_keras():
    ended = command("info", "image-vqgan-photos-f5", code=COMMAND)
    assert ended.returncode == 1 and "Did you mean 'image-vqgan-photos-f8' or" in ended.stderr
    assert ended.stdout == "imported:\n"


@pytest.mark.parametrize(
    ("argv", "original", "expected"),
    [
        (["/usr/bin/vqzoo", "list"], ["python", "/usr/bin/vqzoo", "list"], True),
        (["C:/Scripts/vqzoo.exe"], ["python", "C:/Scripts/vqzoo.exe"], True),
        (["-m", "list"], ["python", "-m", "vqzoo", "list"], True),
        (["-m"], ["python", "-X", "importtime", "-Im", "vqzoo"], True),
        (["-m"], ["python", "-mvqzoo"], True),
        (["-m", "vqzoo"], ["python", "-m", "pytest", "vqzoo"], False),
        (["-m"], ["python", "-m", "vqzoo.presets.find"], False),
        (["train.py", "vqzoo"], ["python", "train.py", "vqzoo"], False),
        (["vqzoo.py"], ["python", "vqzoo.py"], False),
        (["-c", "-m", "vqzoo"], ["python", "-c", "import vqzoo", "-m", "vqzoo"], False),
        ([""], ["python"], False),
        ([], ["python"], False),
    ],
)
def test_which_processes_are_the_command(argv, original, expected, monkeypatch):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", original)
    assert startup.is_command.__wrapped__() is expected


@pytest.mark.parametrize("name", LAZY)
def test_names_are_the_same_on_first_use(name):
    package = sys.modules[name] if name in sys.modules else __import__(name, fromlist=["_"])
    resolve = startup.on_first_use(name)
    for one in package.__all__:
        assert resolve(one) is getattr(package, one)
        # Importing a module sets it as an attribute of its package, where a function of its name would be hidden.
        assert startup._places(name)[one][0] != f"{name}.{one}"
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        resolve("nothing")


ALL = """
import sys
sys.argv = ["/usr/bin/vqzoo"]
import vqzoo
assert "keras" not in sys.modules and "data" not in vars(vqzoo)
assert [name for name in vqzoo.__all__ if getattr(vqzoo, name) is None] == []
from vqzoo import *
from vqzoo.presets import find_preset, storage
from vqzoo.cli.main import _register_classes
_register_classes()
import keras
print(*sorted(name for name in keras.saving.get_custom_objects() if name.startswith("vqzoo>")))
"""


def test_the_command_registers_the_classes_that_the_package_registers():
    lazy, eager = command(code=ALL), command(code=ALL.replace("/usr/bin/vqzoo", "x.py").replace("assert", "0 and"))
    assert lazy.returncode == 0, lazy.stderr[-3000:]
    assert lazy.stdout == eager.stdout and lazy.stdout.count("vqzoo>") > 60


@pytest.mark.slow
@pytest.mark.parametrize("preset", sorted(path.parent.name for path in ROOT.glob("saved_models/*/manifest.json")))
def test_every_preset_loads_in_the_command(preset, tmp_path):
    """Each is verified: whole, and its model loaded."""
    if (ROOT / "saved_models" / preset / "prior.keras").exists():
        ended = command("generate", preset, "--count", 1, "--grid", tmp_path / "grid.png")
        assert ended.returncode == 0 and (tmp_path / "grid.png").exists(), ended.stderr[-3000:]
        return
    modality = vqzoo.presets.read_metadata(ROOT / "saved_models" / preset)["modality"]
    source = tmp_path / f"source{dict(image='.png', audio='.wav', text='.txt')[modality]}"
    if modality == "image":
        vqzoo.data.save_image(source, vqzoo.data.load_image(vqzoo.data.sample_images()[0])[:28, :28])
    elif modality == "audio":
        shutil.copy(vqzoo.data.synthetic_audio()[0], source)
    else:
        source.write_text("A sentence.\n")
    ended = command("encode", preset, source, "--out", tmp_path)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert vqzoo.presets.load_tokens(tmp_path / "source.npz").tokens.size
