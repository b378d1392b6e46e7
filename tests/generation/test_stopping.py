"""Texts that are cut before stop strings."""

import numpy as np
import pytest

import vqzoo
from vqzoo.generation import Generator
from vqzoo.generation import TextPart
from vqzoo.generation.text.stopping import checked_stops
from vqzoo.generation.text.stopping import stopped


@pytest.fixture(scope="module")
def stories(make_prior, pieces):
    return Generator(make_prior({"story": pieces.size}, "story", learnt_positions=17), TextPart("story", pieces))


def test_a_text_ends_before_the_first_stop_string(stories):
    whole = vqzoo.generate(stories, 6, seed=2)
    assert min(map(len, whole)) > 3
    stops = [whole[0][2:4], whole[1][1], whole[1][3]]
    cut = vqzoo.generate(stories, 6, seed=2, stop=stops)
    for text, long in zip(cut, whole, strict=True):
        assert long.startswith(text) and not any(stop in text for stop in stops)
        assert text == long or any(long[len(text) :].startswith(stop) for stop in stops)
    assert len(cut[0]) <= 2 and len(cut[1]) <= 1
    assert vqzoo.generate(stories, 6, seed=2, stop=stops[0]) == [text.split(stops[0])[0] for text in whole]
    assert vqzoo.generate(stories, 6, seed=2, stop="no such string") == whole
    assert vqzoo.generate(stories, 6, seed=2, stop=None) == whole


def test_a_prompt_is_kept_whatever_it_holds(stories):
    prompts = ["the old", "a cat and", ""]
    whole = vqzoo.generate(stories, prompt=prompts, count=5, seed=1)
    cut = vqzoo.generate(stories, prompt=prompts, count=5, seed=1, stop=["t", "a"])
    for i, (text, long) in enumerate(zip(cut, whole, strict=True)):
        beginning = prompts[i % 3]
        assert text.startswith(beginning) and long.startswith(text)
        assert not {"t", "a"} & set(text[len(beginning) :])
    assert any(len(text) < len(long) for text, long in zip(cut, whole, strict=True))


def test_a_text_tokenizer_stops_too(make_prior, text_tokenizer):
    prior = make_prior({"text": text_tokenizer.codebook_sizes}, "text", learnt_positions=9)
    generator = Generator(prior, text_tokenizer)
    whole = generator.generate(4, seed=3)
    stop = next(text for text in whole if text)[0]
    assert generator.generate(4, seed=3, stop=stop) == [text.split(stop)[0] for text in whole]
    prompt = "the old house"
    (kept,) = generator.decode(np.asarray(generator.target.beginning(prompt))[None])
    (long,) = generator.generate(prompt=prompt, length=7)
    (text,) = generator.generate(prompt=prompt, length=7, stop=long[-1])
    common = next((i for i, pair in enumerate(zip(kept, long, strict=False)) if len(set(pair)) > 1), len(kept))
    assert text == long[: long.find(long[-1], common)]


def test_what_is_between_a_prompt_and_its_text_is_no_stop():
    assert stopped(["ab\ncd", "xyz"], ("\n", "y"), ["ab\n", ""]) == ["ab\ncd", "x"]
    assert stopped(["ab\ncd"], ("c",), ["abXX"]) == ["ab\n"]  # a beginning that was decoded to something else
    assert stopped(["Q: a", "b"], ("Q:",)) == ["", "b"]


@pytest.mark.parametrize("stop", ["", [""], [], 3, [3], ["a", None], b"a", True])
def test_stop_strings_are_checked(stories, stop):
    for way in (checked_stops, lambda stop: stories.generate(stop=stop)):
        with pytest.raises(
            ValueError, match="`stop` is a str of one character or more, or a sequence of them. Received"
        ):
            way(stop)


def test_other_signals_have_no_text_to_cut(make_generator):
    with pytest.raises(ValueError, match="`stop` cuts texts. Received: stop='a' for 'image'. Leave it out."):
        make_generator().generate(stop="a")
