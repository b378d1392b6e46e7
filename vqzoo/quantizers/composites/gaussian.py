"""Gaussian head in front of any quantizer: a sample in training, the mean in inference."""

import keras

from vqzoo.ops import masked_mean
from vqzoo.quantizers.quantizer import Quantized
from vqzoo.quantizers.quantizer import Quantizer
from vqzoo.quantizers.quantizer import known_width
from vqzoo.quantizers.quantizer import only_first

# Bounds of the log-variance: standard deviations from 3e-7 to 22,000 keep the exponential finite in float32.
MIN_LOG_VARIANCE, MAX_LOG_VARIANCE = -30.0, 20.0


@keras.saving.register_keras_serializable(package="vqzoo")
class GaussianQuantizer(Quantizer):
    r"""Quantizes a sample of a Gaussian whose mean and variance are projected from the latents.

    $$\mu = W_\mu h + b_\mu, \quad \log\sigma^2 = W_\sigma h + b_\sigma, \quad z = \mu + \sigma \epsilon, \qquad
    L_\text{kl} = \tfrac12 \operatorname{mean}\,(\mu^2 + \sigma^2 - 1 - \log\sigma^2)$$

    with h the latents and ε standard normal noise. In training the inner quantizer receives z, in inference µ. The KL
    term is added to the losses of the inner quantizer. This is the variational autoencoder in front of a codebook.

    Args:
        quantizer: `Quantizer`, quantizes z.
        latent_dim: int, width of µ and z.
        seed: int, seed of the noise. Defaults to 0.

    Call arguments:
        latents: float tensor, shape (batch, *grid, channels).
        training: bool, whether z is sampled. Defaults to False.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)`: float32 (batch, *grid, latent_dim), int32 (batch, *grid, num_codebooks),
        and the losses of the inner quantizer with `kl`, the mean over all positions and channels, in nats.

    Raises:
        ValueError: if `quantizer` is not a `Quantizer` or already has a loss `kl`, `latent_dim` is not a positive
            integer, or the last axis of the input is unknown.

    Example:
    >>> from vqzoo.quantizers import EMAVectorQuantizer
    >>> quantizer = GaussianQuantizer(EMAVectorQuantizer(16), latent_dim=4)
    >>> sorted(quantizer(keras.ops.zeros((1, 2, 2, 8))).losses)
    ['commitment', 'kl']

    Reference:
        Kingma, Welling 2013, https://arxiv.org/abs/1312.6114, appendix B.
    """

    def __init__(self, quantizer, latent_dim, seed=0, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(quantizer, Quantizer):
            raise ValueError(f"`quantizer` is a vqzoo.quantizers.Quantizer. Received: {quantizer!r}")
        if not isinstance(latent_dim, int) or latent_dim < 1:
            raise ValueError(f"`latent_dim` is a positive integer. Received: latent_dim={latent_dim!r}")
        if "kl" in quantizer.loss_names:
            raise ValueError(
                "The Gaussian head adds the loss `kl`, so the inner quantizer must not have a loss of that name. "
                f"Received: {quantizer.name!r} with the losses {tuple(quantizer.loss_names)}. Use a GumbelQuantizer "
                "without the head, because it samples by itself. Rename an extra loss."
            )
        self.quantizer = quantizer
        self.latent_dim = latent_dim
        self.seed = seed
        self.noise = keras.random.SeedGenerator(seed)
        self.mean = keras.layers.Dense(latent_dim, dtype="float32", name="mean")
        # The initial variance is small and constant, so that z is close to the mean before the head is trained.
        self.log_variance = keras.layers.Dense(
            latent_dim,
            kernel_initializer="zeros",
            bias_initializer=keras.initializers.Constant(-4.0),
            dtype="float32",
            name="log_variance",
        )

    def build(self, input_shape):
        self.channels = known_width(input_shape)
        self.mean.build(input_shape)
        self.log_variance.build(input_shape)
        if not self.quantizer.built:  # a loaded one is built
            self.quantizer.build((*input_shape[:-1], self.latent_dim))
        self.keep_frozen()

    def encode(self, latents, mask=None, num_codebooks=None):
        """Quantizes the mean: (batch, *grid, channels) to int32 (batch, *grid, num_codebooks)."""
        latents = self.check_latents(latents, self.made_in_build("channels"), mask)
        return self.quantizer.encode(self.mean(latents), mask, **only_first(num_codebooks))

    def decode(self, tokens, num_codebooks=None):
        """The inner quantizer's `decode`: tokens to float32 (batch, *grid, latent_dim)."""
        return self.quantizer.decode(tokens, **only_first(num_codebooks))

    def call(self, latents, training=False, mask=None):
        latents = self.check_latents(latents, self.made_in_build("channels"), mask)
        mean = self.mean(latents)
        log_variance = keras.ops.clip(self.log_variance(latents), MIN_LOG_VARIANCE, MAX_LOG_VARIANCE)
        divergence = 0.5 * (keras.ops.square(mean) + keras.ops.exp(log_variance) - 1.0 - log_variance)
        sample = mean
        if training:
            noise = keras.random.normal(keras.ops.shape(mean), dtype="float32", seed=self.noise)
            sample = mean + keras.ops.exp(0.5 * log_variance) * noise
        quantized = self.quantizer(sample, training=training, mask=mask)
        losses = {**quantized.losses, "kl": masked_mean(divergence, mask)}
        return Quantized(quantized.latents, quantized.tokens, losses)

    @property
    def codebook_sizes(self):
        return self.quantizer.codebook_sizes

    @property
    def codebook_prefixes(self):
        """See the inner quantizer."""
        return self.quantizer.codebook_prefixes

    @property
    def loss_names(self):
        return (*self.quantizer.loss_names, "kl")

    @property
    def maps_latents(self):
        """True: `mean` and `log_variance`."""
        return True

    def inner_quantizers(self):
        """The inner quantizer."""
        return (self.quantizer,)

    def portable_encode(self, latents):
        mean = keras.layers.Dense(self.latent_dim, dtype="float32", name="mean")
        tokens = self.quantizer.portable_encode(mean(latents))
        mean.set_weights(self.mean.get_weights())
        return tokens

    def portable_decode(self, tokens):
        return self.quantizer.portable_decode(tokens)

    def get_config(self):
        config = super().get_config()
        config["quantizer"] = keras.saving.serialize_keras_object(self.quantizer)
        config["latent_dim"] = self.latent_dim
        config["seed"] = self.seed
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("quantizer")), **config)
