"""What training reads like: sentences beside what comes back of them."""

import difflib

from vqzoo.files import atomic_path
from vqzoo.files import user_path
from vqzoo.trainers.samples import Samples


def save_sentences(path, originals, reconstructions):
    """Writes sentences beside their reconstructions, as a table of Markdown in which differing words are bold.

    Args:
        path: str or path of the file.
        originals: list of str.
        reconstructions: list of str, as many.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        ValueError: if they are not as many.

    Example:
    >>> import pathlib, tempfile
    >>> path = save_sentences(pathlib.Path(tempfile.mkdtemp(), "a.md"), ["The cat sat."], ["The cap sat."])
    >>> print(path.read_text().splitlines()[-1])
    | The **cat** sat. | The **cap** sat. |
    """
    if len(originals) != len(reconstructions):
        raise ValueError(
            f"There is one reconstruction for each sentence. Received: {len(originals)} sentences and "
            f"{len(reconstructions)} reconstructions."
        )
    exact = sum(one == other for one, other in zip(originals, reconstructions, strict=True))
    lines = [f"{exact} of {len(originals)} sentences are exact.", "", "| sentence | comes back as |", "|---|---|"]
    for pair in zip(originals, reconstructions, strict=True):
        lines.append("| " + " | ".join(_marked(*pair)) + " |")
    path = user_path(path)
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="replace")
    return path


class Sentences(Samples):
    """Writes the reconstructions of the same few sentences as training goes on: `epoch_0001.md`, ...

    Args:
        folder: str or path, made when missing.
        tokenizer: the `TextTokenizer` in training.
        signals: list of str.
        every: int, epochs from one file to the next. Defaults to 1.

    Raises:
        ValueError: if `every` is not positive.

    Example:
    >>> Sentences("run/sentences", None, ["The cat sat on the mat."], every=5).every
    5
    """

    suffix = ".md"

    def write(self, path):
        """Writes the table of sentences."""
        save_sentences(path, self.signals, self.tokenizer.decode(self.tokenizer.encode(self.signals)))


def _marked(one, other):
    """Both as cells, the words that differ bold."""
    words = one.split(), other.split()
    marked = [], []
    for tag, *places in difflib.SequenceMatcher(None, *words, autojunk=False).get_opcodes():
        for cell, text, (start, stop) in zip(marked, words, (places[:2], places[2:]), strict=True):
            part = " ".join(map(_escaped, text[start:stop]))
            if part:
                cell.append(part if tag == "equal" else f"**{part}**")
    return [" ".join(cell) for cell in marked]


def _escaped(word):
    """A word as Markdown shows it."""
    return "".join("\\" + letter if letter in "\\`*_|<>[]" else letter for letter in word)
