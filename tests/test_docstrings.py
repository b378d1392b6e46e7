"""Every example in a docstring runs, and every public class and function has a docstring."""

import doctest
import importlib
import inspect
import pathlib
import pkgutil

import keras
import numpy as np
import pytest

import vqzoo

MODULES = [info.name for info in pkgutil.walk_packages(vqzoo.__path__, "vqzoo.") if not info.name.endswith("__main__")]
# The Keras protocol: what these methods do is Keras's to say.
PROTOCOL = {
    *("build", "call", "get_config", "from_config", "compute_output_shape", "update_state", "result"),
    *("compile", "compile_from_config", "get_compile_config", "train_step", "test_step", "metrics"),
    # Of our own base classes, which document them.
    *("codebook_sizes", "loss_names", "portable_encode", "portable_decode"),
    *("losses_on", "build_optimizers", "generator", "discriminator"),
    *("name", "content", "part"),
    *("split", "validation_count", "open", "watcher", "save_samples", "about"),
}
PROTOCOL |= {name for name in dir(keras.callbacks.Callback) if name.startswith("on_")}


def test_modules_were_found():
    assert len(MODULES) > 45


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    globs = {**vars(module), "keras": keras, "np": np}
    results = doctest.testmod(module, globs=globs, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert results.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_public_things_are_documented(name):
    module = importlib.import_module(name)
    assert module.__doc__, name
    for label, thing in vars(module).items():
        if label.startswith("_") or getattr(thing, "__module__", None) != name:
            continue
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert thing.__doc__, f"{name}.{label}"
        if inspect.isclass(thing):
            for method, value in vars(thing).items():
                value = getattr(value, "fget", value)
                if not method.startswith("_") and method not in PROTOCOL and inspect.isfunction(value):
                    assert value.__doc__, f"{name}.{label}.{method}"


def test_files_and_functions_stay_small():
    import ast

    root = pathlib.Path(vqzoo.__file__).parents[1]
    for path in [*(root / "vqzoo").rglob("*.py"), *(root / "recipes").glob("*.py")]:
        text = path.read_text()
        assert text.count("\n") <= (150 if path.parent.name == "recipes" else 400), path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                has_docstring = ast.get_docstring(node) is not None
                first = node.body[0].end_lineno if has_docstring else node.lineno
                assert node.end_lineno - first <= 60, f"{path}:{node.lineno} {node.name}"
                count = len(node.args.args) + len(node.args.kwonlyargs) - 1
                assert node.name != "__init__" or count <= 12, f"{path}:{node.lineno}"
