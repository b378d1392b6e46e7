"""How far a verb is: nothing of a quick one, lines of a slow one, a bar on a terminal."""

import os
import pty
import re
import subprocess
import sys
import threading
import time

import pytest

from vqzoo.cli import progress
from vqzoo.cli.batch import FileRun
from vqzoo.cli.progress import Progress
from vqzoo.data.files import FileList


def test_a_quick_one_writes_nothing(capsys):
    with Progress("files", 2) as shown:
        shown.advance()
        shown.advance(failed=True)
    assert capsys.readouterr() == ("", "") and (shown.done, shown.failed) == (2, 1)


def test_a_slow_one_writes_lines_to_standard_error(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS", 0.05)
    with Progress("files", 4) as shown:
        shown.advance()
        time.sleep(0.5)
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) >= 2
    assert all(re.match(r"1 of 4 files, \d+ s, about ", line) for line in err.splitlines())


def test_no_line_comes_after_the_end(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS", 0.01)
    before = threading.active_count()
    with pytest.raises(ValueError), Progress("measuring"):
        raise ValueError
    assert threading.active_count() == before
    capsys.readouterr()
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("done", "failed", "total", "seconds", "line"),
    [
        (0, 0, 9, 10.4, "0 of 9 files, 10 s"),
        (3, 1, 9, 90, "3 of 9 files, 1 failed, 1.5 min, about 3 min left"),
        (9, 0, 9, 7200, "9 of 9 files, 2 h"),
        (1, 0, 100, 3600, "1 of 100 files, 1 h, about 99 h left"),
    ],
)
def test_the_line_is_of_what_is_done(done, failed, total, seconds, line):
    shown = Progress("files", total)
    shown.done, shown.failed = done, failed
    assert shown.line(seconds) == line


def test_closed_standard_error_is_no_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(progress, "SECONDS", 0.01)
    with Progress("measuring"):
        time.sleep(0.05)


CODE = """
from vqzoo.cli.progress import Progress
import time
with Progress("files", 2) as shown:
    shown.advance()
    time.sleep(0.3)
print("the result")
"""


def test_a_terminal_shows_a_bar_and_standard_output_has_the_result_alone():
    main, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    ended = subprocess.run([sys.executable, "-c", CODE], stdout=subprocess.PIPE, stderr=terminal, env=environment)
    os.close(terminal)
    shown = os.read(main, 2**16).decode()
    os.close(main)
    assert ended.returncode == 0 and ended.stdout == b"the result\n"
    assert "files" in shown and "1/2" in shown and "━" in shown


def test_the_summary_names_what_was_done_failed_and_ignored(capsys):
    files = FileList(["a.png", "b.png"], {".txt": 2, "no ending": 1})
    with FileRun(files, as_json=False) as run:
        run.succeeded("a.png")
        run.succeeded("b.png")
    assert run.conclude("encoded") == 0
    assert capsys.readouterr() == ("encoded 2 files, ignored 2 .txt, 1 no ending\n", "")
    with FileRun(files, as_json=False) as run:
        run.succeeded("a.png")
        run.failed("b.png", "it is empty")
    assert run.conclude("encoded") == 1
    line = "encoded 1 file, 1 failed, ignored 2 .txt, 1 no ending:\n  b.png: it is empty\n"
    assert capsys.readouterr() == ("", line)
