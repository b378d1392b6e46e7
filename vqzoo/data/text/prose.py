"""Sample sentences: the English prose of installed docstrings."""

import functools
import importlib.util
import inspect
import os
import pathlib
import re
import sysconfig

# Tests, and modules that are not part of the standard library or repeat others.
_SKIPPED = {"__pycache__", "dist-packages", "encodings", "idlelib", "lib2to3", "site-packages", "test", "tests"}
_PACKAGES = ("keras", "numpy")

# === Lines ===
_FENCED = re.compile(r"(?ms)^\s*(```|~~~).*?^\s*\1.*?$")
_CODE = re.compile(
    r"\.\. (code|math|plot|parsed|doctest|testcode|ipython|index|currentmodule|module|image|figure|_|\[)"
)
_DIRECTIVE = re.compile(r"\.\. [\w-]+::\s*[\d.]*\s*")
_RULE = re.compile(r"[-=~^\"'*+#|:_.\s]{3,}")  # below a heading, or of a table
_NO_PROSE = re.compile(
    r".*(\S\s{3,}\S|\|).*"  # a row of a table
    r"|[A-Z][\w /-]*:"  # Args:
    r"|\*{0,2}[\w.]+(, ?\*{0,2}[\w.]+)*\s+:(\s.*)?"  # x : int
    r"|[\w.]+\(.*\)(\s*->.*)?|[\w.]+ = .*|[$%#<].*"  # call(x)
)
_ITEM = re.compile(
    r"(?:[-*+•]|\(?(?:\d+|[a-z])[.)]|:(?:param|type|returns?|raises?)\b[^:]*:|[`*]*[\w.]+[`*]*(?:\s*\([^)]*\))?:)\s+"
)

# === Sentences ===
_ROLE = re.compile(r":[a-z:]+:(`)~?")
_EMPHASIS = re.compile(r"(?<!\S)\*(\w[\w -]*)\*")
_END = re.compile(r"(?<=[.!?])\s+|(?<=[.!?][\"')])\s+")
_SHORT = re.compile(r"\b(e\.g|i\.e|vs|cf|Fig|Eq|No|Sec|Ref|Dr|Mr|al|resp|approx|St|[A-Z])\.$")
_WHOLE = re.compile(r"[\"'(]?[A-Z].*[.!?][\"')]{0,2}")
_MARKUP = re.compile(r"[\\_=\[\]<>{}|@#$^~*+`]|\w\(|://|--")
_WORD = re.compile(r"[\"'(]*(?:[A-Za-z]+(?:['-][A-Za-z]+)*|\d+(?:[.,]\d+)*%?|i\.e\.|e\.g\.)[\"')]*[,;:.!?]?[\"')]*")
_COMMON = set(
    "a an the of to in is are be been was that this it its for on with as by and or not if when which will can may "
    "must should does has have from at but no all each any only same than then there they you we".split()
)


def sample_sentences():
    """English sample sentences: the prose of installed docstrings, read without imports.

    They are from the standard library, Keras and NumPy, about 20,000. Code, tables, signatures and markup are left out.
    They depend on the installed versions.

    Returns:
        List of str, distinct, of 5 to 50 words each, in the order of the sorted files.

    Raises:
        ValueError: Python is installed without its sources.

    Example:
    >>> sentences = sample_sentences()
    >>> len(sentences) > 10000, len(sentences) == len(set(sentences))
    (True, True)
    """
    if not _sentences():
        raise ValueError(
            "There are no docstrings to take sentences from: this Python is installed without its sources. Give a file "
            "of your own, one sentence a line, with read_sentences(find_text(path))."
        )
    return list(_sentences())


@functools.cache
def _sentences():
    found = {}
    for file in _files():
        for docstring in _docstrings(file):
            for paragraph in _paragraphs(inspect.cleandoc(docstring)):
                found.update(dict.fromkeys(filter(_is_prose, _split(paragraph))))
    return tuple(found)


def _files():
    specs = [importlib.util.find_spec(name) for name in _PACKAGES]  # finds the folder without an import
    roots = [spec.submodule_search_locations[0] for spec in specs if spec]
    for root in (sysconfig.get_paths()["stdlib"], *roots):
        for folder, subfolders, names in os.walk(root):
            subfolders[:] = sorted(name for name in subfolders if name not in _SKIPPED)
            for name in sorted(names):
                if name.endswith(".py") and not name.endswith("_test.py"):
                    yield pathlib.Path(folder, name)


def _docstrings(file):
    """The strings in three double quotes that begin a line."""
    try:
        parts = file.read_text("utf-8").split('"""')
    except (OSError, UnicodeDecodeError):
        return
    for before, string in zip(parts[:-1:2], parts[1::2], strict=False):
        prefix = before[before.rfind("\n") + 1 :].strip().lower()
        if prefix in ("", "r", "u"):
            # Each invalid escape sequence causes a warning, and prose has none.
            yield string if prefix == "r" else string.replace("\\\n", "")


def _paragraphs(text):
    """Paragraphs of possible prose, each joined to one line, without code, tables, headings and signatures."""
    code = None  # the indentation of the line that announced a code block
    for block in re.split(r"\n\s*\n", _FENCED.sub("", text).expandtabs()):
        lines = [line for line in block.splitlines() if line.strip()]
        if not lines or (code is not None and _indent(lines[0]) > code):
            continue
        code = _indent(lines[-1]) if lines[-1].endswith("::") else None
        bare = [line.strip() for line in lines]
        if _CODE.match(bare[0]):
            code = _indent(lines[0])
            continue
        rules = [i for i, line in enumerate(bare) if _RULE.fullmatch(line)]
        examples = [i for i, line in enumerate(bare) if line.startswith((">>>", "... "))]
        if rules in ([], [1], [0, 2]):  # none, or a heading; otherwise it is a table
            yield from _runs(lines[rules[-1] + 1 if rules else 0 : examples[0] if examples else None])


def _runs(lines):
    """Groups of consecutive lines of a block."""
    run, first, last, item = [], 0, 0, None
    for line in lines:
        bare, indent = _DIRECTIVE.sub("", line.strip()), _indent(line)
        begins = _ITEM.match(bare)
        dropped = not begins and _NO_PROSE.fullmatch(bare)
        if begins or dropped or (indent != last and not (item and indent > first)):
            yield " ".join(run)
            run, first, item = [], indent, begins
        last = indent
        if not dropped:
            run.append(bare[begins.end() :] if begins else bare)
    yield " ".join(run)


def _indent(line):
    return len(line) - len(line.lstrip())


def _split(paragraph):
    """The sentences of a paragraph, without markup."""
    text = _ROLE.sub(r"\1", paragraph).replace("`", "").replace("**", "").replace("::", ":")
    text = _EMPHASIS.sub(r"\1", " ".join(text.split())).removeprefix("(Optional) ").removeprefix("Optional. ")
    sentence = ""
    for part in _END.split(text):
        sentence = f"{sentence} {part}".strip()
        if not _SHORT.search(sentence):
            yield sentence
            sentence = ""


def _is_prose(sentence):
    if not _WHOLE.fullmatch(sentence) or _MARKUP.search(sentence):
        return False
    words = sentence.split()
    balanced = sentence.count("(") == sentence.count(")") and sentence.count('"') % 2 == 0
    if not balanced or not 5 <= len(words) <= 50:
        return False
    odd = sum(not _WORD.fullmatch(word) for word in words)
    common = sum(word.lower() in _COMMON for word in words)
    return odd <= len(words) / 8 and common >= len(words) / 6
