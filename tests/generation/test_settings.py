"""Every setting of generation, for both kinds of prior, from Python and from the command line."""

import fractions
import inspect
import re

import numpy as np
import pytest

import vqzoo
from vqzoo.cli.main import main
from vqzoo.generation import Generator
from vqzoo.jsons import shown
from vqzoo.priors.settings import OF_PICTURES
from vqzoo.priors.settings import SETTINGS
from vqzoo.priors.settings import checked
from vqzoo.priors.settings import reader

KINDS = (vqzoo.AutoregressivePrior, vqzoo.MaskedPrior)
WRONG_EVERYWHERE = [
    *(float("nan"), float("inf"), -float("inf"), 1e38, -1e38, -1, -1.5, -(2**31), 10**400, 10**5000, -(10**400)),
    *(True, False, np.True_, "1", "nan", b"1", "a\nb", 1j, [1], (), {}, object(), np.ones(1), np.zeros((2, 3))),
    *(np.float32("nan"), np.float64("inf"), np.array(float("nan")), 2**63, 2.0**63, np.uint64(2**64 - 1)),
    *(np.float16("inf"), np.array(np.inf, ">f2"), -np.float16("inf")),
    *(np.timedelta64(3), np.timedelta64(3, "s"), np.timedelta64("NaT"), np.ma.masked, np.ma.array(3, mask=True), int),
]
# What lies in the range of some setting, so that it is not in the list above.
WRONG = {
    **{name: WRONG_EVERYWHERE for name in ("temperature", "top_p", "min_p", "repetition_penalty", "noise", "strength")},
    "length_penalty": WRONG_EVERYWHERE,
    "guidance": [value for value in WRONG_EVERYWHERE if not (isinstance(value, int | float) and value in (-1, -1.5))],
}
OF_INTEGERS = [*WRONG_EVERYWHERE, 1.5, 1.0, np.float32(1.0), np.float64(2.0)]
WRONG |= {name: OF_INTEGERS for name in (*SETTINGS, *OF_PICTURES) if {**SETTINGS, **OF_PICTURES}[name].kind is int}
MORE = {
    "temperature": [None, 1e-7, 1e7, 5e-324],
    "top_k": [0, np.int64(0), 2**31],
    "top_p": [fractions.Fraction(1, 10**400), 0.0, 0, 1.0001, np.float64(1.5)],
    "min_p": [1.0001, 2],
    "repetition_penalty": [0, 1e-4, 1001],
    "no_repeat": [0, 2**31],
    "beams": [0, 1001],
    "length_penalty": [-0.1, 5.1],
    "steps": [None, 0, 10**4 + 1, 2**31],
    "noise": [None, 1e6 + 1],
    "schedule": ["half", 5, True, b"cosine", float("nan"), ["cosine"]],
    "seed": [None],
    "count": [0, 2**31, 10**6 + 1],
    "length": [0, 2**31],
    "batch_size": [0, 2**31],
    "callback": [1, "print", True, float("nan")],
    "every": [None, 0, 2**31],
    "guidance": [1001, np.float32(-1001)],
    "rim": [None, 2**31],
    "pad": [None, 2**31],
    "strength": [None, 1.5],
}
GOOD = {
    "guidance": [None, 0, -2, 2.5, np.float16(2.5), np.float32(2.5), np.int64(3), np.array(2.5), 1000],
    "temperature": [0, 0.0, -0.0, 1e-6, 1, np.float32(0.5), np.array(0.5, "float32"), 1e6],
    "top_k": [None, 1, 2**31 - 1, np.int8(3), np.uint64(3), np.array(3)],
    "top_p": [None, 1e-300, 1, np.float32(0.9)],
    "min_p": [None, 0, 1, np.float64(0.5)],
    "repetition_penalty": [None, 0.001, 1000, np.float32(1.5)],
    "no_repeat": [None, 1, 2**31 - 1, np.int64(3)],
    "beams": [None, 1, 1000, np.int16(4)],
    "length_penalty": [None, 0, 5, np.float32(0.5)],
    "steps": [1, 10**4, np.int32(3)],
    "noise": [0, 10**6, np.float32(4.5)],
    "schedule": [None, "cosine", np.str_("linear")],
    "seed": [0, 2**31, 2**63 - 1, np.uint64(2**63 - 1), np.int64(7)],
    "count": [None, 1, 10**6, np.int16(2)],
    "length": [None, 1, np.int64(5)],
    "batch_size": [None, 1, 2**31 - 1],
    "callback": [None, print],
    "every": [1, np.int64(16)],
    "rim": [0, 2**31 - 1, np.int64(2)],
    "pad": [0, 16],
    "strength": [0, 1, np.float32(0.5)],
}
TABLE = {**SETTINGS, **OF_PICTURES}
PAIRS = [(name, value) for name in TABLE for value in (*WRONG.get(name, ()), *MORE.get(name, ()))]
# One of each, for what takes longer.
FEW = {
    name: [float("nan"), 1e38, True, "1", *MORE.get(name, ())[:2], *([1.5] if TABLE[name].kind is int else [])]
    for name in TABLE
}


