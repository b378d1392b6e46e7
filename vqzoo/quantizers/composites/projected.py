"""Linear projections around any quantizer, for narrow codes of wide latents."""

import keras

from vqzoo.ops import masked_gradient
from vqzoo.quantizers.quantizer import Quantized
from vqzoo.quantizers.quantizer import Quantizer
from vqzoo.quantizers.quantizer import known_width
from vqzoo.quantizers.quantizer import only_first


@keras.saving.register_keras_serializable(package="vqzoo")
class ProjectedQuantizer(Quantizer):
    r"""Quantizes a linear projection of the latents, and projects the codes back to the width of the latents.

    $$z = h W_\text{in} + b_\text{in}, \qquad e = Q(z), \qquad \hat h = e W_\text{out} + b_\text{out}$$

    with h the latents and Q the inner quantizer. With it, codes are looked up in few dimensions, as the factorized
    codes of ViT-VQGAN. It also adapts the number of channels to a quantizer whose channels are the digits of a token.

    Args:
        quantizer: `Quantizer`, quantizes z.
        latent_dim: int, width of z.

    Call arguments:
        latents: float tensor, shape (batch, *grid, channels).
        training: bool, passed to the inner quantizer. Defaults to False.
        mask: bool tensor (batch, *grid), True where a position is real. Defaults to all.

    Returns:
        `Quantized(latents, tokens, losses)`: float32 (batch, *grid, channels), int32 (batch, *grid, num_codebooks), and
        the losses of the inner quantizer, which compare z with e.

    Raises:
        ValueError: if `quantizer` is not a `Quantizer`, `latent_dim` is not a positive integer, or the last axis of the
            input is unknown.

    Example:
    >>> from vqzoo.quantizers import CosineVectorQuantizer
    >>> quantizer = ProjectedQuantizer(CosineVectorQuantizer(16), latent_dim=4)
    >>> quantizer(keras.ops.zeros((1, 2, 2, 32))).latents.shape
    TensorShape([1, 2, 2, 32])

    Reference:
        Yu et al. 2021, https://arxiv.org/abs/2110.04627, section 3.2.
    """

    def __init__(self, quantizer, latent_dim, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(quantizer, Quantizer):
            raise ValueError(f"`quantizer` is a vqzoo.quantizers.Quantizer. Received: {quantizer!r}")
        if not isinstance(latent_dim, int) or latent_dim < 1:
            raise ValueError(f"`latent_dim` is a positive integer. Received: latent_dim={latent_dim!r}")
        self.quantizer = quantizer
        self.latent_dim = latent_dim
        self.project_in = keras.layers.Dense(latent_dim, dtype="float32", name="project_in")

    def build(self, input_shape):
        channels = known_width(input_shape)
        inner_shape = (*input_shape[:-1], self.latent_dim)
        self.project_in.build(input_shape)
        if not self.quantizer.built:  # a loaded one is built
            self.quantizer.build(inner_shape)
        self.project_out = keras.layers.Dense(channels, dtype="float32", name="project_out")
        # The width of the output may differ from that of the input, because an inner Gaussian head changes it.
        coded = self.quantizer.compute_output_spec(keras.KerasTensor(inner_shape))
        self.project_out.build(coded.latents.shape)
        self.keep_frozen()

    def encode(self, latents, mask=None, num_codebooks=None):
        """Quantizes the projection: (batch, *grid, channels) to int32 (batch, *grid, num_codebooks)."""
        latents = self.check_latents(latents, self.made_in_build("project_out").units, mask)
        return self.quantizer.encode(self.project_in(latents), mask, **only_first(num_codebooks))

    def decode(self, tokens, num_codebooks=None):
        """Projects the inner quantizer's codes back: tokens to float32 (batch, *grid, channels)."""
        codes = self.quantizer.decode(tokens, **only_first(num_codebooks))
        return self.made_in_build("project_out")(codes)

    def call(self, latents, training=False, mask=None):
        latents = self.check_latents(latents, self.project_out.units, mask)
        quantized = self.quantizer(self.project_in(latents), training=training, mask=mask)
        outputs = masked_gradient(self.project_out(quantized.latents), mask)
        return Quantized(outputs, quantized.tokens, quantized.losses)

    @property
    def codebook_sizes(self):
        return self.quantizer.codebook_sizes

    @property
    def codebook_prefixes(self):
        """See the inner quantizer."""
        return self.quantizer.codebook_prefixes

    @property
    def loss_names(self):
        return self.quantizer.loss_names

    @property
    def maps_latents(self):
        """True: `project_in`."""
        return True

    def inner_quantizers(self):
        """The inner quantizer."""
        return (self.quantizer,)

    def soft_tokens(self, latents, tokens, mask=None):
        """The inner quantizer's soft tokens of the projection."""
        return self.quantizer.soft_tokens(self.project_in(latents), tokens, mask)

    def portable_encode(self, latents):
        project_in = keras.layers.Dense(self.latent_dim, dtype="float32", name="project_in")
        tokens = self.quantizer.portable_encode(project_in(latents))
        project_in.set_weights(self.project_in.get_weights())
        return tokens

    def portable_decode(self, tokens):
        project_out = keras.layers.Dense(self.project_out.units, dtype="float32", name="project_out")
        latents = project_out(self.quantizer.portable_decode(tokens))
        project_out.set_weights(self.project_out.get_weights())
        return latents

    def get_config(self):
        config = super().get_config()
        config["quantizer"] = keras.saving.serialize_keras_object(self.quantizer)
        config["latent_dim"] = self.latent_dim
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("quantizer")), **config)
