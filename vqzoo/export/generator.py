"""A prior, and the tokenizer that makes signals of its tokens, as one SavedModel that generates."""

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

    `parts` are what it is asked for, such as `label`: labels or tokens from 0 on, -1 for none; others are an error.
    What is more involved is given as ids, `prefix` int32 (batch, prefix_length), behind the parts, or `context` int32
    (batch, context_length), filled up with 0. Where the prior has cross-attention and `context_length` is 0, the parts
    are its context. Where there is nothing of all that, there is `count` int32 (). For the
    same seed the tokens are those of `prior.generate`.

    Args:
        prior: built `Prior`.
        folder: str or path, replaced if it exists.
        tokenizer: `Tokenizer` whose tokens the prior makes, for the signal. Defaults to none: tokens alone.
        parts: dict name of a part of the space -> shape of its tokens in an example: () of a label, (length,) of a
            text, (rows, columns, num_codebooks) of a picture. Defaults to none.
        prefix_length: int, ids of a prefix; 0 for none. Defaults to 0.
        context_length: int, ids of a context; 0 for none. Defaults to 0.
        length: int, positions that are made, where the prior has no grid.
        guidance: float, see `prior.generate`. Defaults to none.
        xla: bool, whether XLA compiles the loop where it is run: several times as fast, after some seconds for each new
            batch size. Defaults to True.
        **options: settings of `prior.generate`, which are part of the file: `temperature`, `top_k`, `steps`, ...

    Returns:
        Path of the folder.

    Raises:
        ValueError: if the prior is not built, the tokenizer is another one than the prior's, a part is not of its
            space, there is no condition to guide by, or as `prior.generate`.
    """
    if not prior.built:
        raise ValueError("A prior without weights generates nothing. Received: one that is not built. Train it first.")
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
    """The ids (batch, length) of a part's tokens; where it is run, others than the part's are an error."""
    space.start(name)  # raises where there is no such part
    sizes, count = space.sizes[name], math.prod(tokens.shape[1:])
    if not count or count % len(sizes):
        raise ValueError(
            f"Tokens of {name!r} are labels, or have {len(sizes)} of each position. Received: parts={{{name!r}: "
            f"{tuple(tokens.shape[1:])}}}"
        )
    tokens = tf.reshape(tokens, (-1, count // len(sizes), len(sizes)))
    known = tf.reduce_all((tokens >= -1) & (tokens < tf.constant(sizes)))
    rule = f"`{name}` lies in [0, {' and '.join(map(str, sizes))}), and -1 is none. Received:"
    tf.debugging.Assert(known, [rule, tokens])
    return space.prefix(**{name: tokens})


def _signal(tokenizer, tokens):
    """What the tokens decode to; those that are not there, as code 0."""
    return of_any_size(tokenizer.decode_signal, tf.maximum(tokens, 0))
