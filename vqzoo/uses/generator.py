"""New signals from a prior and its tokenizer."""

import difflib
import functools
import numbers

import keras
import numpy as np

from vqzoo.presets import MANIFEST
from vqzoo.presets import describe_tokens
from vqzoo.presets import find_preset
from vqzoo.presets import read_manifest
from vqzoo.presets import read_metadata
from vqzoo.priors import Prior
from vqzoo.tokenizers import Tokenizer

LABEL = "label"  # the part of the space that a prior's conditions are of
_AT_ONCE = 64  # examples


class Generator:
    """A prior with the tokenizer that makes signals of its tokens, and the names of what it can be asked for.

    Args:
        prior: `Prior`, built.
        tokenizer: `Tokenizer` whose tokens the prior makes.
        labels: sequence of str, the names of the labels of the space's part "label". Defaults to their numbers.
        size: tuple (height, width) of the pictures, in pixels. Defaults to whole strides.
        sampling: dict, settings of `prior.generate` where a call says nothing else, such as `guidance`. Defaults to
            none.

    Raises:
        ValueError: if the tokenizer is another one than the prior's, or there are not as many names as labels.

    Example:
    >>> import vqzoo
    >>> from vqzoo.networks import Transformer
    >>> from vqzoo.priors import AutoregressivePrior, TokenSpace
    >>> quantizer = vqzoo.VectorQuantizer(8)
    >>> tokenizer = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=2, quantizer=quantizer)
    >>> tokenizer.build((None, 8, 8, 3))
    >>> space = TokenSpace({"label": 2, "image": tokenizer.codebook_sizes})
    >>> prior = AutoregressivePrior(space, Transformer(1, 2, causal=True), "image", width=8, grid=(2, 2))
    >>> generator = Generator(prior, tokenizer, labels=["cat", "dog"])
    >>> generator.generate(count=3, condition="dog", seed=1).shape
    (3, 8, 8, 3)
    """

    def __init__(self, prior, tokenizer, labels=(), size=None, sampling=None):
        prior.check_tokens_of(tokenizer, "The tokens of `tokenizer`")
        prior.build_now()
        self.prior = prior
        self.tokenizer = tokenizer
        self.size = None if size is None else tuple(size)
        self.sampling = dict(sampling or {})
        count = sum(prior.space.sizes.get(LABEL, ()))
        self.labels = tuple(labels) or tuple(str(i) for i in range(count))
        if len(self.labels) != count:
            raise ValueError(
                f"Each label of the prior's space has a name. Received: {len(self.labels)} names of {count} labels. "
                f'Make the space with `TokenSpace({{"{LABEL}": {len(self.labels)}, ...}})`.'
            )

    @classmethod
    def from_preset(cls, name):
        """Loads a prior's preset, which holds its tokenizer.

        Args:
            name: str or path, a preset's name, or its folder.

        Returns:
            `Generator`.

        Raises:
            ValueError: if the preset is unknown, damaged, holds no prior or no tokenizer, or another tokenizer than
                the prior's.
        """
        folder = find_preset(name)
        told, files = read_metadata(folder), read_manifest(folder)["files"]
        missing = [file for file in ("prior.keras", "tokenizer.keras") if file not in files]
        if missing:
            hint = "A tokenizer alone generates nothing: give the preset of a prior, such as `vqzoo list` shows."
            raise ValueError(f"The preset {str(name)!r} has no {' and no '.join(missing)}. {hint}")
        prior = Prior.from_preset(folder)
        owner = describe_tokens(folder)
        what = f"The tokens of the tokenizer in {str(folder)!r}"
        prior.space.check_owner(prior.target, owner["sha256"], owner["codebook_sizes"], what)
        size = (told.get("example") or {}).get("signal", ())[:2] if told.get("modality") == "image" else ()
        options = {"labels": told.get("labels") or (), "sampling": told.get("sampling")}
        return cls(prior, Tokenizer.from_preset(folder), size=size or None, **options)

    def generate(self, count=None, condition=None, *, seed=0, batch_size=_AT_ONCE, **options):
        """Makes signals.

        Args:
            count: int. Defaults to as many as there are conditions, or 1.
            condition: str or int, name or number of a label; or a sequence of them, which the signals take in turn.
                Defaults to all labels in turn.
            seed: int; the same gives the same. Defaults to 0.
            batch_size: int, signals at once, to bound memory. Defaults to 64.
            **options: as of the prior's `generate`: `guidance`, `temperature`, `top_k`, `top_p`, `min_p`, and for a
                `MaskedPrior` `steps` and `noise`.

        Returns:
            float32 array (count, *size, channels) in [-1, 1].

        Raises:
            ValueError: if there is no such label, or an option is out of range.
        """
        return self.decode(self.tokens(count, condition, seed=seed, batch_size=batch_size, **options), batch_size)

    def tokens(self, count=None, condition=None, *, seed=0, batch_size=_AT_ONCE, **options):
        """What `generate` makes, before it is decoded.

        Args:
            count: int.
            condition: str or int, or a sequence of them.
            seed: int.
            batch_size: int.
            **options: as in `generate`.

        Returns:
            int32 array (count, *grid, num_codebooks).
        """
        return self._made(count, self.labels_of(condition, count), seed=seed, batch_size=batch_size, **options)

    def complete(self, known, condition=None, *, seed=0, batch_size=_AT_ONCE, **options):
        """Makes the tokens that are missing.

        Args:
            known: int array (count, *grid, num_codebooks), -1 where one is to be made.
            condition: str or int, or a sequence of them. Defaults to none: what the prior makes without.
            seed: int. Defaults to 0.
            batch_size: int. Defaults to 64.
            **options: as in `generate`.

        Returns:
            int32 array (count, *grid, num_codebooks), the known ones as they are.
        """
        labels = None if condition is None else self.labels_of(condition, len(known))
        return self._made(len(known), labels, known=known, seed=seed, batch_size=batch_size, **options)

    def _made(self, count, labels, **options):
        """Tokens of so many signals with these labels, or with none."""
        prefix = None if labels is None else self.prior.space.prefix(**{LABEL: labels})
        count = count if labels is None else len(labels)
        options = {**self.sampling, **options}
        if prefix is None:
            options.pop("guidance", None)
        return keras.ops.convert_to_numpy(self.prior.generate(count, prefix, **options))

    def decode(self, tokens, batch_size=_AT_ONCE):
        """The signals of tokens, clipped to [-1, 1].

        Args:
            tokens: int array (count, *grid, num_codebooks).
            batch_size: int. Defaults to 64.

        Returns:
            float32 array (count, *size, channels).
        """
        options = {} if self.size is None else {"size": self.size}
        signal = self.tokenizer.decode(tokens, batch_size=batch_size, **options)
        return np.clip(keras.ops.convert_to_numpy(signal), -1.0, 1.0)

    def labels_of(self, condition, count=None):
        """The labels' numbers for so many signals.

        Args:
            condition: str or int, or a sequence of them; None for all labels.
            count: int. Defaults to as many as there are conditions, or 1.

        Returns:
            int array (count,); None for a prior without labels.

        Raises:
            ValueError: if there is no such label, or there are none at all.
        """
        if not self.labels:
            if condition is not None:
                raise ValueError(f"This prior knows no conditions. Received: condition={condition!r}. Leave it out.")
            return None
        alone = condition is None or isinstance(condition, str | numbers.Integral)
        asked = [condition] if alone else list(condition)
        if not asked:
            raise ValueError("`condition` is a label or several. Received: none. Leave it out for all labels in turn.")
        found = np.arange(len(self.labels)) if condition is None else np.array([self._number(item) for item in asked])
        return np.resize(found, len(asked) if count is None else count)

    def _number(self, item):
        """The number of a label that is told by it, or by its name."""
        if isinstance(item, numbers.Integral) and 0 <= item < len(self.labels):
            return int(item)
        names = [_plain(name) for name in self.labels]
        if _plain(item) in names:
            return names.index(_plain(item))
        near = [self.labels[names.index(name)] for name in difflib.get_close_matches(_plain(item), names, n=1)]
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"There is no label {item!r}.{hint} There are: {', '.join(self.labels)}.")


