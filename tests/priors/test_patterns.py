import keras
import numpy as np
import pytest

from vqzoo.priors import CoarseFirstPattern
from vqzoo.priors import DelayPattern
from vqzoo.priors import FlattenPattern
from vqzoo.priors import ParallelPattern

RNG = np.random.default_rng(0)
PATTERNS = [FlattenPattern, ParallelPattern, DelayPattern, CoarseFirstPattern]


def by_loops(pattern, frames, codebooks):
    """Each pattern as its paper draws it: a dict (step, stream) -> (position, codebook)."""
    places = {}
    for t in range(frames):
        for k in range(codebooks):
            if isinstance(pattern, FlattenPattern):
                at = (t * codebooks + k, 0)
            elif isinstance(pattern, ParallelPattern):
                at = (t, k)
            elif isinstance(pattern, DelayPattern):
                at = (t + (pattern.delays or range(codebooks))[k], k)
            else:
                at = (t if k == 0 else frames + t, k)
            places[at] = (t, k)
    return places


def cases():
    for kind in PATTERNS:
        for _ in range(6):
            frames, codebooks = (int(n) for n in RNG.integers(1, 7, 2))
            yield kind(), frames, codebooks
    yield DelayPattern([0, 0, 1, 1, 3]), 7, 5
    yield DelayPattern([2, 0]), 4, 2


@pytest.mark.parametrize(("pattern", "frames", "codebooks"), list(cases()))
def test_a_pattern_is_what_its_paper_draws_and_can_be_read_back(pattern, frames, codebooks):
    places = by_loops(pattern, frames, codebooks)
    steps = 1 + max(step for step, _ in places)
    tokens = RNG.integers(0, 100, (3, frames, codebooks))
    expected = np.full((3, steps, pattern.streams(codebooks)), -7)
    for (step, stream), (t, k) in places.items():
        expected[:, step, stream] = tokens[:, t, k]
    sequence = np.asarray(pattern.apply(tokens, fill=-7))
    assert sequence.dtype == np.int32
    np.testing.assert_array_equal(sequence, expected)
    np.testing.assert_array_equal(pattern.revert(sequence, frames, codebooks), tokens)
    for prefix in range(steps + 1):
        reached = np.zeros((frames, codebooks), bool)
        for (step, _), (t, k) in places.items():
            reached[t, k] |= step < prefix
        again = pattern.revert(sequence[:, :prefix], frames, codebooks, fill=-3)
        np.testing.assert_array_equal(again, np.where(reached, tokens, -3))
        whole = np.flatnonzero(~reached.all(axis=1))
        assert pattern.whole_frames(prefix, frames, codebooks) == (whole[0] if len(whole) else frames)


@pytest.mark.parametrize("pattern", [*(kind() for kind in PATTERNS), DelayPattern([0, 2, 1])])
def test_a_pattern_is_saved(pattern):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(pattern))
    assert again == pattern and hash(again) == hash(pattern)
    assert again != (FlattenPattern() if not isinstance(pattern, FlattenPattern) else ParallelPattern())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DelayPattern([1, 2]), "the smallest is 0. Received: delays=.1, 2."),
        (lambda: DelayPattern([0, 1]).slots(3, 3), "Each of the 3 codebooks needs a delay. Received: delays=.0, 1."),
        (lambda: FlattenPattern().revert(np.zeros((1, 7, 1), "int32"), 3, 2), "are .6, 1. steps .* shape=.1, 7, 1."),
        (lambda: ParallelPattern().revert(np.zeros((1, 2, 1), "int32"), 3, 2), "are .3, 2. steps .* shape=.1, 2, 1."),
    ],
)
def test_wrong_things_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_unknown_length_is_refused():
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, None, 2), tf.int32)])
    def run(tokens):
        return FlattenPattern().apply(tokens)

    with pytest.raises(ValueError, match="A pattern needs a static number of positions"):
        run(np.zeros((1, 3, 2), "int32"))
