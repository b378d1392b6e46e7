"""The tokenizer of images."""

import numbers

import keras
import numpy as np

from vqzoo.ops import crop
from vqzoo.ops import known_value
from vqzoo.tokenizers.tokenizer import Tokenizer


@keras.saving.register_keras_serializable(package="vqzoo")
class ImageTokenizer(Tokenizer):
    """Turns images into discrete tokens, and back.

    Args:
        encoder: `keras.Model`, images (batch, height, width, channels) to latents (batch, *grid, latent_dim).
        quantizer: `vqzoo.quantizers.Quantizer`.
        decoder: `keras.Model`, latents to images at least as large as the encoder's input.

    Call arguments:
        signal: float32 tensor (batch, height, width, channels) in [-1, 1].
        training: bool. Defaults to False.

    Returns:
        `Reconstruction(signal, tokens, losses)`: float32 (batch, height, width, channels), int32
        (batch, *grid, num_codebooks), and the quantizer's losses.

    Raises:
        ValueError: if a part is missing or of the wrong kind.

    Example:
    >>> import numpy as np
    >>> from vqzoo.networks.image import convolutional_decoder, convolutional_encoder
    >>> from vqzoo.quantizers import EMAVectorQuantizer
    >>> encoder, decoder = convolutional_encoder(8, filters=8), convolutional_decoder(8, filters=8)
    >>> tokenizer = ImageTokenizer(encoder, EMAVectorQuantizer(32), decoder)
    >>> tokenizer.build((None, None, None, 3))
    >>> tokens = tokenizer.encode(np.zeros((1, 30, 50, 3), "float32"))
    >>> tokens.shape, tokenizer.decode(tokens, size=(30, 50)).shape
    (TensorShape([1, 8, 13, 1]), TensorShape([1, 30, 50, 3]))
    """

    modality = "image"

    def decode(self, tokens, size=None, batch_size=None):
        """Turns tokens into images; the result is not clipped to [-1, 1].

        Args:
            tokens: integer array or tensor (batch, *grid, num_codebooks).
            size: tuple or integer tensor (height, width), pixels to keep of each image. Tokens do not know how large
                their image was. Defaults to whole strides.
            batch_size: int, images at once, to bound memory. Defaults to all.

        Returns:
            float32 tensor (batch, height, width, channels).

        Raises:
            ValueError: on another dtype or last axis; in eager calls also if tokens are out of range, or `size` is not
                within the decoded images.
        """
        images = super().decode(tokens, batch_size)
        if size is None:
            return images
        known = known_value(size) if hasattr(size, "shape") else size
        if known is None:  # a tensor of a graph
            return crop(images, (size[0], size[1]))
        if np.ndim(known) == 0 or len(known) != 2:
            raise ValueError(f"`size` is (height, width) in pixels. Received: size={size!r}")
        for length, whole in zip(known, images.shape[1:3], strict=True):
            if isinstance(length, numbers.Integral) and whole is not None and not 0 < length <= whole:
                raise ValueError(
                    f"`size` is (height, width) in pixels, at most {tuple(images.shape[1:3])} for these tokens. "
                    f"Received: size={tuple(known)}"
                )
        return crop(images, size)
