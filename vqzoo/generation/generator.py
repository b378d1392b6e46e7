"""New signals and texts from a prior and the parts of its space."""

import keras
import numpy as np

from vqzoo.generation.conditions import Conditions
from vqzoo.generation.conditions import condition_parts
from vqzoo.generation.conditions import default_length
from vqzoo.generation.conditions import tokens_of_prompts
from vqzoo.generation.parts import Part
from vqzoo.generation.signal_part import SignalPart
from vqzoo.generation.stored import load_parts
from vqzoo.generation.stored import save_parts
from vqzoo.generation.text.stopping import checked_stops
from vqzoo.generation.text.stopping import stopped
from vqzoo.jsons import shown
from vqzoo.ops import compiled
from vqzoo.presets import find_preset
from vqzoo.presets import holds_prior
from vqzoo.presets import read_metadata
from vqzoo.presets import seal_preset
from vqzoo.presets.layout import PRIOR_FILE
from vqzoo.priors import Prior
from vqzoo.priors.generation import most_positions
from vqzoo.priors.settings import checked
from vqzoo.priors.settings import checked_settings
from vqzoo.priors.settings import compatible

_AT_ONCE = 64  # examples
_MULTIPLE = 8  # positions, of tokens whose likelihood is computed
_DECIDED = ("prefix",)  # of a prior's `generate`, what a request for signals decides
_NOT_SAMPLING = ("prefix", "count", "seed", "context", "known")


