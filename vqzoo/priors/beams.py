"""Beam search: the likeliest sequence among several that are continued side by side."""

import functools
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from vqzoo.priors.decoding import Decoding
from vqzoo.priors.grammar import BETWEEN
from vqzoo.priors.sampling import NEVER
from vqzoo.priors.sampling import filtered
from vqzoo.priors.token_space import PADDING

LENGTH_PENALTY = 0.6
"""float, the default, which is in the middle of the range that the paper found best for translation, 0.6 to 0.7."""


class Beams(NamedTuple):
    """Tensors that change with each step, besides `State`. Rows of `State` are the beams, example after example."""

    scores: Any  # float32 (batch, beams), log-likelihood of what is continued, the best first
    ended: Any  # float32 (batch,), score of the best sequence that has ended, `NEVER` for none
    ended_ids: Any  # int32 (batch, steps, 1), its ids


class BeamSearch(Decoding):
    r"""Continues the `beams` likeliest beginnings of each example, and keeps the best sequence that has ended.

    $$s(t) = \log p(t \mid c) \Big/ \Big(\frac{5 + |t|}{6}\Big)^\alpha$$

    with the length penalty α, which favours longer sequences. |t| counts all tokens, the end among them. A sequence
    that reaches the largest length without an end is taken only where none has ended. With as many beams as there are
    beginnings, the result is the best of all sequences. Given tokens cost nothing.

    Args:
        prior: `AutoregressivePrior` of one stream.
        frames: int, number of positions.
        beams: int, 2 or more.

    Reference:
        Wu et al. 2016, https://arxiv.org/abs/1609.08144, section 7, equation 14
    """

    def __init__(self, prior, frames, beams):
        super().__init__(prior, frames)
        self.beams = beams

    def begin(self, request, leading):
        """Processes the prefix and the leading given steps, once for each example.

        Args:
            request: `Request`.
            leading: int, number of leading steps whose ids are all given.

        Returns:
            `Fixed` and `State`, whose rows are the beams.
        """
        fixed, state = super().begin(request, leading)
        keys_of = functools.partial(_repeated, count=self.beams, heads=self.prior.transformer.heads)
        each = functools.partial(_repeated, count=self.beams)
        before = fixed.before if request.prefix is None else each(fixed.before)  # of all rows alike, or of each
        request = request._replace(given=each(request.given), prefix=None, context=None, uniforms=None)
        fixed = type(fixed)(
            request, each(fixed.mask), _mapped(keys_of, fixed.context), each(fixed.context_mask), before
        )
        state = state._replace(
            ids=each(state.ids),
            last=each(state.last),
            cache=_mapped(keys_of, state.cache),
            grammar=each(state.grammar),
            seen=each(state.seen),
        )
        return fixed, state

    def run(self, fixed, state, penalty):
        """Generates all steps, or until no continuation can become better than what has ended.

        Args:
            fixed: `Fixed`.
            state: `State`.
            penalty: float32 scalar tensor, α.

        Returns:
            int32 tensor (batch, steps, 1).
        """
        steps = state.ids.shape[1]
        batch = tf.shape(state.ids)[0] // self.beams
        scores = np.array([[0.0] + [NEVER] * (self.beams - 1)], "float32")  # all beams are alike at first
        first = Beams(tf.tile(scores, (batch, 1)), tf.fill((batch,), NEVER), state.ids[:: self.beams])

        def goes_on(beams, state):
            # Log-likelihoods only fall, and the largest length divides them most.
            best = tf.reduce_max(beams.scores, axis=1) / _normalizer(steps, penalty)
            return (state.step < steps) & tf.reduce_any(best > beams.ended)

        def step(beams, state):
            return self._search_step(fixed, beams, state, penalty)

        beams, state = tf.while_loop(goes_on, step, (first, state))
        longest = tf.reshape(state.ids, (batch, self.beams, steps, 1))[:, 0]
        return tf.where((beams.ended > 0.5 * NEVER)[:, None, None], beams.ended_ids, longest)

    def _search_step(self, fixed, beams, state, penalty):
        batch, count = tf.shape(beams.scores)[0], self.beams
        logits, cache = self.logits(fixed, state)
        sampling = fixed.request.sampling._replace(temperature=None)
        logits = filtered(logits, sampling, state.seen)[:, 0]
        chances = tf.where(logits > 0.5 * NEVER, tf.nn.log_softmax(logits), NEVER)
        given = tf.gather(fixed.request.given[..., 0], state.step, axis=1)[:, None]
        is_given = tf.where(tf.equal(given, self.ids[0]), 0.0, NEVER)
        chances = tf.where(tf.not_equal(given, PADDING), is_given, chances)
        columns = chances.shape[-1]
        totals = beams.scores[..., None] + tf.reshape(chances, (batch, count, columns))
        # Each beam can end in one way, so that twice as many have enough that go on.
        best, places = tf.math.top_k(tf.reshape(totals, (batch, -1)), min(2 * count, count * columns))
        best = tf.maximum(best, NEVER)
        source, made = places // columns, places % columns + int(self.ids[0, 0])
        ends = tf.equal(made, self.prior.space.end(self.prior.target)) & self.prior.has_end
        normalized = tf.where(ends & (best > 0.5 * NEVER), best / _normalizer(state.step + 1, penalty), NEVER)
        beams = self._ended(beams, state, normalized, source, made)
        scores, kept = tf.math.top_k(tf.where(ends, NEVER, best), count)
        rows = tf.range(batch)[:, None] * count + tf.gather(source, kept, batch_dims=1)
        ids = tf.reshape(tf.gather(made, kept, batch_dims=1), (-1, 1))
        return beams._replace(scores=scores), self._moved(fixed, state, cache, tf.reshape(rows, (-1,)), ids)

    def _ended(self, beams, state, scores, source, made):
        """The best sequence that has ended, with those that end at this step: scores (batch, candidates)."""
        best = tf.argmax(scores, axis=1, output_type=tf.int32)[:, None]
        score = tf.gather(scores, best, batch_dims=1)[:, 0]
        rows = tf.range(tf.shape(scores)[0]) * self.beams + tf.gather(source, best, batch_dims=1)[:, 0]
        ids = keras.ops.slice_update(
            tf.gather(state.ids, rows), (0, state.step, 0), tf.gather(made, best, batch_dims=1)[..., None]
        )
        # What was given behind the end is no part of it; no end is allowed before a given id.
        better = score > beams.ended
        return beams._replace(
            ended=tf.where(better, score, beams.ended),
            ended_ids=tf.where(better[:, None, None], ids, beams.ended_ids),
        )

    def _moved(self, fixed, state, cache, rows, ids):
        """The state in which each beam continues another one, `rows`, by an id."""
        heads, all_rows = self.prior.transformer.heads, rows
        if fixed.request.guidance is not None:  # the rows without the condition follow
            all_rows = tf.concat([rows, rows + tf.shape(rows)[0]], axis=0)
        places = tf.reshape(all_rows[:, None] * heads + tf.range(heads), (-1,))
        cache = _mapped(lambda x: tf.gather(x, places), cache)
        seen, grammar = tf.gather(state.seen, rows), tf.gather(state.grammar, rows)
        if seen.shape[-1]:
            seen = seen | tf.equal(ids[..., None], self.ids)
        grammar = tf.where(tf.equal(grammar, BETWEEN), BETWEEN, self.grammar.step(grammar, ids[:, 0]))
        written = keras.ops.slice_update(tf.gather(state.ids, rows), (0, state.step, 0), ids[:, None])
        return type(state)(state.step + 1, written, ids[:, None], cache, grammar, seen)


def _mapped(function, caches):
    """A function of keys and of values, for each block; None stays None."""
    return None if caches is None else tf.nest.map_structure(function, caches)


def _repeated(x, count, heads=1):
    """A tensor (rows * heads, ...) with each row `count` times, one after the other; None stays None."""
    if x is None:
        return None
    rest = x.shape[1:]
    rows = keras.ops.reshape(x, (-1, heads, *rest))
    return keras.ops.reshape(keras.ops.repeat(rows, count, axis=0), (-1, *rest))


def _normalizer(length, penalty):
    """What the log-likelihood of a sequence is divided by."""
    return ((5.0 + tf.cast(length, tf.float32)) / 6.0) ** penalty
