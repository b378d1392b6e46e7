"""The tables of the pages are those of the data."""

import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from pages import PAGES  # noqa: E402
from pages import ROOT  # noqa: E402
from pages import name_of  # noqa: E402


def shown():
    """Names of the tables that pages show."""
    return {name for page in PAGES for name in re.findall(r"<!-- table: (\w+) -->", page.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_tables_are_those_of_the_data(page, results):
    """Else run `python tests/benchmarks/results.py --write`."""
    text = page.read_text(encoding="utf-8")
    assert results.with_tables(text, results.tables()) == text
    assert text.count("<!-- table: ") == text.count("<!-- end -->") == len(results.MARKS.findall(text))


def test_every_table_is_shown(results):
    assert shown() == set(results.tables())


def test_a_changed_number_is_noticed(results):
    found = {"speed": results.markdown(["work", "ratio"], [["encode", "1.3"]])}
    text = results.with_tables("a\n<!-- table: speed -->\n| old |\n<!-- end -->\nb", found)
    assert text == ("a\n<!-- table: speed -->\n\n| work | ratio |\n| --- | ---: |\n| encode | 1.3 |\n\n<!-- end -->\nb")
    with pytest.raises(KeyError, match="unknown"):
        results.with_tables("<!-- table: unknown -->\n<!-- end -->", found)


def test_every_shipped_preset_is_in_the_readme(results):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    names = {path.parent.name for path in (ROOT / "saved_models").glob("*-*/manifest.json")}
    assert names == set(results.metadata()) and len(names) >= 9
    for name in names:
        assert f"| `{name}` |" in readme


def test_rows_have_as_many_cells_as_their_header(results):
    for name, table in results.tables().items():
        counts = {line.count(" | ") for line in table.splitlines()}
        assert len(counts) == 1, name


# Row of a table -> the preset, and where its metrics are in the row, with the factor to the row's unit.
ROWS = {
    ("audio_speech", "`audio-speech-16k`"): (
        "audio-speech-16k",
        {1: ("stoi", 1), 2: ("pesq", 1), 3: ("mel_distance", 1)},
    ),
    ("audio_loops", "`audio-loops-44k`"): ("audio-loops-44k", {1: ("mel_distance", 1), 2: ("stft_distance", 1)}),
    ("text_rates", "`text-english`: 2 codes of 4,000 for 2 pieces"): (
        "text-english",
        {0: ("bits_per_character", 1), 1: ("piece_accuracy", 100), 2: ("exact_match", 100), 4: ("chrf", 1)},
    ),
    ("image_quality_64", "4,096 codes, that VQ-VAE: its decoder sharpened, 300 steps"): (
        "image-vqgan-photos-f4",
        {0: ("psnr", 1), 1: ("ssim", 1), 3: ("perceptual_vgg16_hed", 1), 5: ("laplacian", 100), 7: ("perplexity", 1)},
    ),
    ("image_generation_classes", "`--guidance 2.5`, its default"): (
        "image-prior-fashion",
        {0: ("classifier_accuracy", 100), 1: ("classifier_spread", 1), 2: ("classifier_frechet", 1)},
    ),
}


@pytest.mark.parametrize(("table", "row"), ROWS, ids=lambda name: name)
def test_measurements_of_presets_are_those_of_their_metadata(table, row, results):
    preset, places = ROWS[table, row]
    (line,) = [line for line in results.tables()[table].splitlines() if line.startswith(f"| {row} |")]
    cells = [cell.strip().replace(",", "") for cell in line.strip("|").split("|")][1:]
    for place, (name, factor) in places.items():
        half = 0.5 * 10.0 ** -len(cells[place].partition(".")[2])
        value = factor * results.metadata()[preset]["metrics"][name]
        assert float(cells[place]) == pytest.approx(value, abs=1.01 * half), name
