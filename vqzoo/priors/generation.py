"""What is asked of a prior, checked and as tensors, and answered in batches of one size."""

from typing import Any
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from vqzoo.priors.sampling import Sampling
from vqzoo.priors.sampling import uniforms_of
from vqzoo.priors.token_space import PADDING


class Request(NamedTuple):
    """Tensors that tell what is to be made; None for what is not asked for."""

    given: Any  # int32 (batch, steps, streams), ids that are known, `PADDING` where one is to be made
    prefix: Any  # int32 (batch, length), ids
    context: Any  # int32 (batch, length), ids
    uniforms: Any  # float32 (batch, *numbers of an example), in [0, 1)
    guidance: Any  # float32 scalar
    sampling: Any  # `Sampling` of float32 scalars; of temperature 0 the temperature is None


def requested(prior, count, prefix, context, known, frames, seed, guidance, sampling, numbers):
    """Checks what a user asks of a prior.

    Args:
        prior: `Prior`.
        count: int, examples, or None for as many as the other arguments have.
        prefix: int array (count or 1, length), or None.
        context: int array (count or 1, length), or None.
        known: int array (count or 1, *grid, num_codebooks), or None.
        frames: int, positions.
        seed: int.
        guidance: float, or None.
        sampling: dict, arguments of `Sampling`.
        numbers: tuple of int, random numbers for each example.

    Returns:
        `Request`.

    Raises:
        ValueError: if an argument is out of range, or they do not fit together.
    """
    sampling = sampling_of(sampling)
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
        uniforms_of(int(seed) % 2**31, count, *numbers),
        None if guidance is None else tf.constant(guidance, tf.float32),
        sampling,
    )


def sampling_of(settings):
    """`Sampling` of tensors.

    Args:
        settings: dict, arguments of `Sampling`.

    Returns:
        `Sampling`, whose numbers are tensors, so that another one compiles nothing anew.

    Raises:
        ValueError: if there is no such setting, or one is out of range.
    """
    unknown = set(settings) - set(Sampling._fields)
    if unknown:
        raise ValueError(f"Settings of sampling are {', '.join(Sampling._fields)}. Received: {', '.join(unknown)}")
    checked = Sampling(**settings).checked()
    return Sampling(
        None if checked.temperature == 0.0 else tf.constant(checked.temperature, tf.float32),
        None if checked.top_k is None else int(checked.top_k),
        *(None if x is None else tf.constant(x, tf.float32) for x in checked[2:]),
    )


def in_graph(prior, seed, count, prefix=None, context=None, *, length=None, guidance=None, xla=True, **options):
    """What `prior.generate` makes, inside a graph whose batch need not be known.

    Args:
        prior: `Prior`.
        seed: int32 scalar tensor.
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
    numbers, sampling, answer = prior.planned(frames, options)
    steps, streams = prior.pattern.slots(frames, prior.num_codebooks).shape
    scale = None if guidance is None else tf.constant(guidance, tf.float32)
    # Outside of what XLA compiles, which knows no batch that is a result. The seed modulo 2**31, as in `requested`.
    uniforms = uniforms_of(tf.bitwise.bitwise_and(seed, 2**31 - 1), count, *numbers)
    request = Request(tf.fill((count, steps, streams), PADDING), prefix, context, uniforms, scale, sampling)
    made = tf.function(answer, jit_compile=xla or None, autograph=False)(request)
    return prior.tokens_of(made, frames)


def in_batches(function, request, batch_size):
    """Answers a request, some rows at a time; the last rows are filled up, so that one size is compiled.

    Args:
        function: callable `Request`, int, how many rows from the first on are no filling -> int32 tensor (batch, ...).
        request: `Request`.
        batch_size: int, or None for all at once.

    Returns:
        int32 tensor (batch, ...).

    Raises:
        ValueError: if `batch_size` is below 1.
    """
    count = request.given.shape[0]
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"`batch_size` is 1 or more. Received: batch_size={batch_size}")
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
    wanted = max([1, *told.values()]) if count is None else int(count)
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
