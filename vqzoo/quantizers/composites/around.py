"""Base class of quantizers that change only the training of another quantizer."""

import keras

from vqzoo.quantizers.quantizer import Quantizer
from vqzoo.quantizers.quantizer import only_first


class AroundQuantizer(Quantizer):
    """Wraps another quantizer and has its tokens, codes and exports.

    Subclasses implement the difference in training in `call`, and add their other arguments to the config.

    Args:
        quantizer: `Quantizer`.

    Raises:
        ValueError: if `quantizer` is not a `Quantizer`.
    """

    def __init__(self, quantizer, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(quantizer, Quantizer):
            raise ValueError(f"`quantizer` is a vqzoo.quantizers.Quantizer. Received: {quantizer!r}")
        self.quantizer = quantizer

    def encode(self, latents, mask=None, num_codebooks=None):
        """The inner quantizer's tokens: (batch, *grid, latent_dim) to int32 (batch, *grid, num_codebooks)."""
        return self.quantizer.encode(latents, mask, **only_first(num_codebooks))

    def decode(self, tokens, num_codebooks=None):
        """The inner quantizer's codes: tokens to its float32 latents."""
        return self.quantizer.decode(tokens, **only_first(num_codebooks))

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

    def inner_quantizers(self):
        """The inner quantizer."""
        return (self.quantizer,)

    def soft_tokens(self, latents, tokens, mask=None):
        """See the inner quantizer."""
        return self.quantizer.soft_tokens(latents, tokens, mask)

    def inference_form(self):
        """The inference form of the inner quantizer."""
        return self.quantizer.inference_form()

    def portable_encode(self, latents):
        return self.quantizer.portable_encode(latents)

    def portable_decode(self, tokens):
        return self.quantizer.portable_decode(tokens)

    def get_config(self):
        return {**super().get_config(), "quantizer": keras.saving.serialize_keras_object(self.quantizer)}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("quantizer")), **config)
