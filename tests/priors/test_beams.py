import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.networks import Transformer
from vqzoo.priors import AutoregressivePrior
from vqzoo.priors import DelayPattern
from vqzoo.priors import TokenSpace
from vqzoo.priors.sampling import repeating

CODES, LENGTH = 3, 4
SPACE = TokenSpace({"label": 4, "text": CODES, "sound": (3, 3)})
PREFIX = np.asarray(SPACE.prefix(label=[1, 3]))


def prior_of(seed=0, context=False, target="text", **options):
    keras.utils.set_random_seed(seed)
    prior = AutoregressivePrior(SPACE, Transformer(1, 2, causal=True, cross_attention=context), target, 8, **options)
    prior.build()
    rng = np.random.default_rng(seed)
    for weight in prior.weights:
        weight.assign(np.asarray(weight) + 0.6 * rng.normal(size=weight.shape))
    return prior


def sequences():
    """All that end within the length, and those of the whole length without an end."""
    return [s for n in range(LENGTH + 1) for s in itertools.product(range(CODES), repeat=n)]


def scores(prior, row, penalty, **condition):
    """Dict sequence -> its score, of those that end, and of those that do not."""
    every = sequences()
    tokens = np.full((len(every), LENGTH, 1), -1, "int32")
    for place, sequence in zip(tokens, every, strict=True):
        place[: len(sequence), 0] = sequence
    condition = {name: np.repeat(ids[row : row + 1], len(every), axis=0) for name, ids in condition.items()}
    result = prior.cross_entropy(tokens, **condition)
    nats = np.where(result.counted, result.nats, 0.0).reshape(len(every), -1)
    ended = {}
    for sequence, some in zip(every, nats, strict=True):
        if len(sequence) < LENGTH:  # the end is a token
            ended[sequence] = -some.sum() / ((5 + len(sequence) + 1) / 6) ** penalty
    return ended


@pytest.mark.parametrize(("context", "penalty"), [(False, 0.0), (False, 1.0), (True, 0.6)])
def test_with_many_beams_it_is_brute_force(context, penalty):
    condition = {"context" if context else "prefix": PREFIX}
    found = []
    for seed in (0, 1, 2):
        prior = prior_of(seed, context)
        made = prior.generate(**condition, length=LENGTH, beams=CODES**LENGTH, length_penalty=penalty)
        for row in range(2):
            expected = scores(prior, row, penalty, **condition)
            best = max(expected, key=expected.get)
            tokens = [int(token) for token in made[row, :, 0] if token >= 0]
            assert expected[tuple(tokens)] == pytest.approx(expected[best], rel=1e-4), (seed, row)
            found.append(best)
    assert len(set(found)) > 1 and any(found)


def test_a_grid_ends_by_itself():
    prior = prior_of(target="text", grid=(2, 2))
    made = prior.generate(prefix=PREFIX, beams=CODES**3)
    every = np.array(list(itertools.product(range(CODES), repeat=4)), "int32").reshape(-1, 2, 2, 1)
    for row in range(2):
        nats = np.asarray(prior.cross_entropy(every, prefix=np.repeat(PREFIX[row : row + 1], len(every), 0)).nats)
        np.testing.assert_array_equal(made[row], every[nats.reshape(len(every), -1).sum(axis=1).argmin()])


@pytest.mark.parametrize("context", [False, True])
def test_an_example_alone_has_what_it_has_in_a_batch(context):
    prior = prior_of(3, context)
    condition = "context" if context else "prefix"
    options = {"length": 6, "beams": 3, "guidance": 1.5}
    both = prior.generate(**{condition: PREFIX}, **options)
    for row in range(2):
        alone = prior.generate(**{condition: PREFIX[row : row + 1]}, **options)
        np.testing.assert_array_equal(alone[0], both[row])
    np.testing.assert_array_equal(prior.generate(**{condition: PREFIX}, **options, batch_size=1), both)


@pytest.mark.xla
def test_xla_finds_the_same():
    prior = prior_of(3, context=True)
    found = prior.generate(context=PREFIX, length=6, beams=3)
    prior._compiled_search = tf.function(prior._search, autograph=False)
    np.testing.assert_array_equal(prior.generate(context=PREFIX, length=6, beams=3), found)


def test_given_tokens_are_kept_and_no_end_comes_before_them():
    prior = prior_of(1)
    known = np.array([[[2], [-1], [-1], [0], [-1]]])
    made = np.asarray(prior.generate(known=known, length=5, beams=4))
    assert made[0, 0, 0] == 2 and made[0, 3, 0] == 0 and (made[0, :4] >= 0).all()


def test_one_beam_samples_as_before():
    prior = prior_of()
    sampled = prior.generate(3, length=5, seed=2)
    np.testing.assert_array_equal(prior.generate(3, length=5, seed=2, beams=1), sampled)


def test_a_sequence_of_tokens_occurs_once():
    prior = prior_of(2)
    for options in ({"temperature": 0.0}, {"seed": 1}, {"beams": 3}):
        made = np.asarray(prior.generate(prefix=PREFIX, length=9, no_repeat=2, **options))[..., 0]
        for row in made:
            pairs = [tuple(row[i : i + 2]) for i in range(8) if row[i + 1] >= 0]
            assert len(pairs) == len(set(pairs)), options


@pytest.mark.parametrize("n", [1, 2, 3])
def test_what_would_repeat_is_that_of_brute_force(n):
    rng = np.random.default_rng(0)
    ids = rng.integers(4, 7, (20, 8))
    columns = np.arange(4, 7)
    for step in range(9):
        found = np.asarray(repeating(tf.constant(ids * (np.arange(8) < step), tf.int32), tf.constant(step), n, columns))
        for row, banned in zip(ids, found, strict=True):
            seen = {tuple(row[i : i + n]) for i in range(step - n + 1)}
            expected = [(*row[max(0, step - n + 1) : step], code) in seen for code in columns]
            assert step < n - 1 or banned.tolist() == expected, (row, step)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beams": 4, "temperature": 0.5}, "Received: beams=4 and temperature=0.5. Leave one of them out"),
        ({"beams": 4, "top_k": 5}, "beams=4 and top_k=5"),
        ({"beams": 4, "callback": print}, "shows nothing on the way"),
        ({"length_penalty": 1.0}, "`length_penalty` is of a beam search"),
        ({"beams": 0}, "`beams` is an integer from 1 to 1000"),
        ({"no_repeat": 0}, "`no_repeat` is an integer from 1 to 1000"),
    ],
)
def test_wrong_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        prior_of().generate(length=3, **options)


def test_codebooks_that_come_at_once_are_refused():
    prior = prior_of(target="sound", pattern=DelayPattern())
    for options in ({"beams": 2}, {"no_repeat": 2}):
        with pytest.raises(ValueError, match="for tokens one after the other"):
            prior.generate(length=3, **options)
    prior.generate(1, length=2, beams=1)
