"""The tokenizer of images."""

import collections.abc
import numbers
import warnings

import keras
import numpy as np

from vqzoo.data.image.repair import ImageRepairs
from vqzoo.data.image.repair import has_unit_range
from vqzoo.data.stream import is_count
from vqzoo.jsons import shown
from vqzoo.ops import compiled
from vqzoo.ops import crop
from vqzoo.ops import dtype_name
from vqzoo.ops import known_value
from vqzoo.tokenizers.description import pixels_line
from vqzoo.tokenizers.description import tokenizer_line
from vqzoo.tokenizers.image.tiles import PROBE
from vqzoo.tokenizers.image.tiles import bands_of_tiles
from vqzoo.tokenizers.image.tiles import decoding_tiles
from vqzoo.tokenizers.image.tiles import encoding_tiles
from vqzoo.tokenizers.image.tiles import grid_of
from vqzoo.tokenizers.signal_checks import check_batch_size
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
        ValueError: if a part has the wrong type.

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

    def __init__(self, encoder, quantizer, decoder, **kwargs):
        super().__init__(encoder, quantizer, decoder, **kwargs)
        # === Compiled functions of tiles ===
        self._compiled_latents = compiled(self._latents)
        self._compiled_tokens = compiled(self.quantizer.encode)
        self._warned = False  # whether it has warned of images in [0, 1]

    def __repr__(self):
        return tokenizer_line(self, pixels_line(self, PROBE))

    def encode(self, signal, batch_size=None, tile_size=None, tile_margin=None):
        """Turns images into tokens. Tiles limit the memory for large images.

        The latents of overlapping tiles are blended over half of each margin. The outer half, next to the border of a
        tile, is discarded. If it covers the receptive field of the encoder, the tokens equal those of the whole image,
        except for near ties that are decided by rounding. Normalization over positions and attention act on the tile
        instead of the image, so that many tokens differ.

        Args:
            signal: float array or tensor (batch, height, width, channels) in [-1, 1].
            batch_size: int, images per batch, to limit memory. Defaults to all. With `tile_size` it is the number of
                tiles per batch and defaults to one.
            tile_size: int, maximum side in pixels of a tile without its margins, rounded up to whole strides. Smaller
                images are one tile. Defaults to the whole image.
            tile_margin: int, pixels around each tile, rounded up to whole strides. For the tokens of the whole image
                the networks of `image_vqvae` need `2 * (blocks + 3)` strides. Defaults to 10 strides.

        Returns:
            int32 tensor (batch, *grid, num_codebooks), with the same grid with and without tiles.

        Raises:
            ValueError: if the shape or dtype is wrong, or a `tile_size` is given in a graph or for a tokenizer of
                images of one size; in eager calls also if values are outside [-1.5, 1.5] or not finite.

        Warns:
            UserWarning: once, if the images of an eager call seem to be in [0, 1].
        """
        if tile_size is None:
            tokens = super().encode(signal, batch_size)
            self._warn_of_unit_range(signal)
            return tokens
        check_batch_size(batch_size)
        images = _value_to_tile(self._checked_array(signal), tile_size)
        self._warn_of_unit_range(images)
        strides, latent_dim = grid_of(self)
        rows, columns = (
            encoding_tiles(length, stride, tile_size, tile_margin)
            for length, stride in zip(images.shape[1:3], strides, strict=True)
        )
        grid = (rows[-1].target.stop, columns[-1].target.stop)
        tokens = np.empty((len(images), *grid, self.num_codebooks), "int32")
        bands = bands_of_tiles(self._compiled_latents, images, rows, columns, latent_dim, batch_size or 1)
        for place, latents in bands if len(images) else ():  # quantizers may refuse an empty batch
            found = self._compiled_tokens(keras.ops.convert_to_tensor(latents))
            tokens[:, place] = keras.ops.convert_to_numpy(found)
        return keras.ops.convert_to_tensor(tokens)

    def decode(self, tokens, size=None, batch_size=None, tile_size=None, tile_margin=None):
        """Turns tokens into images; the result is not clipped to [-1, 1].

        Tiles are blended over half of each margin. The outer half, next to the border of a tile, is discarded. If it
        covers the receptive field of the decoder, the pixels equal those of the whole image. They are assembled in main
        memory and converted to a tensor at the end.

        Args:
            tokens: integer array or tensor (batch, *grid, num_codebooks).
            size: tuple or integer tensor (height, width), pixels to keep, because tokens do not store the size of their
                image. Defaults to whole strides.
            batch_size: int, images per batch, to limit memory. Defaults to all. With `tile_size` it is the number of
                tiles per batch and defaults to one.
            tile_size: int, maximum side in pixels of a tile without its margins, as in `encode`, but it may differ.
                Defaults to the whole image.
            tile_margin: int, pixels around each tile, as in `encode`. Defaults to 10 strides.

        Returns:
            float32 tensor (batch, height, width, channels).

        Raises:
            ValueError: if the dtype or last axis is wrong, or a `tile_size` is given in a graph or for a tokenizer of
                images of one size; in eager calls also if tokens are out of range, or `size` exceeds the decoded
                images.
        """
        if tile_size is None:
            images = super().decode(tokens, batch_size)
            _check_size(size, images.shape[1:3])
        else:
            images = self._decode_tiles(tokens, size, batch_size, tile_size, tile_margin)
        if size is not None:
            images = crop(images, (size[0], size[1]))
        return keras.ops.convert_to_tensor(images)

    def _decode_tiles(self, tokens, size, batch_size, tile_size, tile_margin):
        """The decoded images as an array, with whole strides."""
        check_batch_size(batch_size)
        self._check_tokens(tokens)
        tokens = _value_to_tile(tokens, tile_size)
        strides, _ = grid_of(self)
        whole = tuple(positions * stride for positions, stride in zip(tokens.shape[1:3], strides, strict=True))
        _check_size(size, whole)
        rows, columns = (
            decoding_tiles(positions, stride, tile_size, tile_margin)
            for positions, stride in zip(tokens.shape[1:3], strides, strict=True)
        )
        images = np.empty((len(tokens), *whole, self.signal_shape[-1]), "float32")
        bands = bands_of_tiles(self._compiled_decode, tokens, rows, columns, images.shape[-1], batch_size or 1)
        for place, band in bands:
            images[:, place] = band
        return images

    def __call__(self, signal, *args, **options):
        result = super().__call__(signal, *args, **options)
        if not (args or options.get("training")):
            self._warn_of_unit_range(signal)
        return result

    def checked_example(self, example):
        """See `Tokenizer.checked_example`; also warns as `encode`."""
        signal = super().checked_example(example)
        self._warn_of_unit_range(signal)
        return signal

    def _warn_of_unit_range(self, signal):
        """Warns once if images seem to be in [0, 1]. Symbolic values are not checked."""
        values = None if self._warned else known_value(signal)
        if values is None or not has_unit_range(values):
            return
        self._warned = True
        warnings.warn(
            "The images are in [0, 1], but this tokenizer expects [-1, 1], the range of `vqzoo.data.load_image`. "
            "Pass `x * 2.0 - 1`. If they are really that bright, silence this warning with "
            '`warnings.filterwarnings("ignore", "The images are in")`.',
            stacklevel=3,
        )

    def _repairs(self, batched=True):
        _, *size, channels = self.expected_shape or (None,) * 4
        return ImageRepairs(channels, size, batched=batched, call="tokenizer.encode" if batched else None)

    def _latents(self, signal):
        return keras.ops.cast(self.encoder(signal, training=False), "float32")


