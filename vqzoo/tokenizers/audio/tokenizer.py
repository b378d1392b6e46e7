"""The tokenizer of audio."""

import functools

import keras
import numpy as np

from vqzoo.data.audio.repair import AudioRepairs
from vqzoo.data.stream import is_count
from vqzoo.jsons import shown
from vqzoo.metrics import kilobits_per_second
from vqzoo.networks.audio import network_reach
from vqzoo.ops import compiled
from vqzoo.ops import crop
from vqzoo.ops import dtype_name
from vqzoo.ops import known_value
from vqzoo.quantizers.quantizer import only_first
from vqzoo.tokenizers.audio.windows import check_samples
from vqzoo.tokenizers.audio.windows import windows_along
from vqzoo.tokenizers.batches import in_batches
from vqzoo.tokenizers.description import stride_line
from vqzoo.tokenizers.description import tokenizer_line
from vqzoo.tokenizers.signal_checks import check_batch_size
from vqzoo.tokenizers.signal_checks import check_not_symbolic
from vqzoo.tokenizers.tokenizer import Reconstruction
from vqzoo.tokenizers.tokenizer import Tokenizer


@keras.saving.register_keras_serializable(package="vqzoo")
class AudioTokenizer(Tokenizer):
    """Turns waveforms into discrete tokens, and back.

    One position of tokens covers `stride` samples. n samples have ceil(n / stride) positions with `num_codebooks`
    tokens each.

    Args:
        encoder: `keras.Model`, waveforms (batch, samples, channels) to latents (batch, frames, latent_dim).
        quantizer: `vqzoo.quantizers.Quantizer`.
        decoder: `keras.Model`, latents to waveforms, `stride` samples for each latent vector.
        sample_rate: int, sample rate of the waveforms, Hz.

    Call arguments:
        signal: float32 tensor (batch, samples, channels) in [-1, 1].
        training: bool. Defaults to False.
        mask: bool tensor (batch, samples), True where a sample is real. Defaults to all.

    Returns:
        `Reconstruction(signal, tokens, losses)`: float32 (batch, samples, channels), 0 where the mask is False; int32
        (batch, frames, num_codebooks); and the quantizer's losses.

    Raises:
        ValueError: if a part has the wrong type, `sample_rate` is not a positive integer, or (in `build`) the latents
            are not a sequence.

    Example:
    >>> import numpy as np
    >>> from vqzoo.networks.audio import spectrogram_decoder, spectrogram_encoder
    >>> from vqzoo.quantizers import EMAVectorQuantizer
    >>> encoder, decoder = spectrogram_encoder(8, 16000, filters=16), spectrogram_decoder(8, filters=16)
    >>> tokenizer = AudioTokenizer(encoder, EMAVectorQuantizer(32), decoder, sample_rate=16000)
    >>> tokenizer.build((None, None, 1))
    >>> tokens = tokenizer.encode(np.zeros((1, 1000, 1), "float32"))
    >>> tokens.shape, tokenizer.decode(tokens, length=1000).shape, tokenizer.frame_rate
    (TensorShape([1, 4, 1]), TensorShape([1, 1000, 1]), 62.5)
    """

    modality = "audio"

    def __init__(self, encoder, quantizer, decoder, sample_rate, **kwargs):
        # Half precision would round the waveform to 8 or 11 bits before the encoder computes spectra in float32.
        super().__init__(encoder, quantizer, decoder, autocast=False, **kwargs)
        if not is_count(sample_rate):
            raise ValueError(f"`sample_rate` is a positive integer, in Hz. Received: sample_rate={shown(sample_rate)}")
        self.sample_rate = sample_rate
        self.supports_masking = True
        self._stride = None  # set by `build`
        for network in (encoder, decoder):
            network.supports_masking = True  # as their layers do, because Keras does not save it
        # === Compiled functions === One per number of codebooks, because relaxed shapes would lose it.
        self._encoding = functools.cache(lambda n: compiled(functools.partial(self._encode, num_codebooks=n)))
        self._decoding = functools.cache(lambda n: compiled(self._decode))

    def build(self, input_shape):
        if len(input_shape) != 3:
            raise ValueError(
                f"Waveforms must have shape (batch, samples, channels). Received: input_shape={tuple(input_shape)}"
            )
        super().build(input_shape)
        self._stride = self._find_stride(tuple(input_shape))

    def __repr__(self):
        stride = stride_line(self.stride, f"samples at {self.sample_rate} Hz", self) if self.built else ""
        return tokenizer_line(self, stride)

    def encode(self, signal, lengths=None, num_codebooks=None, batch_size=None, window=None, overlap=None):
        """Turns waveforms into tokens. Windows limit the memory for long waveforms.

        Windows overlap by the receptive field of the encoder. The tokens equal those of the whole waveform, except for
        near ties that are decided by rounding.

        Args:
            signal: float array or tensor (batch, samples, channels) in [-1, 1], at `sample_rate`.
            lengths: int array or tensor (batch,), number of real samples of each item. Later samples are ignored, and
                their tokens are 0. Defaults to all.
            num_codebooks: int, one of `quantizer.codebook_prefixes`, number of tokens per position, for a lower bit
                rate. Defaults to all.
            batch_size: int, items per batch, to limit memory. Defaults to all.
            window: int, samples of a window without its overlap, rounded up to whole strides. Defaults to the whole
                waveform.
            overlap: int, samples of context on either side of a window. Defaults to the receptive field of the encoder.

        Returns:
            int32 tensor (batch, ceil(samples / stride), num_codebooks).

        Raises:
            ValueError: if the shape, dtype, `lengths` or `num_codebooks` is wrong, or a `window` is given in a graph or
                for a network with an unlimited receptive field; in eager calls also if values are outside [-1.5, 1.5]
                or not finite.
        """
        check_batch_size(batch_size)
        check_not_symbolic(signal)
        num_codebooks = self._checked_num_codebooks(num_codebooks)
        signal = self._checked_array(signal)
        lengths = _checked_lengths(lengths, *signal.shape[:2])
        if window is None:
            signal = keras.ops.convert_to_tensor(signal, "float32")
            if known_value(signal[:0]) is None:
                return self._encode(signal, lengths, num_codebooks)
            return in_batches(self._encoding(num_codebooks), signal, lengths, batch_size=batch_size)
        signal, lengths = _value_in_windows(signal, window), _value_in_windows(lengths, window)
        stride = self.stride
        frames = -(-signal.shape[1] // stride)
        tokens = np.empty((len(signal), frames, num_codebooks or self.num_codebooks), "int32")
        for part in self._windows(frames, window, overlap, lambda: network_reach(self.encoder)):
            start = part.source.start * stride
            seen = keras.ops.convert_to_tensor(signal[:, start : part.source.stop * stride], "float32")
            real = None if lengths is None else _as_tensor(np.clip(lengths - start, 0, seen.shape[1]))
            found = in_batches(self._encoding(num_codebooks), seen, real, batch_size=batch_size)
            tokens[:, part.target] = keras.ops.convert_to_numpy(found)[:, part.inner]
        return keras.ops.convert_to_tensor(tokens)

    def decode(self, tokens, length=None, lengths=None, batch_size=None, window=None, overlap=None):
        """Turns tokens into waveforms; the result is not clipped to [-1, 1].

        Args:
            tokens: integer array or tensor (batch, frames, n), n one of `quantizer.codebook_prefixes`.
            length: int or integer tensor, samples to keep, because tokens do not store the length of their waveform.
                Defaults to the largest of `lengths`, or to whole strides without them.
            lengths: int array or tensor (batch,), number of samples of each item. Later samples are 0, and their tokens
                are ignored. Defaults to all.
            batch_size: int, items per batch, to limit memory. Defaults to all.
            window: int, samples of a window, as in `encode`, but it may differ. Defaults to the whole waveform.
            overlap: int, samples of context on either side of a window. Defaults to the receptive field of the decoder.

        Returns:
            float32 tensor (batch, length, channels).

        Raises:
            ValueError: if the dtype, the last axis, `length` or `lengths` is wrong, or a `window` is given in a graph
                or for a network with an unlimited receptive field; in eager calls also if tokens are out of range.
        """
        check_batch_size(batch_size)
        check_not_symbolic(tokens)
        self._check_tokens(tokens)
        if window is not None:
            tokens = _value_in_windows(tokens, window)
        tokens = keras.ops.cast(tokens, "int32")
        frames, count = tokens.shape[1:3]
        whole = None if frames is None else frames * self.stride
        lengths = _checked_lengths(lengths, tokens.shape[0], whole)
        length = self._checked_length(length, lengths, whole)
        if window is not None:
            waveforms = self._decode_windows(tokens, length, lengths, batch_size, window, overlap)
            return keras.ops.convert_to_tensor(waveforms)
        if known_value(tokens[:0]) is None:
            waveforms = self._decode(tokens, lengths)
        else:
            waveforms = in_batches(self._decoding(count), tokens, lengths, batch_size=batch_size)
        return waveforms if length is None else crop(waveforms, (length,))

    def call(self, signal, training=False, mask=None):
        if mask is None or signal.shape[0] == 0:
            return super().call(signal, training)
        frames = mask[:, :: self.stride]
        latents = self.encoder(signal, training=training, mask=mask)
        quantized = self.quantizer(latents, training=training, mask=frames)
        decoded = self.decoder(quantized.latents, training=training, mask=frames)
        decoded = crop(keras.ops.cast(decoded, "float32"), keras.ops.shape(signal)[1:-1])
        decoded = keras.ops.where(keras.ops.expand_dims(mask, -1), decoded, 0.0)
        return Reconstruction(decoded, quantized.tokens, quantized.losses)

    @property
    def stride(self):
        """Samples per position of tokens."""
        if self._stride is None:
            raise ValueError(
                "The stride is known only after `build`. Received: a tokenizer that is not built. Train it, or call "
                "`tokenizer.build((None, None, channels))`."
            )
        return self._stride

    @property
    def frame_rate(self):
        """Positions of tokens per second, Hz."""
        return self.sample_rate / self.stride

    def kilobits_per_second(self, num_codebooks=None):
        """The bit rate of the tokens, see `vqzoo.metrics.kilobits_per_second`.

        Args:
            num_codebooks: int, tokens per position. Defaults to all.

        Returns:
            float, thousands of bits per second.

        Raises:
            ValueError: if `num_codebooks` is out of range.
        """
        if num_codebooks is not None:
            self._check_count_of_codebooks(num_codebooks)
        return kilobits_per_second(self.frame_rate, self.codebook_sizes[:num_codebooks])

    def save_to_preset(self, folder, metadata=None, recipe=None, seal=True):
        """As `Tokenizer.save_to_preset`; the metadata also has the sample rate, frame rate and bit rate."""
        if self.built:
            known = {"sample_rate": self.sample_rate, "frame_rate": self.frame_rate}
            metadata = {**known, "kilobits_per_second": self.kilobits_per_second(), **(metadata or {})}
        super().save_to_preset(folder, metadata, recipe, seal)

    def _repairs(self, batched=True):
        _, length, channels = self.expected_shape or (None,) * 3
        call = "tokenizer.encode" if batched else None
        return AudioRepairs(channels, length, self.sample_rate, batched=batched, call=call)

    def _find_stride(self, input_shape):
        samples = input_shape[1] or 1
        latents = self.encoder.compute_output_spec(keras.KerasTensor((1, samples, input_shape[2])))
        quantized = self.quantizer.compute_output_spec(latents)
        if len(latents.shape) != 3 or len(quantized.tokens.shape) != 3 or quantized.tokens.shape[1] != latents.shape[1]:
            raise ValueError(
                "The latents and tokens of audio must be sequences (batch, frames, width) of one length. Received: "
                f"latents {tuple(latents.shape)} and tokens {tuple(quantized.tokens.shape)} by "
                f"{type(self.quantizer).__name__}."
            )
        return self.decoder.compute_output_spec(quantized.latents).shape[1] // latents.shape[1]

    def _encode(self, signal, lengths=None, num_codebooks=None):
        first = only_first(num_codebooks)
        if lengths is None:
            return self.quantizer.encode(self.encoder(signal, training=False), **first)
        latents = self.encoder(signal, training=False, mask=_mask(signal, lengths))
        return self.quantizer.encode(latents, _mask(latents, self._frames(lengths)), **first)

    def _decode(self, tokens, lengths=None):
        if lengths is None:
            return super()._decode(tokens)
        latents = self.quantizer.decode(tokens)
        decoded = self.decoder(latents, training=False, mask=_mask(latents, self._frames(lengths)))
        decoded = keras.ops.cast(decoded, "float32")
        return keras.ops.where(keras.ops.expand_dims(_mask(decoded, lengths), -1), decoded, 0.0)

    def _decode_windows(self, tokens, length, lengths, batch_size, window, overlap):
        """The decoded waveforms as an array."""
        stride, (batch, frames, count) = self.stride, tokens.shape
        length = frames * stride if length is None else length
        lengths = _value_in_windows(lengths, window)
        waveforms = np.empty((batch, length, self.signal_shape[-1]), "float32")
        for part in self._windows(frames, window, overlap, lambda: network_reach(self.decoder) * stride):
            start, place = part.target.start * stride, part.inner.start * stride
            used = min(part.target.stop * stride, length) - start
            if used <= 0:
                break
            seen = tokens[:, part.source]
            most, start_of_source = seen.shape[1] * stride, part.source.start * stride
            real = None if lengths is None else _as_tensor(np.clip(lengths - start_of_source, 0, most))
            made = keras.ops.convert_to_numpy(in_batches(self._decoding(count), seen, real, batch_size=batch_size))
            waveforms[:, start : start + used] = made[:, place : place + used]
        return waveforms

    def _windows(self, frames, window, overlap, reach):
        """The windows along a number of positions of tokens. `reach()` returns the minimum overlap in samples."""
        check_samples("window", window, 1)
        if overlap is not None:
            check_samples("overlap", overlap, 0)
        overlap = reach() if overlap is None else overlap
        return windows_along(frames, -(-window // self.stride), -(-overlap // self.stride))

    def _frames(self, lengths):
        return (lengths + (self.stride - 1)) // self.stride

    def _checked_num_codebooks(self, num_codebooks):
        """The number of codebooks, None for all; raises if the quantizer does not support it."""
        if num_codebooks is None:
            return None
        self._check_count_of_codebooks(num_codebooks)
        self.quantizer.check_num_codebooks(num_codebooks)
        # A NumPy integer would be traced as a tensor.
        return None if num_codebooks == self.num_codebooks else int(num_codebooks)

    def _check_count_of_codebooks(self, count):
        if not is_count(count):
            raise ValueError(
                f"`num_codebooks` must be an integer from 1 to {self.num_codebooks}. Received: "
                f"num_codebooks={shown(count)}. Leave it out for all codebooks."
            )

    def _checked_length(self, length, lengths, whole):
        """The number of samples to keep; raises if it exceeds `whole`. Symbolic tensors are not checked."""
        if length is None:
            known = None if lengths is None else known_value(lengths)
            if known is None:
                return None if lengths is None else keras.ops.max(lengths)
            return int(known.max()) if known.size else None
        known = known_value(length) if hasattr(length, "shape") else length
        if known is None:
            return length
        whole_number = np.ndim(known) == 0 and np.issubdtype(np.asarray(known).dtype, np.integer)
        if not whole_number or known < 1 or (whole is not None and known > whole):
            raise ValueError(
                f"`length` must be from 1 to {whole}, the number of samples of these tokens. Received: "
                f"length={shown(length)}"
            )
        return int(known)

    # === Config ===
    def get_config(self):
        return {**super().get_config(), "sample_rate": self.sample_rate}


def _as_tensor(lengths):
    """An array as a tensor, so that a compiled function is not traced again."""
    return keras.ops.convert_to_tensor(lengths, "int32")


def _mask(tensor, lengths):
    """Which positions of (batch, positions, channels) are real: bool (batch, positions)."""
    positions = keras.ops.arange(keras.ops.shape(tensor)[1], dtype="int32")
    return keras.ops.expand_dims(positions, 0) < keras.ops.expand_dims(lengths, 1)


def _checked_lengths(lengths, batch, most):
    """Lengths as an int32 tensor; raises if they are wrong. Symbolic tensors are not checked."""
    if lengths is None:
        return None
    lengths = lengths if hasattr(lengths, "dtype") else np.asarray(lengths)
    shape, dtype = tuple(lengths.shape), dtype_name(lengths)
    if len(shape) != 1 or (None not in (*shape, batch) and shape != (batch,)) or not dtype.startswith(("int", "uint")):
        raise ValueError(
            f"`lengths` must be integers of the shape ({batch},). Received: shape={shape}, dtype={dtype}. A "
            "data set of pairs gives `map` two arguments: `dataset.map(lambda audio, label: tokenizer.encode(audio))`."
        )
    values = known_value(lengths)
    if values is not None and values.size and not (values.min() > 0 and (most is None or values.max() <= most)):
        raise ValueError(
            f"`lengths` must be from 1 to {most}, the length of the batch. Received: values from "
            f"{values.min()} to {values.max()}. Leave empty items out."
        )
    return keras.ops.cast(lengths, "int32")


def _value_in_windows(tensor, window):
    """The NumPy value; raises in a graph, where sizes are unknown."""
    if tensor is None:
        return None
    value = known_value(tensor)
    if value is None:
        raise ValueError(
            f"`window` works only in eager calls. Received: window={shown(window)} inside a graph, such as that of "
            "`dataset.map`. Leave `window` out there, or loop over the recordings in Python."
        )
    return value
