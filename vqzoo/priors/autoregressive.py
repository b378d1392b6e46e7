"""Tokens one after another: each from those before, by a causal transformer with its keys and values kept."""

import keras
import numpy as np
import tensorflow as tf

from vqzoo.ops import compiled
from vqzoo.priors.decoding import Decoding
from vqzoo.priors.generation import in_batches
from vqzoo.priors.generation import requested
from vqzoo.priors.generation import sampling_of
from vqzoo.priors.grammar import Grammar
from vqzoo.priors.prior import Prior
from vqzoo.priors.sampling import NEVER
from vqzoo.priors.settings import checked_settings
from vqzoo.priors.token_space import PADDING


@keras.saving.register_keras_serializable(package="vqzoo")
class AutoregressivePrior(Prior):
    r"""Predicts each token from the condition and the tokens before it.

    $$p(t \mid c) = \prod_s p(t_s \mid t_{<s}, c)$$

    in the order of the pattern. A prior without a grid makes signals of any length. They end with the end of the
    target's span, or, where the pattern has several streams, after the length that is asked for.

    Args:
        space: `TokenSpace`.
        transformer: `vqzoo.networks.Transformer` with causal=True, and cross_attention=True if there is a context.
        target: str, the part of the space whose tokens are predicted.
        width: int, of the vectors that the transformer takes.
        grid: tuple of int, of the tokens: rows and columns of a picture. Defaults to None: one axis of any length.
        pattern: `Pattern`, in which order several codebooks are written. Defaults to `FlattenPattern`.
        context_encoder: `vqzoo.networks.Transformer` that looks both ways, over the context. Defaults to none: the
            context is a set, without order.
        condition_dropout: float in [0, 1), share of the examples that are unconditional in training, for guidance.
            Defaults to 0.
        learnt_positions: int, steps that have a learnt vector each, added to what they read: the place itself, where
            rotary positions tell distances. Where a signal says itself where it ends, that is a step more. Defaults
            to 0, none.
        seed: int, of what is random in training. Defaults to a random one.
        token_noise: float in [0, 1), share of the tokens that a step reads as random ones in training, so that one
            token which is drawn badly does not spoil all that follow. Defaults to 0.

    Call arguments:
        tokens: int tensor (batch, *grid, num_codebooks); without a grid -1 behind the end of a signal.
        prefix: int tensor (batch, length), ids that stand before the tokens. Defaults to none.
        context: int tensor (batch, length), ids that the transformer's cross-attention looks at. Defaults to none.
        training: bool. Defaults to False.

    Returns:
        float32 logits (batch, steps, streams, columns): what each step predicts from those before. Column i of stream k
        is the id `first_ids[k] + i`; ids that cannot stand there have -1e9.

    Raises:
        ValueError: if a part is of the wrong kind, or they do not fit together.

    Example:
    >>> from vqzoo.networks import Transformer
    >>> from vqzoo.priors import TokenSpace
    >>> space = TokenSpace({"label": 10, "image": 8})
    >>> prior = AutoregressivePrior(space, Transformer(1, 2, causal=True), "image", width=8, grid=(2, 3))
    >>> labels = space.prefix(label=[7, 7])
    >>> prior(np.zeros((2, 2, 3, 1), "int32"), prefix=labels).shape
    TensorShape([2, 6, 1, 8])
    >>> prior.generate(prefix=labels, seed=1, top_k=4).shape
    TensorShape([2, 2, 3, 1])

    Reference:
        Esser, Rombach, Ommer 2021, https://arxiv.org/abs/2012.09841, section 3.2; several codebooks: Copet et al. 2023,
        https://arxiv.org/abs/2306.05284, section 2.2; noise on what is read: Bengio et al. 2015,
        https://arxiv.org/abs/1506.03099, whose cause it shares
    """

    causal = True

    def __init__(self, *args, token_noise=0.0, **kwargs):
        super().__init__(*args, **kwargs)
        if not 0.0 <= token_noise < 1.0:
            raise ValueError(f"`token_noise` lies in [0, 1). Received: token_noise={token_noise}")
        self.token_noise = float(token_noise)
        self._compiled_begin = compiled(self._begin, xla=True)
        self._compiled_advance = compiled(self._advance, xla=True)

    @property
    def has_end(self):
        """Whether a signal says itself where it ends."""
        return self.grid is None and self.streams == 1

    def call(self, tokens, prefix=None, context=None, training=False):
        ids = self.checked_tokens(tokens)
        frames = ids.shape[1]
        prefix, context = self.dropped(*self.checked_condition(prefix, context), training)
        inputs = self.inputs(self.pattern.apply(self._noisy(ids) if training else ids, PADDING))
        steps = inputs.shape[1]
        vectors, mask, positions = self.with_prefix(
            prefix, self.placed(self.embedded(inputs)), self.positions(frames)[:steps]
        )
        context, context_mask = self.embedded_context(context)
        outputs = self.transformer(
            vectors, context, mask=mask, context_mask=context_mask, positions=positions, training=training
        )
        return keras.ops.where(self.possible(frames), self.logits(outputs[:, -steps:]), NEVER)

    def cross_entropy(self, tokens, prefix=None, context=None, training=False):
        """How well each token is predicted from those before; without a grid the end of a signal counts too.

        Args:
            tokens: int tensor (batch, *grid, num_codebooks); without a grid -1 behind the end of a signal.
            prefix: int tensor (batch, length), ids. Defaults to none.
            context: int tensor (batch, length), ids. Defaults to none.
            training: bool. Defaults to False.

        Returns:
            `CrossEntropy`.
        """
        logits = self(tokens, prefix=prefix, context=context, training=training)
        sequence = self.pattern.apply(self.checked_tokens(tokens), PADDING)
        real = keras.ops.not_equal(sequence, PADDING)
        if not self.has_end:
            return self.cross_entropy_of(logits, sequence, real)
        length = keras.ops.sum(keras.ops.cast(real, "int32"), axis=1, keepdims=True)
        place = np.arange(sequence.shape[1] + 1, dtype="int32")[:, None]
        targets = keras.ops.pad(sequence, ((0, 0), (0, 1), (0, 0)), constant_values=PADDING)
        targets = keras.ops.where(keras.ops.equal(place, length), self.space.end(self.target), targets)
        return self.cross_entropy_of(logits, targets, place <= length)

    # === Generation ===
    def generate(
        self,
        count=None,
        prefix=None,
        context=None,
        *,
        seed=0,
        guidance=None,
        known=None,
        length=None,
        batch_size=None,
        callback=None,
        every=16,
        **sampling,
    ):
        """Makes tokens, in one compiled function that keeps the keys and values of earlier steps.

        An example depends on the seed, its number and its condition alone: not on the others, nor on `batch_size`.

        Args:
            count: int, examples. Defaults to as many as there are prefixes, contexts or `known`, or 1.
            prefix: int array (count or 1, length), ids. Defaults to none.
            context: int array (count or 1, length), ids. Defaults to none.
            seed: int from 0 to 2**63 - 1, each of which makes something else. Defaults to 0.
            guidance: float, how far away from the unconditional prediction: 1 is the conditional one, more is more
                typical of the condition. Twice the work. Defaults to none.
            known: int array (count or 1, *grid, num_codebooks), tokens that are given, -1 where one is to be made: the
                beginning, to go on with it, or any. Defaults to none.
            length: int, positions that are made at most, where there is no grid.
            batch_size: int, examples at once, to bound memory. Defaults to all.
            callback: callable, gets what has been made, int32 array (batch, whole positions, num_codebooks), after
                every `every` steps; of one batch after the other, where `batch_size` cuts. Defaults to none.
            every: int, see `callback`. Defaults to 16.
            **sampling: `temperature` (0 takes the likeliest), `top_k`, `top_p`, `min_p` and `repetition_penalty`, see
                `Sampling`.

        Returns:
            int32 tensor (count, *grid, num_codebooks); without a grid (count, length, num_codebooks), -1 behind the
            end of a signal.

        Raises:
            ValueError: if an argument is out of range, or they do not fit together.
        """
        self.build_now()
        own = {"count": count, "seed": seed, "guidance": guidance, "batch_size": batch_size}
        settings = checked_settings(self, {**own, "callback": callback, "every": every, **sampling})
        frames = self.frames_of(length)
        numbers = self.pattern.slots(frames, self.num_codebooks).shape
        request = requested(self, prefix, context, known, frames, settings, numbers)
        leading = self._leading(request.given, frames)

        def answer(part, count):
            if callback is None:
                return self._compiled_generate(part, frames, leading)
            return self._streamed(part, frames, leading, lambda tokens: callback(tokens[:count]), settings["every"])

        return self.tokens_of(in_batches(answer, request, settings["batch_size"]), frames)

    def planned(self, frames, options):
        """What a request needs, and its answer.

        Args:
            frames: int, positions.
            options: dict, settings of `Sampling`.

        Returns:
            Tuple with the shape of an example's random numbers, the `Sampling`, and the function that makes a sequence
            of ids of a `Request`.
        """
        shape = self.pattern.slots(frames, self.num_codebooks).shape
        return shape, sampling_of(checked_settings(self, options)), lambda request: self._generate(request, frames, 0)

    def _generate(self, request, frames, leading):
        """Ids (batch, steps, streams) of a request."""
        fixed, state = self._begin(request, frames, leading)
        return self._advance(fixed, state, frames, request.given.shape[1]).ids

    def _begin(self, request, frames, leading):
        return Decoding(self, frames).begin(request, leading)

    def _advance(self, fixed, state, frames, stop):
        return Decoding(self, frames).advance(fixed, state, stop)

    def _streamed(self, request, frames, leading, callback, every):
        """`_generate` in pieces, with what has been made handed out between them."""
        fixed, state = self._compiled_begin(request, frames, leading)
        steps = request.given.shape[1]
        for stop in (*range(leading + every, steps, every), steps):
            state = self._compiled_advance(fixed, state, frames, tf.constant(stop))
            tokens = keras.ops.reshape(self.tokens_of(state.ids, frames), (-1, frames, self.num_codebooks))
            callback(np.asarray(tokens[:, : self.pattern.whole_frames(stop, frames, self.num_codebooks)]))
        return state.ids

    def _leading(self, given, frames):
        """How many steps from the first on need not be made, of any example; at least one is left."""
        filled = self.pattern.slots(frames, self.num_codebooks) >= 0
        known = ((np.asarray(given) != PADDING) | ~filled).all(axis=(0, 2))
        return min(int(np.argmin(np.append(known, False))), len(known) - 1)

    # === Steps ===
    def _noisy(self, ids):
        """Ids (batch, positions, num_codebooks), some of them another code of their codebook."""
        if not self.token_noise:
            return ids
        sizes = np.array(self.space.sizes[self.target], "float32")
        first = np.array([self.space.first(self.target, k) for k in range(self.num_codebooks)], "int32")
        chosen, code = (keras.random.uniform(keras.ops.shape(ids), seed=self.random) for _ in range(2))
        # Where rounding takes a share to 1 it would be the next codebook's.
        code = keras.ops.cast(keras.ops.minimum(code * sizes, sizes - 1), "int32") + first
        real = keras.ops.not_equal(ids, PADDING)
        return keras.ops.where(keras.ops.logical_and(chosen < self.token_noise, real), code, ids)

    def inputs(self, sequence):
        """What each step reads: the start of the target's span, then the ids of the step before."""
        start = np.full((1, 1, self.streams), PADDING, "int32")
        start[..., 0] = self.space.start(self.target)
        start = keras.ops.tile(start, (keras.ops.shape(sequence)[0], 1, 1))
        return keras.ops.concatenate([start, sequence if self.has_end else sequence[:, :-1]], axis=1)

    def positions(self, frames):
        """Where the inputs stand: int32 array (1 + steps, axes); the start before all tokens."""
        places = self.coordinates(frames)
        return np.concatenate([np.zeros_like(places[:1]), places + 1])

    def grammar(self, frames):
        """`Grammar` of the target's span."""
        return Grammar(self.space, {self.target: None if self.has_end else frames})

    def possible(self, frames):
        """See `Prior`; without a grid there is one more step, and the end may come where a position begins."""
        possible = super().possible(frames)
        if not self.has_end:
            return possible
        possible = np.concatenate([possible, possible[:1]])
        possible[:: self.num_codebooks, :, 0] = True
        return possible

    # === Config ===
    def get_config(self):
        return {**super().get_config(), "token_noise": self.token_noise}
