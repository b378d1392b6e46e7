"""Exports a prior and the tokenizer of its tokens as one SavedModel that generates."""

import math

import tensorflow as tf

from vqzoo.export.empty import of_any_size
from vqzoo.files import atomic_path
from vqzoo.priors import in_graph


def export_generator(
    prior,
    folder,
    tokenizer=None,
    *,
    parts=None,
    prefix_length=0,
    context_length=0,
    length=None,
    guidance=None,
    xla=True,
    **options,
):
    """Writes a SavedModel that loads with `tf.saved_model.load`, without vqzoo and without Keras.

    | signature | inputs | output |
    |---|---|---|
    | `generate` | `seed` int32 (); `parts` by name, int32 (batch, *shape) | `tokens` int32, `signal` if decoded |

    `parts` are the conditions, such as `label`, with labels or tokens from 0 on and -1 for none. Other values are an
    error. Further conditions are ids: `prefix` int32 (batch, prefix_length) after the parts, or `context` int32 (batch,
    context_length), padded with 0. If the prior has cross-attention and `context_length` is 0, the parts are its
    context. Without any of these, the input is `count` int32 (). For the same seed the tokens equal those of
    `prior.generate`.

    Args:
        prior: built `Prior`.
        folder: str or path, replaced if it exists.
        tokenizer: `Tokenizer` of the prior's tokens, for the output `signal`. Defaults to none, for only tokens.
        parts: dict name of a part of the space -> shape of its tokens in an example, such as () for a label, (length,)
            for a text, (rows, columns, num_codebooks) for an image. Defaults to none.
        prefix_length: int, number of ids of a prefix; 0 for none. Defaults to 0.
        context_length: int, number of ids of a context; 0 for none. Defaults to 0.
        length: int, number of positions to generate, if the prior has no grid.
        guidance: float, see `prior.generate`. Defaults to none.
        xla: bool, whether XLA compiles the loop at run time. It is then several times as fast, after some seconds for
            each new batch size. Defaults to True.
        **options: settings of `prior.generate`, which become part of the file: `temperature`, `top_k`, `steps`, ...

    Returns:
        Path of the folder.

    Raises:
        ValueError: if the prior is not built, the tokenizer is not that of the prior, a part is not in its space,
            guidance has no condition, or as in `prior.generate`.
    """
    if not prior.built:
        raise ValueError("A prior must be built before its export. Received: one that is not built. Train it first.")
    if tokenizer is not None:
        prior.check_tokens_of(tokenizer, "The tokens of `tokenizer`")
    parts = {name: tuple(shape) for name, shape in (parts or {}).items()}
    lengths = {"prefix": prefix_length, "context": context_length}
    shapes = {**parts, **{name: (n,) for name, n in lengths.items() if n}}
    specs = {name: tf.TensorSpec((None, *shape), tf.int32, name=name) for name, shape in shapes.items()}
    nothing = {name: tf.zeros((1, *shape), tf.int32) for name, shape in shapes.items()}
    prior.checked_condition(*_condition(prior, parts, nothing))
    if guidance is not None and not specs:
        raise ValueError(f"Guidance needs a condition. Received: guidance={guidance}, prefix_length=0")
    specs = specs or {"count": tf.TensorSpec((), tf.int32, name="count")}
    specs["seed"] = tf.TensorSpec((), tf.int32, name="seed")
    tokenizer = None if tokenizer is None else tokenizer.in_float32()
    options = {"length": length, "guidance": guidance, "xla": xla, **options}

    @tf.function(autograph=False)
    def generate(**inputs):
        seed = inputs.pop("seed")
        count = inputs.pop("count", None)
        count = tf.shape(next(iter(inputs.values())))[0] if count is None else count
        tokens = in_graph(prior, seed, count, *_condition(prior, parts, inputs), **options)
        return {"tokens": tokens} if tokenizer is None else {"tokens": tokens, "signal": _signal(tokenizer, tokens)}

    module = tf.Module()
    module.kept = [variable.value for model in (prior, tokenizer) if model is not None for variable in model.variables]
    with atomic_path(folder) as temporary:
        signatures = {"generate": generate.get_concrete_function(**specs)}
        tf.saved_model.save(module, str(temporary), signatures=signatures)
    return folder


def _condition(prior, parts, inputs):
    """Prefix and context of the inputs, None for none."""
    rows = [_ids(prior.space, name, inputs[name]) for name in parts]
    if prior.transformer.cross_attention and rows and "context" not in inputs:
        return inputs.get("prefix"), tf.concat(rows, axis=1)
    rows += [inputs["prefix"]] if "prefix" in inputs else []
    return tf.concat(rows, axis=1) if rows else None, inputs.get("context")


def _ids(space, name, tokens):
    """The ids (batch, length) of the tokens of a part. Tokens out of range are an error at run time."""
    space.start(name)  # raises if there is no such part
    sizes, count = space.sizes[name], math.prod(tokens.shape[1:])
    if not count or count % len(sizes):
        raise ValueError(
            f"Tokens of {name!r} must be labels, or have {len(sizes)} tokens per position. Received: "
            f"parts={{{name!r}: {tuple(tokens.shape[1:])}}}"
        )
    tokens = tf.reshape(tokens, (-1, count // len(sizes), len(sizes)))
    known = tf.reduce_all((tokens >= -1) & (tokens < tf.constant(sizes)))
    rule = f"`{name}` must be in [0, {' and '.join(map(str, sizes))}), or -1 for none. Received:"
    tf.debugging.Assert(known, [rule, tokens])
    return space.prefix(**{name: tokens})


def _signal(tokenizer, tokens):
    """The decoded tokens. Missing tokens are decoded as 0."""
    return of_any_size(tokenizer.decode_signal, tf.maximum(tokens, 0))
