"""Files of sentences, and the split that follows from the sentences alone."""

import os

import pytest

from vqzoo.data import find_text
from vqzoo.data import read_sentences
from vqzoo.data import split_sentences
from vqzoo.data.text import corpus
from vqzoo.data.text.corpus import readable_sentences


def write(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def test_text_files_are_found(tmp_path):
    for name in ("b.txt", "a/c.TXT", "a/.hidden.txt", ".git/d.txt", "e.md"):
        write(tmp_path / name, b"A cat.\n")
    found = find_text(tmp_path)
    assert found == [tmp_path / "a/c.TXT", tmp_path / "b.txt"]
    assert find_text(str(found[1])) == found[1:]
    assert read_sentences(found) == ["A cat.", "A cat."]


def test_what_is_not_found(tmp_path):
    with pytest.raises(
        ValueError, match=r"does not exist. Looked for .txt: .*sample_sentences\(\), as recipes without --data do"
    ):
        find_text(tmp_path / "no")
    with pytest.raises(ValueError, match="is not a text file by its suffix"):
        find_text(write(tmp_path / "a.md", b""))
    with pytest.raises(ValueError, match="hold no text files"):
        find_text(tmp_path)


def test_lines_are_sentences(tmp_path):
    content = "\ufeffFirst.\r\n\n  Indented,  spaced. \n\t \r\nÄpfel \u2028 😀\nlast\rone".encode()
    expected = ["First.", "  Indented,  spaced. ", "Äpfel \u2028 😀", "last\rone"]
    assert read_sentences([write(tmp_path / "a.txt", content)]) == expected
    assert read_sentences([tmp_path / "a.txt", str(tmp_path / "a.txt")]) == expected * 2


def test_the_mark_is_one_at_the_beginning_of_a_file_only(tmp_path):
    file = write(tmp_path / "a.txt", "\ufeff\ufeffone\n\ufefftwo\n".encode())
    assert read_sentences([file]) == ["\ufeffone", "\ufefftwo"]


def test_there_is_a_limit_of_bytes(tmp_path):
    file = write(tmp_path / "a.txt", b"one\ntwo\nthree")
    assert read_sentences([file], max_bytes=13) == ["one", "two", "three"]
    with pytest.raises(
        ValueError, match=r"longer than max_bytes=12, with 13 bytes in 1 files from .*a\.txt on. Take fewer"
    ):
        read_sentences([file], max_bytes=12)
    with pytest.raises(ValueError, match="max_bytes=25, with 26 bytes in 2 files from"):
        read_sentences([file, file], max_bytes=25)


def test_nothing_is_read_of_what_is_too_long(tmp_path, monkeypatch):
    files = [write(tmp_path / f"{i}.txt", b"a\n" * 10) for i in range(3)]
    monkeypatch.setattr("builtins.open", lambda *_: pytest.fail("a file is read"))
    with pytest.raises(ValueError, match="max_bytes=59, with 60 bytes in 3 files from"):
        read_sentences(files, max_bytes=59)


def test_a_file_that_grows_ends_at_the_limit(tmp_path, monkeypatch):
    file = write(tmp_path / "a.txt", b"one\ntwo\nthree")
    monkeypatch.setattr(corpus, "_size_of", lambda path: 0)
    with pytest.raises(ValueError, match=r"max_bytes=7, at line 2 of .*a\.txt. Take fewer"):
        read_sentences([file], max_bytes=7)


def test_there_is_a_limit_of_sentences_and_of_each(tmp_path, monkeypatch):
    file = write(tmp_path / "a.txt", b"one\ntwo\n\nthree")
    longest = write(tmp_path / "b.txt", b"a" * (2**20 - 1) + b"\n" + "ä".encode() * 2**19)
    assert list(map(len, read_sentences([longest]))) == [2**20 - 1, 2**19]
    with pytest.raises(ValueError, match=r"Line 2 of .*c\.txt has more than 1048576 bytes. A line is one sentence: br"):
        read_sentences([file, write(tmp_path / "c.txt", b"a\n" + b"a" * (2**20 + 1))])
    monkeypatch.setattr(corpus, "MAX_SENTENCES", 5)
    with pytest.raises(ValueError, match=r"more than 5 sentences, in .*a\.txt. Take fewer files"):
        read_sentences([file, file])
    assert len(read_sentences([file])) == 3


def test_the_readable_ones_of_many_files_have_the_same_limits(tmp_path):
    files = [write(tmp_path / f"{i}.txt", b"a\n" * 10) for i in range(4)]
    write(files[1], b"a" * (2**20 + 1))
    write(files[2], b"\n \n")
    sentences, skipped = readable_sentences(files, max_bytes=2**20 + 30)
    assert len(sentences) == 20 and list(skipped) == files[1:3]
    assert "has more than 1048576 bytes" in skipped[files[1]] and "There is no sentence in" in skipped[files[2]]
    sentences, skipped = readable_sentences(files, max_bytes=25)
    assert len(sentences) == 10 and "max_bytes=25, with the 20 bytes of" in skipped[files[3]]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_never_ends_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    (tmp_path / "b.txt").symlink_to("/dev/zero")
    for name, kind in (("a.txt", "a named pipe"), ("b.txt", "a device")):
        with pytest.raises(ValueError, match=f"Cannot read the text file .*: not a regular file but {kind}"):
            read_sentences([tmp_path / name])


def test_no_files_and_no_sentences(tmp_path):
    with pytest.raises(ValueError, match=r"files must be a list of paths: find_text\('folder'\) makes one"):
        read_sentences("folder")
    with pytest.raises(ValueError, match=r"files is empty: .* text file, such as find_text\(folder\) lists"):
        read_sentences([])
    with pytest.raises(ValueError, match=r"There is no sentence in .*a\.txt or the files before it: all lines are"):
        read_sentences([write(tmp_path / "a.txt", b"\xef\xbb\xbf\n \r\n")])


# === The split ===

SENTENCES = [f"Sentence {number}." for number in range(1000)]


def test_each_sentence_is_on_one_side_by_its_text_alone():
    train, validation = split_sentences(SENTENCES, 0.1)
    assert 70 < len(validation) < 130
    assert sorted(train + validation) == sorted(SENTENCES)
    assert train == sorted(train, key=SENTENCES.index) and validation == sorted(validation, key=SENTENCES.index)
    fewer = split_sentences(SENTENCES[500:][::-1], 0.1)[1]
    assert fewer == [sentence for sentence in validation[::-1] if sentence in SENTENCES[500:]]
    assert set(split_sentences(SENTENCES, 0.05)[1]) < set(validation)
    assert split_sentences(SENTENCES, 0.1, seed=1)[1] != validation


def test_equal_sentences_are_on_one_side():
    train, validation = split_sentences(SENTENCES * 2, 0.1)
    assert not set(train) & set(validation)
    assert (train[: len(train) // 2], validation[: len(validation) // 2]) == split_sentences(SENTENCES, 0.1)


@pytest.mark.parametrize("share", [1e-9, 0.5, 1 - 1e-9])
def test_no_side_is_empty(share):
    for sentences in (["a", "b"], ["a", "a", "b"], ["a", "b", "c", "c"]):
        train, validation = split_sentences(sentences, share)
        assert train and validation and not set(train) & set(validation)


def test_one_sentence_is_on_both_sides():
    with pytest.warns(UserWarning, match="'a cat' is the only sentence: it trains and validates."):
        assert split_sentences(["a cat", "a cat"]) == (["a cat"] * 2, ["a cat"] * 2)


def test_texts_that_names_of_files_cannot_be():
    sentences = ["a/b", "c/b", "", "\ud800", "\udc80", "ä"]
    train, validation = split_sentences(sentences, 0.5)
    assert sorted(train + validation) == sorted(sentences)
    for side in (train, validation):
        assert side == [sentence for sentence in sentences if sentence in side]


def test_arguments_of_the_split_are_checked():
    with pytest.raises(ValueError, match="sentences is empty: give at least one"):
        split_sentences([])
    with pytest.raises(ValueError, match=r"Give a list of str. Received: one str, 'a cat'. Pass `.x.`"):
        split_sentences("a cat")
    for share in (0, 1, -0.5):
        with pytest.raises(ValueError, match="validation must be a fraction between 0 and 1, both excluded"):
            split_sentences(SENTENCES, share)
