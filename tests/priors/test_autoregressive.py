import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.networks import Transformer
from vqzoo.priors import AutoregressivePrior
from vqzoo.priors import CoarseFirstPattern
from vqzoo.priors import DelayPattern
from vqzoo.priors import ParallelPattern
from vqzoo.priors import TokenSpace
from vqzoo.priors.sampling import NEVER
from vqzoo.priors.sampling import uniforms_of

SPACE = TokenSpace({"label": 4, "image": 6, "sound": (5, 7, 3)})
RNG = np.random.default_rng(0)


def prior_of(target="image", context=False, seed=0, xla=False, **options):
    keras.utils.set_random_seed(seed)
    transformer = Transformer(1, 2, causal=True, cross_attention=context)
    prior = AutoregressivePrior(SPACE, transformer, target, 8, **options)
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


PREFIX = np.asarray(SPACE.prefix(label=[[[1], [2]], [[3], [-1]], [[-1], [-1]]]))
CASES = {
    "grid": ({"grid": (2, 3)}, 6),
    "two codebooks in a row": ({"target": "sound", "grid": (4,)}, 4),
    "delay": ({"target": "sound", "pattern": DelayPattern()}, 5),
    "coarse first": ({"target": "sound", "grid": (3,), "pattern": CoarseFirstPattern()}, 3),
    "context": ({"context": True, "grid": (2, 2), "context_encoder": "one"}, 4),
    "learnt": ({"grid": (3,), "learnt_positions": 3}, 3),
    "any length": ({"target": "sound"}, 4),
}


def case(name):
    options, frames = CASES[name]
    if "context_encoder" in options:
        options = {**options, "context_encoder": Transformer(1, 2)}
    prior = prior_of(**options)
    condition = {"prefix": PREFIX}
    if prior.transformer.cross_attention:
        condition["context"] = np.asarray(SPACE.prefix(sound=tokens_of(prior_of("sound", grid=(2,)), 3, 2)))
    return prior, frames, condition


@pytest.mark.parametrize("name", CASES)
def test_each_step_sees_the_condition_and_the_steps_before(name):
    prior, frames, condition = case(name)
    tokens, other = tokens_of(prior, 3, frames), tokens_of(prior, 3, frames)
    logits = np.asarray(prior(tokens, **condition))
    slots = prior.pattern.slots(frames, prior.num_codebooks)
    assert logits.shape == (3, len(slots) + prior.has_end, prior.streams, prior.columns)
    for step in range(len(slots)):
        # Another token in this step and all later ones.
        later = np.isin(np.arange(frames * prior.num_codebooks), slots[step:]).reshape(frames, -1)
        mixed = np.where(later.reshape(tokens.shape[1:]), other, tokens)
        again = np.asarray(prior(mixed, **condition))
        np.testing.assert_allclose(again[:, : step + 1], logits[:, : step + 1], atol=1e-4)
    moved = np.asarray(prior(tokens, **{**condition, "prefix": PREFIX[:, ::-1]}))
    assert (np.abs(moved - logits)[0] > 1e-3).any(axis=(1, 2)).mean() > 0.8


