"""Beam search: the most likely sequences of a causal transformer, a few hypotheses at a time."""

from typing import Any
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from vqzoo.priors.decoding.loop import Decoding
from vqzoo.priors.sampling import NEVER
from vqzoo.priors.sampling import filtered
from vqzoo.priors.token_space import PADDING

# With the formula of Wu et al. it is that of the translations of Vaswani et al. 2017, section 6.1, beside 4 beams.
LENGTH_PENALTY = 0.6
# The score of a hypothesis that does not exist, far below any sum of logarithms; and that of no result.
_DEAD, _LOWEST = -1e30, -3e38


class BeamState(NamedTuple):
    """Tensors that change with each step. The rows of `live` are the hypotheses, example after example."""

    live: Any  # `State` of batch * beams rows
    scores: Any  # float32 (batch, beams), log-probabilities of the hypotheses
    best: Any  # float32 (batch,), score of the best complete sequence
    found: Any  # int32 (batch, steps, 1), its ids


class BeamDecoding(Decoding):
    r"""Beam search in an `AutoregressivePrior` of one stream.

    It looks for the complete sequence y of the largest

    $$\frac{\log p(y \mid c)}{\text{penalty}(|y|)}, \quad \text{penalty}(n) = \Big(\frac{5 + n}{6}\Big)^\alpha$$

    where |y| counts the ids of y with its end token. Ids that are given at the beginning count neither in p nor in |y|.
    An id that `no_repeat` excludes makes no other one more likely.

    Each step keeps the most likely `beams` hypotheses. One ends where its end token is among the `beams` most likely
    continuations of all. The search of an example ends when no hypothesis can become better than the best that has
    ended. As only the best is returned, no other is kept.

    A prior without a grid makes one step more than it has tokens: there only the end token may come, so that a sequence
    of full length pays for its end like any other.

    Args:
        prior: `AutoregressivePrior` with one stream.
        frames: int, number of positions.
        beams: int, number of hypotheses.

    Example:
    >>> from vqzoo.networks import Transformer
    >>> from vqzoo.priors import AutoregressivePrior, TokenSpace
    >>> prior = AutoregressivePrior(TokenSpace({"text": 8}), Transformer(1, 2, causal=True), "text", width=8)
    >>> best = prior.generate(2, length=3, beams=4)  # which decodes with this class
    >>> best.shape, bool(keras.ops.all(best[0] == best[1]))
    (TensorShape([2, 3, 1]), True)

    Reference:
        Wu et al. 2016, https://arxiv.org/abs/1609.08144, equation 14, without the coverage penalty; the rule of ends as
        in fairseq, https://arxiv.org/abs/1904.01038
    """

    def __init__(self, prior, frames, beams):
        super().__init__(prior, frames)
        self.beams = beams

    def decode(self, request, leading):
        """Finds the best sequence of each example.

        Args:
            request: `Request`, whose sampling has no temperature.
            leading: int, number of leading steps whose ids are all given.

        Returns:
            int32 ids (batch, steps, 1).
        """
        steps = request.given.shape[1]
        if self.prior.has_end:
            given = keras.ops.pad(request.given, ((0, 0), (0, 1), (0, 0)), constant_values=PADDING)
            request = request._replace(given=given)
        begun = keras.ops.cumsum(keras.ops.cast(keras.ops.equal(request.given[..., 0], PADDING), "int32"), axis=1) > 0
        lengths = keras.ops.cumsum(keras.ops.cast(begun, "float32"), axis=1)
        penalties = ((5.0 + lengths) / 6.0) ** request.length_penalty  # (batch, steps)
        fixed, state = self._begin(request, leading)

        def goes_on(*state):
            state = BeamState(*state)
            # Scores only fall, and the largest penalty divides them the most.
            bound = keras.ops.max(state.scores, axis=1) / penalties[:, -1]
            return (state.live.step < request.given.shape[1]) & tf.reduce_any(bound > state.best)

        def body(*state):
            return self._search(fixed, begun, penalties, BeamState(*state))

        return BeamState(*tf.while_loop(goes_on, body, state)).found[:, :steps]

    def _begin(self, request, leading):
        """`Fixed` and `BeamState` of hypotheses that are all the same, of which one is alive."""
        fixed, state = self.begin(request, leading)
        batch, rows = keras.ops.shape(request.given)[0], keras.ops.shape(state.cache[0].keys)[0]
        rows = rows // self.prior.transformer.heads  # the examples, with guidance twice
        own, both = (tf.repeat(tf.range(count), self.beams) for count in (batch, rows))
        request = request._replace(given=_rows(request.given, own))
        before = fixed.before if fixed.before.shape[0] == 1 else _rows(fixed.before, both)
        context = _split_rows(fixed.context, both, rows)
        fixed = fixed._replace(
            request=request,
            mask=_rows(fixed.mask, both),
            context=context,
            context_mask=_rows(fixed.context_mask, both),
            before=before,
        )
        live = state._replace(cache=_split_rows(state.cache, both, rows))
        live = live._replace(**{name: _rows(getattr(state, name), own) for name in ("ids", "last", "grammar", "seen")})
        first = np.where(np.arange(self.beams) == 0, 0.0, _DEAD).astype("float32")
        scores = tf.tile(first[None], (batch, 1))
        return fixed, BeamState(live, scores, tf.fill((batch,), _LOWEST), state.ids)

    def _search(self, fixed, begun, penalties, state):
        """One step of the search."""
        step, beams, columns = state.live.step, self.beams, self.prior.columns
        candidates, cache = self._candidates(fixed, begun, state)
        # At most one candidate of each hypothesis is its end, so that this many hold `beams` others.
        scores, places = tf.math.top_k(candidates, min(2 * beams, beams * columns))
        parents, ids = places // columns, places % columns + self.prior.first_ids[0]
        last = keras.ops.equal(step, penalties.shape[1] - 1)
        ends = keras.ops.logical_or(keras.ops.equal(ids, self.prior.space.end(self.prior.target)), last)
        parents += beams * keras.ops.expand_dims(tf.range(tf.shape(scores)[0]), 1)  # rows
        # === The best that has ended ===
        ended = ends & (scores > 0.5 * _DEAD) & (np.arange(scores.shape[1]) < beams)
        shares = scores / keras.ops.take(penalties, keras.ops.reshape(step, (1,)), axis=1)
        shares = keras.ops.where(ended, shares, _LOWEST)
        chosen = keras.ops.argmax(shares, axis=1)[:, None]
        score, parent, token = (keras.ops.take_along_axis(x, chosen, axis=1)[:, 0] for x in (shares, parents, ids))
        made = keras.ops.slice_update(_rows(state.live.ids, parent), (0, step, 0), token[:, None, None])
        better = score > state.best
        found = keras.ops.where(better[:, None, None], made, state.found)
        # === The hypotheses that go on ===
        scores, order = tf.math.top_k(keras.ops.where(ends, _DEAD, scores), beams)
        rows, ids = (keras.ops.reshape(keras.ops.take_along_axis(x, order, axis=1), (-1,)) for x in (parents, ids))
        count = beams * tf.shape(scores)[0]
        both = rows if fixed.request.guidance is None else keras.ops.concatenate([rows, rows + count])
        live = state.live._replace(cache=_split_rows(cache, both, keras.ops.shape(both)[0]))
        live = live._replace(**{name: _rows(getattr(live, name), rows) for name in ("ids", "grammar", "seen")})
        live = self.written(live, keras.ops.expand_dims(ids, 1))
        return BeamState(live, scores, keras.ops.maximum(score, state.best), found)

    def _candidates(self, fixed, begun, state):
        """The scores of all continuations, float32 (batch, beams * columns), and the new cache."""
        request, live, step = fixed.request, state.live, state.live.step
        logits, cache = self.predicted(fixed, live)
        # The probabilities are the prior's own. What is excluded beyond them makes nothing else more likely.
        logits = keras.ops.where(self.possible_ids(live), logits, NEVER)
        logits = filtered(logits, request.sampling, live.seen)
        chances = keras.ops.log_softmax(logits, axis=-1)[:, 0]
        given = keras.ops.take(live.ids, step, axis=1)
        if self.prior.has_end:
            end = self.prior.space.end(self.prior.target)
            given = keras.ops.where(keras.ops.equal(step, live.ids.shape[1] - 1), end, given)
        free = self.free(request, live)[:, 0]
        free = keras.ops.where(keras.ops.equal(given, PADDING), free, keras.ops.equal(given, self.ids[0]))
        shape = (-1, self.beams, self.prior.columns)
        chances, free = keras.ops.reshape(chances, shape), keras.ops.reshape(free, shape)
        counts = keras.ops.reshape(keras.ops.take(begun, step, axis=1), (-1, 1, 1))
        scores = keras.ops.expand_dims(state.scores, -1) + keras.ops.where(counts, chances, 0.0)
        scores = keras.ops.maximum(keras.ops.where(free, scores, _DEAD), _DEAD)
        return keras.ops.reshape(scores, (-1, self.beams * self.prior.columns)), cache


