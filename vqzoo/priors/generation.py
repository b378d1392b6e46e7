"""Requests to a prior: checked arguments as tensors, answered in batches of one size."""

from typing import Any
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from vqzoo.priors.sampling import Sampling
from vqzoo.priors.sampling import uniforms_of
from vqzoo.priors.settings import checked
from vqzoo.priors.token_space import PADDING


class Request(NamedTuple):
    """Tensors that describe what to generate. Unused fields are None."""

    given: Any  # int32 (batch, steps, streams), given ids, `PADDING` where one is to be generated
    prefix: Any  # int32 (batch, length), ids
    context: Any  # int32 (batch, length), ids
    uniforms: Any  # float32 (batch, *shape per example), in [0, 1)
    guidance: Any  # float32 scalar
    sampling: Any  # `Sampling` of float32 scalars; the temperature is None if it is 0
    beams: Any = None  # int, number of hypotheses of a beam search
    length_penalty: Any = None  # float32 scalar, for a beam search


def requested(prior, prefix, context, known, frames, settings, numbers):
    """Checks the arguments of `generate` and converts them to tensors.

    Args:
        prior: `Prior`.
        prefix: int array (count or 1, length), or None.
        context: int array (count or 1, length), or None.
        known: int array (count or 1, *grid, num_codebooks), or None.
        frames: int, number of positions.
        settings: dict as returned by `checked_settings`: `count`, `seed`, `guidance` and those of `Sampling`.
        numbers: tuple of int, shape of the random numbers of each example.

    Returns:
        `Request`.

    Raises:
        ValueError: if the arrays do not match the prior or each other.
    """
    count, seed, guidance = (settings[name] for name in ("count", "seed", "guidance"))
    prefix, context = prior.checked_condition(prefix, context)
    if guidance is not None and prefix is None and context is None:
        raise ValueError(
            f"Guidance needs a condition: a prefix or a context. Received: guidance={guidance}, no prefix and no "
            "context. Give one of them."
        )
    ids = None if known is None else _padded(prior.checked_tokens(known), frames)
    parts = {"prefix": prefix, "context": context, "known": ids}
    count = _count(count, parts)
    if ids is None:
        ids = keras.ops.full((1, frames, prior.num_codebooks), PADDING, "int32")
    given = prior.pattern.apply(ids, PADDING)
    given, prefix, context = (None if x is None else _repeated(x, count) for x in (given, prefix, context))
    return Request(
        given,
        prefix,
        context,
        uniforms_of(seed, count, *numbers),
        None if guidance is None else tf.constant(guidance, tf.float32),
        sampling_of(settings),
    )


def sampling_of(settings):
    """Converts sampling settings to a `Sampling` of tensors.

    Args:
        settings: dict, settings of a prior, from which those of `Sampling` are taken; or a `Sampling`.

    Returns:
        `Sampling` whose values are tensors, so that other values need no new compilation.

    Raises:
        ValueError: if a setting is out of range.
    """
    if not isinstance(settings, Sampling):
        settings = Sampling(**{name: settings[name] for name in Sampling._fields if name in settings})
    plain = settings.checked()
    return Sampling(
        None if plain.temperature == 0.0 else tf.constant(plain.temperature, tf.float32),
        plain.top_k,
        *(None if x is None else tf.constant(x, tf.float32) for x in plain[2:-1]),
        plain.no_repeat,
    )


def in_graph(prior, seed, count, prefix=None, context=None, *, length=None, guidance=None, xla=True, **options):
    """`prior.generate` inside a graph, where the batch size may be unknown.

    Args:
        prior: `Prior`.
        seed: int32 or int64 scalar tensor, 0 or more.
        count: int32 scalar tensor, number of examples.
        prefix: int32 tensor (count, length), ids, with a static length. Defaults to none.
        context: int32 tensor (count, length), ids, with a static length. Defaults to none.
        length: int, number of positions, for a prior without a grid.
        guidance: float. Defaults to none.
        xla: bool, whether XLA compiles the loop. Defaults to True.
        **options: as in the `generate` of the prior.

    Returns:
        int32 tensor (count, *grid, num_codebooks).

    Raises:
        ValueError: as the `generate` of the prior.
    """
    frames = prior.frames_of(length)
    guidance = checked("guidance", guidance)
    numbers, sampling, answer = prior.planned(frames, options)
    steps, streams = prior.pattern.slots(frames, prior.num_codebooks).shape
    scale = None if guidance is None else tf.constant(guidance, tf.float32)
    tf.debugging.Assert(seed >= 0, ["`seed` is 0 or more. Received:", seed])
    # Outside of the XLA-compiled part, because XLA does not support a batch size that is a computed value.
    uniforms = uniforms_of(seed, count, *numbers)
    request = Request(tf.fill((count, steps, streams), PADDING), prefix, context, uniforms, scale, sampling)
    made = tf.function(answer, jit_compile=xla or None, autograph=False)(request)
    return prior.tokens_of(made, frames)


