"""Base classes of quantizers whose tokens are rows of one table."""

import keras

from vqzoo.ops import known_value
from vqzoo.quantizers.quantizer import Quantizer
from vqzoo.quantizers.quantizer import known_width


class LookUpQuantizer(Quantizer):
    """Tokens are rows of one codebook, and decoding looks them up. The subclass defines how a row is chosen.

    Args:
        codebook_size: int, number of codes.
        initializer: Keras initializer of the codebook.

    Raises:
        ValueError: if an argument is out of its range.
    """

    # The name of the attribute of the weight from which the codes are computed.
    _stored = "_codebook"

    def __init__(self, codebook_size, initializer, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(codebook_size, int) or codebook_size < 1:
            raise ValueError(f"`codebook_size` is a positive integer. Received: codebook_size={codebook_size!r}")
        self.codebook_size = codebook_size
        self.initializer = keras.initializers.get(initializer)

    def decode(self, tokens, num_codebooks=None):
        """Looks the codes up.

        Args:
            tokens: integer tensor, shape (batch, *grid, 1).
            num_codebooks: int, must be all of them. Defaults to all.

        Returns:
            float32 tensor, shape (batch, *grid, latent_dim).

        Raises:
            ValueError: before `build`, or if the number of codebooks is wrong; in eager calls also if tokens are out of
                range. In a graph they are clipped.
        """
        self.check_num_codebooks(num_codebooks)
        self.made_in_build(self._stored)
        self.check_tokens(tokens)
        return self._look_up(keras.ops.clip(keras.ops.cast(tokens, "int32"), 0, self.codebook_size - 1))

    def assign_codebook(self, values):
        """Replaces the codebook.

        Args:
            values: float array (codebook_size, latent_dim).

        Raises:
            ValueError: before `build`, or if the shape is wrong or values are not finite.
        """
        values = self._checked_codebook(values)
        self.codebook.assign(values)

    @property
    def codebook(self):
        """The codes: float32 (codebook_size, latent_dim); raises before `build`."""
        return self.made_in_build("_codebook")

    @codebook.setter
    def codebook(self, weight):
        self._codebook = weight

    @property
    def codebook_sizes(self):
        return (self.codebook_size,)

    def portable_decode(self, tokens):
        return portable_rows(tokens, self.codebook)

    def _checked_codebook(self, values):
        shape = tuple(self.made_in_build(self._stored).shape)
        values = keras.ops.convert_to_tensor(values, "float32")
        if tuple(values.shape) != shape:
            raise ValueError(
                f"A codebook must have the shape (codebook_size, latent_dim), here {shape}. "
                f"Received: shape={tuple(values.shape)}"
            )
        known = known_value(values)
        if known is not None and not (abs(known) < float("inf")).all():
            raise ValueError("A codebook must be finite. Received: values that are NaN or infinite.")
        return values

    def _look_up(self, tokens):
        return keras.ops.take(self.codebook, keras.ops.squeeze(tokens, -1), axis=0)

    def _make_codebook(self, input_shape, trainable):
        """The weight (codebook_size, latent_dim) from which the codes are computed."""
        return self.add_weight(
            name="codebook",
            shape=(self.codebook_size, known_width(input_shape)),
            initializer=self.initializer,
            trainable=trainable,
            autocast=False,
            aggregation="mean" if trainable else "only_first_replica",
        )

    def get_config(self):
        config = super().get_config()
        config["codebook_size"] = self.codebook_size
        config["initializer"] = keras.initializers.serialize(self.initializer)
        return config


class TableQuantizer(LookUpQuantizer):
    """Codes and latents have the same width, and extra losses may compare them.

    Args:
        codebook_size: int, number of codes.
        initializer: Keras initializer of the codebook. Defaults to uniform in [-1/codebook_size, 1/codebook_size], as
            in van den Oord's and Esser's code.
        extra_losses: dict name -> callable (codebook, vectors, weights) -> scalar, with the codebook, the latents
            (n, latent_dim) and a float (n,) that is 0 where a position is padded, such as
            `vqzoo.quantizers.entropy_loss`. Defaults to none.

    Raises:
        ValueError: if an argument is out of its range, or the last axis of the input is unknown.
    """

    # The names of the losses that the class computes itself.
    own_losses = ()

    def __init__(self, codebook_size, initializer=None, extra_losses=None, **kwargs):
        super().__init__(codebook_size, initializer, **kwargs)
        if initializer is None:
            self.initializer = keras.initializers.RandomUniform(-1.0 / codebook_size, 1.0 / codebook_size)
        extra_losses = dict(extra_losses or {})
        if not all(callable(loss) for loss in extra_losses.values()) or set(extra_losses) & set(self.own_losses):
            raise ValueError(
                "`extra_losses` must be a dict of callables (codebook, vectors, weights), with names other than the "
                f"quantizer's own {self.own_losses}. Received: extra_losses={extra_losses!r}"
            )
        self.extra_losses = extra_losses

    def build(self, input_shape):
        self.codebook = self._make_codebook(input_shape, trainable=True)

    @property
    def loss_names(self):
        return (*self.own_losses, *self.extra_losses)

    @property
    def latent_dim(self):
        """Width of a latent vector; known once built."""
        return self.made_in_build(self._stored).shape[-1]

    def _extra_losses_of(self, latents, mask):
        """The scalars of `extra_losses`, by name."""
        if not self.extra_losses:
            return {}
        vectors = keras.ops.reshape(latents, (-1, self.latent_dim))
        real = keras.ops.ones_like(vectors[:, 0])
        weights = real if mask is None else keras.ops.cast(keras.ops.reshape(mask, (-1,)), "float32")
        return {name: loss(self.codebook, vectors, weights) for name, loss in self.extra_losses.items()}

    def get_config(self):
        config = super().get_config()
        config["extra_losses"] = {
            name: keras.saving.serialize_keras_object(loss) for name, loss in self.extra_losses.items()
        }
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        if "extra_losses" in config:
            config["extra_losses"] = keras.saving.deserialize_keras_object(config["extra_losses"])
        return cls(**config)


def portable_highest(latents, kernel, bias=None, name="scores"):
    """The column with the highest score `latents @ kernel + bias`, as Keras built-ins.

    Args:
        latents: `KerasTensor`, shape (batch, *grid, width).
        kernel: float32 array (width, columns).
        bias: float32 array (columns,). Defaults to none.
        name: str, of the layer. Defaults to "scores".

    Returns:
        int32 `KerasTensor`, shape (batch, *grid, 1).
    """
    scores = keras.layers.Dense(kernel.shape[1], use_bias=bias is not None, dtype="float32", name=name)
    outputs = keras.ops.expand_dims(keras.ops.argmax(scores(latents), axis=-1), -1)
    scores.set_weights([kernel] if bias is None else [kernel, bias])
    return keras.ops.cast(outputs, "int32")


def portable_rows(tokens, codebook):
    """The rows of `codebook` (codebook_size, latent_dim) at tokens (batch, *grid, 1), as Keras built-ins."""
    codebook = keras.ops.convert_to_numpy(codebook)
    table = keras.layers.Embedding(*codebook.shape, dtype="float32", name="codebook")
    outputs = table(keras.ops.squeeze(tokens, -1))
    table.set_weights([codebook])
    return outputs
