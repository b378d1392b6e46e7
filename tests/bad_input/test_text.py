"""Text as it comes, files of it, models of pieces and word vectors, damaged and hostile: what each one does."""

import bz2
import gzip
import io
import lzma
import os
import struct
import time
import zipfile

import numpy as np
import pytest

from vqzoo.data import Pieces
from vqzoo.data import SentenceBatches
from vqzoo.data import load_vectors
from vqzoo.data import read_sentences

CORPUS = [
    "The cat sat on the mat, and the dog sat on the cat.",
    "A dog and a cat were in the house; the house was old.",
    "In the old house there was a mat, a cat and a dog.",
]
WHOLE = {
    "empty": "",
    "NUL": "\0",
    "NUL within": "a\0b\0",
    "space": " ",
    "spaces at both ends and double": "  the  cat ",
    "tabs and line ends": "\ta\r\nb\n\n\x0b\x0c\x85\u2028",
    "no-break and wide spaces": "a\u00a0b\u3000c\u200b",
    "byte order mark": "\ufeffthe cat",
    "space mark of sentencepiece": "\u2581the\u2581\u2581cat \u2581",
    "names of pieces": "<unk></s><s><0x0A> the",
    "unknown mark": " \u2047 ",
    "replacement character": "\ufffd",
    "emoji": "😀👩‍👩‍👧‍👦🏳️‍🌈👍🏿🇺🇳",
    "right to left": "שלום \u202eعالم\u202c abc",
    "combining marks": "e\u0301e\u0323\u0301 Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L",
    "not normalised": "ﬁ Å Å Å ½ ｆｕｌｌ",
    "Chinese": "猫坐在垫子上。",
    "noncharacters": "\ufdd0\ufdef\ufffe\uffff\U0001ffff",
    "private use": "\ue000\U000f0000\U0010ffff",
    "last of each length": "\x7f\u07ff\uffff\U0010ffff",
    "only signs": "!?.,;:-()[]{}\"'`~@#$%^&*_+=|\\/<>",
    "control characters": "".join(map(chr, range(32))) + "\x7f\x80\x9f",
    "Windows path": "C:\\Users\\cat\\n",
    "one long word": "cat" * 3000,
}


@pytest.fixture(scope="module")
def pieces():
    return Pieces.train(CORPUS, size=290)


@pytest.mark.parametrize("name", WHOLE)
def test_text_comes_back_whole(name, pieces):
    text = WHOLE[name]
    (row,) = pieces.encode([text])
    assert row[-1] == pieces.end and (row[:-1] != pieces.end).all()
    assert pieces.decode([row]) == [text]
    assert pieces.decode(pieces.pad([row], 8)) == [text]


def test_a_batch_of_all_is_each_alone(pieces):
    texts = list(WHOLE.values())
    for row, text in zip(pieces.encode(texts), texts, strict=True):
        np.testing.assert_array_equal(row, pieces.encode([text])[0])
    assert pieces.decode(pieces.pad(pieces.encode(texts))) == texts


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\udcff the cat", "\ud83d\ude00"])
def test_lone_surrogates_become_the_replacement_character(text, pieces):
    expected = "".join("\ufffd" if 0xD800 <= ord(letter) < 0xE000 else letter for letter in text)
    assert pieces.decode(pieces.encode([text])) == [expected]


