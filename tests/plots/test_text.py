import pytest

from vqzoo.plots import save_sentences
from vqzoo.trainers import Sentences


class Upper:
    """A tokenizer whose sentences come back in capitals."""

    def encode(self, texts):
        return texts

    def decode(self, tokens):
        return [text.upper() for text in tokens]


def test_the_words_that_differ_are_bold(tmp_path):
    originals = ["the cat sat on a mat", "same", "a|b *c*", "gone here", ""]
    again = ["the cap sits on a mat", "same", "a|b c", "gone", "new"]
    lines = save_sentences(tmp_path / "a.md", originals, again).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "1 of 5 sentences are exact."
    assert lines[4:] == [
        "| the **cat sat** on a mat | the **cap sits** on a mat |",
        "| same | same |",
        r"| a\|b **\*c\*** | a\|b **c** |",
        "| gone **here** | gone |",
        "|  | **new** |",
    ]


def test_lone_surrogates_and_line_breaks_stay_in_their_cells(tmp_path):
    lines = save_sentences(tmp_path / "a.md", ["a\nb"], ["a \udc00"]).read_text(encoding="utf-8").splitlines()
    assert lines[4:] == ["| a **b** | a **?** |"]


def test_as_many_reconstructions(tmp_path):
    with pytest.raises(ValueError, match="one reconstruction per sentence. Received: 2 sentences and 1 recon"):
        save_sentences(tmp_path / "a.md", ["a", "b"], ["a"])


def test_the_callback_takes_its_turns(tmp_path):
    callback = Sentences(tmp_path, Upper(), ["a B"], every=2)
    for epoch in range(4):
        callback.on_epoch_end(epoch)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch_0002.md", "epoch_0004.md"]
    assert "| **a** B | **A** B |" in (tmp_path / "epoch_0004.md").read_text()
    with pytest.raises(ValueError, match="`every` must be a number of epochs, at least 1. Received: every=0"):
        Sentences(tmp_path, Upper(), [], every=0)
