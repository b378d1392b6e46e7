"""Pairs of texts: in a table, a translation memory, or the catalogues of translated programs."""

import collections
import csv
import io
import json
import os
from typing import NamedTuple

from vqzoo.data.files import validating_by_hash
from vqzoo.data.paths import checked_path
from vqzoo.data.text.catalogues import CATALOGUE_SUFFIXES
from vqzoo.data.text.catalogues import find_catalogues
from vqzoo.data.text.catalogues import installed_catalogues
from vqzoo.data.text.catalogues import read_catalogue
from vqzoo.data.text.tmx import read_tmx
from vqzoo.files import user_path
from vqzoo.jsons import parse_json

MAX_BYTES = 2**30
"""int, of a table that is read."""
TABLE_SUFFIXES = (".tsv", ".csv", ".jsonl")
PAIR_SUFFIXES = (*TABLE_SUFFIXES, ".tmx", *CATALOGUE_SUFFIXES)


class Pairs(NamedTuple):
    """Pairs of texts.

    Attributes:
        rows: list of (str, str), source and target.
        source: str, name of the first column.
        target: str, name of the second column.
        skipped: dict "PATH, line N" -> reason, the lines without both, and files that cannot be read.
        duplicates: int, pairs that were there before, and are left out. Defaults to 0.
        unusable: int, pairs that are left out because a side is empty or has no letter, or both are equal. Defaults to
            0, as of tables, of which each line without both texts is named.
    """

    rows: list
    source: str
    target: str
    skipped: dict
    duplicates: int = 0
    unusable: int = 0


