"""The base class of tokenizers, which join an encoder, a quantizer and a decoder."""

from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from vqzoo.jsons import shown
from vqzoo.ops import compiled
from vqzoo.ops import crop
from vqzoo.ops import known_value
from vqzoo.presets import load_preset
from vqzoo.presets import save_preset
from vqzoo.presets.precision import MIXED
from vqzoo.presets.precision import in_float32
from vqzoo.presets.precision import in_half_precision
from vqzoo.presets.precision import with_config
from vqzoo.quantizers import Quantizer
from vqzoo.tokenizers.batches import in_batches
from vqzoo.tokenizers.description import tokenizer_line
from vqzoo.tokenizers.signal_checks import are_tokens
from vqzoo.tokenizers.signal_checks import as_array
from vqzoo.tokenizers.signal_checks import check_batch_size
from vqzoo.tokenizers.signal_checks import check_decoded
from vqzoo.tokenizers.signal_checks import check_not_symbolic
from vqzoo.tokenizers.signal_checks import fits
from vqzoo.tokenizers.signal_checks import shape_of
from vqzoo.tokenizers.signal_checks import signal_fault
from vqzoo.tokenizers.signal_checks import token_fault
from vqzoo.tokenizers.signal_checks import token_shape_fault
from vqzoo.tokenizers.signal_checks import token_way_out


class Reconstruction(NamedTuple):
    """What a tokenizer's `call` returns."""

    signal: Any  # the shape of the input, float32
    tokens: Any  # (batch, *grid, num_codebooks) int32
    losses: dict  # name -> scalar float32, unweighted


