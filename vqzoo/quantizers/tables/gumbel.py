"""Gumbel-softmax quantization: tokens sampled from learned probabilities, with the gradient of a relaxed sample."""

import math

import keras

from vqzoo.ops import estimators
from vqzoo.ops import highest_scores
from vqzoo.ops import largest
from vqzoo.ops import masked_gradient
from vqzoo.ops import masked_mean
from vqzoo.ops import masked_tokens
from vqzoo.quantizers.quantizer import Quantized
from vqzoo.quantizers.quantizer import known_width
from vqzoo.quantizers.tables.table import LookUpQuantizer
from vqzoo.quantizers.tables.table import portable_highest

# At lower temperatures the relaxed sample equals the sampled code in float32. Its gradient would be 0 or overflow.
LOWEST_TEMPERATURE = 1e-3


@keras.saving.register_keras_serializable(package="vqzoo")
class GumbelQuantizer(LookUpQuantizer):
    r"""Samples each token from probabilities that a linear map computes from the latents.

    $$\ell = z W + b, \qquad p = \operatorname{softmax}(\ell), \qquad
    y = \operatorname{softmax}\left((\ell + g) / \tau\right), \quad t = \arg\max_k\, (\ell + g)_k$$

    with z the latents, g Gumbel noise and τ the temperature, so that t is distributed as p. The quantized latents are
    the row c_t of the codebook. Their gradient is that of y c, the relaxed sample. In inference g = 0. The divergence
    from the uniform distribution, in nats,

    $$L_\text{kl} = \operatorname{mean}_n \sum_k p_{nk} \log(K p_{nk})$$

    keeps all K codes in use. Memory: all n × K probabilities, in training and for the loss.

    Args:
        codebook_size: int, number of codes K.
        latent_dim: int, width of a code. It may differ from the width of the latents.
        temperature: float, τ, or a callable step -> τ such as a `keras.optimizers.schedules.LearningRateSchedule`, with
            the number of training calls so far. Values below 0.001 are raised to it. Defaults to 1. Ramesh et al.
            decrease it to 1/16: `CosineDecay(1.0, 150_000, alpha=1 / 16)`.
        straight_through: bool, whether training returns c_t. If False it returns the mixture y c, as in Ramesh et al.
            Defaults to True.
        initializer: Keras initializer of the codebook. Defaults to a standard normal distribution.
        seed: int, seed of the noise. Defaults to a random one.

    Call arguments:
        latents: float tensor, shape (batch, *grid, channels).
        training: bool, whether tokens are sampled. Defaults to False.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)`: float32 (batch, *grid, latent_dim), int32 (batch, *grid, 1), and the loss
        `kl`.

    Raises:
        ValueError: if an argument is out of its range, or the last axis of the input is unknown.

    Example:
    >>> temperature = keras.optimizers.schedules.CosineDecay(1.0, 1000, alpha=1 / 16)
    >>> quantizer = GumbelQuantizer(16, latent_dim=4, temperature=temperature)
    >>> quantized = quantizer(keras.ops.zeros((1, 2, 2, 8)), training=True)
    >>> quantized.latents.shape, abs(round(float(quantized.losses["kl"]), 5))
    (TensorShape([1, 2, 2, 4]), 0.0)

    Reference:
        Jang, Gu, Poole 2016, https://arxiv.org/abs/1611.01144, equations 1 and 2; Ramesh et al. 2021,
        https://arxiv.org/abs/2102.12092, section 2.1 and appendix A.2.
    """

    def __init__(
        self,
        codebook_size,
        latent_dim,
        temperature=1.0,
        straight_through=True,
        initializer=None,
        seed=None,
        **kwargs,
    ):
        if initializer is None:
            initializer = keras.initializers.RandomNormal(stddev=1.0)
        super().__init__(codebook_size, initializer, **kwargs)
        if not isinstance(latent_dim, int) or latent_dim < 1:
            raise ValueError(f"`latent_dim` is a positive integer. Received: latent_dim={latent_dim!r}")
        if not callable(temperature) and not (isinstance(temperature, int | float) and temperature > 0.0):
            raise ValueError(
                "`temperature` must be a positive number, or a schedule (step) -> number such as "
                f"keras.optimizers.schedules.CosineDecay(1.0, 10_000, alpha=0.1). Received: temperature={temperature!r}"
            )
        self.latent_dim = latent_dim
        self.temperature = temperature
        self.straight_through = straight_through
        self.seed = seed
        self.noise = keras.random.SeedGenerator(seed)
        self.logits = keras.layers.Dense(codebook_size, dtype="float32", name="logits")

    def build(self, input_shape):
        self.channels = known_width(input_shape)
        self.logits.build(input_shape)
        self.codebook = self._make_codebook((self.latent_dim,), trainable=True)
        if callable(self.temperature):
            state = {"trainable": False, "autocast": False, "aggregation": "only_first_replica"}
            self.steps = self.add_weight(name="steps", shape=(), initializer="zeros", dtype="int32", **state)
        self.keep_frozen()

    def encode(self, latents, mask=None, num_codebooks=None):
        """Finds the most probable token of each latent vector.

        Args:
            latents: float tensor, shape (batch, *grid, channels).
            mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.
            num_codebooks: int, must be all of them. Defaults to all.

        Returns:
            int32 tensor, shape (batch, *grid, 1); 0 where a position is padded.

        Raises:
            ValueError: if the width, the dtype or the number of codebooks is wrong; in eager calls also if values are
                not finite.
        """
        self.check_num_codebooks(num_codebooks)
        latents = self.check_latents(latents, self.made_in_build("channels"), mask)
        vectors = keras.ops.reshape(latents, (-1, latents.shape[-1]))
        tokens = highest_scores(vectors, keras.ops.transpose(self.logits.kernel), self.logits.bias)
        return masked_tokens(keras.ops.reshape(tokens, (*keras.ops.shape(latents)[:-1], 1)), mask)

    def call(self, latents, training=False, mask=None):
        latents = self.check_latents(latents, self.made_in_build("channels"), mask)
        grid = keras.ops.shape(latents)[:-1]
        logits = self.logits(keras.ops.reshape(latents, (-1, latents.shape[-1])))  # (n, codebook_size)
        logs = keras.ops.log_softmax(logits, axis=-1)
        divergence = keras.ops.sum(keras.ops.exp(logs) * (logs + math.log(self.codebook_size)), axis=-1)
        losses = {"kl": masked_mean(keras.ops.reshape(divergence, grid), mask)}
        if not training:
            tokens = self.encode(latents, mask)
            return Quantized(self._look_up(tokens), tokens, losses)
        noisy = logits + self._gumbel_noise(logits)
        tokens = masked_tokens(keras.ops.reshape(largest(noisy), (*grid, 1)), mask)
        mixture = keras.ops.softmax(noisy / self._temperature_now(), axis=-1)
        if self.straight_through:
            drawn = keras.ops.one_hot(keras.ops.reshape(tokens, (-1,)), self.codebook_size, dtype="float32")
            mixture = estimators.straight_through(drawn, mixture)
        codes = keras.ops.reshape(keras.ops.matmul(mixture, self.codebook), (*grid, self.latent_dim))
        return Quantized(masked_gradient(codes, mask), tokens, losses)

    @property
    def loss_names(self):
        return ("kl",)

    @property
    def maps_latents(self):
        """True: `logits`."""
        return True

    def portable_encode(self, latents):
        return portable_highest(latents, *self.logits.get_weights(), name="logits")

    def _gumbel_noise(self, logits):
        # 1e-20 instead of 0, whose logarithm is not finite.
        uniform = keras.random.uniform(keras.ops.shape(logits), minval=1e-20, dtype="float32", seed=self.noise)
        return -keras.ops.log(-keras.ops.log(uniform))

    def _temperature_now(self):
        """The temperature of this training call; counts the call."""
        if not callable(self.temperature):
            return self.temperature
        temperature = keras.ops.cast(self.temperature(keras.ops.convert_to_tensor(self.steps)), "float32")
        # A cosine decay ends at 0 by default.
        temperature = keras.ops.maximum(temperature, LOWEST_TEMPERATURE)
        if self.trainable:
            self.steps.assign_add(1)
        return temperature

    def get_config(self):
        config = super().get_config()
        config["latent_dim"] = self.latent_dim
        config["temperature"] = keras.saving.serialize_keras_object(self.temperature)
        config["straight_through"] = self.straight_through
        config["seed"] = self.seed
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["temperature"] = keras.saving.deserialize_keras_object(config["temperature"])
        return cls(**config)