MEGABYTES = {
    "words": "the cat sat on " * 70_000,
    "one letter": "a" * 2**20,
    "no piece but bytes": "猫" * (2**20 // 3),
    "spaces": " " * 2**20,
    "NUL": "\0" * 2**20,
    "space marks": "\u2581" * (2**20 // 3),
}


@pytest.mark.parametrize("name", MEGABYTES)
def test_a_line_of_a_megabyte_takes_seconds_and_little_memory(name, pieces, little_memory):
    text = MEGABYTES[name]
    start = time.process_time()
    with little_memory():
        (row,) = pieces.encode([text])
        assert pieces.decode([row]) == [text]
    assert time.process_time() - start < 5


def test_pieces_are_learnt_from_anything():
    hostile = [*WHOLE.values(), *(text[:50_000] for text in MEGABYTES.values()), "\ud800", *CORPUS * 20]
    start = time.process_time()
    pieces = Pieces.train(hostile, size=400, exact=False)
    assert time.process_time() - start < 30
    texts = [*WHOLE.values(), "something else"]
    assert pieces.decode(pieces.encode(texts)) == texts


def test_batches_of_anything(pieces):
    texts = [*WHOLE.values(), "\ud800", MEGABYTES["words"]]
    batches = SentenceBatches(texts, pieces, len(texts), 16)
    for step in range(3):
        batch = batches.batch(step)
        assert batch.shape == (len(texts), 16) and 0 <= batch.min() <= batch.max() < pieces.size
        pieces.decode(batch)


# === Files of sentences ===

# name: (content, what read_sentences says)
BAD_FILES = {
    "empty": (b"", "There is no sentence in"),
    "line ends alone": (b"\n\r\n  \n", "There is no sentence in"),
    "byte order mark alone": (b"\xef\xbb\xbf", "There is no sentence in"),
    "Latin-1": (
        b"the cat\n\nun caf\xe9 noir\n",
        "Line 3 of .*: byte 7 of the line, 0xe9, is not UTF-8. .*such as CP1252 .*iconv -f ENCODING -t UTF-8",
    ),
    "cut in a character": ("the cat ä".encode()[:-1], "Line 1 of .*: byte 9 of the line, 0xc3, is not UTF-8"),
    "surrogate": (b"a\n\xed\xa0\x80", "Line 2 of .*0xed, is not UTF-8"),
    "longer than needed": (b"\xc0\xaf", "Line 1 of .*0xc0"),
    "UTF-16": ("the cat".encode("utf-16"), "Line 1 of .*it is UTF-16, by its.*iconv -f UTF-16 -t UTF-8 '.*bad f"),
    "UTF-16 without a mark": ("the\ncat".encode("utf-16-le"), "it is UTF-16 without a byte.*-f UTF-16LE "),
    "UTF-16, the other way": ("the\ncat".encode("utf-16-be"), "it is UTF-16 without a byte.*-f UTF-16BE "),
    "UTF-16 of the other way": (b"\xfe\xff" + "the".encode("utf-16-be"), "it is UTF-16, by its.*-f UTF-16 "),
    "UTF-32": ("the cat".encode("utf-32"), "it is UTF-32, by its first bytes.*iconv -f UTF-32 "),
    "Shift-JIS": ("\u65e5\u672c\u8a9e".encode("shift-jis"), "0x93, is not UTF-8.*-f ENCODING "),
    "UTF-16, one line": ("größe".encode("utf-16-le"), "it is UTF-16 without a byte.*-f UTF-16LE "),
    "UTF-16, one line, the other way": ("größe 日\r\n".encode("utf-16-be"), "without a byte.*-f UTF-16BE "),
    **{
        f"zeros {content!r}": (
            content,
            rf"Line {line} of .*: it holds zero bytes, so it is not text\. Leave .* out, or",
        )
        for content, line in [
            *((b"a\0b\n", 1), (b"a\0", 1), (b"\0", 1), (b"\0\n", 1), (b"a\0b\0\0c\n", 1), (b"the cat\nthe\0dog", 2)),
            *((bytes(100), 1), (b"one\0two\0three\0four\n", 1), (b"a\nb\0c\0", 2), ("the".encode("utf-32-le"), 1)),
        ]
    },
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(99), "Line 1 of"),
    "gzip": (gzip.compress(b"the cat"), "is compressed, by gzip. Unpack it: gzip -dc < '.*bad file.txt' > new.txt"),
    "bzip2": (bz2.compress(b"the cat"), "is compressed, by bzip2. Unpack it: bzip2 -dc < "),
    "xz": (lzma.compress(b"the cat"), "is compressed, by xz. Unpack it: xz -dc < "),
    "a byte more than a line has": (b"a" * (2**20 + 1), "Line 1 of .* has more than 1048576 bytes"),
    "a byte more, and an end": (b"a\n" + b"a" * (2**20 + 1) + b"\r\n", "Line 2 of .* has more than 1048576 bytes"),
    "a mark in between": (b"the cat\n\xff\xfe", "Line 2 of .*byte 1 of the line, 0xff, is not UTF-8"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_named_with_the_line(name, tmp_path):
    content, message = BAD_FILES[name]
    path = tmp_path / "bad file.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"(?s){message}") as told:
        read_sentences([path])
    assert "bad file.txt" in str(told.value)


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"a\n", b"\xef\xbb\xbfa\r\n"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r\nb"])
def test_a_line_has_as_many_bytes_as_it_says_whatever_is_around(start, end, tmp_path):
    (tmp_path / "a.txt").write_bytes(start + b"x" * 2**20 + end)
    assert "x" * 2**20 in read_sentences([tmp_path / "a.txt"])


def test_missing_files_folders_and_forbidden_files(tmp_path):
    with pytest.raises(ValueError, match=r"Cannot read the text file .*no\.txt: No such file"):
        read_sentences([tmp_path / "no.txt"])
    with pytest.raises(ValueError, match="Cannot read the text file .*: Is a directory"):
        read_sentences([tmp_path])
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "a.txt").chmod(0)
    if os.geteuid():
        with pytest.raises(ValueError, match="Permission denied"):
            read_sentences([tmp_path / "a.txt"])


def test_a_huge_file_is_not_read_whole(tmp_path, little_memory):
    path = tmp_path / "huge.txt"
    with open(path, "wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    with little_memory():
        with pytest.raises(ValueError, match="longer than max_bytes=1000000, with 1099511627776 bytes in 1 files from"):
            read_sentences([path], max_bytes=10**6)
        with pytest.raises(ValueError, match="Line 1 of .* has more than 1048576 bytes. A line is one sentence: break"):
            read_sentences([path], max_bytes=2**41)


# === Models of pieces ===


def test_damaged_models_are_refused(pieces):
    model = pieces.model
    for content in (b"", b"garbage" * 99, bytes(999), model[: len(model) // 2], model[:-1], model + b"abc"):
        with pytest.raises(
            ValueError, match=f"These {len(content)} bytes are not a whole sentencepiece model .*Copy the"
        ):
            Pieces(content)


@pytest.mark.parametrize("seed", range(3))
def test_damaged_bytes_end_in_a_value_error_or_in_pieces(seed, pieces):
    rng = np.random.default_rng(seed)
    content = np.frombuffer(pieces.model, np.uint8)
    for _ in range(200):
        damaged = content.copy()
        places = rng.integers(0, len(content), rng.choice([1, 4, 40]))
        damaged[places] = rng.integers(0, 256, len(places))
        try:
            other = Pieces(damaged.tobytes())
        except ValueError as error:
            assert "sentencepiece model" in str(error)
        else:
            other.decode(other.encode(CORPUS))


def number(value):
    """A number as protocol buffers write it."""
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + number(value >> 7)


def field(key, content):
    return number(key << 3 | 2) + number(len(content)) + content


HOSTILE = {
    "endless piece": field(1, field(1, b"a" * 2**20) + b"\x15" + struct.pack("<f", -1.0)),
    "NUL in a piece": field(1, field(1, b"a\0b") + b"\x15" + struct.pack("<f", -1.0)),
    "normalisation by a wild table": field(3, field(2, struct.pack("<I", 1024) + b"\xff\xff\xff\x7f" * 256 + b"a\0")),
    "normalisation by nothing": field(3, field(2, b"\0\0\0\0")),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_models_are_refused(name, pieces):
    with pytest.raises(ValueError, match="not a whole sentencepiece model|changes text"):
        Pieces(pieces.model + HOSTILE[name])


# === Word vectors ===


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def bomb(shape):
    """An npz whose header claims `shape`, with eight bytes behind it."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("vectors.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.encode() + bytes(8))
        words = io.BytesIO()
        np.save(words, np.array(["a", "b"]))
        archive.writestr("words.npy", words.getvalue())
    return buffer.getvalue()


TWO, ROW = np.array(["a", "b"]), struct.pack("<2f", 1, 2)
# name: (content, what load_vectors says)
BAD_VECTORS = {
    "empty": (b"", "the file is empty"),
    "one word": (b"cat\n", "line 1 is not a word and its numbers"),
    "text": (b"To be or not to be\n", "line 1: could not convert string to float"),
    "a number too few": (b"the 1 2\ncat 1\n", "line 2 is not a word and 2 numbers, as line 1 is: it begins b'cat 1"),
    "a number too many": (b"the 1 2\n1 1 2 3\n", "line 2 is not a word and 2 numbers"),
    "empty line": (b"the 1 2\n\ncat 1 2\n", "line 2 is not a word and 2 numbers"),
    "no number": (b"the 1 2\ncat 1 x\n", "line 2: could not convert string to float: b'x'"),
    "NaN": (b"the 1 2\ncat 1 nan\n", "line 2 has numbers that are NaN, infinite or too large"),
    "infinity": (b"the 1 2\ncat inf 1\n", "line 2 has numbers that are NaN, infinite"),
    "too large": (b"the 1 2\ncat 1e39 1\n", "line 2 has numbers that are NaN, infinite or too large"),
    "endless line": (b"the " + b"1 " * 2**20, "line 1 is longer than 1048576 bytes"),
    "one header": (b"400000 50\n", "claims 400000 words of 50 numbers, for which it is too small"),
    "header of nothing": (b"0 0\n", "claims 0 words of 0 numbers"),
    "wild header": (b"999999999999999999 999999999999999999\nthe 1 2", "for which it is too small"),
    "endless header": (b"9" * 5000 + b" 9\nthe 1 2\n", "line 1 has a word of more than 4096 bytes"),
    "fewer words than told": (b"3 2\nthe 1 2\ncat 1 2\n", "claims 3 words, and it has 2"),
    "more words than told": (b"1 2\nthe 1 2\ncat 1 2\n", "claims 1 words, and it has 2"),
    "binary that breaks off": (b"2 2\na " + ROW + b"b " + ROW[:5], "claims 2 words of 2 numbers, and it ends earlier"),
    "binary without words": (b"2 2\n" + b"\xff" * 9999, "it breaks off at word 1 of 2, byte 4"),
    "binary with NaN": (
        b"2 2\na " + ROW + b"b " + struct.pack("<2f", 1, np.nan),
        "word 2, at byte 14, has numbers",
    ),
    "compressed": (gzip.compress(b"the 1 2\n"), "it is compressed. Unpack it first: gunzip"),
    "zip of a text": (b"PK\x03\x04" + bytes(99), "it is damaged, or holds Python objects"),
    "other arrays": (npz(a=TWO), "it has no arrays named words and vectors. It holds: a.npy"),
    "Python objects": (npz(words=np.array(["a", None]), vectors=np.ones((2, 2))), "holds Python objects"),
    "words that are numbers": (
        npz(words=np.arange(2), vectors=np.ones((2, 2))),
        r"must be an array .*int64 \(2,\)",
    ),
    "more words than vectors": (npz(words=TWO, vectors=np.ones((1, 2))), r"and float64 \(1, 2\)"),
    "whole numbers": (npz(words=TWO, vectors=np.ones((2, 2), int)), r"and int64 \(2, 2\)"),
    "no words": (npz(words=TWO[:0], vectors=np.ones((0, 2))), r"<U1 \(0,\) and float64 \(0, 2\)"),
    "NaN in an npz": (npz(words=TWO, vectors=np.array([[1.0, 2], [np.nan, 1]])), "word 2 has numbers that are NaN"),
    "too large in an npz": (npz(words=TWO, vectors=np.array([[1.0, 2], [1e39, 1]])), "word 2 has numbers that are NaN"),
    "npz that breaks off": (npz(words=TWO, vectors=np.ones((2, 2)))[:-50], "it is damaged"),
    "npz that claims too much": (bomb((2, 10**8)), "it is damaged"),
    "npz that claims far too much": (bomb((2, 10**14)), "it is damaged"),
}


@pytest.mark.parametrize("name", BAD_VECTORS)
def test_bad_vectors_are_named_with_a_reason(name, tmp_path, little_memory):
    content, message = BAD_VECTORS[name]
    path = tmp_path / "bad file"
    path.write_bytes(content)
    with (
        little_memory(),
        pytest.raises(ValueError, match=f"(?s)Cannot read the word vectors .*bad file: .*({message})"),
    ):
        load_vectors(path)


def test_no_file_of_vectors(tmp_path):
    with pytest.raises(ValueError, match="Cannot read the word vectors .*no.txt: No such file"):
        load_vectors(tmp_path / "no.txt")
    with pytest.raises(ValueError, match="Is a directory"):
        load_vectors(tmp_path)


@pytest.mark.parametrize("seed", range(2))
def test_damaged_vectors_end_in_a_value_error_or_in_numbers(seed, tmp_path):
    rng = np.random.default_rng(seed)
    text = b"the 0.5 -1.5\ncat 2 1e-3\n"
    for content in (text, b"2 2\n" + text, b"2 2\na " + ROW + b"b " + ROW, npz(words=TWO, vectors=np.ones((2, 2)))):
        for _ in range(100):
            damaged = np.frombuffer(content, np.uint8).copy()
            places = rng.integers(0, len(damaged), 3)
            damaged[places] = rng.integers(0, 256, 3)
            (tmp_path / "a").write_bytes(damaged.tobytes())
            try:
                words, vectors = load_vectors(tmp_path / "a")
            except ValueError as error:
                assert "Cannot read the word vectors" in str(error)
            else:
                assert len(words) == len(vectors) and np.isfinite(vectors).all()
