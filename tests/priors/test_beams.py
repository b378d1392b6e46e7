"""Beam search against all sequences of a small space, and n-grams that must not repeat."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.networks import Transformer
from vqzoo.priors import AutoregressivePrior
from vqzoo.priors import DelayPattern
from vqzoo.priors import TokenSpace
from vqzoo.priors.decoding.beams import search_of
from vqzoo.priors.generation import in_graph
from vqzoo.priors.generation import requested
from vqzoo.priors.sampling import repeating

SPACE = TokenSpace({"label": 3, "text": 3, "pair": (2, 2)})
PREFIX = np.asarray(SPACE.prefix(label=[[[1], [2]], [[-1], [0]]]))
RNG = np.random.default_rng(0)


def stir(prior, seed):
    """Random weights, in place, so that nothing is compiled again."""
    rng = np.random.default_rng(seed)
    for weight in prior.weights:
        weight.assign(rng.normal(size=weight.shape, scale=0.7))


def prior_of(target="text", grid=None, context=False, **options):
    transformer = Transformer(1, 2, causal=True, cross_attention=context)
    prior = AutoregressivePrior(SPACE, transformer, target, 8, grid, **options)
    prior.build_now()
    stir(prior, 0)
    prior._compiled_generate = tf.function(prior._generate, autograph=False)  # XLA takes twice as long to compile
    return prior


def sequences(prior, frames):
    """All results that there are, int32 (count, *grid, num_codebooks)."""
    positions = list(itertools.product(*(range(size) for size in SPACE.sizes[prior.target])))
    rows = []
    for length in [frames] if prior.grid else range(frames + 1):
        for chosen in itertools.product(positions, repeat=length):
            rows.append([*chosen, *[(-1,) * prior.num_codebooks] * (frames - length)])
    return np.array(rows, "int32").reshape(len(rows), *(prior.grid or (frames,)), prior.num_codebooks)


def repeats(row, free, n):
    """Whether an id that is not given repeats an n-gram although another id would not; `free`, what else may come."""
    for end in range(n - 1, len(row)):
        seen = {tuple(row[i : i + n]) for i in range(end - n + 1)}
        fresh = [other for other in free[end] if (*row[end - n + 1 : end], other) not in seen]
        if fresh and row[end] not in fresh:
            return True
    return False


def best(prior, frames, penalty, prefix=None, context=None, guidance=None, known=None, no_repeat=None):
    """The best of all sequences for one condition, by the logits of all steps at once."""
    tokens = sequences(prior, frames)
    known = np.full(tokens.shape[1:], -1) if known is None else known
    tokens = tokens[((known < 0) | (tokens == known)).reshape(len(tokens), -1).all(axis=1)]
    many = {"prefix": prefix, "context": context}
    many = {name: np.repeat(ids, len(tokens), axis=0) for name, ids in many.items() if ids is not None}
    logits = np.asarray(prior(tokens, **many))[:, :, 0]
    if guidance is not None:
        none = np.asarray(prior(tokens, **{name: 0 * ids for name, ids in many.items()}))[:, :, 0]
        logits = none + guidance * (logits - none)
    chances = np.asarray(keras.ops.log_softmax(logits))
    ids = np.asarray(prior.pattern.apply(prior.checked_tokens(tokens), 0))[..., 0]
    forced = known.reshape(-1) >= 0
    begin = int(np.argmin(np.append(forced, False)))
    scores = np.full(len(tokens), -np.inf)
    for i, row in enumerate(ids):
        length = int((row > 0).sum())
        row = [*row[:length], SPACE.end(prior.target)] if prior.has_end else list(row)
        possible = [list(np.flatnonzero(x > -1e8) + prior.first_ids[0]) for x in logits[i]]
        free = [[row[k]] if k < len(forced) and forced[k] else possible[k] for k in range(len(row))]
        if no_repeat is None or not repeats(row, free, no_repeat):
            total = sum(chances[i, k, row[k] - prior.first_ids[0]] for k in range(begin, len(row)))
            scores[i] = total / ((5 + len(row) - begin) / 6) ** penalty
    return tokens[np.argmax(scores)]


CASES = {
    "any length": ({}, 4, 121),
    "two codebooks": ({"target": "pair"}, 3, 85),
    "grid": ({"grid": (2, 2)}, 4, 81),
}


@pytest.mark.parametrize("name", CASES)
def test_with_enough_beams_the_best_of_all_is_found(name):
    options, frames, beams = CASES[name]
    prior = prior_of(**options)
    length = None if prior.grid else frames
    lengths = set()
    for seed in range(5):
        stir(prior, seed)
        for penalty in (0, 0.6, 1):
            made = np.asarray(prior.generate(prefix=PREFIX, beams=beams, length_penalty=penalty, length=length))
            for row, prefix in zip(made, PREFIX, strict=True):
                np.testing.assert_array_equal(row, best(prior, frames, penalty, prefix[None]))
                lengths.add(int((row >= 0).sum()))
    assert len(lengths) >= (1 if prior.grid else 3)


def test_what_combines_is_exact_too():
    prior = prior_of(context=True, context_encoder=Transformer(1, 2))
    context = np.asarray(SPACE.prefix(label=[[[0], [2]], [[1], [-1]]]))
    known = np.full((2, 4, 1), -1)
    known[0, :2, 0], known[1, 2, 0] = (2, 1), 0  # a beginning, and a token in the middle
    for seed in range(3):
        stir(prior, seed)
        for options in (
            {"guidance": 2.0, "no_repeat": 1, "length_penalty": 1.0},
            {"no_repeat": 2, "known": known, "guidance": 0.5, "length_penalty": 2.0},
        ):
            made = np.asarray(prior.generate(prefix=PREFIX, context=context, beams=121, length=4, **options))
            for i, row in enumerate(made):
                own = {**options, "prefix": PREFIX[i : i + 1], "context": context[i : i + 1]}
                own |= {"known": known[i]} if "known" in options else {}
                np.testing.assert_array_equal(row, best(prior, 4, own.pop("length_penalty"), **own))


@pytest.mark.parametrize("grid", [None, (2, 2)])
def test_one_beam_is_greedy_and_a_batch_is_its_examples(grid):
    prior = prior_of(grid=grid)
    length = None if grid else 4
    settings = {"count": None, "seed": 0, "guidance": None, "temperature": 0.0}
    for seed in range(4):
        stir(prior, seed)
        request = requested(prior, PREFIX, None, None, 4, settings, (4, 1))
        one = prior._generate(request._replace(beams=1, length_penalty=tf.constant(0.0)), 4, 0)
        greedy = prior.generate(prefix=PREFIX, temperature=0, length=length)
        np.testing.assert_array_equal(prior.tokens_of(one, 4), greedy)
        together = prior.generate(prefix=PREFIX, beams=3, length=length)
        np.testing.assert_array_equal(prior.generate(prefix=PREFIX, beams=3, length=length, batch_size=1), together)
        np.testing.assert_array_equal(prior.generate(prefix=PREFIX, beams=3, length=length, seed=7), together)
    sampled = prior.generate(prefix=PREFIX, beams=1, length=length, seed=7)
    np.testing.assert_array_equal(prior.generate(prefix=PREFIX, length=length, seed=7), sampled)


def test_few_beams_are_rarely_worse_than_greedy():
    prior = prior_of(grid=(6,))
    gains = []
    for seed in range(10):
        stir(prior, seed)
        nats = [
            np.sum(prior.cross_entropy(prior.generate(prefix=PREFIX, **options), prefix=PREFIX).nats, axis=(1, 2))
            for options in ({"temperature": 0}, {"beams": 3})
        ]
        gains.extend(nats[0] - nats[1])
    assert np.mean(np.array(gains) > -1e-4) > 0.9 and np.mean(gains) > 0.05


def test_a_graph_of_any_batch_and_xla_find_the_same():
    options = {"beams": 3, "guidance": 2.0, "no_repeat": 2, "length_penalty": 1.0}
    prior = prior_of()
    made = prior.generate(prefix=PREFIX, length=4, **options)
    for xla in (False, True):
        options["xla"] = xla

        @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.int32)], autograph=False)
        def run(prefix):
            return in_graph(prior, tf.constant(0), tf.shape(prefix)[0], prefix, length=4, **options)

        np.testing.assert_array_equal(run(tf.constant(PREFIX)), made)


def test_what_does_not_combine_is_refused():
    prior, print_it = prior_of(), print
    for name, value in (("temperature", 0.5), ("top_k", 3), ("top_p", 0.9), ("min_p", 0.1), ("callback", print_it)):
        with pytest.raises(ValueError, match=f"`{name}` does not combine with `beams`.*{name}=.*beams=2. Leave one"):
            prior.generate(length=4, beams=2, **{name: value})
        prior.generate(length=4, beams=1, temperature=1.0)
    prior.generate(length=4, beams=2, top_k=None)
    for beams in (None, 1):
        with pytest.raises(ValueError, match="`length_penalty` is a setting of beam search.*Give `beams` of 2 or more"):
            prior.generate(length=4, beams=beams, length_penalty=1.0)
    with pytest.raises(ValueError, match="one token per step. Received: beams=2 for a .* of 2 streams"):
        prior_of("pair", pattern=DelayPattern()).generate(length=4, beams=2)
    learnt = prior_of(learnt_positions=4)
    assert search_of(learnt, {"beams": 2}, 3)["beams"] == 2
    with pytest.raises(ValueError, match="a learned position for the end token. Received: length=4 and beams=2"):
        learnt.generate(length=4, beams=2)


# === N-grams ===
@pytest.mark.parametrize("n", [1, 2, 3, 7, 9])
def test_an_n_gram_is_found_wherever_it_was(n):
    ids = RNG.integers(0, 3, (20, 8, 2)).astype("int32")
    ids[:, 5:] = np.where(RNG.random((20, 3, 2)) < 0.5, -1, ids[:, 5:])
    ids[:, 5] = -1
    marked = np.asarray(repeating(ids, 5, n, 3))
    for row, stream in np.ndindex(20, 2):
        line = list(ids[row, :, stream])
        grams = {tuple(line[i : i + n]) for i in range(8 - n + 1) if min(line[i : i + n]) >= 0}
        expected = [n <= 6 and (*line[6 - n : 5], k) in grams for k in range(3)]
        assert marked[row, stream].tolist() == expected


@pytest.mark.parametrize("pattern", [None, DelayPattern()])
def test_no_n_gram_is_sampled_twice(pattern):
    space = TokenSpace({"sound": (5, 6)})
    prior = AutoregressivePrior(space, Transformer(1, 2, causal=True), "sound", 8, (12,), pattern)
    prior.build_now()
    prior._compiled_generate = tf.function(prior._generate, autograph=False)
    known = np.full((1, 12, 2), -1)
    known[:, 3:5] = 2
    for n in (2, 3):
        made = np.asarray(prior.generate(8, known=known, no_repeat=n, seed=n, temperature=0.3))
        plain = np.asarray(prior.generate(8, known=known, seed=n, temperature=0.3))
        assert (made[:, 3:5] == 2).all() and (made != plain).any()
        ids = np.asarray(prior.pattern.apply(prior.checked_tokens(made), -1))
        given = np.asarray(prior.pattern.apply(np.broadcast_to(known, made.shape), -1)) >= 0
        for row, stream in np.ndindex(8, ids.shape[2]):
            line = ids[row, :, stream]
            free = ~given[row, :, stream]
            grams = [
                tuple(line[i : i + n])
                for i in range(len(line) - n + 1)
                if free[i + n - 1] and line[i : i + n].min() > 0
            ]
            assert len(set(grams)) == len(grams)
    all_of_them = np.asarray(prior.generate(3, no_repeat=1))  # 12 tokens of 5 and of 6: some must come again
    assert all(len(np.unique(all_of_them[i, :, k])) == (5, 6)[k] for i in range(3) for k in range(2))
