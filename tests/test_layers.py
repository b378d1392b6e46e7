"""Imports run one way: a folder may import lower rows, never a neighbour or a higher row."""

import ast
import pathlib

ROOT = pathlib.Path(__file__).parents[1]
ROWS = [
    {"measures", "names", "quiet", "startup"},
    {"ops", "files", "jsons", "npz"},
    {"quantizers", "networks", "losses", "metrics", "data", "presets"},
    {"tokenizers", "priors", "plots"},
    {"generation"},
    {"trainers"},
    {"converters", "export"},
    {"modalities"},
    {"runs"},
    {"cli"},
]
HEIGHT = {folder: height for height, row in enumerate(ROWS) for folder in row}


def imported_names(path):
    """Yields (dotted name, line) of everything that a file imports, submodules and relative imports included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = path.relative_to(ROOT).with_suffix("").parts[: -node.level]
                base = ".".join([*package, *filter(None, [base])])
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)


def folder_of(path):
    return path.relative_to(ROOT / "vqzoo").parts[0].removesuffix(".py")


def upward_imports(paths):
    for path in paths:
        own = folder_of(path)
        for name, line in imported_names(path):
            parts = name.split(".")
            if parts[0] != "vqzoo" or len(parts) < 2 or parts[1] == own:
                continue
            if parts[1] not in HEIGHT or HEIGHT[parts[1]] >= HEIGHT[own]:
                yield f"{path.relative_to(ROOT)}:{line} imports {name}"


def library_files():
    top = {"__init__.py", "__main__.py", "uses.py"}  # the last is a former name
    return [p for p in (ROOT / "vqzoo").rglob("*.py") if not (p.parent == ROOT / "vqzoo" and p.name in top)]


def test_imports_point_down():
    files = library_files()
    assert len(files) > 40
    assert not list(upward_imports(files))


def test_the_check_sees_every_form_of_import(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    file = tmp_path / "vqzoo" / "ops" / "wrong.py"
    file.parent.mkdir(parents=True)
    for line in (
        "import vqzoo.trainers",
        "from vqzoo import trainers",
        "from vqzoo.trainers import Trainer",
        "from ..trainers import Trainer",
        "from .. import trainers",
    ):
        file.write_text(line)
        assert len(list(upward_imports([file]))) == 1, line


def test_every_folder_has_a_row():
    folders = {folder_of(path) for path in library_files()}
    assert folders <= set(HEIGHT), f"give {folders - set(HEIGHT)} a row in ROWS and in the design"


LISTS = {"vqzoo/cli/verbs", "recipes", "tests/benchmarks"}  # one file for each thing of a list
MOST_FILES = 12


def folders_of_code():
    """(folder, its files without `__init__.py`), of everything that holds Python."""
    for top in ("vqzoo", "recipes", "tests"):
        for folder in [ROOT / top, *(p for p in (ROOT / top).rglob("*") if p.is_dir())]:
            files = [p for p in folder.glob("*.py") if p.name != "__init__.py"]
            if files:
                yield folder.relative_to(ROOT).as_posix(), files


def test_a_folder_has_few_files():
    crowded = {folder: len(files) for folder, files in folders_of_code() if len(files) > MOST_FILES}
    assert not set(crowded) - LISTS, crowded


def test_tensorflow_is_imported_only_where_it_may_be():
    for path in library_files():
        if folder_of(path) in {"data", "trainers", "priors", "export", "runs", "cli"}:
            continue
        tree = ast.parse(path.read_text())
        names = [
            alias.name if isinstance(node, ast.Import) else node.module
            for node in tree.body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        ]
        assert not [n for n in names if n.split(".")[0] == "tensorflow"], path


def test_recipes_use_public_names_alone():
    import importlib

    recipes = list((ROOT / "recipes").glob("*.py"))
    assert recipes
    for path in recipes:
        for name, line in imported_names(path):
            if name.split(".")[0] == "vqzoo" and name != "vqzoo":
                module, _, attribute = name.rpartition(".")
                assert attribute in importlib.import_module(module).__all__, f"{path.name}:{line} imports {name}"
