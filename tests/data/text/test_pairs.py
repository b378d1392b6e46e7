import gettext
import struct

import pytest

from vqzoo.data import read_pairs
from vqzoo.data import split_pairs
from vqzoo.data.text.catalogues import find_catalogues
from vqzoo.data.text.catalogues import read_catalogue

HEADER = b'msgid ""\nmsgstr "Content-Type: text/plain; charset=%s\\nLanguage: es\\n"\n\n'
PO = (
    HEADER % b"UTF-8"
    + (
        'msgid "Open the file."\nmsgstr "Abra el archivo."\n\n'
        '#, fuzzy\nmsgid "Guess"\nmsgstr "Tal vez"\n\n'
        '#~ msgid "Old"\n#~ msgstr "Viejo"\n\n'
        'msgctxt "menu"\nmsgid ""\n"Say \\"hi\\"\\t"\n"now\\n"\nmsgstr "Di \\"hola\\" ya"\n\n'
        'msgid "%d file"\nmsgid_plural "%d files"\nmsgstr[0] "%d archivo"\nmsgstr[1] "%d archivos"\n\n'
        'msgid "None"\nmsgstr ""\n\nmsgid "OK"\nmsgstr "OK"\n\nmsgid "--"\nmsgstr "—"\n'
        'msgid "Open  the file."\nmsgstr "Abra el archivo."\n'
    ).encode()
)
ROWS = [("Open the file.", "Abra el archivo."), ('Say "hi" now', 'Di "hola" ya')]
ROWS += [("%d file", "%d archivo"), ("%d files", "%d archivos")]


def mo(entries, order="<", charset="UTF-8"):
    entries = sorted({"": f"Content-Type: text/plain; charset={charset}\nLanguage: es\n", **entries}.items())
    texts = [[text.encode(charset) for text in entry] for entry in entries]
    at, places, body = 28 + 16 * len(texts), [], b""
    for column in (0, 1):
        for text in texts:
            places += [len(text[column]), at + len(body)]
            body += text[column] + b"\0"
    tables = 28, 28 + 8 * len(texts)
    return (
        struct.pack(f"{order}7I", 0x950412DE, 0, len(texts), *tables, 0, 0)
        + struct.pack(f"{order}{len(places)}I", *places)
        + body
    )


MESSAGES = {"menu\x04Open": "Abrir", "a file\0files": "un archivo\0archivos"}


def test_a_po_file_gives_what_is_translated(tmp_path):
    (tmp_path / "es.po").write_bytes(PO)
    pairs = read_pairs(tmp_path / "es.po")
    assert (pairs.rows, pairs.source, pairs.target) == (ROWS, "en", "es")
    assert (pairs.duplicates, pairs.unusable, pairs.skipped) == (1, 2, {})


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("charset", ["UTF-8", "iso-8859-1"])
def test_a_mo_file_of_either_order_and_its_charset(order, charset, tmp_path):
    path = tmp_path / "x.mo"
    path.write_bytes(mo({**MESSAGES, "more": "más"}, order, charset))
    with open(path, "rb") as file:
        assert gettext.GNUTranslations(file).gettext("more") == "más"  # it is one
    rows = [("a file", "un archivo"), ("files", "archivos"), ("Open", "Abrir"), ("more", "más")]
    assert sorted(read_pairs(path).rows) == sorted(rows)


def test_every_cut_and_every_wrong_number_is_one_line(tmp_path):
    whole, path = mo(MESSAGES), tmp_path / "x.mo"
    for size in range(len(whole) - 1):  # the last byte ends the last text
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="is no gettext catalogue, or a damaged one") as caught:
            read_pairs(path)
        assert "\n" not in str(caught.value)
    for place in range(0, 28 + 16 * 3, 4):
        path.write_bytes(whole[:place] + b"\xff\xff\xff\x7f" + whole[place + 4 :])
        try:
            read_catalogue(path)
        except ValueError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            HEADER % b"UTF-8" + 'msgid "a"\nmsgstr "más"\n'.encode("latin-1"),
            "is not in UTF-8.*line 5.*Save it as UTF-8",
        ),
        (HEADER % b"nonsense" + b"", "names no known charset: 'nonsense'"),
        (PO + b"\nwhat is this\n", "Line .* is not of a gettext catalogue.*what is this"),
        (HEADER % b"UTF-8", "no pair of 'en' and 'es'"),
    ],
)
def test_what_is_wrong_in_a_po_file_is_named(data, message, tmp_path):
    (tmp_path / "es.po").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_pairs(tmp_path / "es.po")


