"""Sampling tokens from logits: pure functions and their settings."""

from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from vqzoo.priors.settings import checked

# The logit of a token that is not allowed. Its exponential is 0 relative to that of any other logit.
NEVER = -1e9
_BITS = 32  # bits of a float32


class Sampling(NamedTuple):
    """Sampling settings. None disables a step. All except `top_k` and `no_repeat` may be tensors."""

    temperature: Any = 1.0  # divides the logits; 0 is greedy
    top_k: Any = None  # keeps only the k most likely tokens; int
    top_p: Any = None  # keeps the smallest set of most likely tokens with this total probability
    min_p: Any = None  # keeps tokens with at least this fraction of the largest probability
    repetition_penalty: Any = None  # divides positive logits of tokens that have occurred
    no_repeat: Any = None  # no n-gram of this many tokens occurs twice; int

    def checked(self):
        """These settings as plain Python numbers. Raises ValueError if one is out of range."""
        return Sampling(**{name: checked(name, value) for name, value in self._asdict().items()})


def guided(conditional, unconditional, scale):
    r"""Classifier-free guidance, which moves logits away from the unconditional ones.

    $$l = l_\emptyset + s \, (l_c - l_\emptyset)$$

    Args:
        conditional: float tensor l_c.
        unconditional: float tensor l_∅ of the same shape.
        scale: float s; 1 changes nothing, 0 ignores the condition.

    Returns:
        Tensor of the same shape.

    Example:
    >>> [float(x) for x in guided(keras.ops.array([1.0, 3.0]), keras.ops.array([2.0, 2.0]), 2.0)]
    [0.0, 4.0]

    Reference:
        Ho, Salimans 2022, https://arxiv.org/abs/2207.12598, equation 6, with s = 1 + w
    """
    return unconditional + scale * (conditional - unconditional)


def penalized(logits, seen, penalty):
    """Makes repeated tokens less likely: divides positive logits by the penalty and multiplies negative ones.

    Args:
        logits: float tensor (..., count).
        seen: bool tensor of the same shape, True where a token has occurred.
        penalty: float; 1 changes nothing.

    Returns:
        Tensor of the same shape.

    Example:
    >>> logits, seen = keras.ops.array([2.0, -2.0, 2.0]), keras.ops.array([True, True, False])
    >>> [float(x) for x in penalized(logits, seen, 2.0)]
    [1.0, -4.0, 2.0]

    Reference:
        Keskar et al. 2019, https://arxiv.org/abs/1909.05858, section 4.1; negative logits as in Hugging
        Face's `RepetitionPenaltyLogitsProcessor`
    """
    return keras.ops.where(seen, keras.ops.where(logits > 0.0, logits / penalty, logits * penalty), logits)


def repeating(ids, step, n, columns):
    """Marks the tokens that would make an n-gram of a sequence occur a second time.

    An n-gram is n tokens in a row, at any place of the sequence.

    Args:
        ids: int32 tensor (batch, steps, streams) in [0, columns), or -1 where no token is, as at the step itself. The
            streams are sequences of their own.
        step: int or int32 scalar tensor, the step whose token comes next.
        n: int, 1 or more. With 1 no token occurs twice.
        columns: int, number of different tokens.

    Returns:
        bool tensor (batch, streams, columns).

    Example:
    >>> ids = keras.ops.array([[[3], [1], [2], [0], [1], [-1]]])  # after 1 came 2
    >>> np.flatnonzero(repeating(ids, 5, n=2, columns=4)), np.flatnonzero(repeating(ids, 5, n=3, columns=4))
    (array([2]), array([], dtype=int64))

    Reference:
        Paulus et al. 2017, https://arxiv.org/abs/1705.04304, section 2.5, for n = 3
    """
    import tensorflow as tf

    batch, steps, streams = keras.ops.shape(ids)[0], ids.shape[1], ids.shape[2]
    if n >= steps:  # there is one n-gram at most
        return keras.ops.zeros((batch, streams, columns), "bool")
    windows = np.arange(steps - n + 1, dtype="int32")[:, None] + np.arange(n, dtype="int32")
    grams = keras.ops.take(ids, windows, axis=1)  # (batch, windows, n, streams)
    before = keras.ops.maximum(step - n + 1, 0) + np.arange(n - 1, dtype="int32")
    end = keras.ops.expand_dims(keras.ops.take(ids, before, axis=1), 1)
    found = keras.ops.all(keras.ops.equal(grams[:, :, :-1], end), axis=2)
    found = keras.ops.logical_and(found, keras.ops.all(grams >= 0, axis=2))
    found = keras.ops.logical_and(found, step >= n - 1)
    # What follows, or one column more where nothing is found. A comparison with all columns would take much longer.
    follows = keras.ops.transpose(keras.ops.where(found, grams[:, :, -1], columns), (0, 2, 1))
    rows = keras.ops.reshape(keras.ops.arange(batch * streams, dtype="int32"), (-1, streams, 1))
    places = keras.ops.reshape(rows * (columns + 1) + follows, (-1, 1))
    count = tf.scatter_nd(places, tf.ones_like(places[:, 0]), tf.reshape(batch * streams * (columns + 1), (1,)))
    return keras.ops.reshape(count, (-1, streams, columns + 1))[..., :columns] > 0