def read_pairs(path, source="", target=""):
    r"""Reads pairs of texts.

    | path | `source`, `target` |
    |---|---|
    | table: .tsv, .csv, .jsonl, in UTF-8 | columns; the first two by default |
    | translation memory: .tmx | languages, such as "en" and "es" |
    | gettext catalogue: .po, .mo, or a folder of them | `target` is a language; messages are English |

    A tab- or comma-separated table has a header line with the names of its columns; a JSON line is an object with
    them. Lines without both texts are skipped and named. White space is collapsed, so that a text is one line. Of equal
    pairs one is kept.

    Args:
        path: str or path.
        source: str, see above. Defaults to the first column.
        target: str, see above. Defaults to the second column.

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
    path = user_path(path)
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in CATALOGUE_SUFFIXES:
        return pairs_of_catalogues([path] if not path.is_dir() else _catalogues(path, target), source, target)
    if suffix == ".tmx":
        if not (source and target):
            raise ValueError(
                f"A translation memory needs two languages. Received: {source!r} and {target!r}. Give both."
            )
        units = [(of, to) for _, of, to in read_tmx(path, source, target)]
        return _usable(units, source, target, {}, str(path))
    return _pairs(table_records(path), path, source, target)


def pairs_of_catalogues(paths, source="", target=""):
    """Reads the pairs of gettext catalogues.

    Args:
        paths: sequence of paths.
        source: str, "en" or "" for the messages of programs, which are English.
        target: str, language of the translations. Defaults to that of the first catalogue.

    Returns:
        `Pairs`; catalogues that cannot be read are among the skipped.

    Raises:
        ValueError: no catalogue has a usable pair.
    """
    entries, skipped = [], {}
    for path in paths:
        try:
            found, language = read_catalogue(path)
        except ValueError as error:
            skipped[str(path)] = str(error)
        else:
            entries += found
            target = target or language
    if not entries and skipped:
        raise ValueError(next(iter(skipped.values())))
    return _usable(entries, source or "en", target, skipped, str(paths[0]) if len(paths) == 1 else "The catalogues")


def sample_pairs(source="en", target="es"):
    """English texts and translations from the catalogues of the packages that are installed here.

    `pip install "vqzoo[samples]"` brings Django (BSD licence), with catalogues of a hundred languages.

    Args:
        source: str, "en".
        target: str, language of the translations. Defaults to "es".

    Returns:
        `Pairs`.

    Raises:
        ValueError: the source is another language, or no package has catalogues of the target.
    """
    if source != "en":
        raise ValueError(f"The messages of programs are English. Received: source={source!r}. Give --data instead.")
    paths = installed_catalogues(target)
    if not paths:
        raise ValueError(
            f'No package here has translations to {target!r}. `pip install "vqzoo[samples]"` brings some, or give your '
            "own pairs by --data."
        )
    return pairs_of_catalogues(paths, source, target)


def split_pairs(rows, share=0.05, seed=0):
    """Splits pairs into those for training and those that are held out.

    Pairs with an equal source or an equal target are on one side, and so are those that such pairs connect, so that no
    held-out text is known from training. A group that is larger than the share stays in training.

    Args:
        rows: list of (str, str).
        share: float in (0, 1), the expected share of what is held out. Defaults to 0.05.
        seed: int, another seed is another split. Defaults to 0.

    Returns:
        Tuple of two lists of pairs, training and held out, in the order of `rows`.

    Raises:
        ValueError: all pairs are in one group.

    Example:
    >>> rows = [("Open", "Abrir"), ("open", "Abrir"), ("Close", "Cerrar"), ("Save", "Guardar")]
    >>> train, held_out = split_pairs(rows, 0.4)
    >>> sorted(train + held_out) == sorted(rows), set(t for _, t in train) & set(t for _, t in held_out)
    (True, set())
    """
    groups = _groups(rows)
    sizes = collections.Counter(groups)
    small = [name for name, size in sizes.items() if size <= max(1, share * len(rows))]
    if len(sizes) < 2 or not small:
        raise ValueError(
            f"All {len(rows)} pairs are connected by equal sources or targets, so that none can be held out. Give "
            "more, or --validation_data."
        )
    keys = ["\t".join(rows[name]) for name in small]
    held = {small[i] for i in validating_by_hash(keys, share, seed)} if len(small) > 1 else {small[0]}
    return tuple(
        [row for row, name in zip(rows, groups, strict=True) if (name in held) == side] for side in (False, True)
    )


def _groups(rows):
    """The group of each pair, as the number of its first one."""
    parents = list(range(len(rows)))

    def root(i):
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    first = {}
    for i, (of, to) in enumerate(rows):
        for key in ((0, of), (1, to)):
            a, b = root(first.setdefault(key, i)), root(i)
            parents[max(a, b)] = min(a, b)
    return [root(i) for i in range(len(rows))]


def _catalogues(folder, target):
    if not target:
        raise ValueError("A folder of catalogues has many languages. Give the one of the translations, --target es.")
    found = find_catalogues(folder, target)
    if not found:
        raise ValueError(f"{str(folder)!r} has no catalogue (.po, .mo) of the language {target!r}.")
    return found


def _usable(entries, source, target, skipped, what):
    """`Pairs` of texts that say something, each pair once."""
    texts = [tuple(" ".join(text.split()) for text in entry) for entry in entries]
    usable = [(of, to) for of, to in texts if of != to and all(any(map(str.isalpha, text)) for text in (of, to))]
    rows = list(dict.fromkeys(usable))
    if not rows:
        raise ValueError(f"{what} have no pair of {source!r} and {target!r}. Check the names of the languages.")
    return Pairs(rows, source, target, skipped, len(usable) - len(rows), len(texts) - len(usable))


def table_records(path):
    """Yields the lines of a table in UTF-8: (number of the line, dict column -> text or another JSON value).

    Args:
        path: str or path, ending in .tsv, .csv or .jsonl.

    Raises:
        ValueError: the file has another ending, is too large, is not UTF-8, or is no such table.
    """
    path = user_path(checked_path(path, "table of pairs", "read_pairs", "find_text"))
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise ValueError(f"A table of pairs ends in {', '.join(TABLE_SUFFIXES)}. Received: {str(path)!r}. Rename it.")
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
    once = list(dict.fromkeys(rows))
    return Pairs(once, *names, skipped, len(rows) - len(once))


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
