"""The export of a prior into its preset folder, verified."""

import numpy as np
import tensorflow as tf

from vqzoo.export.generator import export_generator
from vqzoo.export.verify import LARGEST_DIFFERENCE
from vqzoo.generation import STYLE
from vqzoo.generation import Labels
from vqzoo.presets import changed_preset
from vqzoo.presets import exports_of

FOLDER = "generator"
_SEED = 7


def export_prior_preset(generator, folder):
    """Adds `generator/` to a preset folder: a SavedModel that makes signals, without vqzoo and without Keras.

    It is asked by the part of the prior's space: `label`, numbers in the order of the metadata's `labels`; `text`, ids
    of pieces with their end, 0, and -1 behind; or `style`, tokens of a picture. It is loaded again, and has to make of
    a seed what the generator makes.

    Args:
        generator: `vqzoo.generation.Generator`, whose settings of sampling become part of the file.
        folder: str or path, a preset folder. A complete preset is complete afterwards, too.

    Returns:
        str, what is told of the export.

    Raises:
        ValueError: if what it makes is something else, or another file of the preset is damaged. The preset then stays
            as it was, with the export it had.
    """
    with changed_preset(folder, exports_of(folder)) as new:
        return _exported(generator, new / FOLDER)


def _exported(generator, path):
    """Writes and verifies; returns what is told of it."""
    options, (asked, prefix) = dict(generator.sampling), _asked(generator)
    if prefix is None:
        options.pop("guidance", None)
    parts = {name: tokens.shape[1:] for name, tokens in asked.items()}
    export_generator(generator.prior, path, generator.tokenizer, parts=parts, **options)
    inputs = {name: tf.constant(tokens) for name, tokens in (asked or {"count": np.int32(2)}).items()}
    made = tf.saved_model.load(str(path)).signatures["generate"](**inputs, seed=tf.constant(_SEED))
    tokens = np.asarray(generator.prior.generate(2, prefix, seed=_SEED, **options))
    equal = float(np.mean(made["tokens"].numpy() == tokens))
    signal = np.clip(made["signal"].numpy()[(slice(None), *map(slice, generator.size or (None,)))], -1.0, 1.0)
    difference = float(np.abs(signal - generator.decode(made["tokens"].numpy())).max())
    if equal < 1.0 or not difference <= LARGEST_DIFFERENCE:
        raise ValueError(
            f"The export {str(path)!r} made {equal:.2%} of the tokens that the prior makes of the same seed, decoded "
            f"within {difference:.2g}, and was deleted. Export again, and report it if it stays."
        )
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return f"{size / 1e6:.2f} MB, {equal:.2%} of tokens equal, decoded within {difference:.0e}"


def _asked(generator):
    """What to check with: dict part of the space -> int32 array (2, ...), and the prefix of the same; None for none."""
    told, space = generator.conditions_of(None, 2), generator.prior.space
    if told is not None:
        tokens = generator.conditions.tokens(told)[..., 0]
        tokens = tokens[:, 0] if isinstance(generator.conditions, Labels) else tokens
        return {generator.conditions.part: tokens}, generator.prefix_of(told)
    if STYLE in space.sizes:  # any tokens do for a check
        tokens = np.asarray(generator.prior.generate(2, seed=_SEED + 1))
        return {STYLE: tokens}, space.prefix(**{STYLE: tokens})
    return {}, None
