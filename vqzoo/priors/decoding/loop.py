"""The decoding loop of a causal transformer."""

from typing import Any
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from vqzoo.priors.generation import twice
from vqzoo.priors.generation import unconditional
from vqzoo.priors.grammar import BETWEEN
from vqzoo.priors.sampling import NEVER
from vqzoo.priors.sampling import draw
from vqzoo.priors.sampling import filtered
from vqzoo.priors.sampling import guided
from vqzoo.priors.sampling import repeating
from vqzoo.priors.token_space import PADDING


class Fixed(NamedTuple):
    """Tensors that stay constant during decoding."""

    request: Any  # `Request`
    mask: Any  # bool (rows, slots) of the cached keys, or None
    context: Any  # keys and values of the context for each block, or None
    context_mask: Any  # bool (rows, length), or None
    before: Any  # int32 (rows, 1, 1), number of positions of the prefix


class State(NamedTuple):
    """Tensors that change with each step."""

    step: Any  # int32, the next step
    ids: Any  # int32 (batch, steps, streams), the given and the generated ids
    last: Any  # int32 (batch, 1, streams), the input of the next step
    cache: Any  # keys and values of each block
    grammar: Any  # int32 (batch,), the grammar state that determines the allowed ids; for one stream
    seen: Any  # bool (batch, streams, columns), ids that have occurred; no columns if unused


