"""What the documentation says of what comes back is what `tests/benchmarks/claims.py` measured, and still is."""

import importlib.util
import json
import pathlib

import pytest

import vqzoo

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = {page.name: page.read_text(encoding="utf-8") for page in PAGES if "api" not in page.parts}
spec = importlib.util.spec_from_file_location("claims", ROOT / "tests" / "benchmarks" / "claims.py")
claims = importlib.util.module_from_spec(spec)
spec.loader.exec_module(claims)
RESULTS = json.loads(claims.RESULTS.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_text_is_measured_again():
    tokenizer = vqzoo.TextTokenizer.from_preset(claims.TEXT)
    for kind, sentences in claims.TEXTS.items():
        found = claims.of_text(tokenizer, sentences)
        assert found["exact"] == pytest.approx(RESULTS["text"][kind]["exact"], abs=0.051), kind
        assert len(sentences) == RESULTS["text"][kind]["sentences"]


@pytest.mark.slow
@pytest.mark.parametrize("preset", claims.AUDIO)
def test_sounds_are_measured_again(preset):
    tokenizer = vqzoo.AudioTokenizer.from_preset(preset)
    sounds = claims.signals(tokenizer.sample_rate)
    assert list(sounds) == list(RESULTS["audio"][preset])
    for name in ("440 Hz", "C major", "white noise"):
        assert claims.level(tokenizer, sounds[name]) == pytest.approx(RESULTS["audio"][preset][name], abs=1.0), name


def test_numbers_in_the_text_are_those_of_the_cards():
    told = {name: vqzoo.presets.read_metadata(ROOT / "saved_models" / name)["metrics"] for name in
            (claims.TEXT, *claims.AUDIO)}  # fmt: skip
    text = told[claims.TEXT]
    assert (
        f"Of {text['sentences']} held-out ones {100 * text['exact_match']:.1f} % come back exactly" in TEXT["text.md"]
    )
    shares = (f"{100 * text[name]:.1f}" for name in ("piece_accuracy", "exact_match", "character_error_rate"))
    assert f"| 3.31 | {' | '.join(shares)} |" in TEXT["results.md"]
    for name in claims.AUDIO:
        level, worst = (told[name][f"level_difference_{which}"] for which in ("median", "worst"))
        assert f"| {level:.1f} | {worst:.1f} |" in TEXT["results.md"]


@pytest.mark.parametrize("page", TEXT)
def test_nothing_is_said_to_come_back_as_it_was(page):
    for said in ("come back as they were", "comes back as it was", "nothing is lost", "comes back almost whole"):
        assert said not in TEXT[page]
