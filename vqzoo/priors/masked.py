"""Masked prior: predicts all tokens at once, then repeatedly those with the least confidence."""

import math
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from vqzoo.ops import compiled
from vqzoo.priors.generation import in_batches
from vqzoo.priors.generation import requested
from vqzoo.priors.generation import sampling_of
from vqzoo.priors.generation import unconditional
from vqzoo.priors.prior import Prior
from vqzoo.priors.sampling import NEVER
from vqzoo.priors.sampling import draw
from vqzoo.priors.sampling import filtered
from vqzoo.priors.sampling import guided
from vqzoo.priors.sampling import uniforms_of
from vqzoo.priors.settings import SCHEDULES
from vqzoo.priors.settings import checked_settings
from vqzoo.priors.token_space import MASK
from vqzoo.priors.token_space import PADDING

# Defaults of generation. The noise is that of the paper's code.
STEPS, NOISE = 12, 4.5
_SURE = 1e9  # the confidence of given tokens


class _State(NamedTuple):
    """Tensors that change with each step of generation."""

    step: Any  # int32
    ids: Any  # int32 (batch, steps, streams), `MASK` where a token is to be generated


_SMALLEST = 1e-6
_POWERS = {"linear": 1.0, "square": 2.0, "cubic": 3.0, "square_root": 0.5}


