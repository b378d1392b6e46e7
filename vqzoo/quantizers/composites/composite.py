"""Base class of quantizers that hold a list of quantizers."""

import collections

import keras

from vqzoo.quantizers.quantizer import Quantizer


class CompositeQuantizer(Quantizer):
    """A list of quantizers, whose tokens are concatenated on the last axis.

    Each loss is the mean over the quantizers that report it, so that its weight does not depend on their number. A
    quantizer that occurs several times in the list shares its codebook between these places, also after saving and
    loading.

    Args:
        quantizers: list of `Quantizer`s, built or not, of any kinds and sizes.

    Raises:
        ValueError: if `quantizers` is not a list of quantizers, is empty, or if an inner quantizer of one of them also
            occurs elsewhere.
    """

    def __init__(self, quantizers, **kwargs):
        super().__init__(**kwargs)
        are_quantizers = isinstance(quantizers, list | tuple) and all(isinstance(q, Quantizer) for q in quantizers)
        if not are_quantizers or not quantizers:
            raise ValueError(
                "`quantizers` is a list of one or more vqzoo.quantizers.Quantizer, such as "
                f"[VectorQuantizer(1024) for _ in range(8)]. Received: quantizers={quantizers!r}"
            )
        _check_shared(quantizers)
        self.quantizers = list(quantizers)

    def inner_quantizers(self):
        """The quantizers of the list."""
        return tuple(self.quantizers)

    @property
    def codebook_sizes(self):
        return sum((tuple(quantizer.codebook_sizes) for quantizer in self.quantizers), ())

    @property
    def loss_names(self):
        # A dict keeps the order in which the names first appear.
        return tuple(dict.fromkeys(name for quantizer in self.quantizers for name in quantizer.loss_names))

    def _build_quantizers(self, shape):
        """Builds each quantizer once for latents of this shape."""
        for quantizer in self.quantizers:
            if not quantizer.built:  # a loaded one is built built, and so is one that occurs twice
                quantizer.build(shape)
        self.keep_frozen()

    def _mean_losses(self, losses):
        """Averages a list of dicts of losses, one per quantizer, by name."""
        found = {name: [each[name] for each in losses if name in each] for name in self.loss_names}
        return {name: sum(values) / len(values) for name, values in found.items()}

    def _sections(self):
        """The start and the end of each quantizer's tokens on the last axis."""
        sections, end = [], 0
        for quantizer in self.quantizers:
            sections.append((end, end := end + quantizer.num_codebooks))
        return sections

    def get_config(self):
        config = super().get_config()
        # An integer is the index of the first occurrence of the same quantizer.
        first = [self.quantizers.index(quantizer) for quantizer in self.quantizers]
        config["quantizers"] = [
            place if place < i else keras.saving.serialize_keras_object(self.quantizers[i])
            for i, place in enumerate(first)
        ]
        return config

    @classmethod
    def from_config(cls, config):
        config, quantizers = dict(config), []
        for entry in config.pop("quantizers"):
            shared = isinstance(entry, int)
            quantizers.append(quantizers[entry] if shared else keras.saving.deserialize_keras_object(entry))
        return cls(quantizers, **config)


def _check_shared(quantizers):
    """Raises if a quantizer occurs twice, except if both occurrences are entries of this list."""
    found = [inner for quantizer in dict.fromkeys(quantizers) for inner in _with_inner(quantizer)]
    twice = [quantizer.name for quantizer, count in collections.Counter(found).items() if count > 1]
    if twice:
        raise ValueError(
            "A quantizer can be shared only by several entries of one list, as in "
            "`ProjectedQuantizer(ResidualQuantizer([shared, shared]), 4)`. A saved file loses other ways to share it. "
            f"Received: {twice[0]!r} in several places inside `quantizers`. Share it in one list, or make two."
        )


def _with_inner(quantizer):
    """A quantizer and all its inner quantizers, each once, from the outermost to the innermost."""
    found = dict.fromkeys([quantizer])
    for inner in quantizer.inner_quantizers():
        found.update(dict.fromkeys(_with_inner(inner)))
    return list(found)


def of_width(latent_dim, codes, quantizer):
    """Returns the codes of `quantizer`; raises if their width is not `latent_dim`, the width of the latents."""
    if codes.shape[-1] not in (None, latent_dim):
        raise ValueError(
            "A residual is the difference of latents and codes, so each quantizer must keep the width of the latents, "
            f"here {latent_dim}. Received: {quantizer.name!r}, whose codes have width {codes.shape[-1]}. Put the whole "
            "residual quantizer inside the one that changes the width."
        )
    return codes


def nested(function, shape, name, dtype="float32"):
    """Wraps a portable form in a model of its own, because the layers of two quantizers have the same names.

    Args:
        function: callable, a quantizer's `portable_encode` or `portable_decode`.
        shape: tuple, of the input without its batch axis.
        name: str, of the model.
        dtype: str, of the input. Defaults to "float32".

    Returns:
        `keras.Model`.
    """
    inputs = keras.Input(shape, dtype=dtype)
    return keras.Model(inputs, function(inputs), name=name)


def portable_parts(tensor, sizes):
    """Splits a `KerasTensor` along its last axis into parts of these sizes."""
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
    return keras.ops.split(tensor, ends, axis=-1) if ends else [tensor]