def test_a_folder_has_the_catalogues_of_a_language(tmp_path):
    for name in ("es/LC_MESSAGES/a.mo", "es_MX/LC_MESSAGES/a.mo", "de/LC_MESSAGES/a.mo", "pt_BR/LC_MESSAGES/b.mo"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_bytes(mo({name: "algo"}))
    (tmp_path / "po").mkdir()
    for name in ("es", "x.es", "broken.es", "ta"):
        (tmp_path / "po" / f"{name}.po").write_bytes(PO if "broken" not in name else b"\xff\xfe")
    names = [str(path.relative_to(tmp_path)) for path in find_catalogues(tmp_path, "es")]
    assert names == ["es/LC_MESSAGES/a.mo", "po/broken.es.po", "po/es.po", "po/x.es.po"]
    assert [path.parent.parent.name for path in find_catalogues(tmp_path, "pt")] == ["pt_BR"]
    pairs = read_pairs(tmp_path, target="es")
    assert pairs.rows == [("es/LC_MESSAGES/a.mo", "algo"), *ROWS] and len(pairs.skipped) == 1
    for target, message in (("", "has many languages"), ("ru", "has no catalogue")):
        with pytest.raises(ValueError, match=message):
            read_pairs(tmp_path, target=target)


TMX = """<?xml version="1.0"?>
<tmx version="1.4"><header/><body>
<tu><tuv xml:lang="en-GB"><seg>Open <bpt i="1">&lt;b&gt;</bpt>it<ept i="1">&lt;/b&gt;</ept> &amp; go</seg></tuv>
<tuv xml:lang="es"><seg>Abre y <hi>sigue</hi></seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Alone</seg></tuv></tu>
</body></tmx>"""


def test_a_translation_memory(tmp_path):
    path = tmp_path / "memory.tmx"
    path.write_text(TMX)
    pairs = read_pairs(path, "en", "es")
    assert pairs.rows == [("Open it & go", "Abre y sigue")] and pairs.unusable == 1
    for text, languages, message in (
        (TMX, ("en", ""), "needs two languages"),
        (TMX[:200], ("en", "es"), "is no translation memory in XML"),
        (TMX.replace("<tmx", '<!DOCTYPE x [<!ENTITY a "b">]><tmx'), ("en", "es"), "defines entities"),
        (TMX, ("en", "fr"), "no pair of 'en' and 'fr'"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_pairs(path, *languages)


def test_equal_pairs_of_a_table_are_counted(tmp_path):
    (tmp_path / "a.tsv").write_text("en\tes\na\tb\na\tb\nc\td\n")
    pairs = read_pairs(tmp_path / "a.tsv")
    assert (pairs.rows, pairs.duplicates) == ([("a", "b"), ("c", "d")], 1)


# === Splitting ===
def test_no_text_is_on_both_sides():
    rows = [(f"source {i % 70}", f"target {i % 90}") for i in range(300)] + [(f"s{i}", f"t{i}") for i in range(700)]
    train, held_out = split_pairs(rows, 0.1)
    assert len(train) + len(held_out) == 1000 and 40 < len(held_out) < 160
    for side in (0, 1):
        assert not {row[side] for row in train} & {row[side] for row in held_out}
    assert split_pairs(rows, 0.1) == (train, held_out) != split_pairs(rows, 0.1, seed=1)


def test_what_is_one_group_cannot_be_split():
    with pytest.raises(ValueError, match="All 3 pairs are connected"):
        split_pairs([("a", "x"), ("a", "y"), ("b", "y")], 0.4)


def test_sample_pairs_name_the_way_out(monkeypatch):
    from vqzoo.data.text import pairs

    monkeypatch.setattr(pairs, "installed_catalogues", lambda language: ())
    with pytest.raises(ValueError, match=r'pip install "vqzoo\[samples\]"'):
        pairs.sample_pairs()
    with pytest.raises(ValueError, match="are English"):
        pairs.sample_pairs("de")
