"""`.ci/slow`: its environments and its last line; the marker `environment`."""

import ast
import os
import pathlib
import re
import runpy
import shutil
import subprocess
import sys
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SLOW = ROOT / ".ci" / "slow"
REPORT = ROOT / "tests" / "environments" / "report.py"

# Instead of Python: makes folders, writes down what it is asked to do, and finds the results that $FOUND_main and
# $FOUND_tfio name. The checks of its version and the report are run by Python itself.
STUB = """#!/bin/bash
name="$(basename "$(dirname "$(dirname "$0")")")"
case "$1 $2" in
    "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && echo "venv $(basename "$3")" >>"$LOG" ;;
    "-m pip") [[ "$*" != *"$BROKEN"* ]] && echo "pip $name ${*:6}" >>"$LOG" ;;
    "-m pytest")
        echo "pytest $name $PYTHONPATH $VQZOO_PEERS_PYTHON" >>"$LOG"
        found="FOUND_$name"
        for argument; do
            [[ "$argument" == --junitxml=* ]] && echo "<testsuites>${!found}</testsuites>" >"${argument#*=}"
        done
        status="STATUS_$name"
        exit "${!status:-0}" ;;
    *) exec PYTHON "$@" ;;
esac
"""


def case(name, inside=""):
    return f'<testcase classname="tests.a" name="{name}">{inside}</testcase>'


PASSED = case("one") + case("two")
FAILED = case("one", '<failure message="no"/>')
ERROR = case("one", '<error message="no"/>')
WANTING = case("one", '<skipped message="needs the environment tfio: no b"/>')
UNIMPORTED = case("one", '<skipped message="could not import x"/>')
ELSEWHERE = case("one", '<skipped message="needs SIGKILL"/>')


@pytest.mark.parametrize(
    ("runs", "line", "status"),
    [
        ([PASSED], "slow: 2 passed, 0 failed, 0 skipped", 0),
        ([PASSED, case("three")], "slow: 3 passed, 0 failed, 0 skipped", 0),
        ([PASSED + case("three"), FAILED], "slow: 2 passed, 1 failed, 0 skipped", 1),
        ([ERROR, PASSED], "slow: 1 passed, 1 failed, 0 skipped", 1),
        ([WANTING + case("two"), case("one")], "slow: 2 passed, 0 failed, 0 skipped", 0),
        ([WANTING, FAILED], "slow: 0 passed, 1 failed, 0 skipped", 1),
        ([ELSEWHERE + case("two")], "slow: 1 passed, 0 failed, 1 skipped (tests.a::one: needs SIGKILL)", 0),
        (
            [WANTING + case("two"), case("three")],
            "slow: 2 passed, 0 failed, 1 skipped (tests.a::one: needs the environment tfio: no b)",
            1,
        ),
        ([UNIMPORTED], "slow: 0 passed, 0 failed, 1 skipped (tests.a::one: could not import x)", 1),
        ([PASSED, ""], "slow: 2 passed, 0 failed, 0 skipped; the tests did not end in: 1", 1),
        ([PASSED, None], "slow: 2 passed, 0 failed, 0 skipped; the tests did not end in: 1", 1),
        ([PASSED, "<"], "slow: 2 passed, 0 failed, 0 skipped; the tests did not end in: 1", 1),
        ([], "slow: 0 passed, 0 failed, 0 skipped", 1),
    ],
)  # fmt: skip
def test_the_last_line_counts_each_test_once_and_gives_the_status(runs, line, status, tmp_path):
    files = [tmp_path / f"{number}.xml" for number in range(len(runs))]
    for file, found in zip(files, runs, strict=True):
        if found is not None:
            file.write_text(f"<testsuites><testsuite>{found}</testsuite></testsuites>")
    assert runpy.run_path(str(REPORT))["report"](files) == (line, status == 0)


