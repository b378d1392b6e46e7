"""The verbs `translate` and `chat`, and what they are made of."""

import io
import json
import types

import numpy as np
import pytest

import vqzoo
from vqzoo.cli.main import main
from vqzoo.data import Pieces
from vqzoo.generation import Chat
from vqzoo.generation import Generator
from vqzoo.generation import TextPart
from vqzoo.generation import translate
from vqzoo.generation.text.chat import history_text
from vqzoo.generation.text.translate import parts_of
from vqzoo.networks import Transformer
from vqzoo.priors import TokenSpace

TEXTS = ["the old house by the sea.", "a cat and a dog. the end of it"]


@pytest.fixture(scope="module")
def pieces():
    return Pieces.train(TEXTS, 290, exact=False)


@pytest.fixture(scope="module")
def preset(pieces, tmp_path_factory):
    space = TokenSpace({"source": pieces.size, "text": pieces.size})
    transformer = Transformer(1, 2, causal=True, cross_attention=True)
    prior = vqzoo.AutoregressivePrior(space, transformer, "text", 8)
    prior.build_now()
    generator = Generator(prior, TextPart("text", pieces), TextPart("source", pieces, length=32))
    folder = tmp_path_factory.mktemp("text") / "writer"
    generator.save_to_preset(folder, metadata={"modality": "text", "history": 3})
    return folder


@pytest.fixture
def shouting(monkeypatch):
    """Every generator of texts answers in capitals; gives the batches that it was asked."""
    asked = []

    def generate(self, count, condition, **options):
        asked.append(list(condition))
        return [text.upper() for text in condition]

    monkeypatch.setattr(Generator, "generate", generate)
    return asked


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a cat", ["a cat"]),
        ("a cat. the old house. the sea", ["a cat.", "the old house.", "the sea"]),
        ("the cat and the dog and the cat, by the sea and the house", None),
        ("", [""]),
    ],
)
def test_a_long_text_is_read_in_parts_that_fit(pieces, text, expected):
    part = TextPart("source", pieces, length=14)
    parts = parts_of(part, text)
    assert expected is None or parts == expected
    assert " ".join(parts) == text and all(part.count(some) <= 14 for some in parts)


def test_a_word_that_is_too_long_is_refused(pieces):
    with pytest.raises(ValueError, match="has 11 pieces at most"):
        parts_of(TextPart("source", pieces, length=12), "the " + "x" * 40)


def test_texts_are_translated_once_and_in_their_order(preset, shouting):
    generator = Generator.from_preset(preset)
    texts = ["a cat", "", "the sea", " - ", "a cat", "a cat and a dog. the old house."]
    expected = ["A CAT", "", "THE SEA", " - ", "A CAT", "A CAT AND A DOG. THE OLD HOUSE."]
    assert translate(generator, texts, batch_size=2) == expected
    assert sum(shouting, []) == sorted({"a cat", "the sea", texts[-1]}, key=len) and len(shouting[0]) == 2
    assert translate(generator, "a cat") == "A CAT" and translate(generator, []) == []


def test_a_prior_of_other_things_is_refused(pieces, make_images):
    with pytest.raises(ValueError, match="`translate` needs a prior .* Received: one that generates 'image'"):
        translate(make_images, ["a"])
    with pytest.raises(ValueError, match="A chat needs a prior"):
        Chat(make_images)


@pytest.fixture
def make_images():
    quantizer = vqzoo.VectorQuantizer(8)
    tokenizer = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=2, quantizer=quantizer)
    tokenizer.build((None, 8, 8, 3))
    prior = vqzoo.AutoregressivePrior(TokenSpace({"image": 8}), Transformer(1, 2, causal=True), "image", 8, (2, 2))
    return Generator(prior, tokenizer)


CONTENT = "\ufeffa cat\r\n\r\n  the sea\n\n***\nthe old house"
TRANSLATED = "A CAT\r\n\r\n  THE SEA\n\n***\nTHE OLD HOUSE"