def search_of(prior, settings, frames):
    """The settings of a beam search, for `Request._replace`.

    Args:
        prior: `AutoregressivePrior`.
        settings: dict as returned by `checked_settings`, with `beams` and `length_penalty` if they are given.
        frames: int, number of positions.

    Returns:
        Dict with `beams` and `length_penalty`; empty for sampling.

    Raises:
        ValueError: if the prior has several streams or no learned position for the end token, or there is a length
            penalty without beams.
    """
    beams, penalty = settings.get("beams") or 1, settings.get("length_penalty")
    if beams == 1:
        if penalty is not None:
            raise ValueError(
                f"`length_penalty` is a setting of beam search. Received: length_penalty={penalty}, "
                f"beams={settings.get('beams')}. Give `beams` of 2 or more."
            )
        return {}
    if prior.streams > 1:
        raise ValueError(
            f"Beam search is for priors of one token per step. Received: beams={beams} for a {prior.pattern!r} of "
            f"{prior.streams} streams. Leave `beams` out, or train with `FlattenPattern`."
        )
    if prior.has_end and 0 < prior.learnt_positions <= frames * prior.num_codebooks:
        raise ValueError(
            f"Beam search needs a learned position for the end token. Received: length={frames} and beams={beams} for "
            f"{prior.learnt_positions} learned steps. Give a shorter `length`."
        )
    penalty = LENGTH_PENALTY if penalty is None else penalty
    return {"beams": beams, "length_penalty": tf.constant(penalty, tf.float32)}


def _rows(tensor, rows):
    """Rows of a tensor; None stays None."""
    return None if tensor is None else keras.ops.take(tensor, rows, axis=0)


def _split_rows(caches, rows, count):
    """Rows of the caches of blocks, whose first axis holds the heads of `count` rows; None stays None."""

    def taken(tensor):
        whole = _rows(tf.reshape(tensor, (count, -1)), rows)
        return keras.ops.reshape(whole, (-1, *tensor.shape[1:]))

    return None if caches is None else tf.nest.map_structure(taken, caches)