@pytest.fixture(scope="module")
def generators(make_generator):
    return {kind: make_generator(kind) for kind in KINDS}


def one_line(caught, name, value):
    """Checks that an error is one short line with the setting, its range, and what was received."""
    message = str(caught.value)
    assert "\n" not in message and len(message) < 300, message
    assert message == f"`{name}` is {TABLE[name].range}. Received: {name}={shown(value)}"


def test_the_table_is_complete():
    assert set(WRONG) | set(MORE) == set(TABLE) == set(GOOD)
    for kind in KINDS:
        named = {name for name, p in inspect.signature(kind.generate).parameters.items() if p.kind != p.VAR_KEYWORD}
        own = {name for name, setting in SETTINGS.items() if setting.causal in (None, kind.causal)}
        assert named - {"self", "prefix", "context", "known"} <= own


@pytest.mark.parametrize("name", TABLE)
def test_wrong_values_are_refused_in_one_line(name):
    for value in (*WRONG.get(name, ()), *MORE.get(name, ())):
        with pytest.raises(ValueError) as caught:
            checked(name, value)
        one_line(caught, name, value)
    for value in GOOD[name]:
        plain = checked(name, value)
        assert plain == value and (value is None or type(plain) in (int, float, str, np.str_, type(print)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SETTINGS)
def test_every_way_in_python_refuses_the_same(name, kind, generators):
    generator, setting = generators[kind], SETTINGS[name]
    image, mask = np.zeros((8, 12, 3), "float32"), np.zeros((8, 12), bool)
    ways = [
        lambda **o: generator.prior.generate(prefix=generator.prefix_of(["bag"]), **o),
        lambda **o: generator.generate(condition="bag", **o),
        lambda **o: generator.tokens(condition="bag", **o),
        lambda **o: vqzoo.generate(generator, condition="bag", **o),
    ]
    if name not in ("count", "length"):
        ways.append(lambda **o: vqzoo.inpaint(generator, image, mask, "bag", **o))
        ways.append(lambda **o: generator.complete(-np.ones((1, 2, 3, 1), int), "bag", **o))
    sampling = ("guidance", "temperature", "top_p", "min_p", "repetition_penalty", "steps", "noise", "schedule")
    if name in (*sampling, "no_repeat", "beams", "length_penalty"):
        ways.append(lambda **o: Generator(generator.prior, generator.tokenizer, generator.conditions, sampling=o))
    if kind is vqzoo.MaskedPrior and name not in ("count", "length"):
        known = np.zeros((1, 2, 3, 1), int)
        ways.append(lambda **o: generator.prior.repair(known, np.ones((1, 2, 3), bool), **o))
    for way in ways[name == "length" :]:  # which `Prior.frames_of` checks
        for value in FEW[name]:
            with pytest.raises(ValueError) as caught:
                way(**{name: value})
            if setting.causal in (None, kind.causal) and name != "length":
                one_line(caught, name, value)
            else:
                assert f"This {kind.__name__} has no setting `{name}` here." in str(caught.value)


def test_sampling_and_beam_search_replace_each_other(make_generator, monkeypatch):
    plain, asked = make_generator(), []
    nothing = np.zeros((1, 2, 3, 1), int)
    monkeypatch.setattr(plain.prior, "generate", lambda **options: asked.append(options) or nothing)
    kept, search = {"temperature": 0.5, "top_k": 3, "guidance": 2.0}, {"beams": 2, "length_penalty": 0.0}
    for sampling, options, expected in (
        (kept, {"beams": 2}, {"beams": 2, "guidance": 2.0}),
        (kept, {"beams": 1}, {**kept, "beams": 1}),
        (kept, {"no_repeat": 2}, {**kept, "no_repeat": 2}),
        (search, {}, search),
        (search, {"length_penalty": 2, "top_k": None}, {"beams": 2, "length_penalty": 2.0, "top_k": None}),
        (search, {"top_k": 3}, {"top_k": 3}),
        (search, {"callback": print}, {"callback": print}),
        (search, {"beams": None}, {"beams": None}),
    ):
        generator = Generator(plain.prior, plain.tokenizer, plain.conditions, sampling=sampling)
        generator.tokens(condition="bag", **options)
        assert {name: asked[-1][name] for name in asked[-1] if name in {*kept, *search, *options}} == expected
    with pytest.raises(ValueError, match="`top_k` does not combine with `beams`.*top_k=3, beams=2"):
        Generator(plain.prior, plain.tokenizer, plain.conditions, sampling={"beams": 2, "top_k": 3})


@pytest.mark.parametrize("name", OF_PICTURES)
def test_settings_of_pictures(name, generators):
    image, mask = np.zeros((8, 12, 3), "float32"), np.zeros((8, 12), bool)
    generator = generators[vqzoo.MaskedPrior]
    ways = {
        "rim": lambda value: vqzoo.inpaint(generator, image, mask, rim=value),
        "strength": lambda value: vqzoo.restyle(generator.tokenizer, image, image, value),
    }
    for value in FEW[name] if name in ways else ():
        with pytest.raises(ValueError) as caught:
            ways[name](value)
        one_line(caught, name, value)


def test_a_prior_of_styles_checks_its_settings(make_generator):
    generator = make_generator(vqzoo.MaskedPrior, labels=(), parts={"style": 8})
    image = np.zeros((8, 12, 3), "float32")
    for name, value in (("seed", 1.5), ("seed", 2**63), ("steps", 0), ("guidance", float("nan")), ("batch_size", 0)):
        with pytest.raises(ValueError) as caught:
            vqzoo.restyle(generator, image, image, **{name: value})
        one_line(caught, name, value)
    for name in ("count", "known", "prefix", "every", "sed"):
        with pytest.raises(ValueError, match=f"This MaskedPrior has no setting `{name}` here"):
            vqzoo.restyle(generator, image, image, **{name: 1})
    results = [vqzoo.restyle(generator, image, image, seed=seed) for seed in (0, np.int64(0), 2**31, 2**63 - 1)]
    np.testing.assert_array_equal(results[0], results[1])
    assert len({x.tobytes() for x in results[1:]}) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_settings_list_those_of_this_kind(kind, generators):
    generator = generators[kind]
    own = ", ".join(name for name, s in SETTINGS.items() if s.causal in (None, kind.causal) and name != "length")
    other = "an `AutoregressivePrior`" if kind is vqzoo.MaskedPrior else "a `MaskedPrior`"
    theirs = {True: "repetition_penalty", False: "steps"}[not kind.causal]
    cases = {
        "temprature": "Did you mean `temperature`?",
        "topk": "Did you mean `top_k`?",
        "callbak": "Did you mean `callback`?",
        "knwon": "Did you mean `known`?",
        theirs: f"Only {other} has it.",
        "length": "It generates its grid of (2, 3).",
        "zzz": f"here. Its settings are {own}. Received: zzz=1",
    }
    for name, hint in cases.items():
        for way in (generator.prior.generate, generator.generate):
            if name == "length" and way == generator.prior.generate:
                continue
            with pytest.raises(ValueError) as caught:
                way(**{name: 1})
            assert hint in str(caught.value) and f"Its settings are {own}. Received: {name}=1" in str(caught.value)
    with pytest.raises(ValueError, match="This .* has no setting `prefix` here"):
        generator.generate(prefix=np.zeros((1, 1), int))
    with pytest.raises(ValueError, match=r"if and only if the prior has no grid. Received: length=6, grid=\(2, 3\)"):
        generator.prior.generate(length=6)
    with pytest.raises(ValueError, match="`sampling` is a dict of settings. Received: sampling=.'steps'."):
        Generator(generator.prior, generator.tokenizer, generator.conditions, sampling=["steps"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_ends_of_every_range_make_tokens_that_exist(kind, generators):
    own = {"repetition_penalty": 1000} if kind is vqzoo.AutoregressivePrior else {"noise": 10**6}
    for options in (
        *({"guidance": scale, "temperature": heat} for scale in (-1000, 1000) for heat in (1e-6, 10**6)),
        *({"guidance": scale, "temperature": 0, **own} for scale in (-1000, 1000)),
        {"guidance": 1000, "top_k": 2**31 - 1, "top_p": 1e-300, "min_p": 1, "batch_size": 2**31 - 1},
        *({"beams": 1000, "guidance": -1000, "length_penalty": 5.0, **own},) * kind.causal,
        *({"no_repeat": n} for n in (1, 2**31 - 1) if kind.causal),
    ):
        tokens = generators[kind].tokens(2, "bag", **options)
        assert tokens.shape == (2, 2, 3, 1) and 0 <= tokens.min() and tokens.max() < 8, options


@pytest.mark.parametrize("kind", KINDS)
def test_every_seed_has_its_own_stream(kind, generators):
    generator = generators[kind]
    seeds = (0, 1, 2**31 - 1, 2**31, 2**31 + 1, 2**32, 2**32 + 1, 2**62, 2**63 - 1)
    made = [generator.tokens(16, "bag", seed=seed).tobytes() for seed in seeds]
    assert len(set(made)) == len(seeds)
    for number in (np.int64, np.uint64, np.array):
        assert generator.tokens(16, "bag", seed=number(2**31)).tobytes() == made[3]
    image, mask = np.zeros((8, 12, 3), "float32"), np.ones((8, 12), bool)
    vqzoo.inpaint(generator, image, mask, seed=2**63 - 1, rim=np.int64(0))


def test_conditions_are_no_bools_and_no_numbers_with_a_point(generators):
    generator = generators[vqzoo.AutoregressivePrior]
    for condition in (True, 1.5, None, float("nan")):
        with pytest.raises(ValueError, match=f"There is no label {condition}"):
            generator.generate(1, [condition])
    for count in (0, -1, 1.5, True, 2**40):
        with pytest.raises(ValueError, match=f"`count` is an integer from 1 to 1000000. Received: count={count}"):
            generator.conditions_of("bag", count)
    with pytest.raises(ValueError, match="There is no label 1.5"):
        generator.generate(condition=1.5)


TEXTS = ["nan", "inf", "1e39", "", "one", "1e400", "0x1", "None", "True", "9" * 30, "9" * 5000, "-7777777", "1 2"]
FLAGS = {
    "generate": ["count", "seed", "guidance", "temperature", "top_k", "top_p", "min_p", "repetition_penalty"],
    "inpaint": ["pad", "rim", "seed"],
    "restyle": ["strength", "seed"],
}
FLAGS["generate"] += ["no_repeat", "beams", "length_penalty", "steps", "noise", "length"]
COMMANDS = {"generate": ["p", "--out", "o"], "inpaint": ["p", "a", "--out", "o"], "restyle": ["p", "a", "b"]}


@pytest.mark.parametrize(("verb", "name"), [(verb, name) for verb, names in FLAGS.items() for name in names])
def test_the_command_line_refuses_the_same(verb, name, capsys):
    texts = [*TEXTS, *(["1.5", "1.0", "-1"] if TABLE[name].kind is int else [])]
    for text in texts:
        with pytest.raises(SystemExit) as caught:
            main([verb, *COMMANDS[verb], f"--{name}={text}"])
        line = capsys.readouterr().err.splitlines()[-1]
        assert caught.value.code == 2 and len(line) < 300
        assert f"argument --{name}: {TABLE[name].range}. Received: {shown(text)}" in line
    assert reader(name)("1") == 1
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    assert re.search(rf"--{name} ", capsys.readouterr().out)
