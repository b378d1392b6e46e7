import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.networks import Transformer
from vqzoo.priors import DelayPattern
from vqzoo.priors import MaskedPrior
from vqzoo.priors import ParallelPattern
from vqzoo.priors import TokenSpace
from vqzoo.priors import masked_share

SPACE = TokenSpace({"label": 4, "image": 6, "sound": (5, 7)})
RNG = np.random.default_rng(0)


def prior_of(target="image", seed=0, xla=False, **options):
    keras.utils.set_random_seed(seed)
    prior = MaskedPrior(SPACE, Transformer(1, 2), target, 8, seed=seed, **options)
    prior.build()
    rng = np.random.default_rng(seed)
    for weight in prior.weights:
        weight.assign(np.asarray(weight) + 0.5 * rng.normal(size=weight.shape))
    if not xla:  # which takes twice as long to compile
        prior._compiled_generate = tf.function(prior._generate, autograph=False)
    return prior


def tokens_of(prior, count, frames):
    sizes = SPACE.sizes[prior.target]
    tokens = np.stack([RNG.integers(0, k, (count, frames)) for k in sizes], axis=-1)
    return tokens.reshape(count, *(prior.grid or (frames,)), len(sizes))


def test_a_hidden_token_sees_all_others_and_not_itself():
    prior = prior_of(grid=(2, 3))
    tokens = tokens_of(prior, 1, 6)
    tokens[0, 0, 1] = -1
    logits = np.asarray(prior(tokens))[0, 1, 0]
    for row, column in np.ndindex(2, 3):
        changed = tokens.copy()
        changed[0, row, column] = (tokens[0, row, column] + 1) % 6
        moved = np.abs(np.asarray(prior(changed))[0, 1, 0] - logits).max()
        assert moved > 1e-5, (row, column)
    assert np.abs(np.asarray(prior(tokens, prefix=SPACE.prefix(label=[1])))[0, 1, 0] - logits).max() > 1e-4


@pytest.mark.parametrize("pattern", [None, ParallelPattern(), DelayPattern()])
def test_only_codes_of_the_right_codebook_can_stand_somewhere(pattern):
    prior = prior_of("sound", grid=(3,), pattern=pattern)
    logits = np.asarray(prior(np.full((1, 3, 2), -1)))[0]
    slots = prior.pattern.slots(3, 2)
    for step, stream in np.argwhere(slots >= 0):
        ids = prior.first_ids[stream] + np.flatnonzero(logits[step, stream] > -1e8)
        np.testing.assert_array_equal(ids, SPACE.codes("sound", slots[step, stream] % 2))
    made = np.asarray(prior.generate(50, steps=3, temperature=3.0))
    assert made.shape == (50, 3, 2) and made.min() == 0
    assert set(made[..., 0].ravel()) == set(range(5)) and set(made[..., 1].ravel()) == set(range(7))


def test_in_training_a_random_share_is_hidden():
    prior = prior_of(grid=(4, 4))
    tokens = tokens_of(prior, 1, 16).repeat(500, axis=0)
    counts = np.asarray(prior.cross_entropy(tokens, training=True).counted).sum(axis=(1, 2))
    assert counts.min() >= 1 and counts.max() == 16
    # Of cos(pi r / 2) with r uniform: E ceil(16 share) and the share of rows with more than half.
    expected = np.ceil(16 * np.cos(np.pi / 2 * (np.arange(10000) + 0.5) / 10000))
    assert counts.mean() == pytest.approx(expected.mean(), abs=0.6)
    assert (counts > 8).mean() == pytest.approx((expected > 8).mean(), abs=0.06)
    places = np.asarray(prior.cross_entropy(tokens, training=True).counted).mean(axis=0)
    assert places.std() < 0.05  # no place is special


def test_held_out_the_same_tokens_are_hidden_each_time():
    prior = prior_of(grid=(4, 4))
    tokens = tokens_of(prior, 4, 16)
    one, other = (prior.cross_entropy(tokens) for _ in range(2))
    np.testing.assert_array_equal(one.nats, other.nats)
    share = np.cos(np.pi / 2 * (1 - (np.arange(4) + 0.5) / 4))
    np.testing.assert_array_equal(np.asarray(one.counted).sum(axis=(1, 2)), np.ceil(16 * share))


def test_cross_entropy_is_that_of_the_hidden_tokens():
    prior = prior_of("sound", grid=(3,), pattern=ParallelPattern())
    tokens = tokens_of(prior, 3, 3)
    told = prior.cross_entropy(tokens)
    hidden = np.asarray(told.counted)
    logits = np.asarray(prior(np.where(hidden, -1, tokens)), "float64")
    for row, step, stream in np.ndindex(3, 3, 2):
        scores = logits[row, step, stream][: (5, 7)[stream]]
        expected = np.log(np.exp(scores).sum()) - scores[tokens[row, step, stream]] if hidden[row, step, stream] else 0
        assert float(told.nats[row, step, stream]) == pytest.approx(expected, abs=1e-4)