@pytest.fixture
def slow(tmp_path):
    """A copy of the script in a checkout of its own, run with the stub; its end, and the lines that the stub wrote."""
    if os.name == "nt":
        pytest.skip("needs bash")
    for file in (SLOW, REPORT, ROOT / "pyproject.toml"):
        copy = tmp_path / "checkout" / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    stub = tmp_path / "python"
    stub.write_text(STUB.replace("exec PYTHON", f"exec {sys.executable}"))
    stub.chmod(0o755)
    log = tmp_path / "log"

    def run(*arguments, **variables):
        log.write_text("")
        own = {"PYTHON": str(stub), "VQZOO_SLOW_CACHE": str(tmp_path / "a cache"), "LOG": str(log), "BROKEN": "nothing"}
        own |= {"FOUND_main": PASSED, "FOUND_tfio": PASSED}
        command = ["bash", tmp_path / "checkout" / ".ci" / "slow", *arguments]
        ended = subprocess.run(command, env={**os.environ, **own, **variables}, capture_output=True, text=True)
        return ended, log.read_text().splitlines()

    return run


def test_environments_are_made_once_and_again_when_they_changed(slow, tmp_path):
    ended, lines = slow()
    assert ended.returncode == 0 and ended.stdout == "slow: 2 passed, 0 failed, 0 skipped\n", ended.stderr
    assert [line for line in lines if line.startswith("venv")] == ["venv main", "venv peers", "venv tfio"]
    assert any(line.startswith("pip peers torch==") for line in lines), lines
    (extras,) = re.findall(r"pip main -e \.\[(.*)\]", "\n".join(lines))
    with open(ROOT / "pyproject.toml", "rb") as file:
        declared = tomllib.load(file)["project"]["optional-dependencies"]
    assert set(extras.split(",")) == set(declared) - {"tfio"} and "test" in extras
    peers = tmp_path / "a cache" / "peers" / "bin" / "python"
    ran = [f"pytest {name} {tmp_path / 'checkout'} {peers}" for name in ("main", "tfio")]
    assert lines[-2:] == ran
    assert slow()[1] == ran
    with open(tmp_path / "checkout" / "pyproject.toml", "a") as file:
        file.write("# changed\n")
    assert [line for line in slow()[1] if line.startswith("venv")] == ["venv main", "venv peers", "venv tfio"]
    assert slow()[1] == ran


def test_an_environment_that_could_not_be_made_is_made_again(slow):
    ended, lines = slow(BROKEN="dm-sonnet")
    assert ended.returncode == 1 and not any(line.startswith("pytest") for line in lines)
    ended, lines = slow()
    assert ended.returncode == 0 and [line for line in lines if line.startswith("venv")] == ["venv peers", "venv tfio"]


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"FOUND_main": FAILED, "STATUS_main": "1"}, "slow: 1 passed, 1 failed, 0 skipped"),
        ({"FOUND_tfio": FAILED, "STATUS_tfio": "1"}, "slow: 1 passed, 1 failed, 0 skipped"),
        ({"STATUS_main": "3"}, "slow: 2 passed, 0 failed, 0 skipped; the tests did not end in: main"),
        ({"FOUND_tfio": "", "STATUS_tfio": "5"}, "slow: 2 passed, 0 failed, 0 skipped; the tests did not end in: tfio"),
    ],
)
def test_what_went_wrong_is_in_the_last_line_and_in_the_status(slow, variables, line):
    ended, _ = slow(**variables)
    assert ended.stdout.splitlines()[-1] == line and ended.returncode == 1


def test_environments_for_tests_by_hand(slow, tmp_path):
    ended, lines = slow("--environments")
    assert ended.returncode == 0 and not any(line.startswith("pytest") for line in lines)
    command = ended.stdout + '\nenv | grep "^VQZOO_[MP].*_PYTHON\\|^PYTHONPATH"'
    found = subprocess.run(["bash", "-c", command], env={}, capture_output=True, text=True).stdout.splitlines()
    cache = tmp_path / "a cache"
    assert sorted(found) == [
        f"PYTHONPATH={tmp_path / 'checkout'}",
        f"VQZOO_MAIN_PYTHON={cache}/main/bin/python",
        f"VQZOO_PEERS_PYTHON={cache}/peers/bin/python",
    ]


def test_other_arguments_are_refused(slow):
    ended, lines = slow("tests/ops")
    assert (ended.returncode, ended.stderr, lines) == (2, "usage: .ci/slow [--environments]\n", [])


