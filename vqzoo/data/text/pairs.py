"""Pairs of texts in a table: tab- or comma-separated, or JSON lines."""

import csv
import io
import json
import os
from typing import NamedTuple

from vqzoo.data.paths import checked_path
from vqzoo.files import user_path
from vqzoo.jsons import parse_json

MAX_BYTES = 2**30
"""int, of a table that is read."""
PAIR_SUFFIXES = (".tsv", ".csv", ".jsonl")


class Pairs(NamedTuple):
    """Pairs of texts.

    Attributes:
        rows: list of (str, str), source and target.
        source: str, name of the first column.
        target: str, name of the second column.
        skipped: dict "PATH, line N" -> reason, the lines without both.
    """

    rows: list
    source: str
    target: str
    skipped: dict


def read_pairs(path, source="", target=""):
    r"""Reads pairs of texts from a table in UTF-8.

    A tab- or comma-separated table has a header line with the names of its columns; a JSON line is an object with
    them. Lines without both texts are skipped and named. White space is collapsed, so that a text is one line.

    Args:
        path: str or path, ending in .tsv, .csv or .jsonl.
        source: str, column of the first text of each pair. Defaults to the first column.
        target: str, column of the second. Defaults to the second column.

    Returns:
        `Pairs`.

    Raises:
        ValueError: the file has another ending, is too large, is not UTF-8, has no such column, or no pair.

    Example:
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "pairs.tsv")
    >>> _ = path.write_text("en\tes\nOpen the file.\tAbra el archivo.\nClose.\t\n")
    >>> pairs = read_pairs(path)
    >>> pairs.rows, list(pairs.skipped.values())
    ([('Open the file.', 'Abra el archivo.')], ["no text in the column 'es'"])
    """
    return _pairs(table_records(path), path, source, target)


def table_records(path):
    """Yields the lines of a table in UTF-8: (number of the line, dict column -> text or another JSON value).

    Args:
        path: str or path, ending in .tsv, .csv or .jsonl.

    Raises:
        ValueError: the file has another ending, is too large, is not UTF-8, or is no such table.
    """
    path = user_path(checked_path(path, "table of pairs", "read_pairs", "find_text"))
    if path.suffix.lower() not in PAIR_SUFFIXES:
        raise ValueError(f"A table of pairs ends in {', '.join(PAIR_SUFFIXES)}. Received: {str(path)!r}. Rename it.")
    try:
        size = os.stat(path).st_size
        if size > MAX_BYTES:
            raise ValueError(f"{str(path)!r} has {size} bytes, and at most {MAX_BYTES} are read. Split it.")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{str(path)!r} is not text in UTF-8 ({error}). Save the table as UTF-8.") from error
    except OSError as error:
        raise ValueError(f"The table {str(path)!r} cannot be read: {error.strerror}. Give another file.") from error
    return _json_records(text, path) if path.suffix.lower() == ".jsonl" else _cell_records(text, path)


def _cell_records(text, path):
    """Yields (number of a line, dict column -> text)."""
    try:
        if path.suffix.lower() == ".tsv":  # quotes are characters there, as corpora have them
            lines = enumerate(csv.reader(io.StringIO(text, newline=""), "excel-tab", quoting=csv.QUOTE_NONE), start=1)
        else:
            lines = enumerate(csv.reader(io.StringIO(text, newline="")), start=1)
        header = [name.strip() for name in next(lines, (1, []))[1]]
        for number, cells in lines:
            if any(cells):
                yield number, dict(zip(header, cells, strict=False)) | dict.fromkeys(header[len(cells) :], "")
    except csv.Error as error:
        raise ValueError(f"{str(path)!r} is not such a table ({error}). Save it again.") from error


def _json_records(text, path):
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                record = parse_json(line)
            except (ValueError, json.JSONDecodeError) as error:
                raise ValueError(f"Line {number} of {str(path)!r} is not JSON ({error}). Correct it.") from error
            if not isinstance(record, dict):
                raise ValueError(
                    f'Line {number} of {str(path)!r} is not an object, such as {{"en": "...", "es": ".."}}.'
                )
            yield number, record


def _pairs(records, path, source, target):
    rows, skipped, names = [], {}, None
    for number, record in records:
        if names is None:
            names = _columns(list(record), path, source, target)
        texts = [record.get(name) for name in names]
        texts = [" ".join(text.split()) if isinstance(text, str) else "" for text in texts]
        if all(texts):
            rows.append(tuple(texts))
        else:
            lacking = names[0] if not texts[0] else names[1]
            skipped[f"{path}, line {number}"] = f"no text in the column {lacking!r}"
    if not rows:
        raise ValueError(f"{str(path)!r} has no line with two texts. Give a table with a header line and two columns.")
    return Pairs(rows, *names, skipped)


def _columns(found, path, source, target):
    """The names of the two columns."""
    for name in filter(None, (source, target)):
        if name not in found:
            raise ValueError(f"{str(path)!r} has the columns {', '.join(found)}. Received: {name!r}.")
    rest = [name for name in found if name not in (source, target)]
    names = [source or (rest.pop(0) if rest else ""), target or (rest.pop(0) if rest else "")]
    if not all(names):
        raise ValueError(f"A table of pairs has two columns or more. Received: {', '.join(found)} in {str(path)!r}.")
    return names
