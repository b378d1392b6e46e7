import pytest

from vqzoo.data import read_dialogues

TABLES = {
    "turns": ("conversation\ttext\n1\tHi!\n2\tYes?\n1\tHello  you.\n1\t\n1\tBye.\n", [["Hi!", "Hello you.", "Bye."]]),
    "exchanges": ("prompt\treply\nHi!\tHello!\nWho?\tMe.\n", [["Hi!", "Hello!"], ["Who?", "Me."]]),
    "any two columns": ("q\ta\tnote\nHi!\tHello!\tx\n", [["Hi!", "Hello!"]]),
    "exchanges of conversations": (
        "conversation\tturn\tprompt\treply\n1\t0\ta\tb\n2\t0\tx\ty\n1\t1\tb\tc\n1\t3\td\te\n1\t4\te\tf\n",
        [["a", "b", "c"], ["x", "y"], ["d", "e", "f"]],
    ),
    "a turn in between is missing": (
        "conversation\tprompt\treply\n1\ta\tb\n1\tb\tc\n1\tz\tq\n",
        [["a", "b", "c"], ["z", "q"]],
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_every_kind(name, tmp_path):
    text, expected = TABLES[name]
    (tmp_path / "talk.tsv").write_text(text)
    dialogues = read_dialogues(tmp_path / "talk.tsv")
    assert dialogues.conversations == expected
    assert list(dialogues.skipped.values()) == (["a turn without text"] if name == "turns" else [])


def test_json_lines_and_numbers(tmp_path):
    (tmp_path / "talk.jsonl").write_text('{"conversation": 7, "text": "a"}\n{"conversation": 7, "text": "b"}\n')
    assert read_dialogues(tmp_path / "talk.jsonl").conversations == [["a", "b"]]


@pytest.mark.parametrize("text", ["conversation\ttext\n1\ta\n2\tb\n", "prompt\treply\na\t\n", "text\na\n", ""])
def test_what_is_no_conversation_is_refused(text, tmp_path):
    (tmp_path / "talk.tsv").write_text(text)
    with pytest.raises(ValueError, match="has no conversation of two turns"):
        read_dialogues(tmp_path / "talk.tsv")
