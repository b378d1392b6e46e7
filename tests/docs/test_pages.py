"""The README stays short, and links and pictures of all pages lead somewhere."""

import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from pages import PAGES  # noqa: E402
from pages import ROOT  # noqa: E402
from pages import name_of  # noqa: E402

TEXTS = [*PAGES, ROOT / "CONTRIBUTING.md"]


def anchors(path):
    """The anchors of a page's headings, as GitHub and MkDocs name them."""
    titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in titles}


def test_the_readme_is_short():
    content = (ROOT / "README.md").read_bytes()
    assert content.count(b"\n") <= 200 and len(content) <= 12 * 1024
    assert content.count(b"![") == 1 and content.count(b"```python") == 5


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file), target


def test_every_page_is_in_the_navigation():
    named = set(re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    assert named == {page.relative_to(ROOT / "docs").as_posix() for page in PAGES[1:]}


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_files_that_are_named_exist(page):
    paths = re.findall(r"`((?:vqzoo|tests|recipes|docs|saved_models|\.ci)/[\w./-]*)`", page.read_text(encoding="utf-8"))
    written = ("saved_models/mine", "saved_models/<recipe>")
    assert not [path for path in paths if not (ROOT / path).exists() and path not in written]
