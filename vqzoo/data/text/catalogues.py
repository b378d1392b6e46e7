"""Pairs of texts in gettext catalogues, the translations of programs: .po and .mo files."""

import functools
import pathlib
import re
import struct
import sysconfig

from vqzoo.files import user_path

CATALOGUE_SUFFIXES = (".po", ".mo")
MAX_BYTES = 2**28
"""int, of a catalogue that is read."""
_MAGIC = 0x950412DE
_CONTEXT = "\x04"  # between the context of a message and the message
_CHARSET = re.compile(r"charset=([\w.:-]+)", re.IGNORECASE)
_LANGUAGE = re.compile(r"^Language:[ \t]*(\w+)", re.MULTILINE)
_FIELD = re.compile(r'(msgctxt|msgid_plural|msgid|msgstr(?:\[\d+\])?)\s+"(.*)"$')
_MORE = re.compile(r'"(.*)"$')
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def read_catalogue(path):
    r"""Reads the messages of a gettext catalogue with their translations.

    Messages without a translation, uncertain ones ("fuzzy") and obsolete ones are left out. Of a message with a plural
    the singular and the plural are two.

    Args:
        path: str or path, ending in .po or .mo.

    Returns:
        List of (str, str), message and translation; and the str of the language, "" where it is unknown.

    Raises:
        ValueError: the file cannot be read, is damaged, or is not in the charset of its header.

    Example:
    >>> import tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "es.po")
    >>> _ = path.write_text('msgid ""\nmsgstr "Language: es\\n"\n\nmsgid "Open"\nmsgstr "Abrir"\n')
    >>> read_catalogue(path)
    ([('Open', 'Abrir')], 'es')
    """
    path = user_path(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ValueError(f"{str(path)!r} has {size} bytes, and at most {MAX_BYTES} are read.")
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"The catalogue {str(path)!r} cannot be read: {error.strerror}. Give another file.") from error
    if path.suffix.lower() == ".mo":
        entries = _of_mo(data, path)
        charset = _charset_of(next((to for of, to in entries if not of), b"").decode("latin-1"))
        entries = [tuple(_decoded(text, charset, path) for text in entry) for entry in entries]
    else:
        charset = _charset_of(data[:65536].decode("latin-1"))
        entries = list(_of_po(_decoded(data, charset, path), path))
    header = next((to for of, to in entries if not of), "")
    language = _LANGUAGE.search(header)
    pairs = [pair for of, to in entries if of for pair in _numbers(of.split(_CONTEXT)[-1], to) if all(pair)]
    return pairs, language[1] if language else ""


def find_catalogues(folder, language):
    """Lists the catalogues of a language in a folder and its subfolders.

    The language is that of a folder (`es/LC_MESSAGES/NAME.mo`) or of the file's name (`es.po`, `NAME.es.po`). Where
    there is no catalogue of the language itself, those of its regions are taken (`es_MX`).

    Args:
        folder: str or path.
        language: str, such as "es" or "pt_BR".

    Returns:
        List of `pathlib.Path`, sorted; of a .po and a .mo file of one name the .po file.
    """
    found = sorted(path for path in user_path(folder).rglob("*.[pm]o") if path.is_file())
    exact = [path for path in found if _norm(language) in _languages_of(path)]
    chosen = exact or [path for path in found if any(x.startswith(f"{_norm(language)}_") for x in _languages_of(path))]
    names = {path.with_suffix("") for path in chosen if path.suffix == ".po"}
    return [path for path in chosen if path.suffix == ".po" or path.with_suffix("") not in names]


@functools.cache
def installed_catalogues(language):
    """The catalogues of the packages that are installed in this Python environment.

    Args:
        language: str.

    Returns:
        Tuple of `pathlib.Path`.
    """
    return tuple(find_catalogues(pathlib.Path(sysconfig.get_paths()["purelib"]), language))


def _languages_of(path):
    return {_norm(name) for name in (path.stem, path.stem.split(".")[-1], path.parent.name, path.parent.parent.name)}


def _norm(language):
    return language.replace("-", "_").lower()


def _numbers(message, translation):
    """The pairs of a message: of one with a plural two."""
    messages, translations = message.split("\0"), translation.split("\0")
    if len(messages) == 1:
        return [(message, translations[0])]
    return [(messages[0], translations[0]), (messages[1], translations[min(1, len(translations) - 1)])]


def _charset_of(header):
    found = _CHARSET.search(header)
    return found[1] if found and found[1].upper() != "CHARSET" else "utf-8"


def _decoded(data, charset, path):
    try:
        return data.decode("utf-8-sig" if charset.lower().replace("_", "-") in ("utf-8", "utf8") else charset)
    except LookupError as error:
        raise ValueError(f"The header of {str(path)!r} names no known charset: {charset!r}. Correct it.") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{str(path)!r} is not in {charset}, the charset of its header (line {line}: {error.reason}). Save it as "
            "UTF-8, or correct the header."
        ) from error


def _of_mo(data, path):
    """(message, translation) as bytes, of the binary form.

    Reference: https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html
    """
    try:
        order = next(x for x in "<>" if len(data) >= 20 and struct.unpack(f"{x}I", data[:4])[0] == _MAGIC)
        version, count, at, to = struct.unpack(f"{order}4I", data[4:20])
        if version >> 16 > 1 or count > len(data) // 16:
            raise ValueError
        tables = [struct.unpack_from(f"{order}{2 * count}I", data, first) for first in (at, to)]
        places = [zip(table[::2], table[1::2], strict=True) for table in tables]
        entries = [tuple(data[start : start + n] for n, start in both) for both in zip(*places, strict=True)]
        ends = [start + n for table in tables for n, start in zip(table[::2], table[1::2], strict=True)]
        if max(ends, default=0) > len(data):
            raise ValueError
    except (StopIteration, ValueError, struct.error):
        raise ValueError(
            f"{str(path)!r} is no gettext catalogue, or a damaged one. Make it again from its .po."
        ) from None
    return entries


def _of_po(text, path):
    """Yields (message, translation) of the text form; parts of a plural are joined by a null character."""
    entry, field, fuzzy = {}, None, False
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        line = line.strip()
        begun = _FIELD.match(line)
        if (not line or line.startswith("#") or (begun and begun[1] in ("msgctxt", "msgid"))) and "msgstr" in entry:
            if not fuzzy or not entry.get("msgid"):
                yield _entry_of(entry)
            entry, field, fuzzy = {}, None, False
        if line.startswith("#"):
            fuzzy |= line.startswith("#,") and "fuzzy" in line
        elif begun:
            field = begun[1]
            name = "msgstr" if field == "msgstr[0]" else field
            entry[name], field = _unescaped(begun[2]), name
        elif line and (more := _MORE.match(line)) and field:
            entry[field] += _unescaped(more[1])
        elif line:
            raise ValueError(f"Line {number} of {str(path)!r} is not of a gettext catalogue. Correct it: {line[:60]!r}")


def _entry_of(entry):
    of, to = entry.get("msgid", ""), entry["msgstr"]
    if "msgid_plural" in entry:
        of, to = f"{of}\0{entry['msgid_plural']}", f"{to}\0{entry.get('msgstr[1]', to)}"
    return of, to


def _unescaped(text):
    def plain(found):
        code = found[1]
        if code[0] == "x" and len(code) > 1:
            return chr(int(code[1:], 16))
        return chr(int(code, 8)) if code[0] in "01234567" else _ESCAPED.get(code, code)

    return _ESCAPE.sub(plain, text)
