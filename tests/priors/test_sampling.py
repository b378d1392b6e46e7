import keras
import numpy as np
import pytest
import tensorflow as tf

from vqzoo.priors.sampling import NEVER
from vqzoo.priors.sampling import Sampling
from vqzoo.priors.sampling import draw
from vqzoo.priors.sampling import filtered
from vqzoo.priors.sampling import guided
from vqzoo.priors.sampling import min_p
from vqzoo.priors.sampling import penalized
from vqzoo.priors.sampling import top_k
from vqzoo.priors.sampling import top_p
from vqzoo.priors.sampling import uniforms_of

RNG = np.random.default_rng(0)


def logits_of(*shape, scale=2.0):
    return RNG.normal(scale=scale, size=shape).astype("float32")


def kept(logits):
    return np.asarray(logits) > 0.5 * NEVER


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("k", [1, 3, 50, 99])
def test_top_k_keeps_the_k_largest(k):
    logits = logits_of(4, 2, 50)
    ranks = np.argsort(np.argsort(-logits, axis=-1), axis=-1)
    np.testing.assert_array_equal(kept(top_k(logits, k)), ranks < k)
    np.testing.assert_array_equal(top_k(np.array([[1.0, 2.0, 2.0, 0.0]]), 1), [[NEVER, 2.0, 2.0, NEVER]])


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("scale", [0.5, 3.0, 10.0])
def test_top_p_is_that_of_a_sort(p, scale):
    logits = logits_of(20, 64, scale=scale)
    chances = softmax(logits.astype("float64"))
    order = np.argsort(-chances, axis=-1)
    before = np.cumsum(np.take_along_axis(chances, order, -1), -1) - np.take_along_axis(chances, order, -1)
    expected = np.zeros(logits.shape, bool)
    np.put_along_axis(expected, order, before < p, axis=-1)
    found = kept(top_p(logits, p))
    # float32 may be in doubt about a token of the probability of its rounding.
    assert (chances[found != expected] < 1e-6).all()
    assert (found.sum(-1) >= 1).all()


def test_top_p_is_exact_where_it_is_clear():
    logits = np.log(np.array([[0.4, 0.3, 0.2, 0.1]], "float32"))
    for p, count in ((0.39, 1), (0.41, 2), (0.69, 2), (0.71, 3), (0.95, 4)):
        assert kept(top_p(logits, p)).tolist() == [[i < count for i in range(4)]]


def test_min_p_is_relative_to_the_likeliest():
    logits = logits_of(10, 30)
    chances = softmax(logits)
    np.testing.assert_array_equal(kept(min_p(logits, 0.2)), chances >= 0.2 * chances.max(-1, keepdims=True))


def test_penalty_and_guidance_are_their_formulas():
    logits, seen = np.array([3.0, -3.0, 3.0, -3.0], "float32"), np.array([True, True, False, False])
    np.testing.assert_allclose(penalized(logits, seen, 1.5), [2.0, -4.5, 3.0, -3.0])
    one, other = logits_of(2, 5), logits_of(2, 5)
    np.testing.assert_allclose(guided(one, other, 1.0), one, atol=1e-6)
    np.testing.assert_allclose(guided(one, other, 3.0), other + 3.0 * (one - other), atol=1e-5)


def test_steps_come_in_order_and_leave_what_cannot_come():
    logits = logits_of(1, 40)
    logits[0, :5] = NEVER
    settings = Sampling(temperature=0.5, top_k=10, top_p=0.8, min_p=0.01, repetition_penalty=1.3)
    seen = RNG.random((1, 40)) < 0.5
    penalty = np.where(seen & (logits > 0.5 * NEVER), np.where(logits > 0, logits / 1.3, logits * 1.3), logits)
    expected = min_p(top_p(top_k(np.maximum(penalty / 0.5, NEVER), 10), 0.8), 0.01)
    found = filtered(logits, settings, seen)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert 1 <= kept(found).sum() < 10 and not kept(found)[0, :5].any()
    greedy = filtered(logits, settings._replace(temperature=None), seen)
    np.testing.assert_allclose(greedy, penalty, rtol=1e-6)


def test_a_draw_is_the_first_sum_above_the_number():
    chances = np.array([0.1, 0.0, 0.25, 0.0, 0.4, 0.25])
    with np.errstate(divide="ignore"):
        logits = np.maximum(np.log(chances), NEVER).astype("float32")[None]
    for u, token in ((0.0, 0), (0.0999, 0), (0.1001, 2), (0.34, 2), (0.36, 4), (0.74, 4), (0.76, 5), (1 - 2**-24, 5)):
        assert int(draw(logits, np.array([u], "float32"))[0]) == token, u
    assert int(draw(logits, None)[0]) == 4


def test_draws_have_the_right_frequencies():
    logits = logits_of(8, scale=1.0)
    uniforms = uniforms_of(3, 20000)
    drawn = np.asarray(draw(np.tile(logits, (20000, 1)), uniforms))
    np.testing.assert_allclose(np.bincount(drawn, minlength=8) / 20000, softmax(logits), atol=0.012)


@pytest.mark.parametrize("jit", [False, True])
def test_what_cannot_come_is_never_drawn(jit):
    logits = logits_of(3000, 40, scale=8.0)
    possible = RNG.random(logits.shape) < 0.2
    possible[:, 7] = True
    logits = np.where(possible, logits, NEVER).astype("float32")
    uniforms = RNG.random(3000).astype("float32")
    uniforms[::3], uniforms[1::3] = 0.0, 1 - 2**-24
    run = tf.function(draw, jit_compile=jit)
    assert np.take_along_axis(possible, run(logits, uniforms).numpy()[:, None], axis=1).all()


def test_numbers_are_those_of_the_seed_and_typed_out():
    numbers = uniforms_of(5, 2, 3)
    np.testing.assert_allclose(numbers, EXPECTED, atol=1e-6)
    np.testing.assert_array_equal(uniforms_of(5, 7, 3)[:2], numbers)
    assert np.abs(np.asarray(uniforms_of(6, 2, 3)) - numbers).min() > 1e-4
    inside = tf.function(lambda seed, count: uniforms_of(seed, count, 3))
    np.testing.assert_array_equal(inside(tf.constant(5), tf.constant(2)), numbers)


EXPECTED = [[0.061853, 0.831669, 0.973577], [0.344751, 0.510407, 0.357122]]  # Philox 4x32-10 of the key (5, 0)


@pytest.mark.parametrize(
    "settings",
    [{"temperature": -1.0}, {"top_k": 0}, {"top_k": 1.5}, {"top_p": 0.0}, {"min_p": 1.5}, {"repetition_penalty": 0}],
)
def test_settings_out_of_range_are_refused(settings):
    (name, value) = next(iter(settings.items()))
    with pytest.raises(ValueError, match=f"`{name}` is .* Received: {name}={value}"):
        Sampling(**settings).checked()
    assert Sampling(top_k=3, min_p=0.0, temperature=0).checked().top_k == 3


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_keeps_infinities_away(dtype):
    logits = logits_of(2, 10)
    logits[:, 3] = NEVER  # minus infinity in float16, as the others divided by the temperature are
    found = filtered(keras.ops.cast(logits, dtype), Sampling(temperature=1e-6, top_p=0.9))
    assert found.dtype == "float32" and np.isfinite(found).all()
    np.testing.assert_array_equal(np.argmax(found, axis=-1), np.argmax(logits, axis=-1))
