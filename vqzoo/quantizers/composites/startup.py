"""Changes from dense to quantized latents over the first training steps, against codebook collapse."""

import numbers

import keras

from vqzoo.quantizers.composites.around import AroundQuantizer
from vqzoo.quantizers.composites.composite import of_width
from vqzoo.quantizers.quantizer import Quantized


@keras.saving.register_keras_serializable(package="vqzoo")
class StartupQuantizer(AroundQuantizer):
    r"""Passes on the dense latents of fewer and fewer training examples; in inference it equals the inner quantizer.

    $$p_t = \operatorname{clip}\left(\frac{t_1 - t}{t_1 - t_0}, 0, 1\right), \qquad
    e_i = \begin{cases} z_i & \text{with probability } p_t \\ Q(z_i) & \text{otherwise} \end{cases}$$

    with z the latents, i the example, t the number of training calls so far, and Q the inner quantizer. The encoder and
    the decoder thus learn to reconstruct before the latents are quantized, which keeps a strong decoder from ignoring
    the codes early. Tokens, losses and codebooks are those of Q on all examples from the first step on, so that the
    codes already match the latents when they are used.

    Args:
        quantizer: `Quantizer`, keeps the width of the latents.
        start: int, number of training calls after which the first examples are quantized, t_0. Defaults to 0.
        stop: int, number of training calls after which all examples are quantized, t_1. Defaults to 1000.
        seed: int, seed of the random choice of examples. Defaults to a random one.

    Call arguments:
        latents: float tensor, shape (batch, *grid, latent_dim).
        training: bool, whether some examples stay dense, and whether to count the call. Defaults to False.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)`: float32 (batch, *grid, latent_dim), int32 (batch, *grid, num_codebooks),
        and the losses of the inner quantizer.

    Raises:
        ValueError: if `quantizer` is not a `Quantizer` or changes the width of the latents, or `stop` is not greater
            than `start`.

    Example:
    >>> from vqzoo.quantizers import VectorQuantizer
    >>> quantizer = StartupQuantizer(VectorQuantizer(2), start=0, stop=1)
    >>> latents = keras.random.normal((4, 3, 5))
    >>> dense, quantized = (quantizer(latents, training=True).latents for _ in range(2))
    >>> bool(keras.ops.all(dense == latents)), bool(keras.ops.any(quantized == latents))
    (True, False)

    Reference:
        Kaiser et al. 2018, https://arxiv.org/abs/1803.03382, whose code has such a ramp over `startup_steps`.
    """

    def __init__(self, quantizer, start=0, stop=1000, seed=None, **kwargs):
        super().__init__(quantizer, **kwargs)
        whole = isinstance(start, numbers.Integral) and isinstance(stop, numbers.Integral)
        if not whole or not 0 <= start < stop:
            raise ValueError(
                "`start` and `stop` must be numbers of training steps, and `stop` must be greater than `start`. "
                f"Received: start={start!r}, stop={stop!r}. Without a start-up, use the inner quantizer by itself."
            )
        self.start = start
        self.stop = stop
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        if not self.quantizer.built:  # a loaded one is built
            self.quantizer.build(input_shape)
        state = {"trainable": False, "autocast": False, "aggregation": "only_first_replica"}
        self.steps = self.add_weight(name="steps", shape=(), initializer="zeros", dtype="int32", **state)
        self.keep_frozen()

    def call(self, latents, training=False, mask=None):
        quantized = self.quantizer(latents, training=training, mask=mask)
        if not training:
            return quantized
        latents = self.check_latents(latents, mask=mask)
        codes = of_width(latents.shape[-1], quantized.latents, self.quantizer)
        mixed = keras.ops.where(self._dense_examples(latents), latents, codes)
        if self.trainable:
            self.steps.assign_add(1)
        return Quantized(mixed, quantized.tokens, quantized.losses)

    def _dense_examples(self, latents):
        """Which examples stay dense in this call, bool (batch, 1, ..., 1), of the rank of the latents."""
        left = keras.ops.cast(self.stop - keras.ops.convert_to_tensor(self.steps), "float32")
        share = left / (self.stop - self.start)  # above 1 before the start
        drawn = keras.random.uniform((keras.ops.shape(latents)[0],), seed=self.generator)
        return keras.ops.reshape(drawn < share, (-1, *(1 for _ in latents.shape[1:])))

    def get_config(self):
        return {**super().get_config(), "start": self.start, "stop": self.stop, "seed": self.seed}
