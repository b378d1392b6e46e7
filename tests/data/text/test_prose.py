"""The prose of docstrings: what is taken from a docstring, and that all of the installed ones are read."""

import ast
import inspect
import pathlib
import re
import subprocess
import sys

import pytest

from vqzoo.data import sample_sentences
from vqzoo.data.text import prose

DOCSTRING = '''def resize(image, size):
    r"""Resize an image to a given size.

    The image is first filtered, as in :func:`filter`, and then
    sampled, e.g. by a *cubic* kernel. Use ``resize`` for this::

        This is an indented block of code.

    .. note:: Small images are not filtered before they are resized.
       They stay as they are.

    .. code-block:: python
       :linenos:

       The code of this block is not a sentence.

    >>> resize(image, 3)
    The output of an example is not a sentence.

    Parameters
    ----------
    image : array
        The image that is to be resized.
    size : int
        The size in pixels (of the longer side).

    Args:
        image: The picture to be resized, as it is in memory.
            It has any size, from 1 to 1,000.
        **options (dict): Passed on to the filter as they are.
    Returns:
        - An image of the new size in all cases.

    ==========  ===============================
    This table  has the look of a sentence here.
    ==========  ===============================
    | Nor is a line block a sentence at all. |

    ```
    Fenced code is not a sentence of English either.
    ```

    see also the other function of this module.
    Too short.
    This has a `snake_case` name and a call of f(x) in it.
    A sentence that is never finished, and
    """
    text = """The text of a string is not a sentence of a docstring."""
    return text
'''
EXPECTED = [
    "Resize an image to a given size.",
    "The image is first filtered, as in filter, and then sampled, e.g. by a cubic kernel.",
    "Small images are not filtered before they are resized.",
    "They stay as they are.",
    "The image that is to be resized.",
    "The size in pixels (of the longer side).",
    "The picture to be resized, as it is in memory.",
    "It has any size, from 1 to 1,000.",
    "Passed on to the filter as they are.",
    "An image of the new size in all cases.",
]


def sentences_of(source, tmp_path):
    (tmp_path / "a.py").write_text(source)
    docstrings = prose._docstrings(tmp_path / "a.py")
    paragraphs = (paragraph for text in docstrings for paragraph in prose._paragraphs(inspect.cleandoc(text)))
    return [sentence for paragraph in paragraphs for sentence in prose._split(paragraph) if prose._is_prose(sentence)]


def test_prose_is_taken_and_nothing_else(tmp_path):
    assert sentences_of(DOCSTRING, tmp_path) == EXPECTED


def test_numpys_docstrings_of_c_are_arguments(tmp_path):
    source = '''add_newdoc("numpy", "array",
    """
    An array is made of the list.
    """)'''
    assert sentences_of(source, tmp_path) == ["An array is made of the list."]


def test_files_that_cannot_be_read_are_skipped(tmp_path):
    (tmp_path / "a.py").write_bytes(b'"""A docstring that is not in UTF-8: \xff."""')
    assert list(prose._docstrings(tmp_path / "a.py")) == list(prose._docstrings(tmp_path / "b.py")) == []


@pytest.mark.parametrize("module", [inspect, pathlib, re, subprocess])
def test_docstrings_are_those_of_the_syntax_tree(module):
    file = pathlib.Path(module.__file__)
    source = file.read_text()
    found = {inspect.cleandoc(text) for text in prose._docstrings(file)}
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {ast.get_docstring(node) or "" for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)}
    expected = {text for text in docstrings if text and "\\" not in text and f'"""{text[:20]}' in source}
    assert len(expected) > 5
    assert expected <= found


def test_the_installed_sentences():
    sentences = sample_sentences()
    assert 15_000 < len(sentences) == len(set(sentences))
    assert sample_sentences() == sentences is not sample_sentences()
    for sentence in sentences:
        assert 5 <= len(sentence.split()) <= 50
        assert re.fullmatch(r"[\"'(]?[A-Z].*[.!?][\"')]{0,2}", sentence), sentence
        assert not re.search(r"[\\_=\[\]<>{}|@#$^~*+`]|>>>|::|\n|\t|  ", sentence), sentence
    words = [word.lower() for sentence in sentences for word in sentence.split()]
    assert 0.05 < words.count("the") / len(words) < 0.12  # as in English
    assert any("tensor" in sentence for sentence in sentences) and any("ndarray" in sentence for sentence in sentences)


def test_nothing_is_imported_for_it():
    script = """
import runpy, sys
functions = runpy.run_path(sys.argv[1])
print(len(functions["sample_sentences"]()) > 15000, {"keras", "numpy", "turtle", "antigravity"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script, prose.__file__], capture_output=True, text=True, timeout=120)
    assert done.stdout == "True set()\n", done.stderr


def test_without_sources(monkeypatch):
    monkeypatch.setattr(prose, "_sentences", lambda: ())
    with pytest.raises(ValueError, match=r"installed without its sources. .*read_sentences\(find_text\(path\)\)"):
        sample_sentences()
