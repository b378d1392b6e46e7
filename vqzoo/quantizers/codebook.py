"""What all quantizers with one table of codes share."""

import keras

from vqzoo.ops import nearest_codes
from vqzoo.quantizers.quantizer import Quantizer


class CodebookQuantizer(Quantizer):
    """Tokens are rows of one codebook: encoding finds the nearest row, decoding looks it up.

    Args:
        codebook_size: int, number of codes.
        initializer: Keras initializer of the codebook. Defaults to uniform in [-1/codebook_size, 1/codebook_size], as
            in van den Oord's and Esser's code.

    Raises:
        ValueError: if `codebook_size` is no positive integer, or the last axis of the input is unknown.
    """

    def __init__(self, codebook_size, initializer=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(codebook_size, int) or codebook_size < 1:
            raise ValueError(f"`codebook_size` is a positive integer. Received: codebook_size={codebook_size!r}")
        if initializer is None:
            initializer = keras.initializers.RandomUniform(-1.0 / codebook_size, 1.0 / codebook_size)
        self.codebook_size = codebook_size
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        self._make_codebook(input_shape, trainable=True)

    def encode(self, latents):
        """Finds the nearest code of each latent vector.

        Args:
            latents: float tensor, shape (batch, *grid, latent_dim).

        Returns:
            int32 tensor, shape (batch, *grid, 1).
        """
        latents = keras.ops.convert_to_tensor(latents)
        tokens = nearest_codes(keras.ops.reshape(latents, (-1, self.latent_dim)), self.codebook)
        return keras.ops.reshape(tokens, (*keras.ops.shape(latents)[:-1], 1))

    def decode(self, tokens):
        """Looks the codes up.

        Args:
            tokens: integer tensor, shape (batch, *grid, 1).

        Returns:
            float32 tensor, shape (batch, *grid, latent_dim).

        Raises:
            ValueError: in eager calls, if the tokens are not this quantizer's. In a graph they are clipped.
        """
        self.check_tokens(tokens)
        return self._look_up(keras.ops.clip(keras.ops.cast(tokens, "int32"), 0, self.codebook_size - 1))

    @property
    def codebook_sizes(self):
        return (self.codebook_size,)

    @property
    def latent_dim(self):
        """Width of a latent vector; known once built."""
        return self.codebook.shape[-1]

    def portable_encode(self, latents):
        # -|v - c|^2 = 2 v.c - |c|^2 - |v|^2, and |v|^2 is the same for every code.
        codebook = self.codebook.numpy()
        scores = keras.layers.Dense(self.codebook_size, dtype="float32", name="nearest_code")
        outputs = keras.ops.expand_dims(keras.ops.argmax(scores(latents), axis=-1), -1)
        scores.set_weights([2.0 * codebook.T, -(codebook**2).sum(axis=1)])
        return keras.ops.cast(outputs, "int32")

    def portable_decode(self, tokens):
        table = keras.layers.Embedding(self.codebook_size, self.latent_dim, dtype="float32", name="codebook")
        outputs = table(keras.ops.squeeze(tokens, -1))
        table.set_weights([self.codebook.numpy()])
        return outputs

    def _look_up(self, tokens):
        return keras.ops.take(self.codebook, keras.ops.squeeze(tokens, -1), axis=0)

    def _make_codebook(self, input_shape, trainable):
        latent_dim = input_shape[-1]
        if latent_dim is None:
            raise ValueError(
                "The last axis of the latents is their width and must be known when a quantizer is built. "
                f"Received: input shape {tuple(input_shape)}. Give the encoder's last layer a fixed number of channels."
            )
        self.codebook = self.add_weight(
            name="codebook",
            shape=(self.codebook_size, latent_dim),
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
