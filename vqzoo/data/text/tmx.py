"""Pairs of texts in translation memories (TMX)."""

import xml.etree.ElementTree as ElementTree

from vqzoo.files import user_path

_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_SKIPPED = ("bpt", "ept", "it", "ph", "ut")  # codes of a format, not text


def read_tmx(path, source, target):
    """Yields the pairs of a translation memory.

    Args:
        path: str or path.
        source: str, language of the first text, such as "en", which "en-GB" is too.
        target: str, that of the second.

    Yields:
        (number of the unit, text, text), "" where a unit lacks a language.

    Raises:
        ValueError: the file is not such XML, or defines entities, which could expand without end.
    """
    path, number = user_path(path), 0
    with open(path, "rb") as file:
        if b"<!ENTITY" in file.read(2**16):
            raise ValueError(f"{str(path)!r} defines entities, which are not read. Remove them.")
        file.seek(0)
        try:
            for _, element in ElementTree.iterparse(file):
                if _plain_tag(element) == "tu":
                    number += 1
                    texts = {}
                    for variant in element:
                        language = variant.get(_LANGUAGE) or variant.get("lang") or ""
                        segment = next((part for part in variant if _plain_tag(part) == "seg"), None)
                        if segment is not None:
                            texts.setdefault(language.lower(), "".join(_texts_of(segment)))
                    yield number, _of_language(texts, source), _of_language(texts, target)
                    element.clear()
        except ElementTree.ParseError as error:
            raise ValueError(f"{str(path)!r} is no translation memory in XML ({error}). Export it again.") from error


def _plain_tag(element):
    return element.tag.rpartition("}")[2]


def _texts_of(element):
    """The text of a segment without the codes of formats inside."""
    yield element.text or ""
    for part in element:
        if _plain_tag(part) not in _SKIPPED:
            yield from _texts_of(part)
        yield part.tail or ""


def _of_language(texts, language):
    name = language.lower()
    exact = texts.get(name)
    return exact if exact is not None else next((t for key, t in texts.items() if key.split("-")[0] == name), "")
