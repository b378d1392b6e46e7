"""What the tests of the documentation share: its pages, their blocks of code, and files by the names that they use."""

import pathlib
import re
from typing import NamedTuple

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"(?:^<!-- test: (\w+) -->\n)?^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A block of code of a page."""

    mark: str  # slow, download or nothing
    language: str
    code: str


def blocks(page, language=None):
    """The blocks of a page, in order, of one language or of all."""
    found = [Block(*match) for match in _BLOCK.findall(page.read_text(encoding="utf-8"))]
    return [block for block in found if language in (None, block.language)]


def name_of(page):
    """A page's path, for the ids of tests."""
    return page.relative_to(ROOT).as_posix()


def commands(page):
    """The lines of a page's blocks in bash, without comments, continued lines joined."""
    for block in blocks(page, "bash"):
        for line in block.code.replace("\\\n", " ").splitlines():
            for command in re.sub(r"(^|\s)#.*", "", line).split("&&"):
                if command.strip():
                    yield command.strip()
