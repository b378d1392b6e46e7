"""Tables of sentences and their reconstructions."""

import difflib

from vqzoo.files import atomic_path
from vqzoo.files import user_path


def save_sentences(path, originals, reconstructions):
    """Writes sentences and their reconstructions as a Markdown table, with different words in bold.

    Args:
        path: str or path of the file.
        originals: list of str.
        reconstructions: list of str of the same length.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        ValueError: if the lengths differ.

    Example:
    >>> import pathlib, tempfile
    >>> path = save_sentences(pathlib.Path(tempfile.mkdtemp(), "a.md"), ["The cat sat."], ["The cap sat."])
    >>> print(path.read_text().splitlines()[-1])
    | The **cat** sat. | The **cap** sat. |
    """
    if len(originals) != len(reconstructions):
        raise ValueError(
            f"Give one reconstruction per sentence. Received: {len(originals)} sentences and "
            f"{len(reconstructions)} reconstructions."
        )
    exact = sum(one == other for one, other in zip(originals, reconstructions, strict=True))
    lines = [f"{exact} of {len(originals)} sentences are exact.", "", "| sentence | reconstruction |", "|---|---|"]
    for pair in zip(originals, reconstructions, strict=True):
        lines.append("| " + " | ".join(_marked(*pair)) + " |")
    path = user_path(path)
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="replace")
    return path


def save_texts(path, texts, sources=(), real=()):
    """Writes generated texts, as a list of Markdown, or beside what each was asked by as a table.

    Args:
        path: str or path of the file.
        texts: list of str.
        sources: list of str, as many. Defaults to none.
        real: list of str, as many, what the data have for each source. Defaults to none.

    Returns:
        `pathlib.Path` of the file.

    Raises:
        ValueError: if there are sources or real texts, and not as many.

    Example:
    >>> import pathlib, tempfile
    >>> path = save_texts(pathlib.Path(tempfile.mkdtemp(), "a.md"), ["Abra."], ["Open."])
    >>> print(path.read_text().splitlines()[-1])
    | Open. | Abra. |
    """
    columns = {"asked": sources, "generated": texts, "in the data": real}
    for name, column in columns.items():
        if column and len(column) != len(texts):
            raise ValueError(f"A text has one of each. Received: {len(texts)} texts and {len(column)} of {name!r}.")
    columns = {name: [" ".join(map(_escaped, text.split())) for text in column] for name, column in columns.items()}
    if sources:
        columns = {name: column for name, column in columns.items() if column}
        rows = [columns, ["---"] * len(columns), *zip(*columns.values(), strict=True)]
        lines = [f"| {' | '.join(row)} |" for row in rows]
    else:
        lines = [f"- {text}" for text in columns["generated"]]
    path = user_path(path)
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="replace")
    return path


def _marked(one, other):
    """Both texts as table cells, with different words in bold."""
    words = one.split(), other.split()
    marked = [], []
    for tag, *places in difflib.SequenceMatcher(None, *words, autojunk=False).get_opcodes():
        for cell, text, (start, stop) in zip(marked, words, (places[:2], places[2:]), strict=True):
            part = " ".join(map(_escaped, text[start:stop]))
            if part:
                cell.append(part if tag == "equal" else f"**{part}**")
    return [" ".join(cell) for cell in marked]


def _escaped(word):
    """A word escaped for Markdown."""
    return "".join("\\" + letter if letter in "\\`*_|<>[]" else letter for letter in word)
