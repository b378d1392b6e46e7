"""Autoregressive prior: a causal transformer with a key/value cache predicts token after token."""

import keras
import numpy as np
import tensorflow as tf

from vqzoo.ops import compiled
from vqzoo.priors.decoding.beams import BeamDecoding
from vqzoo.priors.decoding.beams import search_of
from vqzoo.priors.decoding.loop import Decoding
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
    r"""Predicts each token from the condition and the preceding tokens.

    $$p(t \mid c) = \prod_s p(t_s \mid t_{<s}, c)$$

    in the order of the pattern. A prior without a grid generates signals of any length. They end with the end token of
    the target's span. If the pattern has several streams, they end after the requested length.

    Args:
        space: `TokenSpace`.
        transformer: `vqzoo.networks.Transformer` with causal=True, and cross_attention=True if there is a context.
        target: str, the part of the space whose tokens are predicted.
        width: int, width of the transformer's input vectors.
        grid: tuple of int, shape of the tokens, such as rows and columns. Default None, one axis of any length.
        pattern: `Pattern`, the order of the tokens of several codebooks. Defaults to `FlattenPattern`.
        context_encoder: bidirectional `vqzoo.networks.Transformer` over the context. Defaults to none, so that the
            context is a set without order.
        condition_dropout: float in [0, 1), fraction of the examples that are unconditional in training, for
            classifier-free guidance. Defaults to 0.
        learnt_positions: int, number of steps with a learned position vector, which is added to the input of the step.
            It encodes absolute positions, while rotary embeddings encode relative ones. A signal with an end token
            needs one more step. Defaults to 0, none.
        seed: int, seed of the randomness in training. Defaults to a random one.
        token_noise: float in [0, 1), fraction of the input tokens that are replaced by random ones in training, so that
            one badly sampled token does not spoil all that follow. Defaults to 0.

    Call arguments:
        tokens: int tensor (batch, *grid, num_codebooks); without a grid, -1 after the end of a signal.
        prefix: int tensor (batch, length), ids that precede the tokens. Defaults to none.
        context: int tensor (batch, length), ids for the transformer's cross-attention. Defaults to none.
        training: bool. Defaults to False.

    Returns:
        float32 logits (batch, steps, streams, columns), the prediction of each step from the preceding ones. Column i
        of stream k is the id `first_ids[k] + i`. Ids that are not allowed there have -1e9.

    Raises:
        ValueError: if a part has the wrong type, or the parts do not match.

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
        https://arxiv.org/abs/2306.05284, section 2.2; token noise has the motivation of Bengio et al. 2015,
        https://arxiv.org/abs/1506.03099
    """

    causal = True

    def __init__(self, *args, token_noise=0.0, **kwargs):
        super().__init__(*args, **kwargs)
        if not 0.0 <= token_noise < 1.0:
            raise ValueError(f"`token_noise` must be in [0, 1). Received: token_noise={token_noise}")
        self.token_noise = float(token_noise)
        self._compiled_begin = compiled(self._begin, xla=True)
        self._compiled_advance = compiled(self._advance, xla=True)

    @property
    def has_end(self):
        """Whether signals end with an end token."""
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
        """Cross-entropy of each token given the preceding ones; without a grid, the end token is included.

        Args:
            tokens: int tensor (batch, *grid, num_codebooks); without a grid, -1 after the end of a signal.
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
        beams=None,
        length_penalty=None,
        **sampling,
    ):
        """Generates tokens in one compiled function with a key/value cache.

        An example depends only on the seed, its index and its condition, not on the other examples or `batch_size`.
        With `beams` nothing is sampled, and neither the seed nor the index matters.

        Args:
            count: int, number of examples. Defaults to the number of prefixes, contexts or `known`, or 1.
            prefix: int array (count or 1, length), ids. Defaults to none.
            context: int array (count or 1, length), ids. Defaults to none.
            seed: int from 0 to 2**63 - 1. Defaults to 0.
            guidance: float, scale of classifier-free guidance. 1 is the conditional prediction; a larger scale makes
                results more typical of the condition. It doubles the computation. Defaults to none.
            known: int array (count or 1, *grid, num_codebooks), given tokens, with -1 where a token is to be generated.
                Give the beginning to continue it, or any other tokens. Defaults to none.
            length: int, the largest number of positions, for a prior without a grid.
            batch_size: int, number of examples per batch, to bound memory. Defaults to all.
            callback: callable, called every `every` steps with the tokens so far, an int32 array
                (batch, complete positions, num_codebooks), for one batch after the other. Defaults to none.
            every: int, see `callback`. Defaults to 16.
            beams: int, number of hypotheses of a beam search, see `BeamDecoding`, for a prior with one stream. The
                result is the best sequence that it finds. It combines with `guidance`, `known`, `repetition_penalty`
                and `no_repeat`. Defaults to none; with 1, too, tokens are sampled.
            length_penalty: float, exponent α of the length penalty of a beam search. A larger value prefers longer
                sequences; 0 prefers the most likely one. Defaults to 0.6, as in Vaswani et al. 2017,
                https://arxiv.org/abs/1706.03762, section 6.1.
            **sampling: `temperature` (0 is greedy), `top_k`, `top_p`, `min_p`, `repetition_penalty` and `no_repeat`,
                see `Sampling`. Given tokens count for the last two, and stay even if they repeat an n-gram. If every
                token would repeat one, any may come.

        Returns:
            int32 tensor (count, *grid, num_codebooks); without a grid (count, length, num_codebooks), with -1 after the
            end of a signal.

        Raises:
            ValueError: if an argument is out of range, or the arguments do not match.
        """
        self.build_now()
        own = {"count": count, "seed": seed, "guidance": guidance, "batch_size": batch_size}
        own |= {"callback": callback, "every": every, "beams": beams, "length_penalty": length_penalty}
        settings = checked_settings(self, {**own, **sampling})
        frames = self.frames_of(length)
        search = search_of(self, settings, frames)
        numbers = self.pattern.slots(frames, self.num_codebooks).shape
        request = requested(self, prefix, context, known, frames, settings, numbers)._replace(**search)
        leading = self._leading(request.given, frames)

        def answer(part, count):
            if callback is None:
                return self._compiled_generate(part, frames, leading)
            return self._streamed(part, frames, leading, lambda tokens: callback(tokens[:count]), settings["every"])

        return self.tokens_of(in_batches(answer, request, settings["batch_size"]), frames)

    def planned(self, frames, options):
        """Prepares generation: the shape of the random numbers, the sampling settings, and the function that generates.

        Args:
            frames: int, number of positions.
            options: dict, settings of `Sampling`, `beams` and `length_penalty`.

        Returns:
            Tuple of the shape of the random numbers of an example, the `Sampling`, and the function `Request` ->
            sequence of ids.
        """
        settings = checked_settings(self, options)
        search = search_of(self, settings, frames)
        shape = self.pattern.slots(frames, self.num_codebooks).shape
        return shape, sampling_of(settings), lambda request: self._generate(request._replace(**search), frames, 0)

    def _generate(self, request, frames, leading):
        """Generates the ids (batch, steps, streams) of a request."""
        if request.beams is not None:
            request = request._replace(sampling=request.sampling._replace(temperature=None))
            return BeamDecoding(self, frames, request.beams).decode(request, leading)
        fixed, state = self._begin(request, frames, leading)
        return self._advance(fixed, state, frames, request.given.shape[1]).ids

    def _begin(self, request, frames, leading):
        return Decoding(self, frames).begin(request, leading)

    def _advance(self, fixed, state, frames, stop):
        return Decoding(self, frames).advance(fixed, state, stop)

    def _streamed(self, request, frames, leading, callback, every):
        """`_generate` in chunks of steps, with calls of the callback between them."""
        fixed, state = self._compiled_begin(request, frames, leading)
        steps = request.given.shape[1]
        for stop in (*range(leading + every, steps, every), steps):
            state = self._compiled_advance(fixed, state, frames, tf.constant(stop))
            tokens = keras.ops.reshape(self.tokens_of(state.ids, frames), (-1, frames, self.num_codebooks))
            callback(np.asarray(tokens[:, : self.pattern.whole_frames(stop, frames, self.num_codebooks)]))
        return state.ids

    def _leading(self, given, frames):
        """Number of leading steps that are given for all examples; at least one step remains."""
        filled = self.pattern.slots(frames, self.num_codebooks) >= 0
        known = ((np.asarray(given) != PADDING) | ~filled).all(axis=(0, 2))
        return min(int(np.argmin(np.append(known, False))), len(known) - 1)

    # === Steps ===
    def _noisy(self, ids):
        """Ids (batch, positions, num_codebooks), some replaced by a random code of their codebook."""
        if not self.token_noise:
            return ids
        sizes = np.array(self.space.sizes[self.target], "float32")
        first = np.array([self.space.first(self.target, k) for k in range(self.num_codebooks)], "int32")
        chosen, code = (keras.random.uniform(keras.ops.shape(ids), seed=self.random) for _ in range(2))
        # If rounding takes a uniform number to 1, the code would belong to the next codebook.
        code = keras.ops.cast(keras.ops.minimum(code * sizes, sizes - 1), "int32") + first
        real = keras.ops.not_equal(ids, PADDING)
        return keras.ops.where(keras.ops.logical_and(chosen < self.token_noise, real), code, ids)

    def inputs(self, sequence):
        """The inputs of the steps: the start token of the target's span, then the ids of the previous step."""
        start = np.full((1, 1, self.streams), PADDING, "int32")
        start[..., 0] = self.space.start(self.target)
        start = keras.ops.tile(start, (keras.ops.shape(sequence)[0], 1, 1))
        return keras.ops.concatenate([start, sequence if self.has_end else sequence[:, :-1]], axis=1)

    def positions(self, frames):
        """The positions of the inputs, int32 array (1 + steps, axes); the start token precedes all tokens."""
        places = self.coordinates(frames)
        return np.concatenate([np.zeros_like(places[:1]), places + 1])

    def grammar(self, frames):
        """`Grammar` of the target's span."""
        return Grammar(self.space, {self.target: None if self.has_end else frames})

    def possible(self, frames):
        """See `Prior`. Without a grid there is one more step, and the end token is allowed where a position begins."""
        possible = super().possible(frames)
        if not self.has_end:
            return possible
        possible = np.concatenate([possible, possible[:1]])
        possible[:: self.num_codebooks, :, 0] = True
        return possible

    # === Config ===
    def get_config(self):
        return {**super().get_config(), "token_noise": self.token_noise}