def generate(prior, count=None, condition=None, *, seed=0, **options):
    """Makes new signals by a prior's preset.

    A preset by name stays loaded for the next call.

    Args:
        prior: str or path, name or folder of a prior's preset; or a `Generator`.
        count: int. Defaults to as many as there are conditions, or 1.
        condition: str or int, name or number of a label; or a sequence of them, which the signals take in turn.
            Defaults to all labels in turn.
        seed: int; the same gives the same. Defaults to 0.
        **options: as of `Generator.generate`: `guidance`, `temperature`, `top_k`, `top_p`, `batch_size`, ...

    Returns:
        float32 array (count, *size, channels) in [-1, 1].

    Raises:
        ValueError: if there is no such preset, it holds no prior, there is no such label, or an option is out of range.

    Example:
    >>> generate("image-vqgan-photos-f4", count=4)
    Traceback (most recent call last):
        ...
    ValueError: The preset 'image-vqgan-photos-f4' has no prior.keras...
    """
    return generator_of(prior).generate(count, condition, seed=seed, **options)


def generator_of(prior):
    """The `Generator` that a user means.

    Args:
        prior: str or path, name or folder of a prior's preset; or a `Generator`.

    Returns:
        `Generator`.

    Raises:
        ValueError: if it is neither, or as `Generator.from_preset`.
    """
    if isinstance(prior, Generator):
        return prior
    if isinstance(prior, Prior):
        raise ValueError(
            f"A prior alone makes tokens, not signals. Received: a {type(prior).__name__}. Give "
            "`vqzoo.uses.Generator(prior, tokenizer)`, or the name of the prior's preset."
        )
    folder = find_preset(prior)
    return _loaded(prior, folder.resolve(), (folder / MANIFEST).stat().st_mtime_ns)


@functools.lru_cache(maxsize=2)
def _loaded(name, folder, changed):
    """The generator of a preset, until its manifest is written anew."""
    return Generator.from_preset(name)


def _plain(name):
    return str(name).strip().lower().replace("_", " ").replace("-", " ")