class Generator:
    """A prior with the parts of its space: one is made, the others are what it can be asked for.

    The conditions stand before what is made, as a prefix. Where the prior's transformer has `cross_attention`, they are
    its context instead.

    Args:
        prior: `Prior`, built.
        tokenizer: `Tokenizer` whose tokens the prior makes; or the `Part` that it makes, such as a `TextPart`.
        conditions: `Part`, such as `LabelPart`, `TextPart` or `SignalPart`, or a sequence of them in the order in which
            the prior reads them; or a sequence of str, the names of the labels of the space's part "label". Defaults to
            the labels' numbers; tokens of a part "style" are of the tokenizer.
        size: tuple (height, width) of the images of a `Tokenizer`, in pixels. Defaults to whole strides.
        sampling: dict, settings of `prior.generate` where a call says nothing else, such as `guidance`. Defaults to
            none.

    Raises:
        ValueError: if the tokenizer is another one than the prior's, the parts are not those of its space, or a
            setting is not of this kind of prior or out of range.

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
        if isinstance(tokenizer, Part):
            if size is not None or tokenizer.name != prior.target:
                raise ValueError(
                    f"The target is the part {prior.target!r} of the prior, and has its own size. Received: the part "
                    f"{tokenizer.name!r}, size={size}"
                )
            self.target = tokenizer
        else:
            self.target = SignalPart(prior.target, tokenizer, size)
        self.target.check_space(prior.space)
        prior.build_now()
        self.prior = prior
        self._cross_entropy = compiled(prior.cross_entropy, relaxed=False)
        if not isinstance(sampling, dict | None):
            raise ValueError(f"`sampling` is a dict of settings. Received: sampling={shown(sampling)}")
        self.sampling = checked_settings(prior, sampling or {}, _NOT_SAMPLING)
        self._conditions = Conditions(prior, condition_parts(prior, self.target, conditions))
        self.parts = {part.name: part for part in (*self._conditions.parts, self.target)}

    def __repr__(self):
        asked = " and ".join(part.choices for part in self._conditions.parts) or "no conditions"
        return f"Generator({self.prior!r}, {self.target.tokenizer or self.target.name!r}, {asked})"

    @property
    def conditions(self):
        """The `Part` that the prior is conditioned on; None for none, of several a tuple of them."""
        parts = self._conditions.parts
        return parts if len(parts) > 1 else parts[0] if parts else None

    @property
    def tokenizer(self):
        """The `Tokenizer` of the target."""
        if self.target.tokenizer is None:
            raise ValueError(f"The target {self.target.name!r} is made without a tokenizer. Use `generator.target`.")
        return self.target.tokenizer

    @property
    def size(self):
        """Tuple (height, width) of the images; None for whole strides, and of other targets."""
        return self.target.size if isinstance(self.target, SignalPart) else None

    @property
    def length(self):
        """int, positions that are made at most where a call says nothing else; None for a prior with a grid."""
        return default_length(self.prior, self.sampling.get("length") or self.target.length)

    @classmethod
    def from_preset(cls, name):
        """Loads a prior's preset, which holds its parts.

        Args:
            name: str or path, a preset's name, or its folder.

        Returns:
            `Generator`.

        Raises:
            ValueError: if the preset is unknown, damaged, holds no prior or no tokenizer, or another tokenizer or
                other pieces than the prior's.
        """
        folder = find_preset(name)
        if not holds_prior(folder):
            hint = "A tokenizer generates nothing. Give the preset of a prior, such as `vqzoo list` shows."
            raise ValueError(f"The preset {str(name)!r} has no {PRIOR_FILE}. {hint}")
        prior = Prior.from_preset(folder)
        parts = load_parts(folder, prior)
        target = parts.pop(prior.target)
        return cls(prior, target, tuple(parts.values()), sampling=read_metadata(folder).get("sampling"))

    def save_parts(self, folder):
        """Writes the parts and the sampling into the preset folder of the prior: what `from_preset` reads again.

        `prior.save_to_preset(folder, seal=False)` comes before, and `vqzoo.presets.seal_preset(folder)` after. A
        complete preset stays complete.

        Args:
            folder: str or path, a preset folder that holds the prior.

        Raises:
            ValueError: if a tokenizer is without the file that the prior has learnt the tokens of, or a file of a
                complete preset is damaged.
        """
        for part in self.parts.values():
            part.check_saved(self.prior.space)
        parts = (self.target, *self._conditions.parts)
        save_parts(parts, folder, sampling=self.sampling, **self.target.about())

    def save_to_preset(self, folder, metadata=None, recipe=None):
        """Writes a preset folder: the prior, its parts, the metadata, a card and the manifest.

        Args:
            folder: str or path.
            metadata: dict of JSON values, what the card says. Defaults to the parts.
            recipe: dict of JSON values, the settings that made the weights. Defaults to none.

        Raises:
            ValueError: as `save_parts`, or the folder holds other files that a preset would replace.
        """
        self.prior.save_to_preset(folder, metadata=metadata, recipe=recipe, seal=False)
        self.save_parts(folder)
        seal_preset(folder)

    def generate(
        self, count=None, condition=None, *, to=None, prompt=None, stop=None, seed=0, batch_size=_AT_ONCE, **options
    ):
        """Makes images, audio or texts.

        Args:
            count: int. Defaults to as many as there are conditions or prompts, or 1.
            condition: a value of the part that the prior is conditioned on, or a sequence of them, which are taken in
                turn; or a dict of part to these. A value is the name or number of a label, a text, or an image or audio
                as an array or the path of a file. Defaults to what the parts know, in turn: all labels, or some texts.
            to: str, name of the part that is made. Defaults to the prior's target, which is the only one.
            prompt: a text, or audio as an array or the path of a file: the beginning, whose tokens are kept; or a
                sequence of them, which are taken in turn. Defaults to none.
            stop: str or sequence of str, for a target of text. Each text is cut before the first of them behind the
                prompt. It is generated to its end before. Defaults to none.
            seed: int from 0 to 2**63 - 1; the same gives the same. Defaults to 0.
            batch_size: int, examples at once, to bound memory. Defaults to 64.
            **options: as of the prior's `generate`: `guidance`, `temperature`, `top_k`, `top_p`, `min_p`, for an
                `AutoregressivePrior` `repetition_penalty`, `no_repeat`, `beams` and `length_penalty`, for a
                `MaskedPrior` `steps`, `noise` and `schedule`, and without a grid `length`, positions that are made at
                most. Those of sampling replace a preset's beam search, and the other way round.

        Returns:
            Images, float32 array (count, *size, channels) in [-1, 1]; audio, float32 array (count, samples, channels)
            in [-1, 1], or a list of such without the first axis where they end after different times; of text, list of
            str.

        Raises:
            ValueError: if there is no such condition or part, the target has no beginning or is no text to stop, or an
                option is out of range.
        """
        stops = checked_stops(stop)
        if to is not None and to not in (self.target.name, [self.target.name]):
            raise ValueError(
                f"This prior makes the part {self.target.name!r}, of {', '.join(self.parts)}. Received: to={shown(to)}"
            )
        if stops and not self.target.is_text:
            raise ValueError(f"`stop` cuts texts. Received: stop={shown(stop)} for {self.target.name!r}. Leave it out.")
        tokens = self.tokens(count, condition, prompt=prompt, seed=seed, batch_size=batch_size, **options)
        values = self.decode(tokens, batch_size)
        if not stops:
            return values
        prompts = [] if prompt is None else [self.target.beginning(text)[None] for text in self.target.listed(prompt)]
        return stopped(values, stops, [self.decode(tokens)[0] for tokens in prompts] or [""])

    def tokens(self, count=None, condition=None, *, prompt=None, seed=0, batch_size=_AT_ONCE, **options):
        """What `generate` makes, before it is decoded.

        Args:
            count: int.
            condition: as in `generate`.
            prompt: as in `generate`.
            seed: int.
            batch_size: int.
            **options: as in `generate`.

        Returns:
            int32 array (count, *grid, num_codebooks); without a grid -1 behind the end.
        """
        settings = {"count": count, "seed": seed, "batch_size": batch_size, **options}
        settings = checked_settings(self.prior, settings, _DECIDED)  # now, before a condition is repeated `count` times
        prompts = [] if prompt is None else self.target.listed(prompt)
        if prompts and settings["count"] is None:
            settings["count"] = max(len(prompts), self._conditions.count(condition))
        asked = self._conditions.asked(condition, settings["count"])
        return self._made(asked, settings, prompts)

    def check(self, condition, options):
        """Checks what `complete` is given, whatever tokens are missing.

        Args:
            condition: as in `generate`, or None.
            options: dict, settings of the prior's `generate`.

        Returns:
            The settings as plain Python values.

        Raises:
            ValueError: `complete` would raise it.
        """
        settings = checked_settings(self.prior, options, (*_DECIDED, "length", "count", "known"))
        if condition is not None:
            self._conditions.ids(self._conditions.asked(condition, 1))
        else:
            self._check_unguided(settings)
        return settings

    def complete(self, known, condition=None, *, seed=0, batch_size=_AT_ONCE, **options):
        """Makes the tokens that are missing.

        Args:
            known: int array (count, *grid, num_codebooks), -1 where one is to be made.
            condition: as in `generate`. Defaults to none: what the prior makes without.
            seed: int. Defaults to 0.
            batch_size: int. Defaults to 64.
            **options: as in `generate`.

        Returns:
            int32 array (count, *grid, num_codebooks), the known ones as they are.
        """
        shape = getattr(known, "shape", None) or np.shape(np.asarray(known, object)) or (None,)
        if not shape[0]:
            raise ValueError(
                "`known` is an int array (count, *grid, num_codebooks) of one signal or more. Received: known="
                f"{shown(known)}"
            )
        count = int(shape[0])
        settings = {"count": count, "seed": seed, "batch_size": batch_size, "known": known, **options}
        if self.prior.grid is None and len(shape) > 1:
            settings = {"length": int(shape[1]), **settings}
        settings = checked_settings(self.prior, settings, _DECIDED)
        return self._made({} if condition is None else self._conditions.asked(condition, count), settings)

    def _made(self, asked, settings, prompts=()):
        """Tokens that begin with prompts, under what is asked for."""
        own = compatible(self.sampling, settings)
        own = {name: value for name, value in own.items() if name != "guidance" or asked}
        if self.prior.grid is None:
            own["length"] = self.length
        if not asked and "context" not in settings:
            self._check_unguided(settings)
        settings = {**own, **self._conditions.ids(asked), **settings}
        if asked:
            settings["count"] = len(next(iter(asked.values())))
        if self.prior.grid is None and settings["length"] is None:
            settings["length"] = self.length
        if prompts and settings.get("known") is not None:
            raise ValueError("`prompt` and `known` both say what is kept. Received: both. Give one of them.")
        if prompts:
            settings["known"] = tokens_of_prompts(self.prior, self.target, prompts, settings)
        return keras.ops.convert_to_numpy(self.prior.generate(**settings))

    def _check_unguided(self, options):
        """Raises ValueError where guidance is asked for without a condition."""
        if options.get("guidance") is not None:
            hint = "Give `condition`, or leave it out." if self._conditions.parts else "Leave it out."
            raise ValueError(
                f"Guidance needs a condition. Received: guidance={options['guidance']} without one. {hint}"
            )

    def decode(self, tokens, batch_size=_AT_ONCE):
        """The values of tokens; images and audio are clipped to [-1, 1].

        Args:
            tokens: int array (count, *grid, num_codebooks).
            batch_size: int. Defaults to 64.

        Returns:
            As `generate`.
        """
        return self.target.values(tokens, checked("batch_size", batch_size))

    def log_likelihoods(self, values, condition=None, *, batch_size=_AT_ONCE):
        """How likely values are, by the probabilities of their tokens without temperature or filters.

        Args:
            values: sequence of what is made: images or audio as arrays or paths, or texts.
            condition: as in `generate`, one for each value or one for all. Defaults to what the parts know, in turn.
            batch_size: int. Defaults to 64.

        Returns:
            float64 array (values,), natural logarithms; of a signal that ends, its end included.

        Raises:
            ValueError: as `generate`, or the prior is not autoregressive: a masked one has no likelihood in one pass.
        """
        if not self.prior.causal:
            raise ValueError(f"Likelihoods need an AutoregressivePrior. Received: a {type(self.prior).__name__}.")
        values = list(values)
        if not values:
            return np.zeros(0)
        tokens = np.asarray(self.target.tokens(values))
        if self.prior.grid is None:  # to a few lengths, each of which is compiled
            length = -(-tokens.shape[1] // _MULTIPLE) * _MULTIPLE
            length = max(tokens.shape[1], min(length, most_positions(self.prior) or length))
            tokens = np.pad(tokens, ((0, 0), (0, length - tokens.shape[1]), (0, 0)), constant_values=-1)
        given = self._conditions.ids(self._conditions.asked(condition, len(tokens)))
        rows = []
        for first in range(0, len(tokens), batch_size):
            # The last batch is filled up, so that all have one shape.
            some = np.minimum(np.arange(first, first + min(batch_size, len(tokens))), len(tokens) - 1)
            ids = {name: keras.ops.take(x, some, axis=0) for name, x in given.items()}
            result = self._cross_entropy(keras.ops.convert_to_tensor(tokens[some]), **ids)
            nats = np.where(result.counted, result.nats, 0.0).reshape(len(some), -1).sum(axis=1, dtype="float64")
            rows.append(-nats[: len(tokens) - first])
        return np.concatenate(rows)

    def conditions_of(self, condition=None, count=None):
        """The conditions for a number of examples.

        Args:
            condition: as in `generate`; None for those that are known.
            count: int. Defaults to as many as there are conditions, or 1.

        Returns:
            List of values; None where there is no condition, and of several parts a dict of part to list.

        Raises:
            ValueError: if there is no such condition, or there are none at all.
        """
        asked = self._conditions.asked(condition, count)
        return asked if len(self._conditions.parts) > 1 else next(iter(asked.values()), None)

    def prefix_of(self, conditions):
        """The ids of conditions.

        Args:
            conditions: as `conditions_of` returns it.

        Returns:
            int32 tensor (batch, length), a prefix or a context as the prior has it; None without conditions.
        """
        if conditions is None:
            return None
        asked = conditions if isinstance(conditions, dict) else {self._conditions.parts[0].name: conditions}
        return next(iter(self._conditions.ids(asked).values()), None)
