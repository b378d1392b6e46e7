"""A prior, and the tokenizer that makes signals of its tokens, as one SavedModel that generates."""

import tensorflow as tf

from vqzoo.export.saved_model import to_signal_of
from vqzoo.files import atomic_path
from vqzoo.priors import in_graph


def export_generator(
    prior, folder, tokenizer=None, *, prefix_length=0, context_length=0, length=None, guidance=None, xla=True, **options
):
    """Writes a SavedModel that loads with `tf.saved_model.load`, without vqzoo and without Keras.

    | signature | inputs | output |
    |---|---|---|
    | `generate` | `seed` int32 (); `prefix` int32 (batch, prefix_length) | `tokens` int32; `signal`, if decoded |

    With a context there is `context` int32 (batch, context_length) too, and where there is neither, `count` int32 (). A
    prefix or context that is shorter is filled up with 0. For the same seed the tokens are those of `prior.generate`.

    Args:
        prior: built `Prior`.
        folder: str or path, replaced if it exists.
        tokenizer: `Tokenizer` whose tokens the prior makes, for the signal. Defaults to none: tokens alone.
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
        ValueError: if the prior is not built, the tokenizer is another one than the prior's, there is no condition to
            guide by, or as `prior.generate`.
    """
    if not prior.built:
        raise ValueError("A prior without weights generates nothing. Received: one that is not built. Train it first.")
    if tokenizer is not None:
        prior.check_tokens_of(tokenizer, "The tokens of `tokenizer`")
    lengths = {"prefix": prefix_length, "context": context_length}
    specs = {name: tf.TensorSpec((None, n), tf.int32, name=name) for name, n in lengths.items() if n}
    prior.checked_condition(*(tf.zeros((1, n), tf.int32) if n else None for n in lengths.values()))
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
        tokens = in_graph(prior, seed, count, **inputs, **options)
        return {"tokens": tokens} if tokenizer is None else {"tokens": tokens, "signal": _signal(tokenizer, tokens)}

    module = tf.Module()
    module.kept = [variable.value for model in (prior, tokenizer) if model is not None for variable in model.variables]
    with atomic_path(folder) as temporary:
        signatures = {"generate": generate.get_concrete_function(**specs)}
        tf.saved_model.save(module, str(temporary), signatures=signatures)
    return folder


def _signal(tokenizer, tokens):
    """What the tokens decode to; those that are not there, as code 0."""
    return to_signal_of(tokenizer)(tf.maximum(tokens, 0))
