"""What is asked of a prior, checked and as tensors, and answered in batches of one size."""

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
    """Tensors that tell what is to be made; None for what is not asked for."""

    given: Any  # int32 (batch, steps, streams), ids that are known, `PADDING` where one is to be made
    prefix: Any  # int32 (batch, length), ids
    context: Any  # int32 (batch, length), ids
    uniforms: Any  # float32 (batch, *numbers of an example), in [0, 1)
    guidance: Any  # float32 scalar
    sampling: Any  # `Sampling` of float32 scalars; of temperature 0 the temperature is None


def requested(prior, prefix, context, known, frames, settings, numbers):
    """What a user asks of a prior, checked and as tensors.

    Args:
        prior: `Prior`.
        prefix: int array (count or 1, length), or None.
        context: int array (count or 1, length), or None.
        known: int array (count or 1, *grid, num_codebooks), or None.
        frames: int, positions.
        settings: dict as `checked_settings` returns it: `count`, `seed`, `guidance` and those of `Sampling`.
        numbers: tuple of int, random numbers for each example.

    Returns:
        `Request`.

    Raises:
        ValueError: if the arrays are not the prior's, or do not fit together.
    """
    count, seed, guidance = (settings[name] for name in ("count", "seed", "guidance"))
    prefix, context = prior.checked_condition(prefix, context)
    if guidance is not None and prefix is None and context is None:
        raise ValueError(
            f"Guidance moves away from what comes without the condition. Received: guidance={guidance}, no prefix and "
            "no context. Give one of them."
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
    """`Sampling` of tensors.

    Args:
        settings: dict, settings of a prior, of which those of `Sampling` are taken; or a `Sampling`.

    Returns:
        `Sampling`, whose numbers are tensors, so that another one compiles nothing anew.

    Raises:
        ValueError: if one is out of range.
    """
    if not isinstance(settings, Sampling):
        settings = Sampling(**{name: settings[name] for name in Sampling._fields if name in settings})
    plain = settings.checked()
    return Sampling(
        None if plain.temperature == 0.0 else tf.constant(plain.temperature, tf.float32),
        plain.top_k,
        *(None if x is None else tf.constant(x, tf.float32) for x in plain[2:]),
    )


def in_graph(prior, seed, count, prefix=None, context=None, *, length=None, guidance=None, xla=True, **options):
    """What `prior.generate` makes, inside a graph whose batch need not be known.

    Args:
        prior: `Prior`.
        seed: int32 or int64 scalar tensor, 0 or more.
        count: int32 scalar tensor, examples.
        prefix: int32 tensor (count, length), ids, its length known. Defaults to none.
        context: int32 tensor (count, length), ids, its length known. Defaults to none.
        length: int, positions, where the prior has no grid.
        guidance: float. Defaults to none.
        xla: bool, whether XLA compiles the loop. Defaults to True.
        **options: as in the prior's `generate`.

    Returns:
        int32 tensor (count, *grid, num_codebooks).

    Raises:
        ValueError: as the prior's `generate`.
    """
    frames = prior.frames_of(length)
    guidance = checked("guidance", guidance)
    numbers, sampling, answer = prior.planned(frames, options)
    steps, streams = prior.pattern.slots(frames, prior.num_codebooks).shape
    scale = None if guidance is None else tf.constant(guidance, tf.float32)
    tf.debugging.Assert(seed >= 0, ["`seed` is 0 or more. Received:", seed])
    # Outside of what XLA compiles, which knows no batch that is a result.
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
    """Answers a request, some rows at a time; the last rows are filled up, so that one size is compiled.

    Args:
        function: callable `Request`, int, how many rows from the first on are no filling -> int32 tensor (batch, ...).
        request: `Request`.
        batch_size: int from 1 on, or None for all at once.

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
    """A batch and the same once more, for the rows without the condition; None stays None."""
    return None if tensor is None else keras.ops.concatenate([tensor, tensor])


def unconditional(ids):
    """A batch of ids and as many rows of padding; None stays None."""
    return None if ids is None else keras.ops.concatenate([ids, keras.ops.full_like(ids, PADDING)])


def _count(count, parts):
    """How many examples are asked for; raises ValueError where the parts do not agree."""
    told = {name: x.shape[0] for name, x in parts.items() if x is not None}
    wanted = max([1, *told.values()]) if count is None else count
    if wanted < 1 or any(n not in (1, wanted) for n in told.values()):
        rows = ", ".join(f"{n} of {name}" for name, n in told.items()) or "no other rows"
        raise ValueError(f"Each example has a condition of its own, or all have one. Received: count={count}, {rows}")
    return wanted


def _padded(ids, frames):
    """Ids of so many positions, unknown ones behind; raises ValueError where there are more."""
    if ids.shape[1] > frames:
        raise ValueError(
            f"What is known is a part of what is made. Received: {ids.shape[1]} known positions, length={frames}"
        )
    return keras.ops.pad(ids, ((0, 0), (0, frames - ids.shape[1]), (0, 0)), constant_values=PADDING)


def _repeated(x, count):
    return x if x.shape[0] == count else keras.ops.repeat(x, count, axis=0)