def test_blank_lines_indents_and_line_ends_stay(preset, shouting, tmp_path, capsysbinary, monkeypatch):
    letter = tmp_path / "letter.txt"
    letter.write_bytes(CONTENT.encode())
    assert main(["translate", str(preset), str(letter), "--out", str(tmp_path / "out.txt")]) == 0
    assert (tmp_path / "out.txt").read_bytes() == TRANSLATED.encode()
    capsysbinary.readouterr()
    assert main(["translate", str(preset), str(letter)]) == 0
    assert capsysbinary.readouterr().out == TRANSLATED.encode()
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(closed=False, buffer=io.BytesIO(CONTENT.encode())))
    assert main(["translate", str(preset)]) == 0
    assert capsysbinary.readouterr().out == TRANSLATED.encode()


def test_a_bad_file_ends_no_batch(preset, shouting, tmp_path, capsys):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("a cat\n")
    (folder / "bad.txt").write_bytes("más\n".encode("latin-1"))
    (folder / "sub" / "b.txt").write_text("")
    assert main(["translate", str(preset), str(folder), "--out", str(tmp_path / "out"), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["done"] == 2 and "UTF-8" in document["failed"][str(folder / "bad.txt")]
    assert (tmp_path / "out" / "a.txt").read_text() == "A CAT\n" and (tmp_path / "out/sub/b.txt").read_text() == ""
    assert not (tmp_path / "out" / "bad.txt").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["a.txt", "b.txt"], "--out DIR is the folder for the translations"),
        (["-", "b.txt"], "The path - is standard input"),
        (["a.txt", "--json"], "writes the result to standard output"),
        (["-", "--out", "new.txt", "--json"], "writes the result to standard output"),
        (["-", "--out", "there.txt"], "is there already"),
        (["a.txt", "--out", "there.txt"], "is there already"),
        (["nothing.txt"], "'nothing.txt' does not exist. Check its name."),
        (["nothing"], "'nothing' does not exist. Check its name."),
    ],
)
def test_wrong_commands_are_refused(preset, arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "b.txt", "there.txt"):
        (tmp_path / name).write_text("a cat\n")
    with pytest.raises(SystemExit):
        main(["translate", str(preset), *arguments])
    assert message in capsys.readouterr().err


# === Chat ===
def test_a_reply_sees_the_last_turns_that_fit(preset, shouting):
    chat = Chat(preset)
    assert chat.history == 3
    for text in ("a cat", "the sea"):
        chat.reply(text)
    assert shouting == [["a cat"], ["a cat\nA CAT\nthe sea"]]
    assert chat.turns[0] == "a cat" and len(chat.turns) == 4
    chat.reset()
    assert chat.turns == []
    with pytest.raises(ValueError, match="A turn is a text that says something"):
        chat.reply("  ")
    with pytest.raises(ValueError, match="`history` is a number of turns"):
        Chat(preset, history=0)


def test_earlier_turns_are_left_out_until_it_fits():
    turns = ["one", "two  words", "three"]
    assert history_text(turns, 5) == "one\ntwo words\nthree"
    assert history_text(turns, 5, lambda text: len(text) < 12) == "three"
    assert history_text(turns, 5, lambda text: False) == "three"


def test_a_line_is_a_turn(preset, shouting, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"a cat\n\n{'y' * 60}\n/reset\nthe sea\n/quit\na dog\n"))
    assert main(["chat", str(preset), "--json"]) == 1
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [document["text"] for document in documents] == ["a cat", "y" * 60, "the sea"]
    assert documents[0]["reply"] == "A CAT" and "reply" not in documents[1] and documents[2]["reply"] == "THE SEA"


def test_the_same_turns_get_the_same_replies(preset):
    options = {"length": 6, "temperature": 1.0}
    replies = [[chat.reply(text, **options) for text in ("a cat", "a dog")] for chat in (Chat(preset), Chat(preset))]
    assert replies[0] == replies[1] and np.all([isinstance(reply, str) for reply in replies[0]])
