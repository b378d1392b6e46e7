"""The tables about the order of the code are printed from their data, and its measures count what they say."""

import json
import shutil
import subprocess
import sys

import pytest


@pytest.fixture
def data(house):
    return json.loads(house.DATA.read_text(encoding="utf-8"))


def tables_of(text):
    """The tables in a Markdown text, lists of lines."""
    found, last = [], ""
    for line in text.splitlines():
        if line.startswith("|"):
            if not last.startswith("|"):
                found.append([])
            found[-1].append(line)
        last = line
    return found


def test_every_table_is_printed_from_the_data_alone(house, data, capsys, monkeypatch):
    written = house.DATA.read_bytes()
    monkeypatch.setattr(sys, "argv", ["house.py"])
    monkeypatch.setattr(house, "measure", None)
    house.main()
    text = capsys.readouterr().out
    assert text == house.report(data) + "\n" and house.DATA.read_bytes() == written
    parts = text.split("\n## ")
    assert [part.partition("\n")[0] for part in parts[1:]] == list(house.TABLES)
    for part in parts[1:]:
        assert tables_of(part), part
        for table in tables_of(part):
            assert len(table) > 2 and len({line.count(" | ") for line in table}) == 1, table


def test_both_states_have_the_same_measures(data):
    assert set(data["before"]) == set(data["after"])
    assert data["before"]["commit"] != data["after"]["commit"]


def test_what_the_suite_took_is_kept(house, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(house, "DATA", tmp_path / "house.json")
    shutil.copy(house.STARTUP.with_name("house.json"), house.DATA)
    monkeypatch.setattr(sys, "argv", ["house.py", "--suite", "5000", "470.4", "2.25"])
    house.main()
    assert json.loads(house.DATA.read_text())["after"]["suite"] == {"passed": 5000, "seconds": 470, "worker_gb": 2.25}
    assert "| 5000 |\n| seconds ↓ |" in capsys.readouterr().out


def test_folders_have_their_own_files_and_lines(house):
    files = {"a/__init__.py": "1\n2\n", "a/x.py": "1\n", "a/b/y.py": "1\n2\n3\n", "a/b/z.py": ""}
    assert house.folders(files) == {"a": [1, 3], "a/b": [2, 3]}


def test_a_function_is_measured_behind_its_docstring(house):
    files = {"x.py": 'def most():\n    """It\n    is."""\n' + 60 * "    x = 1\n" + "def more():\n" + 61 * "    x = 1\n"}
    assert house.long_functions(files) == {"x.py:more": 61}


def test_a_file_about_one_modality_is_found_by_its_identifiers(house):
    audio = "def play(sounds, waveform): return stft(sounds, waveform)\n"
    files = {
        "a/play.py": audio,
        "a/audio/play.py": audio,
        "a/few.py": "def play(sounds): return sounds\n",
        "a/all.py": audio + "def show(images): return images\n",
        "a/strings.py": "text = path.read_text() + text + text + text + text\n",
    }
    assert house.unnamed(files) == {"a/play.py": "audio"}


def test_places_that_ask_for_a_modality_are_found(house):
    files = {
        "a.py": 'if x.modality == "text" or found.get("modality") in ("image", "audio"):\n    pass\nx.kind == "text"\n',
        "b.py": 'A = {"image": 1, "audio": 2}\nB = dict(audio=1, text=2)\nC = {"text": 1}\n',
    }
    assert house.branches(files) == [
        "a.py:1 found.get('modality') in ('image', 'audio')",
        "a.py:1 x.modality == 'text'",
    ]
    assert house.tables(files) == ["b.py:1 image, audio", "b.py:2 audio, text"]


def test_classes_that_each_modality_has_are_found(house):
    files = {
        "a.py": "class ImageRun: pass\nclass TextRun: pass\n",
        "b.py": "class SoundRun: pass\nclass TextPart: pass\n",
    }
    families = {"run": ["a.py ImageRun", "a.py TextRun", "b.py SoundRun"]}
    assert house.families(files) == families
    state = {"branches": ["image/c.py:1 x"], "tables": ["d.py:2 image, text"], "families": families}
    assert house.existing(state) == ["a.py", "d.py"]


TOY = """
import sys
from vqzoo.other import twice
class Thing:
    def step(self):
        return [twice(x) for x in range(3)]
def main():
    Thing().step()
    return sorted([2, 1], key=lambda x: x)
main()
open("words", "w").write(" ".join(sys.argv[1:]))
sys.exit(0)
"""


def test_calls_of_functions_are_counted(house, tmp_path):
    for name, text in {"__init__": "", "other": "def twice(x):\n    return 2 * x\n", "__main__": TOY}.items():
        (tmp_path / "vqzoo").mkdir(exist_ok=True)
        (tmp_path / "vqzoo" / f"{name}.py").write_text(text)
    command = [sys.executable, str(house.CALLS), str(tmp_path), str(tmp_path / "counts.json"), "encode", "x"]
    subprocess.run(command, check=True, cwd=tmp_path)
    assert (tmp_path / "words").read_text() == "encode x"
    assert json.loads((tmp_path / "counts.json").read_text()) == {"calls": 5, "functions": 3, "files": 2}