class Tokenizer(keras.Model):
    """Turns a signal into discrete tokens, and back.

    Base class of the tokenizers of all modalities, such as `ImageTokenizer`.

    Args:
        encoder: `keras.Model`, signal (batch, *size, channels) to latents (batch, *grid, latent_dim).
        quantizer: `vqzoo.quantizers.Quantizer`.
        decoder: `keras.Model`, latents to a signal at least as large as the input of the encoder.

    Call arguments:
        signal: float32 tensor (batch, *size, channels) in [-1, 1].
        training: bool. Defaults to False.

    Returns:
        `Reconstruction(signal, tokens, losses)`, the signal cropped to the size of the input.

    Raises:
        ValueError: if a part has the wrong type, or (in `build`) the shapes of the parts do not match.
    """

    modality = None
    signal_dtype = "float32"
    __repr__ = tokenizer_line
    is_autoregressive = False  # whether the decoder generates a signal step by step, each from the previous ones

    def __init__(self, encoder, quantizer, decoder, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(quantizer, Quantizer):
            raise ValueError(f"`quantizer` is a vqzoo.quantizers.Quantizer. Received: {shown(quantizer)}")
        for name, part in (("encoder", encoder), ("decoder", decoder)):
            if not isinstance(part, keras.Layer):
                raise ValueError(f"`{name}` must be a keras.Model or layer. Received: {shown(part)}")
        # === Layers ===
        self.encoder = encoder
        self.quantizer = quantizer
        self.decoder = decoder
        self._tokens_rank = None  # rank of the tokens, set by `build`
        # === Compiled functions ===
        self._compiled_encode = compiled(self._encode)
        self._compiled_decode = compiled(self._decode)

    def build(self, input_shape):
        self.signal_shape = tuple(input_shape)  # with its batch axis; None for any size
        for name, part, shape in self._shapes(tuple(input_shape)):
            expected = getattr(part, "input_shape", None)
            if expected is not None and not fits(shape, expected):
                raise ValueError(
                    f"The {name} expects inputs of the shape {expected}. Received: {shape}. The shapes of the signal, "
                    "the encoder's output, the quantizer's latents and the decoder's input must match."
                )
            if part is self.quantizer and not part.built:
                part.build(shape)
            elif not part.built:
                dtype = self.signal_dtype if part is self.encoder else "float32"
                part(keras.KerasTensor(shape, dtype))  # a symbolic call also builds networks without `build`
        self.built = True

    def encode(self, signal, batch_size=None):
        """Turns signals into tokens. Works on arrays, and inside graphs such as `dataset.map(tokenizer.encode)`.

        Args:
            signal: float array or tensor (batch, *size, channels) in [-1, 1].
            batch_size: int, examples per batch, to limit memory. Defaults to all.

        Returns:
            int32 tensor (batch, *grid, num_codebooks).

        Raises:
            ValueError: if the shape or dtype is wrong; in eager calls also if values are outside [-1.5, 1.5] or not
                finite.
        """
        check_batch_size(batch_size)
        check_not_symbolic(signal)
        signal = self.checked_signal(signal)
        if known_value(signal[:0]) is None:
            return self._encode(signal)
        return in_batches(self._compiled_encode, signal, batch_size=batch_size)

    def decode(self, tokens, batch_size=None):
        """Turns tokens into signals; the result is not clipped to [-1, 1].

        Args:
            tokens: integer array or tensor (batch, *grid, num_codebooks).
            batch_size: int, examples per batch, to limit memory. Defaults to all.

        Returns:
            float32 tensor (batch, *size, channels), with whole strides.

        Raises:
            ValueError: if the dtype or last axis is wrong; in eager calls also if tokens are out of range.
        """
        check_batch_size(batch_size)
        check_not_symbolic(tokens)
        self._check_tokens(tokens)
        tokens = keras.ops.cast(tokens, "int32")
        if known_value(tokens[:0]) is None:
            return self._decode(tokens)
        return in_batches(self._compiled_decode, tokens, batch_size=self._at_once(tokens, batch_size))

    def decode_signal(self, tokens):
        """Turns tokens into the output of the networks: the result of `decode`, or ids of pieces for text."""
        return self.decode(tokens)

    def __call__(self, signal, *args, **options):
        return super().__call__(self.checked_signal(signal), *args, **options)

    def call(self, signal, training=False):
        if signal.shape[0] == 0:
            return reconstruction_of_none(self, signal)
        quantized = self.quantizer(self.encoder(signal, training=training), training=training)
        decoded = keras.ops.cast(self.decoder(quantized.latents, training=training), "float32")
        check_decoded(signal, quantized.latents, decoded)
        decoded = crop(decoded, keras.ops.shape(signal)[1:-1])
        return Reconstruction(decoded, quantized.tokens, quantized.losses)

    def real_positions(self, signal):
        """Which positions of the tokens are real, bool (batch, *grid); None if all are."""
        return None

    def judged(self, signal, reconstruction):
        """The inputs of a discriminator for a signal and `Reconstruction.signal`. Here they are unchanged."""
        return signal, reconstruction

    def signal_of(self, outputs):
        """Converts the outputs of the decoder to a signal. Here they are unchanged."""
        return outputs

    def likeness(self, signal, reconstruction):
        """The similarity of a reconstruction and its signal, as one number.

        Args:
            signal: float32 array (batch, *size, channels) in [-1, 1].
            reconstruction: float32 array of the same shape, not clipped.

        Returns:
            Tuple of the name of the metric and its value, here "psnr" in dB.
        """
        error = np.mean(np.square(np.clip(reconstruction, -1.0, 1.0) - signal))
        return "psnr", float(10.0 * np.log10(4.0 / max(error, 1e-10)))

    @property
    def asset_files(self):
        """Dict file name -> bytes of additional files that exports need. Here it is empty."""
        return {}

    @property
    def codebook_sizes(self):
        """Tuple with the number of codes of each codebook."""
        return self.quantizer.codebook_sizes

    @property
    def num_codebooks(self):
        """Number of tokens at each position of the grid."""
        return self.quantizer.num_codebooks

    @property
    def expected_shape(self):
        """The shape of batches of signals for `encode`, with None for any size; None if it is not known yet."""
        # Only Functional models have an input shape.
        return getattr(self.encoder, "input_shape", None) or getattr(self, "signal_shape", None)

    @classmethod
    def from_preset(cls, name, precision="float32"):
        """Loads a tokenizer by name or folder; returns the tokenizer class of the file.

        Args:
            name: str or path, a preset's name, or its folder.
            precision: str, "mixed_bfloat16" or "mixed_float16" for networks that compute in half precision, also in
                training. Weights, output layers and the quantizer stay in float32. Tokens may differ from those in
                float32 if two codes are about equally near. Defaults to "float32".

        Returns:
            A tokenizer.

        Raises:
            ValueError: if the preset is unknown, damaged, newer than this version, or of another class, or the
                precision is unknown.
        """
        if precision not in ("float32", *MIXED):
            raise ValueError(f"`precision` is float32, {' or '.join(MIXED)}. Received: precision={shown(precision)}")
        tokenizer = load_preset(name)
        if not isinstance(tokenizer, cls):
            raise ValueError(
                f"The preset {str(name)!r} is a {type(tokenizer).__name__}, not a {cls.__name__}. "
                "Load it with `vqzoo.Tokenizer.from_preset`."
            )
        if precision == "float32":
            return tokenizer
        parts = {name: in_half_precision(getattr(tokenizer, name), precision) for name in ("encoder", "decoder")}
        return tokenizer._copy({**tokenizer.get_config(), **parts})

    def in_float32(self):
        """The tokenizer with all layers in float32, for presets and exports; a copy if layers differ."""
        return in_float32(self, self._copy)

    def inference_form(self):
        """The tokenizer without the training parts of its quantizer, for presets; a copy if it has any."""
        quantizer = self.quantizer.inference_form()
        if quantizer is self.quantizer:
            return self
        weights = [weight for part in (self.encoder, quantizer, self.decoder) for weight in part.get_weights()]
        return self._copy({**self.get_config(), "quantizer": keras.saving.serialize_keras_object(quantizer)}, weights)

    def _copy(self, config, weights=None):
        """A tokenizer of another configuration, with the same or the given weights."""
        return with_config(self, config, self.signal_shape, weights=weights)

    def save_to_preset(self, folder, metadata=None, recipe=None, seal=True):
        """Writes a preset folder with the model in float32, metadata, the recipe's settings, a card and the manifest.

        A `StartupQuantizer` or `LatentPriorQuantizer` is replaced by its inner quantizer, which has the same tokens.

        Args:
            folder: str or path.
            metadata: dict of JSON values, for the card. Defaults to only the modality and the codebook sizes.
            recipe: dict of JSON values, the training settings. Defaults to none.
            seal: bool. False leaves the preset incomplete, so that files can be added before
                `vqzoo.presets.seal_preset`. Defaults to True.

        Raises:
            ValueError: if the tokenizer is not built, or the preset would replace files that do not belong to a preset.
        """
        if not self.built:
            raise ValueError(
                "A tokenizer must be built before it is saved. Received: one that is not built. Train it, or call "
                "`tokenizer.build((None, *size, channels))`."
            )
        known = {"modality": self.modality, "codebook_sizes": list(self.codebook_sizes)}
        metadata = {**known, **(metadata or {})}
        save_preset(self.in_float32().inference_form(), folder, metadata=metadata, recipe=recipe, seal=seal)

    def _shapes(self, input_shape):
        """Yields the name of each part, the part, and its input shape."""
        yield "encoder", self.encoder, input_shape
        latents = self.encoder.compute_output_spec(keras.KerasTensor(input_shape, self.signal_dtype))
        if isinstance(latents, list | tuple | dict):
            raise ValueError(
                f"The encoder must return one tensor. Received: a {type(latents).__name__} of {len(latents)}. "
                "Build it with `keras.Model(inputs, outputs[0])`."
            )
        latents = tuple(latents.shape)
        yield "quantizer", self.quantizer, latents
        quantized = self.quantizer.compute_output_spec(keras.KerasTensor(latents))
        self._tokens_rank = len(quantized.tokens.shape)
        yield "decoder", self.decoder, tuple(quantized.latents.shape)

    def _encode(self, signal):
        return self.quantizer.encode(self.encoder(signal, training=False))

    def _at_once(self, tokens, batch_size):
        """The number of examples per batch of `decode`; None for all."""
        return batch_size

    def _decode(self, tokens):
        return keras.ops.cast(self.decoder(self.quantizer.decode(tokens), training=False), "float32")

    def checked_signal(self, signal):
        """Raises if `signal` is not a signal. The values of a symbolic tensor are not checked.

        Args:
            signal: array or tensor (batch, *size, channels).

        Returns:
            The signal as a float32 tensor.

        Raises:
            ValueError: if the shape or dtype is wrong; in eager calls also if values are outside [-1.5, 1.5] or not
                finite.
        """
        return keras.ops.convert_to_tensor(self._checked_array(signal), "float32")

    def _checked_array(self, signal):
        """As `checked_signal`, but without a conversion, so that a large image is not copied."""
        expected = self.expected_shape
        fault = signal_fault(signal, expected)
        if fault:
            if expected and are_tokens(signal, self._tokens_shape(), expected[-1]):
                raise ValueError(f"{fault} These are tokens. Call `tokenizer.decode(x)`.")
            repairs = self._repairs()
            raise ValueError(f"{fault} {repairs.way_out(signal)}" if repairs else fault)
        return signal if hasattr(signal, "dtype") else np.asarray(signal)

    def checked_example(self, example):
        """As `checked_signal`, for one signal without a batch axis.

        Args:
            example: array or tensor (*size, channels).

        Returns:
            float32 tensor (1, *size, channels).

        Raises:
            ValueError: as `checked_signal`.
        """
        array = as_array(example)
        fault = signal_fault(example if array is None else array[None], self.expected_shape)
        if fault:
            repairs = self._repairs(batched=False)
            raise ValueError(f"{fault} {repairs.way_out(example)}" if repairs else fault)
        return keras.ops.convert_to_tensor(array[None], "float32")

    def _repairs(self, batched=True):
        """`vqzoo.data.repair.Repairs` of the modality, for the fixes in error messages; None for none."""
        return None

    def _check_tokens(self, tokens):
        """Raises if `tokens` are not tokens of the quantizer, or have the wrong grid."""
        expected = self._tokens_shape()
        fault, cause = token_fault(tokens, self.num_codebooks, expected), None
        if fault is None:
            try:
                self.quantizer.check_tokens(tokens)
                return
            except ValueError as error:
                shape, cause = shape_of(as_array(tokens)), error
                wrong_axis = shape[-1] not in (None, *self.quantizer.codebook_prefixes)
                fault = token_shape_fault(shape, self.num_codebooks, expected) if wrong_axis else str(error)
        known = self.num_codebooks, expected, self.expected_shape, self._repairs(), max(self.codebook_sizes)
        way_out = token_way_out(tokens, *known)
        raise ValueError(f"{fault} {way_out}") from cause

    def _tokens_shape(self):
        """The shape of tokens, with None for any length; None before `build`."""
        if not self._tokens_rank:
            return None
        latents = getattr(self.decoder, "input_shape", None) or ()
        # The grid of a multi-scale quantizer differs from that of its latents in rank and length.
        same = len(latents) == self._tokens_rank
        return (*(latents[:-1] if same else (None,) * (self._tokens_rank - 1)), self.num_codebooks)

    # === Config ===
    def get_config(self):
        parts = {name: getattr(self, name) for name in ("encoder", "quantizer", "decoder")}
        parts = {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}
        return {**super().get_config(), **parts}

    @classmethod
    def from_config(cls, config):
        parts = {name: config.pop(name) for name in ("encoder", "quantizer", "decoder")}
        parts = {name: keras.saving.deserialize_keras_object(part) for name, part in parts.items()}
        return cls(**parts, **config)


def reconstruction_of_none(tokenizer, signal):
    """The result of a tokenizer's call for an empty batch, which networks refuse. One example gives the shapes.

    Args:
        tokenizer: `Tokenizer`.
        signal: tensor (0, *size, channels), or ids.

    Returns:
        `Reconstruction` of no example, whose losses are 0 and have no gradient.
    """
    one = tokenizer.call(keras.ops.zeros((1, *keras.ops.shape(signal)[1:]), signal.dtype))
    losses = {name: keras.ops.zeros_like(loss) for name, loss in one.losses.items()}
    return Reconstruction(one.signal[:0], one.tokens[:0], losses)
