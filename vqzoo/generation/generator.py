"""New signals from a prior and its tokenizer."""

import functools
import os

import keras
import numpy as np

from vqzoo.data import Pieces
from vqzoo.generation.conditions import LABEL
from vqzoo.generation.conditions import Captions
from vqzoo.generation.conditions import Conditions
from vqzoo.generation.conditions import Labels
from vqzoo.jsons import shown
from vqzoo.presets import MANIFEST
from vqzoo.presets import describe_tokens
from vqzoo.presets import find_preset
from vqzoo.presets import read_manifest
from vqzoo.presets import read_metadata
from vqzoo.presets import verify_preset
from vqzoo.priors import Prior
from vqzoo.priors.settings import checked
from vqzoo.priors.settings import checked_settings
from vqzoo.tokenizers import Tokenizer
from vqzoo.tokenizers.text.tokenizer import PIECES_FILE

_AT_ONCE = 64  # examples
# Of a prior's `generate`, what a request for signals decides.
_DECIDED = ("prefix", "length")


class Generator:
    """A prior with the tokenizer that makes signals of its tokens, and what it can be asked for.

    Args:
        prior: `Prior`, built.
        tokenizer: `Tokenizer` whose tokens the prior makes.
        conditions: `Labels` or `Captions`; or a sequence of str, the names of the labels of the space's part "label".
            Defaults to the labels' numbers.
        size: tuple (height, width) of the pictures, in pixels. Defaults to whole strides.
        sampling: dict, settings of `prior.generate` where a call says nothing else, such as `guidance`. Defaults to
            none.

    Raises:
        ValueError: if the tokenizer is another one than the prior's or one of text, the prior has no grid, the
            conditions are not those of its space, or a setting is not of this kind of prior or out of range.

    Example:
    >>> import vqzoo
    >>> from vqzoo.networks import Transformer
    >>> from vqzoo.priors import AutoregressivePrior, TokenSpace
    >>> quantizer = vqzoo.VectorQuantizer(8)
    >>> tokenizer = vqzoo.image_vqvae(filters=4, blocks=1, latent_dim=2, quantizer=quantizer)
    >>> tokenizer.build((None, 8, 8, 3))
    >>> space = TokenSpace({"label": 2, "image": tokenizer.codebook_sizes})
    >>> prior = AutoregressivePrior(space, Transformer(1, 2, causal=True), "image", width=8, grid=(2, 2))
    >>> generator = Generator(prior, tokenizer, ["cat", "dog"])
    >>> generator.generate(count=3, condition="dog", seed=1).shape
    (3, 8, 8, 3)
    """

    def __init__(self, prior, tokenizer, conditions=(), size=None, sampling=None):
        prior.check_tokens_of(tokenizer, "The tokens of `tokenizer`")
        if prior.grid is None or tokenizer.modality == "text":
            raise ValueError(
                f"A generator makes signals of one size, not text. Received: a prior of the grid {prior.grid}, a "
                f"tokenizer of {tokenizer.modality}. Give a prior with `grid=`; or make tokens by "
                "`prior.generate(length=...)`, and decode each example's up to its first -1."
            )
        prior.build_now()
        self.prior = prior
        self.tokenizer = tokenizer
        self.size = None if size is None else tuple(size)
        if not isinstance(sampling, dict | None):
            raise ValueError(f"`sampling` is a dict of settings. Received: sampling={shown(sampling)}")
        self.sampling = checked_settings(prior, sampling or {}, (*_DECIDED, "count", "seed", "context", "known"))
        self.conditions = self._checked_conditions(conditions)

    def __repr__(self):
        if self.conditions is None:
            asked = "no conditions"
        else:
            count = "any" if self.conditions.part != LABEL else self.conditions.size
            asked = f"{count} {self.conditions.noun}"
        return f"Generator({self.prior!r}, {self.tokenizer!r}, {asked})"

    def _checked_conditions(self, conditions):
        """`Conditions`, or None where there is nothing to ask for."""
        sizes = self.prior.space.sizes
        if not isinstance(conditions, Conditions):
            conditions = Labels(tuple(conditions) or [str(i) for i in range(sum(sizes.get(LABEL, ())))])
        if isinstance(conditions, Captions):
            told = "The ids of these pieces of text"
            self.prior.space.check_owner(conditions.part, conditions.sha256, [conditions.size], told)
            return conditions
        count = sum(sizes.get(LABEL, ()))
        if conditions.size != count:
            raise ValueError(
                f"Each label of the prior's space has a name. Received: {conditions.size} names of {count} labels. "
                f'Make the space with `TokenSpace({{"{LABEL}": {conditions.size}, ...}})`.'
            )
        return conditions if count else None

    @classmethod
    def from_preset(cls, name):
        """Loads a prior's preset, which holds its tokenizer.

        Args:
            name: str or path, a preset's name, or its folder.

        Returns:
            `Generator`.

        Raises:
            ValueError: if the preset is unknown, damaged, holds no prior or no tokenizer, or another tokenizer or
                other pieces than the prior's.
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
        conditions = told.get("labels") or ()
        if told.get("captions"):
            verify_preset(folder, files=[PIECES_FILE])
            conditions = Captions(Pieces((folder / PIECES_FILE).read_bytes()), **told["captions"])
        return cls(prior, Tokenizer.from_preset(folder), conditions, size or None, told.get("sampling"))

    def generate(self, count=None, condition=None, *, seed=0, batch_size=_AT_ONCE, **options):
        """Makes signals.

        Args:
            count: int. Defaults to as many as there are conditions, or 1.
            condition: str or int, name or number of a label, or for a prior of captions any text, "" for anything; or
                a sequence of them, which the signals take in turn. Defaults to all labels, or some captions that the
                prior has not learnt, in turn.
            seed: int from 0 to 2**63 - 1; the same gives the same. Defaults to 0.
            batch_size: int, signals at once, to bound memory. Defaults to 64.
            **options: as of the prior's `generate`: `guidance`, `temperature`, `top_k`, `top_p`, `min_p`, for an
                `AutoregressivePrior` `repetition_penalty`, and for a `MaskedPrior` `steps`, `noise` and `schedule`.

        Returns:
            float32 array (count, *size, channels) in [-1, 1].

        Raises:
            ValueError: if there is no such condition, or an option is out of range.
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
        settings = {"count": count, "seed": seed, "batch_size": batch_size, **options}
        settings = checked_settings(self.prior, settings, _DECIDED)  # now, before a condition is repeated `count` times
        told = self.conditions_of(condition, settings["count"])
        return self._made(self.prefix_of(told), settings)

    def check(self, condition, options):
        """Checks what `complete` is given, whatever tokens are missing.

        Args:
            condition: str or int, or None.
            options: dict, settings of the prior's `generate`.

        Returns:
            The settings as plain Python values.

        Raises:
            ValueError: `complete` would raise it.
        """
        settings = checked_settings(self.prior, options, (*_DECIDED, "count", "known"))
        if condition is not None:
            self.prefix_of(self.conditions_of(condition, 1))
        else:
            self._check_unguided(settings)
        return settings

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
        count = (getattr(known, "shape", None) or np.shape(np.asarray(known, object)) or (None,))[0]
        if not count:
            raise ValueError(
                "`known` is an int array (count, *grid, num_codebooks) of one signal or more. Received: known="
                f"{shown(known)}"
            )
        settings = {"count": int(count), "seed": seed, "batch_size": batch_size, "known": known, **options}
        settings = checked_settings(self.prior, settings, _DECIDED)
        prefix = None if condition is None else self.prefix_of(self.conditions_of(condition, int(count)))
        return self._made(prefix, settings)

    def _made(self, prefix, settings):
        """Tokens of signals with this prefix, or with none."""
        own = {name: value for name, value in self.sampling.items() if name != "guidance" or prefix is not None}
        if prefix is None:
            self._check_unguided(settings)
        else:
            settings = {**settings, "count": len(prefix)}
        return keras.ops.convert_to_numpy(self.prior.generate(prefix=prefix, **{**own, **settings}))

    def _check_unguided(self, options):
        """Raises ValueError where guidance is asked for without a condition."""
        if options.get("guidance") is not None:
            hint = "Leave it out." if self.conditions is None else "Give `condition`, or leave it out."
            raise ValueError(f"Guidance leads to a condition. Received: guidance={options['guidance']} alone. {hint}")

    def decode(self, tokens, batch_size=_AT_ONCE):
        """The signals of tokens, clipped to [-1, 1].

        Args:
            tokens: int array (count, *grid, num_codebooks).
            batch_size: int. Defaults to 64.

        Returns:
            float32 array (count, *size, channels).
        """
        options = {} if self.size is None else {"size": self.size}
        signal = self.tokenizer.decode(tokens, batch_size=checked("batch_size", batch_size), **options)
        return np.clip(keras.ops.convert_to_numpy(signal), -1.0, 1.0)

    def conditions_of(self, condition=None, count=None):
        """The conditions for so many signals.

        Args:
            condition: str or int, or a sequence of them; None for those that are known.
            count: int. Defaults to as many as there are conditions, or 1.

        Returns:
            List of str; None for a prior without conditions.

        Raises:
            ValueError: if there is no such condition, or there are none at all.
        """
        if self.conditions is None:
            if condition is not None:
                raise ValueError(
                    f"This prior knows no conditions. Received: condition={shown(condition)}. Leave it out."
                )
            return None
        return self.conditions.asked(condition, count)

    def prefix_of(self, conditions):
        """The ids of conditions.

        Args:
            conditions: list of str, as `conditions_of` returns it, or None.

        Returns:
            int32 tensor (batch, length), or None.
        """
        if conditions is None:
            return None
        return self.prior.space.prefix(**{self.conditions.part: self.conditions.tokens(conditions)})