def top_k(logits, k):
    """Keeps the k most likely tokens, and ties with the last of them.

    Args:
        logits: float tensor (..., count).
        k: int; a value above `count` keeps all.

    Returns:
        Tensor of the same shape, `NEVER` for the others.

    Example:
    >>> [float(x) for x in top_k(keras.ops.array([1.0, 3.0, 2.0]), 2)]
    [-1000000000.0, 3.0, 2.0]
    """
    ones = keras.ops.ones_like(logits)
    return keras.ops.where(_most(logits, ones, min(float(k), logits.shape[-1])), logits, NEVER)


def top_p(logits, p):
    """Keeps the smallest set of most likely tokens with a total probability of at least p, and ties with the last.

    Args:
        logits: float tensor (..., count).
        p: float in (0, 1].

    Returns:
        Tensor of the same shape, `NEVER` for the others.

    Example:
    >>> logits = keras.ops.log(keras.ops.array([0.5, 0.125, 0.25, 0.125]))
    >>> [bool(x > -9) for x in top_p(logits, 0.7)]
    [True, False, True, False]

    Reference:
        Holtzman et al. 2019, https://arxiv.org/abs/1904.09751, section 3.1
    """
    chances = keras.ops.softmax(logits, axis=-1)
    # For p = 1 it is the sum of all, which rounding may leave below 1.
    enough = p * keras.ops.sum(chances, axis=-1, keepdims=True)
    return keras.ops.where(_most(chances, chances, enough), logits, NEVER)


def min_p(logits, p):
    """Keeps the tokens with at least p times the largest probability.

    Args:
        logits: float tensor (..., count).
        p: float from 0 to 1.

    Returns:
        Tensor of the same shape, `NEVER` for the others.

    Example:
    >>> [bool(x > -9) for x in min_p(keras.ops.log(keras.ops.array([0.55, 0.1, 0.35])), 0.5)]
    [True, False, True]

    Reference:
        Nguyen et al. 2024, https://arxiv.org/abs/2407.01082, section 3
    """
    chances = keras.ops.softmax(logits, axis=-1)
    return keras.ops.where(chances < p * keras.ops.max(chances, axis=-1, keepdims=True), NEVER, logits)


def filtered(logits, sampling, seen=None):
    """Applies the repetition penalty, the temperature and the filters to the logits for `draw`.

    Args:
        logits: float tensor (..., count).
        sampling: `Sampling`; a temperature of 0 is left to `draw`.
        seen: bool tensor of the shape of `logits`, for the penalty.

    Returns:
        float32 tensor of the same shape. In float16, `NEVER` and logits divided by a small temperature are infinite.
    """
    logits = keras.ops.cast(logits, "float32")
    possible = logits > 0.5 * NEVER
    if sampling.repetition_penalty is not None:
        logits = keras.ops.where(possible, penalized(logits, seen, sampling.repetition_penalty), logits)
    if sampling.temperature is None:  # greedy; no filter removes the most likely token
        return logits
    # At any temperature, logits of tokens that are not allowed stay below the others.
    logits = keras.ops.where(possible, keras.ops.maximum(logits / sampling.temperature, 0.5 * NEVER), NEVER)
    if sampling.top_k is not None:
        logits = top_k(logits, sampling.top_k)
    if sampling.top_p is not None:
        logits = top_p(logits, sampling.top_p)
    if sampling.min_p is not None:
        logits = min_p(logits, sampling.min_p)
    return logits