def by_hand(prior, prefix, steps):
    """MaskGIT's decoding without noise and with the likeliest tokens, in numpy."""
    tokens = np.full((len(prefix), *prior.grid, 1), -1)
    flat = tokens.reshape(len(prefix), -1)
    total = flat.shape[1]
    for step in range(1, steps + 1):
        logits = np.asarray(prior(tokens, prefix=prefix))[:, :, 0]
        chances = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        left = int(total * float(masked_share(step / steps)))
        for row in range(len(prefix)):
            holes = np.flatnonzero(flat[row] < 0)
            keep = 0 if step == steps else min(max(left, 1), len(holes) - 1)
            order = holes[np.argsort(chances[row].max(-1)[holes])]
            flat[row, order[keep:]] = chances[row].argmax(-1)[order[keep:]]
    return tokens


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_generation_is_that_of_the_paper(steps):
    prior = prior_of(grid=(3, 3))
    prefix = np.asarray(SPACE.prefix(label=[0, 3]))
    made = prior.generate(prefix=prefix, steps=steps, noise=0.0, temperature=0)
    np.testing.assert_array_equal(made, by_hand(prior, prefix, steps))


def test_holes_become_fewer_as_the_schedule_says():
    prior = prior_of(grid=(4, 4))
    seen = []
    made = prior.generate(2, steps=5, callback=seen.append, seed=3, schedule="linear")
    assert [int((part < 0).sum(axis=(1, 2, 3))[0]) for part in seen] == [12, 9, 6, 3, 0]
    for one, other in zip(seen[:-1], seen[1:], strict=True):
        np.testing.assert_array_equal(one[one >= 0], other[one >= 0])
    np.testing.assert_array_equal(seen[-1], made)
    np.testing.assert_array_equal(prior.generate(2, steps=5, seed=3, schedule="linear"), made)
    seen.clear()
    prior.generate(3, steps=1, callback=seen.append, batch_size=2)
    assert [len(part) for part in seen] == [2, 1], "no row that only fills a batch"


@pytest.mark.parametrize("target", ["image", "sound"])
def test_repair_changes_what_is_masked_alone(target):
    prior = prior_of(target, grid=(3, 4))
    tokens = tokens_of(prior, 5, 12)
    mask = RNG.random((5, 3, 4)) < np.array([0.0, 0.1, 0.5, 0.9, 1.0])[:, None, None]
    made = np.asarray(prior.repair(tokens, mask, steps=4, temperature=3.0))
    np.testing.assert_array_equal(made[~mask], tokens[~mask])
    assert made.min() >= 0 and (made[mask] != tokens[mask]).any()
    seen = []
    prior.repair(tokens, mask, steps=3, temperature=0, callback=seen.append)
    for part in seen:
        np.testing.assert_array_equal(part[~mask], tokens[~mask])


def test_a_sample_is_a_function_of_seed_number_and_condition():
    prior = prior_of(grid=(2, 3))
    labels = SPACE.prefix(label=[0, 1, 2, 3, 0])
    made = np.asarray(prior.generate(prefix=labels, seed=3, steps=3))
    np.testing.assert_array_equal(prior.generate(prefix=labels, seed=3, steps=3, batch_size=2), made)
    assert (np.asarray(prior.generate(prefix=labels, seed=4, steps=3)) != made).any()
    assert (made[0] != made[4]).any(), "the same condition, another number"


@pytest.mark.xla
def test_xla_makes_the_same():
    options = {"prefix": np.asarray(SPACE.prefix(label=[0, 1])), "steps": 3, "seed": 1, "top_p": 0.9, "guidance": 2.0}
    made = [prior_of("sound", grid=(3,), xla=xla).generate(**options) for xla in (False, True)]
    np.testing.assert_array_equal(*made)


def test_guidance_moves_away_from_the_unconditional():
    prior = prior_of(grid=(2, 2))
    prefix = SPACE.prefix(label=[0, 1])
    made = np.asarray(prior.generate(prefix=prefix, guidance=3.0, temperature=0, steps=1))
    empty = np.full((2, 2, 2, 1), -1)
    none, given = np.asarray(prior(empty)), np.asarray(prior(empty, prefix=prefix))
    np.testing.assert_array_equal(np.argmax(none + 3.0 * (given - none), axis=-1).ravel(), made.ravel())


def test_noise_makes_the_order_random():
    prior = prior_of(grid=(4, 4))
    orders = []
    for noise in (0.0, 50.0):
        seen = []
        prior.generate(30, steps=2, noise=noise, temperature=0, callback=seen.append)
        orders.append(len({(part < 0).tobytes() for part in seen[0]}))
    assert orders[0] == 1 and orders[1] > 25


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: p.generate(steps=0), "`steps` is an integer from 1 to 10000. Received: steps=0"),
        (lambda p: p.generate(noise=-1.0), "`noise` is a number from 0 to 1000000. Received: noise=-1.0"),
        (
            lambda p: p.generate(repetition_penalty=1.1),
            "no setting `repetition_penalty` here. Only an `Autoregress",
        ),
        (lambda p: p.generate(schedule="half"), "`schedule` is one of linear"),
        (
            lambda p: p.repair(np.zeros((1, 2, 3, 1), int), np.zeros((1, 2, 3, 1), bool)),
            r"here \(1, 2, 3\). Received: bool",
        ),
        (lambda p: p.repair(np.zeros((1, 2, 3, 1), int), np.zeros((1, 2, 3))), "Received: float64"),
    ],
)
def test_wrong_requests_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(prior_of(grid=(2, 3)))


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="Received: schedule='half'"):
        prior_of(grid=(2,), schedule="half")