@keras.saving.register_keras_serializable(package="vqzoo")
class MaskedPrior(Prior):
    r"""Predicts masked tokens from the condition and all other tokens.

    In training, the fraction `masked_share(r)` of the tokens is masked, with a random r in [0, 1] for each example:

    $$L = -\operatorname{mean}_{i \in M} \log p(t_i \mid t_{\bar M}, c)$$

    Generation starts with all tokens masked. Each of a few steps samples every masked token and keeps those with the
    highest confidence.

    Args:
        space: `TokenSpace`.
        transformer: `vqzoo.networks.Transformer` with causal=False, and cross_attention=True if there is a context.
        target: str, the part of the space whose tokens are predicted.
        width: int, width of the transformer's input vectors.
        grid: tuple of int, shape of the tokens, such as rows and columns. Default None, one axis of any length.
        pattern: `Pattern`, the order of the tokens of several codebooks. Defaults to `FlattenPattern`.
        context_encoder: bidirectional `vqzoo.networks.Transformer` over the context. Defaults to none, so that the
            context is a set without order.
        condition_dropout: float in [0, 1), fraction of the examples that are unconditional in training, for
            classifier-free guidance. Defaults to 0.
        learnt_positions: int, number of steps with a learned position vector, which is added to the input of the step.
            It encodes absolute positions, while rotary embeddings encode relative ones. Defaults to 0, none.
        schedule: str, see `masked_share`. Defaults to "cosine".
        seed: int, seed of the randomness in training. Defaults to a random one.

    Call arguments:
        tokens: int tensor (batch, *grid, num_codebooks), -1 where one is masked.
        prefix: int tensor (batch, length), ids that precede the tokens. Defaults to none.
        context: int tensor (batch, length), ids for the transformer's cross-attention. Defaults to none.
        training: bool. Defaults to False.

    Returns:
        float32 logits (batch, steps, streams, columns). Column i of stream k is the id `first_ids[k] + i`. Ids that
        are not allowed there have -1e9.

    Raises:
        ValueError: if a part has the wrong type, or the parts do not match.

    Example:
    >>> from vqzoo.networks import Transformer
    >>> from vqzoo.priors import TokenSpace
    >>> prior = MaskedPrior(TokenSpace({"image": 8}), Transformer(1, 2), "image", width=8, grid=(2, 2))
    >>> picture = np.array([[[[1], [2]], [[3], [4]]]])
    >>> repaired = prior.repair(picture, np.array([[[True, False], [False, False]]]), steps=1)
    >>> np.asarray(repaired)[0, :, :, 0].ravel()[1:]
    array([2, 3, 4], dtype=int32)

    Reference:
        Chang et al. 2022 (MaskGIT), https://arxiv.org/abs/2202.04200, sections 3.2 and 3.3
    """

    causal = False

    def __init__(self, *args, schedule="cosine", **kwargs):
        super().__init__(*args, **kwargs)
        masked_share(0.0, schedule)
        self.schedule = schedule
        self._compiled_advance = compiled(self._advance, xla=True)

    def call(self, tokens, prefix=None, context=None, training=False):
        ids = self.checked_tokens(tokens)
        prefix, context = self.dropped(*self.checked_condition(prefix, context), training)
        return self._predicted(self._hidden(ids), ids.shape[1], prefix, context, training)

    def cross_entropy(self, tokens, prefix=None, context=None, training=False):
        """Cross-entropy of masked tokens.

        In training, random tokens are masked. Otherwise the masks are fixed, from few tokens of the first example to
        nearly all of the last one.

        Args:
            tokens: int tensor (batch, *grid, num_codebooks).
            prefix: int tensor (batch, length), ids. Defaults to none.
            context: int tensor (batch, length), ids. Defaults to none.
            training: bool. Defaults to False.

        Returns:
            `CrossEntropy`, which counts only the masked tokens.
        """
        ids = self.checked_tokens(tokens)
        frames = ids.shape[1]
        prefix, context = self.dropped(*self.checked_condition(prefix, context), training)
        sequence = self.pattern.apply(ids, PADDING)
        hidden = self._to_hide(sequence, training)
        logits = self._predicted(keras.ops.where(hidden, MASK, sequence), frames, prefix, context, training)
        return self.cross_entropy_of(logits, sequence, hidden)

    # === Generation ===
    def generate(
        self,
        count=None,
        prefix=None,
        context=None,
        *,
        steps=STEPS,
        noise=NOISE,
        schedule=None,
        seed=0,
        guidance=None,
        known=None,
        length=None,
        batch_size=None,
        callback=None,
        **sampling,
    ):
        r"""Generates tokens in one compiled function.

        After step t of T, those of N masked tokens with the least confidence stay masked. Their number is

        $$\lfloor N \, \text{share}(t / T) \rfloor, \quad \text{confidence} = \log p + a \, (1 - t / T) \, g$$

        with g Gumbel noise. An example depends only on the seed, its index and its condition, not on the other examples
        or `batch_size`.

        Args:
            count: int, number of examples. Defaults to the number of prefixes, contexts or `known`, or 1.
            prefix: int array (count or 1, length), ids. Defaults to none.
            context: int array (count or 1, length), ids. Defaults to none.
            steps: int, T. Defaults to 12.
            noise: float, a. A larger value makes the order more random and the results more diverse. Defaults to 4.5.
            schedule: str, see `masked_share`. Defaults to that of the training.
            seed: int from 0 to 2**63 - 1. Defaults to 0.
            guidance: float, scale of classifier-free guidance. 1 is the conditional prediction; a larger scale makes
                results more typical of the condition. It doubles the computation. Defaults to none.
            known: int array (count or 1, *grid, num_codebooks), given tokens, with -1 where a token is to be generated.
                Given tokens do not change. Defaults to none.
            length: int, number of positions, for a prior without a grid.
            batch_size: int, number of examples per batch, to bound memory. Defaults to all.
            callback: callable, called after every step with the tokens so far, an int32 array like the result with -1
                for masked tokens, for one batch after the other. Defaults to none.
            **sampling: `temperature` (0 is greedy), `top_k`, `top_p` and `min_p`, see `Sampling`.

        Returns:
            int32 tensor (count, *grid, num_codebooks), or (count, length, num_codebooks).

        Raises:
            ValueError: if an argument is out of range, or the arguments do not match.
        """
        self.build_now()
        own = {"steps": steps, "noise": noise, "schedule": schedule, "count": count, "seed": seed}
        own |= {"guidance": guidance, "batch_size": batch_size, "callback": callback}
        settings = checked_settings(self, {**own, **sampling})
        frames = self.frames_of(length)
        steps, schedule = settings["steps"], settings["schedule"] or self.schedule
        request = requested(self, prefix, context, known, frames, settings, self._numbers(steps, frames))
        noise = tf.constant(settings["noise"], tf.float32)

        def answer(part, count):
            if callback is None:
                return self._compiled_generate(part, frames, schedule, steps, noise)
            state = self._begin(part, frames)
            for stop in range(1, steps + 1):
                state = self._compiled_advance(part, state, frames, schedule, steps, noise, tf.constant(stop))
                callback(np.asarray(self.tokens_of(self._known_alone(state.ids), frames)[:count]))
            return state.ids

        return self.tokens_of(in_batches(answer, request, settings["batch_size"]), frames)

    def repair(self, tokens, mask, **options):
        """Regenerates the tokens under a mask, and keeps the others.

        Args:
            tokens: int array (batch, *grid, num_codebooks).
            mask: bool array (batch, *grid), True where tokens are regenerated.
            **options: as in `generate`.

        Returns:
            int32 tensor like `tokens`.

        Raises:
            ValueError: if the mask does not match the grid of the tokens, or as `generate`.
        """
        tokens, mask = np.asarray(tokens), np.asarray(mask)
        if mask.shape != tokens.shape[:-1] or mask.dtype != bool:
            raise ValueError(
                f"A mask is bool (batch, *grid), here {tokens.shape[:-1]}. Received: {mask.dtype} {mask.shape}. It is "
                "True where tokens are to be generated."
            )
        checked_settings(self, options, decided=("known",))
        return self.generate(known=np.where(mask[..., None], -1, tokens), **options)

    def planned(self, frames, options):
        """Prepares generation: the shape of the random numbers, the sampling settings, and the function that generates.

        Args:
            frames: int, number of positions.
            options: dict with `steps`, `noise`, `schedule` and settings of `Sampling`, or some of them.

        Returns:
            Tuple of the shape of the random numbers of an example, the `Sampling`, and the function `Request` ->
            sequence of ids.
        """
        settings = checked_settings(self, {"steps": STEPS, "noise": NOISE, "schedule": None, **options})
        steps, noise, schedule = settings["steps"], settings["noise"], settings["schedule"] or self.schedule
        numbers = self._numbers(steps, frames)
        return numbers, sampling_of(settings), lambda request: self._generate(request, frames, schedule, steps, noise)

    def _numbers(self, steps, frames):
        """The shape of the random numbers of an example, two per token and step: one samples, the other is noise."""
        return (steps, 2, *self.pattern.slots(frames, self.num_codebooks).shape)

    def _generate(self, request, frames, schedule, steps, noise):
        return self._advance(request, self._begin(request, frames), frames, schedule, steps, noise, steps).ids

    def _begin(self, request, frames):
        filled = self.pattern.slots(frames, self.num_codebooks) >= 0
        holes = keras.ops.logical_and(filled, keras.ops.equal(request.given, PADDING))
        return _State(tf.zeros((), tf.int32), keras.ops.where(holes, MASK, request.given))

    def _advance(self, request, state, frames, schedule, steps, noise, stop):
        """Runs the steps up to `stop`."""
        begun = self._begin(request, frames).ids
        count = keras.ops.sum(keras.ops.cast(keras.ops.equal(begun, MASK), "int32"), axis=(1, 2))

        def body(step, ids):
            done = keras.ops.cast(step + 1, "float32") / steps
            share = masked_share(done, schedule, int(np.prod(begun.shape[1:])))
            left = keras.ops.cast(keras.ops.floor(keras.ops.cast(count, "float32") * share), "int32")
            # At least one token stays masked for each later step, as long as there are any.
            holes = keras.ops.sum(keras.ops.cast(keras.ops.equal(ids, MASK), "int32"), axis=(1, 2))
            left = keras.ops.clip(left, keras.ops.minimum(1, holes - 1), keras.ops.maximum(holes - 1, 0))
            left = keras.ops.where(step + 1 < steps, keras.ops.maximum(left, 0), 0)
            uniforms = keras.ops.take(request.uniforms, step, axis=1)
            return step + 1, self._filled(request, ids, frames, left, noise * (1.0 - done), uniforms)

        return _State(*tf.while_loop(lambda step, ids: step < stop, body, tuple(state)))

    def _filled(self, request, ids, frames, left, noise, uniforms):
        """Samples all masked ids, and masks the `left` (batch,) least confident of them again."""
        prefix, context, inputs = request.prefix, request.context, ids
        if request.guidance is not None:
            prefix, context = unconditional(prefix), unconditional(context)
            inputs = keras.ops.concatenate([ids, ids])
        logits = self._predicted(inputs, frames, prefix, context, False)
        if request.guidance is not None:
            logits = guided(*keras.ops.split(logits, 2), request.guidance)
            logits = keras.ops.where(self.possible(frames), logits, NEVER)
        greedy = request.sampling.temperature is None
        columns = draw(filtered(logits, request.sampling), None if greedy else uniforms[:, 0])
        chances = keras.ops.log_softmax(logits, axis=-1)
        sure = keras.ops.squeeze(keras.ops.take_along_axis(chances, keras.ops.expand_dims(columns, -1), axis=-1), -1)
        gumbel = -keras.ops.log(-keras.ops.log(keras.ops.clip(uniforms[:, 1], 1e-7, 1.0 - 1e-7)))
        hidden = keras.ops.equal(ids, MASK)
        sure = keras.ops.where(hidden, sure + noise * gumbel, _SURE)
        flat = keras.ops.reshape(sure, (-1, ids.shape[1] * ids.shape[2]))
        ranks = keras.ops.argsort(keras.ops.argsort(flat, axis=1), axis=1)
        again = keras.ops.reshape(keras.ops.cast(ranks, "int32") < keras.ops.expand_dims(left, 1), keras.ops.shape(ids))
        return keras.ops.where(hidden, keras.ops.where(again, MASK, columns + self.first_ids), ids)

    # === Steps ===
    def _predicted(self, sequence, frames, prefix, context, training):
        """Logits of a sequence of ids that contains `MASK`."""
        places = self.coordinates(frames)
        vectors, mask, positions = self.with_prefix(prefix, self.placed(self.embedded(sequence)), places)
        context, context_mask = self.embedded_context(context)
        outputs = self.transformer(
            vectors, context, mask=mask, context_mask=context_mask, positions=positions, training=training
        )
        return keras.ops.where(self.possible(frames), self.logits(outputs[:, -sequence.shape[1] :]), NEVER)

    def _hidden(self, ids):
        """The sequence of ids (batch, positions, num_codebooks), with missing ones masked."""
        return self.pattern.apply(keras.ops.where(keras.ops.equal(ids, PADDING), MASK, ids), PADDING)

    def _to_hide(self, sequence, training):
        """Which ids of a sequence are masked, bool of the same shape."""
        batch, shape = keras.ops.shape(sequence)[0], sequence.shape[1:]
        if training:
            progress = keras.random.uniform((batch, 1), seed=self.random)
            order = keras.random.uniform((batch, *shape), seed=self.random)
        else:
            numbers = keras.ops.cast(keras.ops.arange(batch), "float32")
            progress = keras.ops.expand_dims(1.0 - (numbers + 0.5) / keras.ops.cast(batch, "float32"), 1)
            order = uniforms_of(0, batch, *shape)
        real = keras.ops.not_equal(sequence, PADDING)
        tokens = keras.ops.sum(keras.ops.cast(real, "float32"), axis=(1, 2))
        share = masked_share(progress, self.schedule, int(np.prod(shape)))
        count = keras.ops.ceil(keras.ops.expand_dims(tokens, 1) * share)
        flat = keras.ops.reshape(keras.ops.where(real, order, 2.0), (-1, int(np.prod(shape))))
        ranks = keras.ops.cast(keras.ops.argsort(keras.ops.argsort(flat, axis=1), axis=1), "float32")
        hidden = keras.ops.reshape(ranks < count, keras.ops.shape(sequence))
        return keras.ops.logical_and(hidden, real)

    def _known_alone(self, ids):
        return keras.ops.where(keras.ops.equal(ids, MASK), PADDING, ids)

    # === Config ===
    def get_config(self):
        return {**super().get_config(), "schedule": self.schedule}


