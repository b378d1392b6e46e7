"""Exports a prior into its preset folder, and verifies it."""

import pathlib

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


def verify_prior_export(generator, folder):
    """Checks that the `generator/` of a preset folder generates the same as the prior for the same seed.

    Args:
        generator: `vqzoo.generation.Generator` of the same preset.
        folder: str or path, the preset folder.

    Returns:
        str, a summary of the export; None without one.

    Raises:
        ValueError: if it generates something else.
    """
    path = pathlib.Path(folder) / FOLDER
    if not (path / "saved_model.pb").is_file():
        return None
    summary, wrong = _compared(generator, path)
    if wrong:
        raise ValueError(f"The export {str(path)!r} {wrong}. Do not use it: export the preset again.")
    return summary


def _exported(generator, path):
    """Writes and verifies the export; returns its summary."""
    options, inputs, _ = _asked(generator)
    shapes = {name: tokens.shape[1:] for name, tokens in inputs.items()}
    export_generator(generator.prior, path, generator.target.tokenizer, parts=shapes, **options)
    summary, wrong = _compared(generator, path)
    if wrong:
        raise ValueError(f"The export {str(path)!r} {wrong}, and was deleted. Export again, and report it if it stays.")
    return summary


def _asked(generator):
    """What to compare with: settings of the prior, the inputs of the export, and the tokens of the same parts."""
    options, prior = {**generator.sampling, "length": generator.length}, generator.prior
    conditions = [part for name, part in generator.parts.items() if name != prior.target]
    some = {part.name: part.some_tokens(2) for part in conditions}
    inputs = {part.name: part.input_of(some[part.name]) for part in conditions}
    if not inputs:
        options.pop("guidance", None)
    return options, inputs, some


def _compared(generator, path):
    """The summary of an export, and what is wrong with it: "" for nothing."""
    (options, inputs, some), prior = _asked(generator), generator.prior
    tokenizer = generator.target.tokenizer
    asked = {name: tf.constant(tokens) for name, tokens in (inputs or {"count": np.int32(2)}).items()}
    made = tf.saved_model.load(str(path)).signatures["generate"](**asked, seed=tf.constant(_SEED))
    where = "context" if prior.transformer.cross_attention else "prefix"
    condition = {where: prior.space.prefix(**some)} if some else {}
    tokens = np.asarray(prior.generate(2, **condition, seed=_SEED, **options))
    equal = float(np.mean(made["tokens"].numpy() == tokens))
    difference = 0.0 if tokenizer is None else _difference(tokenizer, made)
    wrong = ""
    if equal < 1.0 or not difference <= LARGEST_DIFFERENCE:
        wrong = f"made {equal:.2%} of the tokens that the prior makes of the same seed, decoded within {difference:.2g}"
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return f"{size / 1e6:.2f} MB, {equal:.2%} of tokens equal, decoded within {difference:.0e} on 2 examples", wrong


def _difference(tokenizer, made):
    """The largest difference of the signals of an export and the decoded tokens, or of ids for text."""
    expected = np.asarray(tokenizer.in_float32().decode_signal(np.maximum(made["tokens"].numpy(), 0)))
    both = (np.clip(x, -1.0, 1.0) if x.dtype.kind == "f" else x for x in (made["signal"].numpy(), expected))
    one, other = both
    return float(np.abs(one - other).max())