class Decoding:
    """The decoding loop of an `AutoregressivePrior` for a fixed number of positions.

    Rows are the examples; with guidance, the same examples without the condition follow. Slot i of the key/value cache
    holds the i-th input. The inputs are the prefix, the start token and the tokens.

    Args:
        prior: `AutoregressivePrior`.
        frames: int, number of positions.
    """

    def __init__(self, prior, frames):
        self.prior = prior
        self.positions = prior.positions(frames)
        self.filled = prior.pattern.slots(frames, prior.num_codebooks) >= 0  # (steps, streams)
        self.grammar = prior.grammar(frames)
        self.ids = prior.first_ids[:, None] + np.arange(prior.columns, dtype="int32")  # (streams, columns)
        self.possible = prior.possible(frames)

    def begin(self, request, leading):
        """Processes the prefix and the leading given steps.

        Args:
            request: `Request`.
            leading: int, number of leading steps whose ids are all given.

        Returns:
            `Fixed` and `State`.
        """
        prior, steps = self.prior, request.given.shape[1]
        batch = keras.ops.shape(request.given)[0]
        prefix, context, inputs = request.prefix, request.context, prior.inputs(request.given)[:, : leading + 1]
        vectors = prior.placed(prior.embedded(inputs))
        if request.guidance is not None:
            prefix, context, vectors = unconditional(prefix), unconditional(context), twice(vectors)
        rows = keras.ops.shape(vectors)[0]
        vectors, mask, positions = prior.with_prefix(prefix, vectors, self.positions[: leading + 1])
        if mask is not None:
            mask = keras.ops.concatenate([mask, keras.ops.ones((rows, steps - leading - 1), "bool")], axis=1)
        context, context_mask = prior.embedded_context(context)
        if prefix is None:
            behind, before = 0, keras.ops.zeros((1, 1, 1), "int32")
        else:
            behind, before = prefix.shape[1], positions[:, -1:, :1] - self.positions[leading, 0]
        fixed = Fixed(request, mask, prior.transformer.prepared(context), context_mask, before)
        cache = prior.transformer.empty_cache(rows, behind + steps)
        read = behind + leading  # the last one is the input of the first step
        if read:
            places = keras.ops.convert_to_tensor(positions)[..., :read, :]
            _, cache = prior.transformer.step(vectors[:, :read], cache, 0, fixed.context, mask, context_mask, places)
        first = self.grammar.first(prior.target) + (leading % prior.num_codebooks if prior.has_end else leading)
        grammar = keras.ops.full((batch,), first if prior.streams == 1 else BETWEEN, "int32")
        columns = 0 if request.sampling.repetition_penalty is None else prior.columns
        been = keras.ops.expand_dims(request.given[:, :leading], -1)
        seen = keras.ops.any(keras.ops.equal(been, self.ids[:, :columns]), axis=1)
        step = keras.ops.convert_to_tensor(leading, "int32")
        return fixed, State(step, request.given, inputs[:, leading:], cache, grammar, seen)

    def advance(self, fixed, state, stop):
        """Generates the steps up to `stop`, or until every example has ended.

        Args:
            fixed: `Fixed`.
            state: `State`.
            stop: int or int32 scalar tensor.

        Returns:
            `State`.
        """

        def goes_on(*state):
            state = State(*state)
            more = state.step < stop
            return more & tf.reduce_any(state.grammar != BETWEEN) if self.prior.has_end else more

        return State(*tf.while_loop(goes_on, lambda *state: self._step(fixed, State(*state)), state))

    def _step(self, fixed, state):
        """The next ids of every example."""
        prior, request, step = self.prior, fixed.request, state.step
        logits, cache = self.predicted(fixed, state)
        logits = keras.ops.where(self.free(request, state), logits, NEVER)
        logits = filtered(logits, request.sampling, state.seen)
        greedy = request.sampling.temperature is None
        uniforms = None if greedy else keras.ops.take(request.uniforms, step, axis=1)
        made = draw(logits, uniforms) + prior.first_ids
        given = keras.ops.take(state.ids, step, axis=1)  # generated ids are written only later
        ids = keras.ops.where(keras.ops.not_equal(given, PADDING), given, made)
        if prior.streams == 1:
            ids = keras.ops.where(keras.ops.expand_dims(keras.ops.equal(state.grammar, BETWEEN), 1), PADDING, ids)
        else:
            ids = keras.ops.where(keras.ops.take(self.filled, step, axis=0), ids, PADDING)
        return self.written(state._replace(cache=cache), ids)

    def predicted(self, fixed, state):
        """Predicts the next ids.

        Args:
            fixed: `Fixed`.
            state: `State`.

        Returns:
            float32 logits (batch, streams, columns), guided, and the cache with the last ids.
        """
        prior, request, step = self.prior, fixed.request, state.step
        vectors = prior.placed(prior.embedded(state.last), step)
        vectors = vectors if request.guidance is None else twice(vectors)
        place = keras.ops.take(self.positions, keras.ops.reshape(step, (1,)), axis=0)
        slot = step + (state.cache[0].keys.shape[1] - state.ids.shape[1])  # after the prefix
        outputs, cache = prior.transformer.step(
            vectors, state.cache, slot, fixed.context, fixed.mask, fixed.context_mask, place + fixed.before
        )
        logits = prior.logits(outputs)[:, 0]  # (rows, streams, columns)
        if request.guidance is not None:
            logits = guided(*keras.ops.split(logits, 2), request.guidance)
        return logits, cache

    def written(self, state, ids):
        """The state after a step: with its ids (batch, streams), and with what they change."""
        step, grammar, seen = state.step, state.grammar, state.seen
        if self.prior.streams == 1:
            ended = keras.ops.equal(grammar, BETWEEN)
            grammar = keras.ops.where(ended, BETWEEN, self.grammar.step(grammar, ids[:, 0]))
        if seen.shape[-1]:
            seen = keras.ops.logical_or(seen, keras.ops.equal(keras.ops.expand_dims(ids, -1), self.ids))
        ids = keras.ops.expand_dims(ids, 1)
        written = keras.ops.slice_update(state.ids, (0, step, 0), ids)
        return State(step + 1, written, ids, state.cache, grammar, seen)

    def possible_ids(self, state):
        """The columns of the codebook of the step, and of the end token: bool (batch or 1, streams, columns)."""
        if self.prior.streams > 1:
            return keras.ops.expand_dims(keras.ops.take(self.possible, state.step, axis=0), 0)
        masks = self.grammar.masks[:, self.ids[0]]
        possible = keras.ops.take(masks, keras.ops.take(self.grammar.kinds, state.grammar), axis=0)
        return keras.ops.expand_dims(possible, 1)

    def free(self, request, state):
        """The possible columns that do not end before a given id, and repeat nothing that must not be repeated.

        Args:
            request: `Request`.
            state: `State`.

        Returns:
            bool (batch or 1, streams, columns). If each of them would repeat something, all may come.
        """
        free = self.possible_ids(state)
        if self.prior.streams == 1:
            later = np.arange(request.given.shape[1], dtype="int32") > state.step
            waits = keras.ops.any(keras.ops.not_equal(request.given[..., 0], PADDING) & later, axis=1, keepdims=True)
            ends = self.ids[0] == self.prior.space.end(self.prior.target)
            free = keras.ops.logical_and(free, keras.ops.expand_dims(~(waits & ends), 1))
        if request.sampling.no_repeat is None:
            return free
        columns = keras.ops.where(keras.ops.equal(state.ids, PADDING), -1, state.ids - self.prior.first_ids)
        new = ~repeating(columns, state.step, request.sampling.no_repeat, self.prior.columns) & free
        return keras.ops.where(keras.ops.any(new, axis=-1, keepdims=True), new, free)
