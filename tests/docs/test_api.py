"""The API pages list every public name."""

import importlib
import importlib.util
import os
import pkgutil
import re
import subprocess
import sys
import zlib

import pytest

import vqzoo

sys.path.insert(0, os.path.dirname(__file__))
from pages import ROOT  # noqa: E402


def packages():
    """vqzoo and the packages below it that declare public names, as deep as people import from."""
    found = ["vqzoo"]
    for info in pkgutil.walk_packages(vqzoo.__path__, "vqzoo."):
        if info.ispkg and getattr(importlib.import_module(info.name), "__all__", None):
            found.append(info.name)
    return found


def listed():
    """Packages that a page documents."""
    pages = (ROOT / "docs" / "api").glob("*.md")
    return {name for page in pages for name in re.findall(r"^::: ([\w.]+)$", page.read_text(), re.MULTILINE)}


def test_every_package_has_its_place():
    assert set(packages()) == listed() and len(listed()) >= 15


@pytest.mark.slow
@pytest.mark.environment("main", "mkdocs", "mkdocstrings")
def test_the_site_is_built_strictly_and_has_every_public_name(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr[-3000:]
    inventory = (tmp_path / "site" / "objects.inv").read_bytes().split(b"\n", 4)[4]
    known = {line.split(" ", 1)[0] for line in zlib.decompress(inventory).decode().splitlines()}
    wanted = {f"{package}.{name}" for package in packages() for name in importlib.import_module(package).__all__}
    modules = {name for name in wanted if name in listed()}
    assert len(wanted) > 200 and not wanted - known - modules
    assert (tmp_path / "site" / "pictures" / "tests" / "benchmarks" / "collapse.png").is_file()
    assert not list((tmp_path / "site").rglob("*.py"))