def masked_share(progress, schedule="cosine", tokens=196):
    r"""The fraction of masked tokens as a function of the progress.

    | schedule | fraction at r |
    |---|---|
    | `linear` (uniform) | 1 - r |
    | `cosine` | cos(pi r / 2) |
    | `square`, `cubic`, `square_root` | 1 - r^2, 1 - r^3, 1 - sqrt(r) |
    | `log` | -log2(r) / log2(N) |
    | `exp` | 1 - 2^(log2(N) (r - 1)) |

    clipped to [1e-6, 1], with N the number of tokens. Concave schedules (`cosine`, `square`, `cubic`, `exp`) first fix
    few tokens per step and later many.

    Args:
        progress: float tensor r, in [0, 1].
        schedule: str. Defaults to "cosine".
        tokens: int N, for `log` and `exp`. Defaults to 196.

    Returns:
        float32 tensor.

    Raises:
        ValueError: if the schedule is unknown.

    Example:
    >>> [round(float(masked_share(r)), 3) for r in (0.0, 0.5, 1.0)]
    [1.0, 0.707, 0.0]

    Reference:
        Chang et al. 2022 (MaskGIT), https://arxiv.org/abs/2202.04200, section 3.3; `log` and `exp` as in its code,
        libml/mask_schedule.py
    """
    r = keras.ops.cast(progress, "float32")
    bits = math.log2(max(tokens, 2))
    if schedule in _POWERS:
        share = 1.0 - r ** _POWERS[schedule]
    elif schedule == "cosine":
        share = keras.ops.cos(0.5 * math.pi * r)
    elif schedule == "log":
        share = -keras.ops.log2(keras.ops.maximum(r, 1e-12)) / bits
    elif schedule == "exp":
        share = 1.0 - 2.0 ** (bits * (r - 1.0))
    else:
        raise ValueError(f"`schedule` must be one of {', '.join(SCHEDULES)}. Received: schedule={schedule!r}")
    return keras.ops.clip(share, _SMALLEST, 1.0)