def generate(prior, count=None, condition=None, *, seed=0, **options):
    """Makes new signals by a prior's preset.

    A preset by name stays loaded for the next call.

    Args:
        prior: str or path, name or folder of a prior's preset; or a `Generator`.
        count: int. Defaults to as many as there are conditions, or 1.
        condition: str or int, name or number of a label, or for a prior of captions any text, "" for anything; or a
            sequence of them, which the signals take in turn. Defaults to all labels, or some captions that the prior
            has not learnt, in turn.
        seed: int from 0 to 2**63 - 1; the same gives the same. Defaults to 0.
        **options: as of `Generator.generate`: `guidance`, `temperature`, `top_k`, `top_p`, `batch_size`, ...

    Returns:
        float32 array (count, *size, channels) in [-1, 1].

    Raises:
        ValueError: if there is no such preset, it holds no prior, there is no such condition, or an option is out of
            range.

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
            "`vqzoo.generation.Generator(prior, tokenizer)`, or the name of the prior's preset."
        )
    if not isinstance(prior, str | os.PathLike):
        raise ValueError(
            "A prior is the name or the folder of its preset, or a vqzoo.generation.Generator. Received: "
            f"{shown(prior)}. `vqzoo list` shows the presets that are here."
        )
    folder = find_preset(prior)
    return _loaded(prior, folder.resolve(), (folder / MANIFEST).stat().st_mtime_ns)


@functools.lru_cache(maxsize=2)
def _loaded(name, folder, changed):
    """The generator of a preset, until its manifest is written anew."""
    return Generator.from_preset(name)