def draw(logits, uniforms):
    r"""Samples a token for each number in [0, 1), by inversion of the cumulative distribution.

    $$t = \min \Big\{k : \sum_{j \le k} p_j > u\Big\}, \quad p = \operatorname{softmax}(l)$$

    The numbers are arguments, so that a sample is a function of the seed and the example, in any batch and on any
    device. A token of probability 0 is never sampled.

    Args:
        logits: float32 tensor (..., count).
        uniforms: float32 tensor (...), in [0, 1); None selects the most likely token.

    Returns:
        int32 tensor (...).

    Example:
    >>> logits = keras.ops.log(keras.ops.array([[0.2, 0.3, 0.5]]))
    >>> [int(draw(logits, keras.ops.array([u]))[0]) for u in (0.1, 0.4, 0.9)]
    [0, 1, 2]
    """
    if uniforms is None:
        return keras.ops.cast(keras.ops.argmax(logits, axis=-1), "int32")
    chances = keras.ops.softmax(logits, axis=-1)
    sums = keras.ops.cumsum(chances, axis=-1)
    # Below the last sum, also after rounding, so that a token of positive probability reaches it.
    bound = keras.ops.expand_dims(uniforms, -1) * (sums[..., -1:] * (1.0 - 2.0**-23))
    reached = keras.ops.logical_and(sums > bound, chances > 0.0)
    # The most likely token if rounding leaves none.
    likeliest = keras.ops.equal(chances, keras.ops.max(chances, axis=-1, keepdims=True))
    some = keras.ops.any(reached, axis=-1, keepdims=True)
    found = keras.ops.where(some, reached, likeliest)
    count = logits.shape[-1]
    return keras.ops.min(keras.ops.where(found, keras.ops.arange(count, dtype="int32"), count), axis=-1)


def uniforms_of(seed, count, *shape):
    """Uniform random numbers in [0, 1) for `count` examples. Those of an example do not depend on `count`.

    Args:
        seed: int from 0 to 2**63 - 1, or int32 or int64 scalar tensor.
        count: int or int32 scalar tensor, number of examples.
        *shape: int, shape of the numbers of an example.

    Returns:
        float32 tensor (count, *shape).

    Example:
    >>> bool(keras.ops.all(uniforms_of(7, 2, 3) == uniforms_of(7, 5, 3)[:2]))
    True
    """
    import tensorflow as tf

    seed = tf.cast(seed, tf.int64)
    key = tf.stack([tf.bitwise.bitwise_and(seed, 2**31 - 1), tf.bitwise.right_shift(seed, 31)])
    # Philox on every device. The default depends on the device and differs on TPU.
    return tf.random.stateless_uniform((count, *shape), key, alg="philox")


def _most(values, weights, enough):
    """Marks the smallest set of largest values whose weights sum to at least `enough`, and ties with the last of them.

    The last value is found exactly, bit by bit. 32 sums are much faster than the sort of XLA on CPUs.
    """
    bits = keras.ops.view(keras.ops.cast(values, "float32"), "int32")
    # Floats as integers in the same order; the order of the negative ones has to be reversed.
    order = keras.ops.where(bits < 0, keras.ops.bitwise_xor(bits, 0x7FFFFFFF), bits)

    def halve(_, interval):
        low, high = interval  # enough from `low` on, not enough from `high` on
        # The mean, rounded down, without overflow.
        middle = keras.ops.bitwise_and(low, high) + keras.ops.right_shift(keras.ops.bitwise_xor(low, high), 1)
        sums = keras.ops.sum(keras.ops.where(order >= middle, weights, 0.0), axis=-1, keepdims=True)
        return keras.ops.where(sums >= enough, middle, low), keras.ops.where(sums >= enough, high, middle)

    ends = keras.ops.min(order, axis=-1, keepdims=True), keras.ops.max(order, axis=-1, keepdims=True) + 1
    low, _ = keras.ops.fori_loop(0, _BITS, halve, ends)
    return order >= low
