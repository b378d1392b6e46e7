"""Exports a prior into its preset folder, and verifies it."""

import numpy as np
import tensorflow as tf

from vqzoo.export.generator import export_generator
from vqzoo.export.verify import LARGEST_DIFFERENCE
from vqzoo.presets import changed_preset
from vqzoo.presets import exports_of

FOLDER = "generator"
_SEED = 7


def export_prior_preset(generator, folder):
    """Adds `generator/` to a preset folder, a SavedModel that generates signals without vqzoo and without Keras.

    Its inputs are the condition parts of the prior by name: indices of labels in the order of the metadata, ids of
    pieces of a text followed by the end-of-sequence token 0 and padded with -1, or the tokens of a signal. If the
    target is text by pieces, only its tokens are returned. The folder is loaded again and must generate the same tokens
    as the generator for a seed.

    Args:
        generator: `vqzoo.generation.Generator`, whose sampling settings become part of the file.
        folder: str or path, a preset folder. A complete preset stays complete.

    Returns:
        str, summary of the export.

    Raises:
        ValueError: if a part has no fixed length, the export generates something else, or another file of the preset is
            damaged. The preset is then unchanged.
    """
    with changed_preset(folder, exports_of(folder)) as new:
        return _exported(generator, new / FOLDER)


def _exported(generator, path):
    """Writes and verifies the export; returns its summary."""
    options, prior = {**generator.sampling, "length": generator.length}, generator.prior
    tokenizer = generator.target.tokenizer
    conditions = [part for name, part in generator.parts.items() if name != prior.target]
    some = {part.name: part.some_tokens(2) for part in conditions}
    inputs = {part.name: part.input_of(some[part.name]) for part in conditions}
    if not inputs:
        options.pop("guidance", None)
    shapes = {name: tokens.shape[1:] for name, tokens in inputs.items()}
    export_generator(prior, path, tokenizer, parts=shapes, **options)
    asked = {name: tf.constant(tokens) for name, tokens in (inputs or {"count": np.int32(2)}).items()}
    made = tf.saved_model.load(str(path)).signatures["generate"](**asked, seed=tf.constant(_SEED))
    where = "context" if prior.transformer.cross_attention else "prefix"
    condition = {where: prior.space.prefix(**some)} if some else {}
    tokens = np.asarray(prior.generate(2, **condition, seed=_SEED, **options))
    equal = float(np.mean(made["tokens"].numpy() == tokens))
    difference = 0.0 if tokenizer is None else _difference(tokenizer, made)
    if equal < 1.0 or not difference <= LARGEST_DIFFERENCE:
        raise ValueError(
            f"The export {str(path)!r} must generate the tokens of the prior for the same seed. Received: {equal:.2%} "
            f"equal tokens, and decoded signals within {difference:.2g}. It was deleted. Export again, and report the "
            "error if it persists."
        )
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return f"{size / 1e6:.2f} MB, {equal:.2%} of tokens equal, decoded within {difference:.0e}"


def _difference(tokenizer, made):
    """The largest difference of the signals of an export and the decoded tokens, or of ids for text."""
    expected = np.asarray(tokenizer.in_float32().decode_signal(np.maximum(made["tokens"].numpy(), 0)))
    both = (np.clip(x, -1.0, 1.0) if x.dtype.kind == "f" else x for x in (made["signal"].numpy(), expected))
    one, other = both
    return float(np.abs(one - other).max())
