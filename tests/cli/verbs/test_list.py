"""A list of presets is a list that prints as a table."""

import copy
import html.parser

from vqzoo.presets import PresetInfo
from vqzoo.presets import list_presets
from vqzoo.presets.listing import PresetList

IMAGE = PresetInfo("image-tiny", "/x", "image", (64, 64, 3), (16, 16, 1), (1024,), 1_234_567, {"psnr": 21.25})
HOSTILE = IMAGE._replace(name="<script>&[red]\n", metrics={"bits_per_pixel": 0.625, "psnr": 1e300})


class Cells(html.parser.HTMLParser):
    """The tags and the texts of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


def test_a_list_of_presets_is_a_list():
    presets = PresetList([IMAGE, HOSTILE])
    assert isinstance(presets, list) and presets == [IMAGE, HOSTILE] and presets[0] is IMAGE
    assert [preset.name for preset in presets] == ["image-tiny", HOSTILE.name]
    assert copy.deepcopy(presets) == presets and presets[:1] == [IMAGE] and len(presets) == 2
    assert isinstance(list_presets(), PresetList)


def test_it_prints_as_a_table():
    shown = repr(PresetList([IMAGE]))
    assert str(PresetList([IMAGE])) == shown
    head, _, row, *legend = shown.splitlines()
    assert head.split() == ["preset", "example", "tokens", "bits", "size", "quality"]
    assert row.split() == ["image-tiny", "64x64x3", "256", "of", "1024", "1.23", "M", "21.2", "dB"]
    assert "PSNR in dB" in " ".join(legend) and "higher is better" in " ".join(legend)


def test_names_are_shown_as_they_are_and_in_one_line():
    shown = repr(PresetList([HOSTILE]))
    assert r"<script>&[red]\n" in shown and "0.625/px" in shown and "\x1b" not in shown


def test_shipped_presets_fit_in_80_columns():
    lines = repr(list_presets()).splitlines()
    assert max(map(len, lines)) <= 80
    assert any("image-vqgan-photos-f4" in line and line.endswith("28.7 dB") for line in lines)


def test_a_notebook_shows_html_that_is_escaped():
    page = Cells(PresetList([IMAGE, HOSTILE])._repr_html_())
    assert "script" not in page.tags and page.tags.count("tr") == 3 and page.tags.count("td") == 12
    assert "image-tiny" in page.texts and "21.2 dB" in page.texts and r"'<script>&[red]\n'" in page.texts


def test_no_presets_say_what_to_do():
    assert repr(PresetList()).startswith("No presets. Train one") and "$VQZOO_PRESETS" in PresetList()._repr_html_()
