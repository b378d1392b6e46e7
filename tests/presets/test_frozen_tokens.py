"""Tokens that people keep stay the tokens of their signals: each shipped preset makes what it made when it came."""

import importlib.util
import pathlib

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("frozen_tokens", ROOT / "tests" / "benchmarks" / "frozen_tokens.py")
frozen_tokens = importlib.util.module_from_spec(spec)
spec.loader.exec_module(frozen_tokens)
# The script asks for all of them. Where a processor rounds otherwise, of codes equally near it may take the other; what
# a prior continues is then something else from there on.
AT_LEAST = {"tokenizer": 0.98, "prior": 0.5}


def test_every_preset_is_frozen():
    assert sorted(frozen_tokens.frozen()) == frozen_tokens.names()


@pytest.mark.parametrize("name", frozen_tokens.names())
def test_a_preset_makes_the_tokens_that_it_made(name):
    made, expected = frozen_tokens.tokens_of(name), frozen_tokens.frozen()[name]
    assert made.shape == expected.shape and len(np.unique(expected)) > 5
    assert np.mean(made == expected) >= AT_LEAST["prior" if "-prior-" in name else "tokenizer"]
