"""Base class of priors over tokens: ids, logits, conditions, positions and presets."""

import math
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from vqzoo.networks import Transformer
from vqzoo.ops import compiled
from vqzoo.presets import load_preset
from vqzoo.presets import save_preset
from vqzoo.presets.layout import PRIOR_FILE
from vqzoo.presets.precision import in_float32
from vqzoo.presets.precision import with_config
from vqzoo.priors.description import prior_line
from vqzoo.priors.patterns import FlattenPattern
from vqzoo.priors.patterns import Pattern
from vqzoo.priors.sampling import NEVER
from vqzoo.priors.settings import frames_of
from vqzoo.priors.token_space import PADDING
from vqzoo.priors.token_space import TokenSpace


class CrossEntropy(NamedTuple):
    """Cross-entropy of a prior's predictions, one value per token."""

    nats: Any  # float32 (batch, steps, streams), -log p; 0 where no token is counted
    uniform: Any  # the same, averaged over all allowed tokens
    counted: Any  # bool (batch, steps, streams)


class Prior(keras.Model):
    """A transformer that models the probability of a tokenizer's tokens.

    Use `AutoregressivePrior` or `MaskedPrior`, which share this base class. The condition is a prefix, a context or
    both. A prefix consists of ids of the space that precede the tokens: a label, the pieces of a text, or tokens of
    another tokenizer. A context is the input of the transformer's cross-attention. Ids equal to `PADDING` are ignored,
    so an example whose prefix and context are padding is unconditional.

    Args:
        space: `TokenSpace`.
        transformer: `vqzoo.networks.Transformer`, with `cross_attention` if there is a context.
        target: str, the part of the space whose tokens are predicted.
        width: int, width of the transformer's input vectors.
        grid: tuple of int, shape of the tokens, such as rows and columns. Default None, one axis of any length.
        pattern: `Pattern`, the order of the tokens of several codebooks. Defaults to `FlattenPattern`.
        context_encoder: bidirectional `vqzoo.networks.Transformer` over the context. Defaults to none, so that the
            context is a set without order.
        condition_dropout: float in [0, 1), fraction of the examples that are unconditional in training, for
            classifier-free guidance. Defaults to 0.
        learnt_positions: int, number of steps with a learned position vector, which is added to the input of the step.
            It encodes absolute positions, while rotary embeddings encode relative ones. Defaults to 0, none.
        seed: int, seed of the randomness in training. Defaults to a random one.

    Raises:
        ValueError: if a part has the wrong type, or the parts do not match.
    """

    causal = None  # whether the transformer is causal
    __repr__ = prior_line

    def __init__(
        self,
        space,
        transformer,
        target,
        width,
        grid=None,
        pattern=None,
        context_encoder=None,
        condition_dropout=0.0,
        learnt_positions=0,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        # === Layers ===
        self.space = space
        self.transformer = transformer
        self.target = target
        self.width = width
        self.grid = None if grid is None else tuple(int(n) for n in grid)
        self.pattern = FlattenPattern() if pattern is None else pattern
        self.context_encoder = context_encoder
        self.condition_dropout = float(condition_dropout)
        self.learnt_positions = int(learnt_positions)
        self.seed = seed
        self._check_parts()
        self.num_codebooks = len(space.sizes[target])
        self.streams = self.pattern.streams(self.num_codebooks)
        self.first_ids, self.columns = self._columns()
        if self.grid is not None:
            self._check_steps(len(self.pattern.slots(math.prod(self.grid), self.num_codebooks)), f"grid={self.grid}")
        self.random = keras.random.SeedGenerator(seed)
        # === Compiled functions ===
        self._compiled_generate = compiled(self._generate, xla=True)

    def build(self, input_shape=None):
        shape = (None, None, self.width)
        normal = keras.initializers.RandomNormal(stddev=1.0)
        self.embedding = keras.layers.Embedding(
            self.space.size, self.width, normal, name="embedding", dtype=self.dtype_policy
        )
        if self.learnt_positions:
            self.places = self.add_weight((self.learnt_positions, self.width), "random_normal", name="places")
        # Small weights, so that all tokens are about equally likely at the start.
        small = keras.initializers.VarianceScaling(1e-4, "fan_in", "truncated_normal")
        # Always in float32, because of the logits of thousands of codes and the softmax of the loss.
        self.head = keras.layers.Dense(
            self.streams * self.columns, use_bias=False, kernel_initializer=small, name="head", dtype="float32"
        )
        self.embedding.build((None, None))
        for part in (self.transformer, self.context_encoder):
            if part is not None and not part.built:
                part.build(shape)
        self.head.build(shape)
        self.built = True

    def build_now(self):
        """Creates the weights if they do not exist."""
        if not self.built:
            self.build()

    # === Loss ===
    def cross_entropy(self, tokens, prefix=None, context=None, training=False):
        """Cross-entropy of the tokens of a batch; see the subclasses.

        Args:
            tokens: int32 tensor (batch, *grid, num_codebooks).
            prefix: int32 tensor (batch, length), ids. Defaults to none.
            context: int32 tensor (batch, length), ids. Defaults to none.
            training: bool. Defaults to False.

        Returns:
            `CrossEntropy`.
        """
        raise NotImplementedError

    def cross_entropy_of(self, logits, ids, counted):
        """`CrossEntropy` of ids (batch, steps, streams) under logits (batch, steps, streams, columns)."""
        chances = keras.ops.log_softmax(logits, axis=-1)
        columns = keras.ops.where(counted, ids - self.first_ids, 0)
        nats = -keras.ops.squeeze(keras.ops.take_along_axis(chances, keras.ops.expand_dims(columns, -1), axis=-1), -1)
        possible = logits > 0.5 * NEVER
        number = keras.ops.sum(keras.ops.cast(possible, "float32"), axis=-1)
        uniform = -keras.ops.sum(keras.ops.where(possible, chances, 0.0), axis=-1) / keras.ops.maximum(number, 1.0)
        return CrossEntropy(keras.ops.where(counted, nats, 0.0), keras.ops.where(counted, uniform, 0.0), counted)

    # === Ids ===
    def frames_of(self, length=None):
        """The number of positions: that of the grid, or `length` without a grid."""
        frames = frames_of(self.grid, length)
        if self.grid is None:
            self._check_steps(len(self.pattern.slots(frames, self.num_codebooks)), f"length={length}")
        return frames

    def checked_tokens(self, tokens):
        """Converts tokens to ids in one sequence of positions.

        Args:
            tokens: int array or tensor (batch, *grid, num_codebooks), -1 for a missing token.

        Returns:
            int32 tensor (batch, positions, num_codebooks).

        Raises:
            ValueError: if the shape, the dtype or the range is wrong.
        """
        tokens = tokens if hasattr(tokens, "dtype") else np.asarray(tokens)
        shape = tuple(tokens.shape)
        expected = (*(self.grid or (None,)), self.num_codebooks)
        fits = len(shape) == len(expected) + 1 and all(
            want is None or have in (None, want) for have, want in zip(shape[1:], expected, strict=True)
        )
        if not fits:
            grid = "any length" if self.grid is None else f"a grid of {self.grid}"
            raise ValueError(
                f"This prior expects tokens (batch, *grid, {self.num_codebooks}) with {grid}. Received: shape={shape}. "
                "Encode signals of the size that it was trained on."
            )
        ids = self.space.to_ids(self.target, tokens)
        return keras.ops.reshape(ids, (-1, math.prod(self.grid) if self.grid else shape[1], self.num_codebooks))

    def tokens_of(self, sequence, frames):
        """Tokens (batch, *grid, num_codebooks) of a sequence of ids, -1 for missing ones."""
        sequence = keras.ops.where(keras.ops.equal(sequence, self.space.end(self.target)), PADDING, sequence)
        ids = self.pattern.revert(sequence, frames, self.num_codebooks, PADDING)
        tokens = self.space.to_tokens(self.target, ids)
        return keras.ops.reshape(tokens, (-1, *(self.grid or (frames,)), self.num_codebooks))

    def checked_condition(self, prefix, context):
        """Prefix and context as int32 tensors or None. Raises ValueError if they do not match the prior."""
        wants = self.transformer.cross_attention
        if (context is not None) != wants:
            raise ValueError(
                f"This prior's transformer has cross_attention={wants}: it takes {'a' if wants else 'no'} context. "
                f"Received: context={'None' if context is None else 'one'}. A condition may be a prefix too."
            )
        checked = []
        for name, ids in (("prefix", prefix), ("context", context)):
            if ids is not None:
                ids = keras.ops.convert_to_tensor(ids)
                if len(ids.shape) != 2 or "int" not in keras.backend.standardize_dtype(ids.dtype):
                    raise ValueError(
                        f"A {name} is integer ids (batch, length), as `space.prefix(label=labels)` makes them. "
                        f"Received: {ids.dtype} {tuple(ids.shape)}"
                    )
                ids = keras.ops.cast(ids, "int32")
            checked.append(ids)
        return tuple(checked)

    def dropped(self, prefix, context, training):
        """The condition, which is dropped for some examples in training."""
        parts = [ids for ids in (prefix, context) if ids is not None]
        if not (training and self.condition_dropout and parts):
            return prefix, context
        kept = keras.random.uniform((keras.ops.shape(parts[0])[0], 1), seed=self.random) >= self.condition_dropout
        return tuple(None if ids is None else keras.ops.where(kept, ids, PADDING) for ids in (prefix, context))

    # === The network ===
    def embedded(self, ids):
        """Embeddings of ids (batch, length, streams), summed over the streams."""
        vectors = self.embedding(ids)
        if ids.shape[-1] == 1:
            return keras.ops.squeeze(vectors, 2)
        real = keras.ops.cast(keras.ops.expand_dims(keras.ops.not_equal(ids, PADDING), -1), vectors.dtype)
        return keras.ops.sum(vectors * real, axis=2)

    def placed(self, vectors, step=0):
        """Adds the learned position vectors, if any, to the inputs of the steps from `step` on."""
        if not self.learnt_positions:
            return vectors
        if isinstance(step, int):  # in the loop it is a tensor, and the length has been checked
            self._check_steps(step + vectors.shape[1], "a signal")
        steps = keras.ops.arange(vectors.shape[1]) + step
        return vectors + keras.ops.cast(keras.ops.take(self.places, steps, axis=0), vectors.dtype)

    def embedded_context(self, context):
        """Encoded context, and its padding mask."""
        if context is None:
            return None, None
        mask = keras.ops.not_equal(context, PADDING)
        vectors = self.embedded(keras.ops.expand_dims(context, -1))
        return (vectors if self.context_encoder is None else self.context_encoder(vectors, mask=mask)), mask

    def with_prefix(self, prefix, inputs, coordinates):
        """Vectors, mask and positions of prefix and inputs together. Padding of the prefix takes no positions."""
        if prefix is None:
            return inputs, None, coordinates
        real = keras.ops.not_equal(prefix, PADDING)
        length, axes = prefix.shape[1], coordinates.shape[-1]
        numbers = keras.ops.cumsum(keras.ops.cast(real, "int32"), axis=1)
        before = keras.ops.tile(keras.ops.expand_dims(keras.ops.maximum(numbers - 1, 0), -1), (1, 1, axes))
        behind = keras.ops.reshape(numbers[:, length - 1 :], (-1, 1, 1)) + coordinates
        mask = keras.ops.concatenate([real, keras.ops.ones_like(behind[..., 0], "bool")], axis=1)
        vectors = self.embedded(keras.ops.expand_dims(prefix, -1))
        vectors = keras.ops.concatenate([vectors, keras.ops.cast(inputs, vectors.dtype)], axis=1)
        return vectors, mask, keras.ops.concatenate([before, behind], axis=1)

    def coordinates(self, frames):
        """The position of each step's tokens, int32 array (steps, axes), from 0."""
        slots = self.pattern.slots(frames, self.num_codebooks)
        if self.grid is None or len(self.grid) == 1:
            return np.arange(len(slots), dtype="int32")[:, None]
        # All tokens of a position share its row and column.
        return np.stack(np.unravel_index(slots.max(axis=1) // self.num_codebooks, self.grid), axis=1).astype("int32")

    def possible(self, frames):
        """The allowed columns of each step, those of its codebook.

        Args:
            frames: int, number of positions.

        Returns:
            bool array (steps, streams, columns), all True for empty slots.
        """
        slots = self.pattern.slots(frames, self.num_codebooks)[..., None]
        sizes = np.array(self.space.sizes[self.target])
        first = np.array([self.space.first(self.target, k) for k in range(self.num_codebooks)])
        codebook = slots % self.num_codebooks
        ids = self.first_ids[:, None] + np.arange(self.columns)
        return (slots < 0) | ((ids >= first[codebook]) & (ids < first[codebook] + sizes[codebook]))

    def logits(self, outputs):
        """Logits of all columns: vectors (batch, steps, width) to float32 (batch, steps, streams, columns)."""
        return keras.ops.reshape(self.head(outputs), (-1, outputs.shape[1], self.streams, self.columns))

    def _columns(self):
        """The id of the first column of each stream, int32 (streams,), and the number of columns."""
        sizes = self.space.sizes[self.target]
        if self.streams == 1:
            ends = self.causal and self.grid is None  # the end token precedes the codes
            return np.array([self.space.first(self.target) - ends], "int32"), sum(sizes) + ends
        return np.array([self.space.first(self.target, k) for k in range(len(sizes))], "int32"), max(sizes)

    def _check_parts(self):
        if not isinstance(self.space, TokenSpace) or not isinstance(self.pattern, Pattern):
            raise ValueError(
                f"`space` must be a vqzoo.priors.TokenSpace and `pattern` a Pattern. Received: {self.space!r}, "
                f"{self.pattern!r}"
            )
        self.space.start(self.target)
        for name, part in (("transformer", self.transformer), ("context_encoder", self.context_encoder)):
            causal = self.causal if name == "transformer" else False
            if part is None and name == "context_encoder":
                continue
            if not isinstance(part, Transformer) or part.causal != causal:
                raise ValueError(
                    f"The `{name}` of a {type(self).__name__} is a vqzoo.networks.Transformer with causal={causal}. "
                    f"Received: {part!r}" + (f" with causal={part.causal}" if isinstance(part, Transformer) else "")
                )
        if self.context_encoder is not None and not self.transformer.cross_attention:
            raise ValueError(
                "A context encoder needs a transformer with cross-attention. Received: cross_attention=False. "
                "Make the transformer with cross_attention=True."
            )
        if self.grid is not None and (not self.grid or min(self.grid) < 1):
            raise ValueError(f"A grid must have at least one position along each axis. Received: grid={self.grid}")
        if not 0.0 <= self.condition_dropout < 1.0:
            raise ValueError(
                f"`condition_dropout` must be in [0, 1). Received: condition_dropout={self.condition_dropout}"
            )

    def _check_steps(self, steps, received):
        if 0 < self.learnt_positions < steps:
            raise ValueError(
                f"This prior has learned {self.learnt_positions} steps. Received: {received}, which needs {steps}. "
                f"Make the prior with `learnt_positions={steps}`, or 0 for none."
            )

    # === Origin of tokens ===
    def check_tokens_of(self, tokens, what="The tokens"):
        """Raises an error if tokens come from a different tokenizer than the one of the training.

        Args:
            tokens: object with `codebook_sizes` and perhaps `sha256`: `vqzoo.data.TokenShards`, a
                `vqzoo.presets.TokenFile`, or a `Tokenizer`.
            what: str, description of the tokens for the message.

        Raises:
            ValueError: if they come from a different tokenizer.
        """
        self.space.check_owner(self.target, getattr(tokens, "sha256", ""), tokens.codebook_sizes, what)

    @classmethod
    def from_preset(cls, name):
        """Loads a prior by name or folder, with the class that the file holds.

        Args:
            name: str or path, name or folder of a preset.

        Returns:
            A prior.

        Raises:
            ValueError: if the preset is unknown, damaged, newer than this version, or holds a different class.
        """
        prior = load_preset(name, filename=PRIOR_FILE)
        if not isinstance(prior, cls):
            kind = type(prior).__name__
            way_out = f"Load it with `vqzoo.priors.{kind}.from_preset`."
            raise ValueError(f"The preset {str(name)!r} holds a {kind}, not a {cls.__name__}. {way_out}")
        return prior

    def in_float32(self):
        """The prior with all layers in float32, as in presets; a copy if necessary."""
        return in_float32(self, lambda config: with_config(self, config))

    def save_to_preset(self, folder, metadata=None, recipe=None, seal=True):
        """Writes a preset folder: the prior in float32, metadata, recipe, card and manifest.

        Args:
            folder: str or path.
            metadata: dict of JSON values for the card. Defaults to the parts of the space only.
            recipe: dict of JSON values, the settings of the training. Defaults to none.
            seal: bool. False leaves the preset incomplete, for more files to be added. Defaults to True.

        Raises:
            ValueError: if the prior is not built, or the folder holds other files that a preset would replace.
        """
        if not self.built:
            raise ValueError("A preset needs weights. Received: a prior that is not built. Train it first.")
        metadata = {"target": self.target, "space": self.space.get_config(), **(metadata or {})}
        save_preset(self.in_float32(), folder, metadata=metadata, recipe=recipe, filename=PRIOR_FILE, seal=seal)

    # === Config ===
    def get_config(self):
        parts = {name: getattr(self, name) for name in ("space", "transformer", "pattern", "context_encoder")}
        parts = {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}
        names = ("target", "width", "grid", "condition_dropout", "learnt_positions", "seed")
        return {**super().get_config(), **parts, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_config(cls, config):
        parts = ("space", "transformer", "pattern", "context_encoder")
        made = {name: keras.saving.deserialize_keras_object(config.pop(name)) for name in parts}
        return cls(**made, **config)
