"""The notebooks run from top to bottom."""

import ast
import json
import pathlib
import sys
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from pages import ROOT  # noqa: E402

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def cells(path, kind="code"):
    book = json.loads(path.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == kind]


def run(path):
    """Runs the cells in one namespace. Returns it, and the values that the cells would show."""
    names, shown = {}, []
    for i, code in enumerate(cells(path)):
        tree = ast.parse(code, f"{path.name}, cell {i + 1}")
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, tree_name := f"{path.name}, cell {i + 1}", "exec"), names)
        if last is not None:
            shown.append(eval(compile(ast.Expression(last.value), tree_name, "eval"), names))
    return names, shown


def test_notebooks_are_found_and_hold_no_output():
    assert [path.stem for path in NOTEBOOKS] == ["audio", "images", "text"]
    for path in NOTEBOOKS:
        book = json.loads(path.read_text(encoding="utf-8"))
        assert book["nbformat"] == 4
        assert not [cell for cell in book["cells"] if cell.get("outputs") or cell.get("execution_count")]
        assert len(cells(path)) >= 5 and len(cells(path, "markdown")) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    display = types.SimpleNamespace(Audio=lambda data, rate: ("audio", len(data), rate))
    monkeypatch.setitem(
        sys.modules, "IPython", types.SimpleNamespace(display=display, get_ipython=lambda: None, version_info=(9, 0))
    )
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    names, shown = run(path)
    assert len([value for value in shown if value is not None]) >= {"images": 7, "audio": 4, "text": 1}[path.stem]
    if path.stem == "text":
        assert names["tokenizer"].decode(names["tokens"])[:2] == names["sentences"][:2]