def _check_size(size, whole):
    """Raises if `size` exceeds the images of the size `whole`. Symbolic tensors are not checked."""
    known = known_value(size) if hasattr(size, "shape") else size
    if known is None:
        return
    listed = isinstance(known, collections.abc.Sequence) or hasattr(known, "as_list")  # a TensorShape
    listed = listed or (isinstance(known, np.ndarray) and known.ndim == 1)
    if not listed or isinstance(known, str | bytes) or len(known) != 2:
        raise ValueError(f"`size` must be (height, width) in pixels. Received: size={shown(size)}")
    for length, most in zip(known, whole, strict=True):
        if isinstance(length, numbers.Integral):
            outside = not is_count(length) or (most is not None and length > most)
        else:
            outside = not hasattr(length, "shape") or "int" not in dtype_name(length)  # tensors are not checked
        if outside:
            raise ValueError(
                f"`size` must be (height, width) in pixels, at most {tuple(whole)} for these tokens. "
                f"Received: size={shown(tuple(known))}"
            )


def _value_to_tile(tensor, tile_size):
    """The NumPy value; raises in a graph, where sizes are unknown."""
    value = known_value(tensor)
    if value is None:
        raise ValueError(
            f"`tile_size` works only in eager calls. Received: tile_size={shown(tile_size)} inside a graph, such as "
            "that of `dataset.map`. Leave `tile_size` out there, or loop over the images in Python."
        )
    return value