def most_positions(prior):
    """How many positions a prior has learnt at most, where it has no grid.

    Args:
        prior: `Prior`.

    Returns:
        int; None where it has no learnt positions, so that any number may come.

    Example:
    >>> from vqzoo.networks import Transformer
    >>> from vqzoo.priors import AutoregressivePrior, TokenSpace
    >>> space, transformer = TokenSpace({"text": 8}), Transformer(1, 2, causal=True)
    >>> most_positions(AutoregressivePrior(space, transformer, "text", width=8, learnt_positions=17))
    16
    """
    if not prior.learnt_positions:
        return None
    end = int(prior.causal and prior.streams == 1)  # a step more, for the end of a signal

    def fits(frames):
        return len(prior.pattern.slots(frames, prior.num_codebooks)) + end <= prior.learnt_positions

    least, beyond = 0, prior.learnt_positions + 1
    while beyond - least > 1:
        middle = (least + beyond) // 2
        least, beyond = (middle, beyond) if fits(middle) else (least, middle)
    return least


def in_batches(function, request, batch_size):
    """Answers a request in batches. The last batch is padded, so that only one size is compiled.

    Args:
        function: callable (`Request`, number of rows that are not padding) -> int32 tensor (batch, ...).
        request: `Request`.
        batch_size: int >= 1, or None for all at once.

    Returns:
        int32 tensor (batch, ...).
    """
    count = request.given.shape[0]
    if batch_size is None or batch_size >= count:
        return function(request, count)
    parts = []
    for first in range(0, count, batch_size):
        rows, real = np.minimum(np.arange(first, first + batch_size), count - 1), min(batch_size, count - first)
        names = ("given", "prefix", "context", "uniforms")
        taken = {name: getattr(request, name) for name in names}
        taken = {name: None if x is None else keras.ops.take(x, rows, axis=0) for name, x in taken.items()}
        parts.append(function(request._replace(**taken), real)[:real])
    return keras.ops.concatenate(parts)


def twice(tensor):
    """A batch repeated twice, the second time for the rows without the condition; None stays None."""
    return None if tensor is None else keras.ops.concatenate([tensor, tensor])


def unconditional(ids):
    """A batch of ids followed by the same number of padding rows; None stays None."""
    return None if ids is None else keras.ops.concatenate([ids, keras.ops.full_like(ids, PADDING)])


def _count(count, parts):
    """The number of requested examples. Raises ValueError if the parts do not agree."""
    sizes = {name: x.shape[0] for name, x in parts.items() if x is not None}
    wanted = max([1, *sizes.values()]) if count is None else count
    if wanted < 1 or any(n not in (1, wanted) for n in sizes.values()):
        rows = ", ".join(f"{n} of {name}" for name, n in sizes.items()) or "no other rows"
        raise ValueError(f"Give one condition for each example, or one for all. Received: count={count}, {rows}")
    return wanted


def _padded(ids, frames):
    """Ids padded to a number of positions. Raises ValueError if there are more."""
    if ids.shape[1] > frames:
        raise ValueError(
            f"`known` must not be longer than the result. Received: {ids.shape[1]} known positions, length={frames}"
        )
    return keras.ops.pad(ids, ((0, 0), (0, frames - ids.shape[1]), (0, 0)), constant_values=PADDING)


def _repeated(x, count):
    return x if x.shape[0] == count else keras.ops.repeat(x, count, axis=0)