def test_without_a_python_that_fits_it_says_so(slow, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("python3", "python3.12", "python3.11"):
        (folder / name).write_text("#!/bin/sh\nexit 1\n")
        (folder / name).chmod(0o755)
    ended, _ = slow(PYTHON="no-such-python", PATH=f"{folder}:{os.environ['PATH']}")
    message = ".ci/slow needs Python 3.11 or 3.12: name one by PYTHON=...\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", message)


def marks():
    """Yields (file, arguments) of every marker `environment` in the tests."""
    for file in (ROOT / "tests").rglob("test_*.py"):
        for arguments in re.findall(r"mark\.environment\((.*?)\)", file.read_text()):
            yield file, re.findall(r'"(\w+)"', arguments)


def test_every_environment_that_a_test_names_is_made():
    made = set(re.findall(r"^make (\w+) ", SLOW.read_text(), re.MULTILINE))
    named = {arguments[0] for _, arguments in marks() if arguments}
    assert named == made == {"main", "peers", "tfio"}


def test_only_the_marker_asks_for_what_is_not_installed():
    """A test that skips itself is never run where its environment is, and nobody is told."""
    allowed = {'importorskip("resource")'}  # of the standard library, and not on Windows
    for file in (ROOT / "tests").rglob("*.py"):
        if file == pathlib.Path(__file__):
            continue
        source = file.read_text()
        assert set(re.findall(r"importorskip\(.*?\)", source)) <= allowed, file
        assert not re.search(r"skipif\(.*(find_spec|environ)", source), file


def is_slow(function):
    return any("mark.slow" in ast.unparse(decorator) for decorator in function.decorator_list)


def waited_for(source):
    """Yields the words that the slow tests of a file look for in what a program wrote."""
    if "mark.slow" not in source:
        return
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef) and is_slow(function):
            for node in ast.walk(function):
                if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In):
                    words = node.left
                elif isinstance(node, ast.keyword) and node.arg == "match":
                    words = node.value
                elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".startswith"):
                    words = node.args[0]
                else:
                    continue
                if isinstance(words, ast.Constant) and isinstance(words.value, str):
                    # The literal parts of a pattern: what stands between them is put in by the program.
                    parts = re.split(r"\.[*+]|\\.|[()|^$]", words.value)
                    yield from (part for part in parts if re.search("[A-Za-z] [A-Za-z]", part))


def test_the_words_that_slow_tests_wait_for_are_the_programs():
    """Whoever changes words runs the quick tests, and is told here of the slow ones."""
    assert list(waited_for('@pytest.mark.slow\ndef test():\n    assert "no such words" in told')) == ["no such words"]
    programs = "".join(
        node.value
        for folder in ("vqzoo", "recipes")
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    for file in (ROOT / "tests").rglob("test_*.py"):
        for words in waited_for(file.read_text()):
            assert words in programs, (file.name, words)


class Item:
    def __init__(self, *arguments):
        self.arguments = arguments

    def iter_markers(self, name):
        assert name == "environment"
        yield getattr(pytest.mark, name)(*self.arguments).mark


@pytest.mark.parametrize(
    ("arguments", "peers", "reason"),
    [
        (("peers",), "", r"needs the environment peers of .ci/slow: no \$VQZOO_PEERS_PYTHON$"),
        (("peers",), "/some/python", None),
        (("main", "xml"), "", None),
        (
            ("main", "xml", "no_such_a", "no_such_b"),
            "",
            "needs the environment main of .ci/slow: no no_such_a, no_such_b$",
        ),
    ],
)
def test_what_lacks_its_environment_is_skipped_with_its_name(arguments, peers, reason, request, monkeypatch):
    monkeypatch.setenv("VQZOO_PEERS_PYTHON", peers)
    hooks = request.config.pluginmanager.get_plugin(str(ROOT / "tests" / "conftest.py"))
    if reason is None:
        hooks.pytest_runtest_setup(Item(*arguments))
        return
    with pytest.raises(pytest.skip.Exception, match=reason):
        hooks.pytest_runtest_setup(Item(*arguments))
