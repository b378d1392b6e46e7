"""The export of a prior into its preset folder, verified."""

import pathlib

import numpy as np
import tensorflow as tf

from vqzoo.export.generator import export_generator
from vqzoo.export.verify import LARGEST_DIFFERENCE
from vqzoo.uses import STYLE

FOLDER = "generator"
_SEED = 7


def export_prior_preset(generator, folder):
    """Adds `generator/` to a preset folder: a SavedModel that makes signals, without vqzoo and without Keras.

    It is loaded again, and has to make of a seed what the generator makes.

    Args:
        generator: `vqzoo.uses.Generator`, whose settings of sampling become part of the file.
        folder: str or path, a preset folder. Seal it afterwards.

    Returns:
        str, what is told of the export.

    Raises:
        ValueError: if what it makes is something else.
    """
    path = pathlib.Path(folder) / FOLDER
    options, prefix = dict(generator.sampling), generator.prefix_of(generator.conditions_of(None, 2))
    if STYLE in generator.prior.space.sizes:  # any tokens do for a check
        prefix = generator.prior.space.prefix(**{STYLE: generator.prior.generate(2, seed=_SEED + 1)})
    if prefix is None:
        options.pop("guidance", None)
    length = 0 if prefix is None else prefix.shape[1]
    export_generator(generator.prior, path, generator.tokenizer, prefix_length=length, **options)
    inputs = {"count": tf.constant(2)} if prefix is None else {"prefix": prefix}
    inputs["seed"] = tf.constant(_SEED)
    made = tf.saved_model.load(str(path)).signatures["generate"](**inputs)
    tokens = np.asarray(generator.prior.generate(2, prefix, seed=_SEED, **options))
    equal = float(np.mean(made["tokens"].numpy() == tokens))
    signal = np.clip(made["signal"].numpy()[(slice(None), *map(slice, generator.size or (None,)))], -1.0, 1.0)
    difference = float(np.abs(signal - generator.decode(made["tokens"].numpy())).max())
    if equal < 1.0 or not difference <= LARGEST_DIFFERENCE:
        raise ValueError(
            f"The export {str(path)!r} makes {equal:.2%} of the tokens that the prior makes of the same seed, decoded "
            f"within {difference:.2g}. Do not use it; export again, and report it if it stays."
        )
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return f"{size / 1e6:.2f} MB, {equal:.2%} of tokens equal, decoded within {difference:.0e}"
