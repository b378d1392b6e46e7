"""Base class of quantizers that use the nearest code of one table."""

import math
import numbers

import keras
import numpy as np

from vqzoo.ops import central_code
from vqzoo.ops import codes_at
from vqzoo.ops import masked_mean
from vqzoo.ops import masked_tokens
from vqzoo.ops import nearest_codes
from vqzoo.ops import replica_mean
from vqzoo.ops import sampled_codes
from vqzoo.ops import straight_through
from vqzoo.quantizers.quantizer import Quantized
from vqzoo.quantizers.tables.table import TableQuantizer
from vqzoo.quantizers.tables.table import portable_highest


class CodebookQuantizer(TableQuantizer):
    """Tokens are rows of one codebook. Encoding finds the nearest row, and decoding looks it up.

    Args:
        codebook_size: int, number of codes.
        initializer: Keras initializer of the codebook. Defaults to uniform in [-1/codebook_size, 1/codebook_size], as
            in van den Oord's and Esser's code.
        estimator: callable (codes, latents) -> codes with a gradient in the latents. Defaults to
            `vqzoo.ops.straight_through`; `vqzoo.ops.rotation_trick` is another.
        temperature: float, in squared distance. Above 0, training samples each token with the probabilities
            softmax(-distance² / temperature) instead of using the nearest code; inference never does. Defaults to 0.
        extra_losses: dict name -> callable (codebook, vectors, weights) -> scalar, with the codebook, the latents
            (n, latent_dim) and a float (n,) that is 0 where a position is padded, such as
            `vqzoo.quantizers.entropy_loss`. Defaults to none.
        seed: int, seed of the sampled tokens. Defaults to a random one.

    Raises:
        ValueError: if an argument is out of its range, or the last axis of the input is unknown.
    """

    own_losses = ("codebook", "commitment")

    def __init__(
        self,
        codebook_size,
        initializer=None,
        estimator=straight_through,
        temperature=0.0,
        extra_losses=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(codebook_size, initializer, extra_losses, **kwargs)
        if not callable(estimator):
            raise ValueError(
                "`estimator` must be a callable (codes, latents), such as vqzoo.ops.rotation_trick. "
                f"Received: estimator={estimator!r}"
            )
        if not isinstance(temperature, numbers.Real) or not 0.0 <= temperature < math.inf:
            raise ValueError(
                f"`temperature` is a number, 0 or more. Received: temperature={temperature!r}. A schedule is for "
                "GumbelQuantizer."
            )
        self.estimator = estimator
        self.temperature = temperature
        self.seed = seed
        # Created only if it is used, because a generator is state, and a nearest-code search has none.
        self.generator = keras.random.SeedGenerator(seed) if temperature else None

    def call(self, latents, training=False, mask=None):
        return self._quantized(self._compared(self.check_latents(latents, self.latent_dim, mask)), training, mask)

    def encode(self, latents, mask=None, num_codebooks=None):
        """Finds the nearest code of each latent vector.

        Args:
            latents: float tensor, shape (batch, *grid, latent_dim).
            mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.
            num_codebooks: int, must be all of them. Defaults to all.

        Returns:
            int32 tensor, shape (batch, *grid, 1); 0 where a position is padded.

        Raises:
            ValueError: if the width, the dtype or the number of codebooks is wrong; in eager calls also if values are
                not finite.
        """
        self.check_num_codebooks(num_codebooks)
        return self._choose(self._compared(self.check_latents(latents, self.latent_dim, mask)), False, mask)

    def soft_tokens(self, latents, tokens, mask=None):
        r"""The posterior of a mixture of Gaussians at the codes, with the variance of the quantization error.

        $$q_k = \operatorname{softmax}_k\left(-\frac{\lVert v - c_k \rVert^2}{2 \sigma^2}\right), \qquad
        \sigma^2 = \operatorname{mean}\,(v - c)^2$$

        The codes and σ are constants. Memory: all positions × codebook_size probabilities.
        """
        vectors = self._compared(latents)
        codes = keras.ops.stop_gradient(self._look_up(tokens))
        variance = masked_mean(keras.ops.square(keras.ops.stop_gradient(vectors) - codes), mask)
        (variance,) = replica_mean(variance)
        codebook = keras.ops.stop_gradient(keras.ops.convert_to_tensor(self.codebook))
        centre = central_code(codebook)
        codebook = codebook - centre
        # |v|² is the same for every code and cancels in the softmax.
        scores = keras.ops.matmul(vectors - centre, keras.ops.transpose(codebook))
        scores = scores - 0.5 * keras.ops.sum(keras.ops.square(codebook), axis=1)
        return [keras.ops.softmax(scores / keras.ops.maximum(variance, 1e-12), axis=-1)]

    def portable_encode(self, latents):
        # -|v - c|^2 = 2 v.c - |c|^2 - |v|^2, and |v|^2 is the same for every code.
        codebook = keras.ops.convert_to_numpy(self.codebook)
        # Relative to the mean, as in `nearest_codes`. A common offset would cost the digits in which codes differ.
        centre = keras.ops.convert_to_numpy(central_code(codebook))
        codebook = codebook - centre
        move = keras.layers.Normalization(mean=centre, variance=np.ones_like(centre), dtype="float32", name="centre")
        bias = -(codebook**2).sum(axis=1)
        return portable_highest(move(self._compared(latents)), 2.0 * codebook.T, bias, name="nearest_code")

    def _compared(self, latents):
        """The vectors that are compared with the codebook. Here they are the latents."""
        return latents

    def _quantized(self, latents, training, mask):
        """The result for checked latents, as returned by `_compared`."""
        tokens = self._choose(latents, training, mask)
        codes = self._look_up(tokens)
        losses = {**self._losses_of(latents, codes, mask), **self._extra_losses_of(latents, mask)}
        return Quantized(self.estimator(codes, latents), tokens, losses)

    def _losses_of(self, latents, codes, mask):
        """The losses of `own_losses` by name. Each moves one side to the other, which has a stop-gradient."""
        fixed = keras.ops.stop_gradient
        return {
            "codebook": masked_mean(keras.ops.square(fixed(latents) - codes), mask),
            "commitment": masked_mean(keras.ops.square(latents - fixed(codes)), mask),
        }

    def _choose(self, latents, training, mask):
        """The tokens of checked latents: the nearest codes, or samples in training."""
        vectors = keras.ops.reshape(latents, (-1, self.latent_dim))
        if training and self.temperature:
            tokens = sampled_codes(vectors, self.codebook, self.temperature, self.generator)
        else:
            tokens = self._nearest(vectors)
        return masked_tokens(keras.ops.reshape(tokens, (*keras.ops.shape(latents)[:-1], 1)), mask)

    def _nearest(self, vectors):
        return nearest_codes(vectors, self.codebook)

    def _look_up(self, tokens):
        return codes_at(self.codebook, keras.ops.squeeze(tokens, -1))

    def get_config(self):
        config = super().get_config()
        config["estimator"] = keras.saving.serialize_keras_object(self.estimator)
        config["temperature"] = self.temperature
        config["seed"] = self.seed
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        if "estimator" in config:
            config["estimator"] = keras.saving.deserialize_keras_object(config["estimator"])
        return super().from_config(config)