@pytest.mark.parametrize("name", CASES)
def test_the_likeliest_is_made_step_by_step(name):
    prior, frames, condition = case(name)
    length = None if prior.grid else frames
    made = prior.generate(**condition, length=length, temperature=0)
    logits = np.asarray(prior(made, **condition))
    slots = prior.pattern.slots(frames, prior.num_codebooks)
    ids = np.argmax(logits, axis=-1) + prior.first_ids
    given = np.asarray(prior.pattern.apply(prior.checked_tokens(made), -1))
    for row in range(3):
        for step, stream in np.argwhere(slots >= 0):
            if prior.has_end and (given[row, : step + 1] == 0).any():
                break  # the signal has ended
            assert given[row, step, stream] == ids[row, step, stream]
        if prior.has_end and (given[row] == 0).any():
            end = np.argmax(given[row, :, 0] == 0)
            assert ids[row, end, 0] == SPACE.end("sound") and end % 3 == 0
            assert (np.asarray(made)[row, end // 3 :] == -1).all()
    real = np.asarray(made)[np.asarray(made).min(axis=-1) >= 0]
    assert len(real) and (real < np.array(SPACE.sizes[prior.target])).all()


@pytest.mark.xla
def test_xla_makes_the_same():
    options = {"prefix": PREFIX, "seed": 3, "top_k": 4, "top_p": 0.9, "guidance": 2.0, "repetition_penalty": 1.2}
    made = [prior_of("sound", grid=(4,), xla=xla).generate(**options) for xla in (False, True)]
    np.testing.assert_array_equal(*made)


def test_padding_of_a_condition_is_no_condition():
    prior = prior_of(grid=(2, 3))
    tokens = tokens_of(prior, 1, 6)
    none = prior(tokens)
    np.testing.assert_allclose(prior(tokens, prefix=np.zeros((1, 3), "int32")), none, atol=1e-5)
    label = SPACE.prefix(label=[2])
    padded = np.concatenate([np.zeros((1, 1), "int32"), label, np.zeros((1, 2), "int32")], axis=1)
    np.testing.assert_allclose(prior(tokens, prefix=padded), prior(tokens, prefix=label), atol=1e-5)
    assert np.abs(np.asarray(prior(tokens, prefix=label)) - none).max() > 0.1
    with_context = prior_of(context=True, grid=(2, 3))
    empty = [with_context(tokens, context=np.zeros((1, n), "int32")) for n in (1, 4)]
    np.testing.assert_allclose(*empty, atol=1e-5)


def test_a_sample_is_a_function_of_seed_number_and_condition():
    prior = prior_of(grid=(2, 3))
    labels = SPACE.prefix(label=[0, 1, 2, 3, 0])
    made = np.asarray(prior.generate(prefix=labels, seed=3))
    np.testing.assert_array_equal(prior.generate(prefix=labels, seed=3, batch_size=2), made)
    np.testing.assert_array_equal(prior.generate(prefix=labels[:2], seed=3), made[:2])
    assert (np.asarray(prior.generate(prefix=labels, seed=4)) != made).any()
    assert (made[0] != made[4]).any(), "the same condition, another number"
    np.testing.assert_array_equal(prior.generate(5, prefix=labels[1:2], seed=3)[1], made[1])


def test_samples_have_the_predicted_frequencies():
    prior = prior_of(grid=(2,))
    made = np.asarray(prior.generate(6000, seed=1, batch_size=3000))[:, :, 0]
    chances = keras.ops.softmax(prior(np.arange(6)[:, None, None] * [[1], [0]]))
    first = np.asarray(chances)[0, 0, 0]
    np.testing.assert_allclose(np.bincount(made[:, 0], minlength=6) / 6000, first, atol=0.025)
    likeliest = int(np.argmax(first))
    second = np.bincount(made[made[:, 0] == likeliest, 1], minlength=6)
    np.testing.assert_allclose(second / second.sum(), np.asarray(chances)[likeliest, 1, 0], atol=0.04)


def test_guidance_moves_away_from_the_unconditional():
    prior = prior_of(grid=(3,))
    prefix = SPACE.prefix(label=[0, 1])
    for scale in (0.0, 3.0):
        made = np.asarray(prior.generate(prefix=prefix, guidance=scale, temperature=0))
        none, given = prior(made), prior(made, prefix=prefix)
        guided = np.asarray(none) + scale * (np.asarray(given) - np.asarray(none))
        np.testing.assert_array_equal(np.argmax(guided, axis=-1)[..., 0], made[..., 0])
    same = prior.generate(prefix=prefix, guidance=1.0, seed=2)
    np.testing.assert_array_equal(prior.generate(prefix=prefix, seed=2), same)


@pytest.mark.parametrize("pattern", [None, DelayPattern()])
def test_known_tokens_stay_and_the_rest_follows_them(pattern):
    prior = prior_of("sound", grid=(4,), pattern=pattern)
    tokens = tokens_of(prior, 2, 4)
    beginning = np.where(np.arange(4)[:, None] < 2, tokens, -1)
    some = np.where(RNG.random(tokens.shape) < 0.5, tokens, -1)
    for known in (beginning, some):
        made = np.asarray(prior.generate(known=known, temperature=0))
        np.testing.assert_array_equal(made[known >= 0], known[known >= 0])
        ids = np.argmax(prior(made), axis=-1) + prior.first_ids
        written = np.asarray(prior.pattern.apply(prior.checked_tokens(made), -1))
        free = np.asarray(prior.pattern.apply(known, -1)) == -1
        free &= prior.pattern.slots(4, 3) >= 0
        np.testing.assert_array_equal(written[free], ids[free])


def test_no_signal_ends_before_what_is_known():
    prior = prior_of("sound")
    known = np.full((40, 4, 3), -1)
    known[:20, 2, 1] = 3
    made = np.asarray(prior.generate(known=known, length=4, temperature=3.0))
    assert (made[:20, 2, 1] == 3).all() and (made[:20, :3] >= 0).all()
    assert (made[:20, 3] == -1).any() and (made[20:, 1] == -1).any(), "elsewhere they end as they like"


def test_streaming_hands_out_what_will_be_the_result():
    prior = prior_of("sound", pattern=DelayPattern())
    seen = []
    made = np.asarray(prior.generate(2, length=7, seed=5, callback=seen.append, every=3))
    np.testing.assert_array_equal(made, prior.generate(2, length=7, seed=5))
    assert [part.shape[1] for part in seen] == [1, 4, 7]  # the last codebook is two steps late
    for part in seen:
        np.testing.assert_array_equal(part, made[:, : part.shape[1]])
    seen.clear()
    prior.generate(3, length=7, seed=5, callback=seen.append, every=9, batch_size=2)
    assert [len(part) for part in seen] == [2, 1], "no row that only fills a batch"


def test_what_has_been_is_made_less_often():
    prior = prior_of(grid=(24,))
    often = [len(np.unique(prior.generate(temperature=0, repetition_penalty=p))) for p in (1.0, 50.0)]
    assert often[1] > often[0]


def test_cross_entropy_is_the_formula():
    prior = prior_of("sound", grid=(2,), pattern=DelayPattern())
    tokens = tokens_of(prior, 3, 2)
    told = prior.cross_entropy(tokens)
    logits = np.asarray(prior(tokens), "float64")
    slots = prior.pattern.slots(2, 3)
    assert int(np.sum(told.counted)) == 3 * 6
    for row in range(3):
        for step, stream in np.argwhere(slots >= 0):
            scores = logits[row, step, stream][: SPACE.sizes["sound"][stream]]
            chances = np.exp(scores) / np.exp(scores).sum()
            token = tokens[row].ravel()[slots[step, stream]]
            assert float(told.nats[row, step, stream]) == pytest.approx(-np.log(chances[token]), abs=1e-4)
            assert float(told.uniform[row, step, stream]) == pytest.approx(-np.log(chances).mean(), abs=1e-4)
    assert (np.asarray(told.nats)[:, slots < 0] == 0).all()


def test_the_end_of_a_signal_counts_and_what_is_behind_does_not():
    prior = prior_of("sound")
    tokens = tokens_of(prior, 2, 3)
    tokens[1, 2:] = -1
    told = prior.cross_entropy(tokens)
    np.testing.assert_array_equal(np.asarray(told.counted)[..., 0].sum(axis=1), [10, 7])
    alone = prior.cross_entropy(tokens[1:, :2])
    np.testing.assert_allclose(np.asarray(told.nats)[1, :7], alone.nats[0], atol=1e-4)
    end = np.asarray(prior(tokens))[1, 6, 0]
    expected = np.log(np.exp(end).sum()) - end[0]
    assert float(told.nats[1, 6, 0]) == pytest.approx(expected, abs=1e-4)
    # Inside of a position it cannot come, and neither can the code of another codebook.
    logits = np.asarray(prior(tokens))[0, :, 0]
    possible = [
        (i % 3 == 0, 1, 6) if i % 3 == 0 else (False, (6, 13)[i % 3 - 1], (13, 16)[i % 3 - 1]) for i in range(10)
    ]
    for scores, (ends, low, high) in zip(logits, possible, strict=True):
        columns = np.zeros(16, bool)
        columns[low:high], columns[0] = True, ends
        np.testing.assert_array_equal(scores > NEVER / 2, columns)


def test_dropped_conditions_are_none():
    prior = prior_of(grid=(2, 3), condition_dropout=0.5, seed=1)
    tokens = np.repeat(tokens_of(prior, 1, 6), 64, axis=0)
    prefix = SPACE.prefix(label=np.full(64, 2))
    given, none = np.asarray(prior(tokens[:1], prefix=prefix[:1])), np.asarray(prior(tokens[:1]))
    trained = np.asarray(prior(tokens, prefix=prefix, training=True))
    like = [np.abs(trained - x).max(axis=(1, 2, 3)) < 1e-4 for x in (given, none)]
    assert (like[0] ^ like[1]).all() and 16 < like[1].sum() < 48
    np.testing.assert_allclose(prior(tokens, prefix=prefix), np.repeat(given, 64, axis=0), atol=1e-5)


def test_constrained_decoding_never_leaves_the_codebooks():
    prior = prior_of("sound", grid=(5,), seed=7)
    for weight in prior.weights:
        weight.assign(3.0 * np.asarray(weight))  # wild logits
    made = np.asarray(prior.generate(200, seed=1, temperature=5.0))
    assert made.shape == (200, 5, 3)
    for codebook, size in enumerate(SPACE.sizes["sound"]):
        assert set(np.unique(made[..., codebook])) <= set(range(size)) and len(np.unique(made[..., codebook])) > 2


def test_positions_of_a_picture_are_rows_and_columns_behind_the_prefix():
    prior = prior_of(grid=(2, 2))
    np.testing.assert_array_equal(prior.positions(4), [[0, 0], [1, 1], [1, 2], [2, 1], [2, 2]])
    flat = prior_of("sound", grid=(1, 2))
    np.testing.assert_array_equal(flat.positions(2)[1:, 1], [1, 1, 1, 2, 2, 2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: p.generate(temprature=1.0), "no setting `temprature` here. Did you mean `temperature`"),
        (lambda p: p.generate(guidance=2.0), "Guidance needs a condition.* Received: guidance=2.0, no prefix"),
        (lambda p: p.generate(3, prefix=PREFIX[:2]), "Give one condition for each example.* count=3, 2 of prefix"),
        (lambda p: p.generate(0), "`count` is an integer from 1 to 1000000. Received: count=0"),
        (
            lambda p: p.generate(2, batch_size=0),
            "`batch_size` is an integer from 1 to 2147483647. Received: batch_size=0",
        ),
        (lambda p: p.generate(prefix=[1, 2]), r"A prefix is integer ids \(batch, length\)"),
        (lambda p: p.generate(context=PREFIX), "cross_attention=False: it takes no context. Received: context=one"),
        (lambda p: p(np.zeros((1, 3, 2, 1), "int32")), r"with a grid of \(2, 3\). Received: shape=\(1, 3, 2, 1\)"),
        (lambda p: p(np.full((1, 2, 3, 1), 6)), r"Tokens of 'image' must be in \[0, 6\)"),
    ],
)
def test_wrong_requests_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(prior_of(grid=(2, 3)))


def test_lengths_that_do_not_fit_are_refused():
    prior = prior_of("sound", pattern=ParallelPattern(), learnt_positions=4)
    with pytest.raises(ValueError, match="if and only if the prior has no grid. Received: length=None"):
        prior.generate()
    with pytest.raises(ValueError, match="This prior has learned 4 steps. Received: length=5"):
        prior.generate(length=5)
    with pytest.raises(ValueError, match="Received: 3 known positions, length=2"):
        prior.generate(length=2, known=np.zeros((1, 3, 3), "int32"))
    with pytest.raises(ValueError, match="cross_attention=True: it takes a context. Received: context=None"):
        prior_of(context=True, grid=(2,)).generate()


def test_random_numbers_are_one_for_each_token():
    prior = prior_of(grid=(2,))
    numbers = np.asarray(uniforms_of(9, 3, 2, 1))
    made = np.asarray(prior.generate(3, seed=9))
    chances = np.asarray(keras.ops.softmax(prior(made)))
    below = np.array([[chances[i, s, 0, : made[i, s, 0]].sum() for s in range(2)] for i in range(3)])
    own = np.array([[chances[i, s, 0, made[i, s, 0]] for s in range(2)] for i in range(3)])
    assert (below <= numbers[..., 0] + 1e-5).all() and (numbers[..., 0] <= below + own + 1e-5).all()


def test_token_noise_changes_what_is_read_in_training_alone():
    prior = prior_of("sound", grid=(50,), token_noise=0.3)
    tokens = tokens_of(prior, 8, 50)
    tokens[0, 40:] = -1
    ids = prior.checked_tokens(tokens)
    noisy = np.asarray(prior._noisy(ids))
    read = np.asarray(SPACE.to_tokens("sound", noisy))
    assert (read[tokens < 0] == -1).all() and (read[tokens >= 0] >= 0).all()
    assert 0.2 < (noisy != np.asarray(ids)).mean() < 0.3  # of the random ones some are the same
    assert all(len(np.unique(read[..., k])) == size + 1 for k, size in enumerate(SPACE.sizes["sound"]))
    np.testing.assert_array_equal(prior(tokens), prior(tokens))
    first = prior.cross_entropy(tokens, training=True).nats
    assert np.abs(np.asarray(first) - np.asarray(prior.cross_entropy(tokens).nats)).max() > 1e-3
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(prior))
    assert again.token_noise == 0.3
    with pytest.raises(ValueError, match="token_noise"):
        prior_of(grid=(2,), token_noise=1.0)
