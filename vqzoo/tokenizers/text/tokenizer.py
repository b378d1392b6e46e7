"""The tokenizer of text."""

import pathlib

import keras
import numpy as np

from vqzoo.data import Pieces
from vqzoo.networks.text import AutoregressiveTextDecoder
from vqzoo.networks.text import embedding_of
from vqzoo.ops import known_value
from vqzoo.ops import largest
from vqzoo.ops import mask_until
from vqzoo.ops import masked_gradient
from vqzoo.presets.layout import PIECES_FILE
from vqzoo.tokenizers.description import stride_line
from vqzoo.tokenizers.description import tokenizer_line
from vqzoo.tokenizers.signal_checks import are_tokens
from vqzoo.tokenizers.signal_checks import as_array
from vqzoo.tokenizers.signal_checks import check_batch_size
from vqzoo.tokenizers.signal_checks import check_not_symbolic
from vqzoo.tokenizers.signal_checks import shape_of
from vqzoo.tokenizers.text.checks import LONGEST
from vqzoo.tokenizers.text.checks import check_eager
from vqzoo.tokenizers.text.checks import check_networks
from vqzoo.tokenizers.text.checks import check_not_ids
from vqzoo.tokenizers.text.checks import check_padded
from vqzoo.tokenizers.text.checks import checked_ids
from vqzoo.tokenizers.text.checks import groups_by_length
from vqzoo.tokenizers.text.checks import is_text
from vqzoo.tokenizers.text.checks import rows_at_once
from vqzoo.tokenizers.text.checks import rows_of
from vqzoo.tokenizers.tokenizer import Reconstruction
from vqzoo.tokenizers.tokenizer import Tokenizer
from vqzoo.tokenizers.tokenizer import reconstruction_of_none

_PROBE = 5040  # pieces: a whole number of chunks of 1 to 10, 12, 14, 15 or 16


@keras.saving.register_keras_serializable(package="vqzoo")
class TextTokenizer(Tokenizer):
    """Turns texts into discrete tokens, and back.

    A text becomes pieces with an end-of-sequence token, and `stride` pieces, a chunk, become one position of tokens.
    Ids of pieces are int32 (batch, length). Ids after the first end-of-sequence token have no effect, and tokens of
    chunks after it are 0.

    Args:
        pieces: `vqzoo.data.Pieces`. It is None after `from_config`, until `load_assets` reads it from the file.
        encoder: `keras.Model`, ids (batch, length) to latents (batch, chunks, latent_dim).
        quantizer: `vqzoo.quantizers.Quantizer`.
        decoder: causal model, latents to logits (batch, chunks * stride, pieces), or an `AutoregressiveTextDecoder`.

    Call arguments:
        signal: int32 tensor (batch, length), ids of pieces.
        training: bool. Defaults to False.

    Returns:
        `Reconstruction(signal, tokens, losses)`: float32 logits (batch, length, pieces), int32
        (batch, ceil(length / stride), num_codebooks), and the quantizer's losses.

    Raises:
        ValueError: if a part has the wrong type, the networks are for other pieces, or (in `build`) the strides of the
            encoder and the decoder differ.

    Example:
    >>> from vqzoo.networks.text import text_decoder, text_encoder
    >>> from vqzoo.quantizers import EMAVectorQuantizer
    >>> pieces = Pieces.train(["the cat sat on the mat", "a dog and a cat"], size=300, exact=False)
    >>> encoder = text_encoder(pieces.size, 8, end=pieces.end, filters=16)
    >>> tokenizer = TextTokenizer(pieces, encoder, EMAVectorQuantizer(32), text_decoder(pieces.size, 8, filters=16))
    >>> tokenizer.build((None, None))
    >>> tokens = tokenizer.encode(["the cat", ""])
    >>> tokens.dtype, tokens.shape[0], tokenizer.chunks([""]), len(tokenizer.decode(tokens))
    (tf.int32, 2, [1], 2)
    """

    modality = "text"
    signal_dtype = "int32"

    def __init__(self, pieces, encoder, quantizer, decoder, **kwargs):
        super().__init__(encoder, quantizer, decoder, **kwargs)
        self._pieces = None
        self._stride = None  # set by `build`
        if pieces is not None:
            self._set_pieces(pieces)

    def build(self, input_shape):
        if len(input_shape) != 2:
            raise ValueError(f"Ids of pieces must have the shape (batch, length). Received: {tuple(input_shape)}")
        super().build((input_shape[0], None))
        self._stride = self._find_stride()

    def __repr__(self):
        return tokenizer_line(self, stride_line(self.stride, "pieces", self) if self.built else "")

    def encode(self, signal, batch_size=None):
        """Turns texts into tokens.

        Args:
            signal: list of str; or ids as in `encode_ids`, also inside graphs.
            batch_size: int, maximum number of texts per batch, of about equal length. Defaults to a limit by memory.

        Returns:
            int32 tensor (batch, chunks, num_codebooks), with the number of chunks of the longest text.

        Raises:
            ValueError: if `signal` is neither, or a text has more than 32,768 pieces.
        """
        if not is_text(signal):
            return self.encode_ids(signal, batch_size)
        check_batch_size(batch_size)
        rows = rows_of(signal, self.pieces)
        lengths = np.array([len(row) for row in rows], "int64")
        return self._in_groups(lengths, lambda some: self.pieces.pad([rows[i] for i in some], self.stride), batch_size)

    def decode(self, tokens, batch_size=None):
        """Turns tokens into texts, each up to its first end-of-sequence token, or all chunks without one.

        Args:
            tokens: integer array or tensor (batch, chunks, num_codebooks).
            batch_size: int, maximum number of texts per batch. Defaults to a limit by memory.

        Returns:
            List of str.

        Raises:
            ValueError: if the dtype or last axis is wrong, tokens are out of range, or inside a graph.
        """
        check_eager(tokens)
        ids = keras.ops.convert_to_numpy(self.decode_ids(tokens, batch_size))
        return self.pieces.decode(list(ids)) if len(ids) else []

    def encode_ids(self, ids, batch_size=None):
        """Turns ids of pieces into tokens. Works on arrays, and inside graphs: `dataset.map(tokenizer.encode_ids)`.

        Args:
            ids: integer array or tensor (batch, length), such as `pieces.pad(pieces.encode(texts), 1)`.
            batch_size: int, maximum number of texts per batch, of about equal length. Defaults to a limit by memory.

        Returns:
            int32 tensor (batch, ceil(length / stride), num_codebooks).

        Raises:
            ValueError: if the shape or dtype is wrong; in eager calls also if ids are out of range.
        """
        check_batch_size(batch_size)
        check_not_symbolic(ids)
        ids = self.checked_signal(ids)
        values = known_value(ids)
        if values is None:
            return self._encode(ids)
        lengths = np.sum(known_value(mask_until(ids, self.pieces.end)), axis=1)
        chunks = -(-values.shape[1] // self.stride)
        return self._in_groups(lengths, lambda some: values[some, : lengths[some].max()], batch_size, chunks)

    def decode_ids(self, tokens, batch_size=None):
        """Turns tokens into ids of pieces, filled with the end-of-sequence token after the first one.

        Args:
            tokens: integer array or tensor (batch, chunks, num_codebooks).
            batch_size: int, maximum number of texts per batch. Defaults to a limit by memory.

        Returns:
            int32 tensor (batch, chunks * stride).

        Raises:
            ValueError: if the dtype or last axis is wrong; in eager calls also if tokens are out of range.
        """
        return super().decode(tokens, batch_size)

    def decode_signal(self, tokens):
        """The ids of pieces: `decode_ids`."""
        return self.decode_ids(tokens)

    def call(self, signal, training=False):
        if signal.shape[0] == 0:
            return reconstruction_of_none(self, signal)
        real = self.real_positions(signal)
        quantized = self.quantizer(self.encoder(signal, training=training), training=training, mask=real)
        # A tensor without the Keras mask, which a causal decoder does not need.
        latents = masked_gradient(quantized.latents, real)
        teacher = (signal,) if self.is_autoregressive else ()
        logits = self.decoder(latents, *teacher, training=training)
        logits = keras.ops.cast(logits, "float32")[:, : keras.ops.shape(signal)[1]]
        return Reconstruction(logits, quantized.tokens, quantized.losses)

    def chunks(self, texts):
        """The number of positions of tokens of each text.

        Args:
            texts: list of str.

        Returns:
            List of int.
        """
        return [-(-len(row) // self.stride) for row in rows_of(texts, self.pieces)]

    def ids_of(self, logits):
        """The most probable pieces, filled with the end-of-sequence token after the first one.

        Args:
            logits: float tensor (batch, length, pieces).

        Returns:
            int32 tensor (batch, length).
        """
        if keras.backend.is_keras_tensor(logits):
            ids = keras.ops.cast(keras.ops.argmax(logits, axis=-1), "int32")
        else:
            rows = keras.ops.reshape(logits, (-1, logits.shape[-1]))
            ids = keras.ops.reshape(largest(rows), keras.ops.shape(logits)[:2])
        return keras.ops.where(mask_until(ids, self.pieces.end), ids, self.pieces.end)

    def signal_of(self, outputs):
        """The ids of the most probable pieces, see `ids_of`."""
        return self.ids_of(outputs)

    def likeness(self, signal, reconstruction):
        """The fraction of equal pieces, in the form of `Tokenizer.likeness`: ("accuracy", value).

        Args:
            signal: int32 array (batch, length), ids of pieces.
            reconstruction: int32 array of the same shape.

        Returns:
            Tuple of str and float.
        """
        real = np.asarray(mask_until(signal, self.pieces.end))
        return "accuracy", float(np.mean((reconstruction == signal)[real]))

    @property
    def asset_files(self):
        """Dict file name -> bytes of additional files that exports need: the sentencepiece model."""
        return {PIECES_FILE: self.pieces.model}

    def real_positions(self, signal):
        """Which chunks have a piece of the text.

        Args:
            signal: int32 tensor (batch, length).

        Returns:
            bool tensor (batch, ceil(length / stride)).
        """
        return mask_until(signal, self.pieces.end)[:, :: self.stride]

    def judged(self, signal, reconstruction):
        r"""The embeddings of the pieces, and the mean embeddings under the probabilities of the logits.

        $$x_t = E_{y_t} / r, \qquad \hat x_t = \operatorname{softmax}(\ell_t) E / r$$

        with y the ids, ℓ the logits, E the encoder's embeddings and r their root mean square. Both are 0 after the end
        of y.

        Args:
            signal: int32 tensor (batch, length).
            reconstruction: float32 tensor (batch, length, pieces), logits.

        Returns:
            Two float32 tensors (batch, length, embedding_dim); the first has no gradient.
        """
        table = keras.ops.stop_gradient(keras.ops.cast(embedding_of(self.encoder).embeddings, "float32"))
        table = table * keras.ops.rsqrt(keras.ops.mean(keras.ops.square(table)) + 1e-12)
        real = keras.ops.cast(keras.ops.expand_dims(mask_until(signal, self.pieces.end), -1), "float32")
        likely = keras.ops.softmax(keras.ops.cast(reconstruction, "float32"), axis=-1)
        mixed = keras.ops.matmul(likely, table)
        return keras.ops.take(table, signal, axis=0) * real, mixed * real

    def checked_signal(self, signal):
        """Raises if `signal` is not an array of ids. The values of a symbolic tensor are not checked.

        Args:
            signal: array or tensor (batch, length).

        Returns:
            The ids as an int32 tensor.

        Raises:
            ValueError: if the shape or dtype is wrong; in eager calls also if ids are out of range.
        """
        if are_tokens(signal, self._tokens_shape(), None):
            raise ValueError(
                "Ids of pieces must have the shape (batch, length). Received: tokens of "
                f"shape={shape_of(as_array(signal))}. Call `tokenizer.decode(x)`."
            )
        return checked_ids(signal, self.pieces.size)

    @property
    def pieces(self):
        """The `vqzoo.data.Pieces` of the tokenizer."""
        if self._pieces is None:
            raise ValueError(
                "A tokenizer made from its config has no pieces yet. Received: one without. Load it with "
                "`keras.models.load_model`, or call `load_assets`."
            )
        return self._pieces

    @property
    def stride(self):
        """Pieces per chunk, that is, per position of tokens."""
        if self._stride is None:
            raise ValueError(
                "The stride is known only after `build`. Received: a tokenizer that is not built. Train it, or call "
                "`tokenizer.build((None, None))`."
            )
        return self._stride

    @property
    def is_autoregressive(self):
        """Whether the decoder generates pieces one after another, from the previous ones."""
        return isinstance(self.decoder, AutoregressiveTextDecoder)

    def save_assets(self, folder):
        """Writes the pieces. Keras calls it when it saves a file."""
        for name, content in self.asset_files.items():
            pathlib.Path(folder, name).write_bytes(content)

    def load_assets(self, folder):
        """Reads the pieces. Keras calls it when it loads a file."""
        self._set_pieces(Pieces(pathlib.Path(folder, PIECES_FILE).read_bytes()))

    def save_to_preset(self, folder, metadata=None, recipe=None, seal=True):
        """As `Tokenizer.save_to_preset`; the metadata also has the number of pieces and the stride."""
        if self.built:
            metadata = {"pieces": self.pieces.size, "stride": self.stride, **(metadata or {})}
        super().save_to_preset(folder, metadata, recipe, seal)

    def _shapes(self, input_shape):
        for name, part, shape in super()._shapes(input_shape):
            if name == "decoder" and self.is_autoregressive and not part.built:
                part.build(shape)  # a symbolic call would need the ids
            yield name, part, shape

    def _check_tokens(self, tokens):
        check_not_ids(tokens, self.num_codebooks)
        super()._check_tokens(tokens)
        most = self.decoder.max_length if self.is_autoregressive else LONGEST
        chunks = tuple(np.shape(tokens) if isinstance(tokens, list | tuple) else tokens.shape)[1]
        if chunks and chunks * self.stride > most:
            raise ValueError(
                f"The decoder makes at most {most} pieces of a text. Received: {chunks} chunks of {self.stride}. "
                "Encode sentences separately. An autoregressive decoder may have another `max_length`."
            )

    def _find_stride(self):
        latents = self.encoder.compute_output_spec(keras.KerasTensor((1, _PROBE), "int32"))
        chunks = latents.shape[1] if len(latents.shape) == 3 else None
        made = None
        if chunks and _PROBE % chunks == 0:
            quantized = self.quantizer.compute_output_spec(latents).latents
            made = chunks * self.decoder.stride if self.is_autoregressive else self._made_of(quantized)
        if made != _PROBE:
            raise ValueError(
                "The encoder and the decoder must have the same stride. Received: latents "
                f"{tuple(latents.shape)} for {_PROBE} pieces, which decode to {made} pieces. Set both strides equal."
            )
        return _PROBE // chunks

    def _made_of(self, latents):
        return self.decoder.compute_output_spec(keras.KerasTensor(tuple(latents.shape))).shape[1]

    def _encode(self, signal):
        signal = keras.ops.clip(signal, 0, self.pieces.size - 1)
        return self.quantizer.encode(self.encoder(signal, training=False), self.real_positions(signal))

    def _decode(self, tokens):
        latents = self.quantizer.decode(tokens)
        if self.is_autoregressive:
            return self.decoder.generate(latents)
        return self.ids_of(self.decoder(latents, training=False))

    def _at_once(self, tokens, batch_size):
        return rows_at_once(tokens.shape[1] * self.stride, batch_size)

    def _in_groups(self, lengths, ids_of_rows, batch_size, chunks=None):
        """Tokens of all rows, in batches of at most `batch_size` rows of about equal length."""
        chunks = -(-int(max(lengths, default=1)) // self.stride) if chunks is None else chunks
        check_padded(len(lengths), chunks, self.num_codebooks)
        tokens = np.zeros((len(lengths), chunks, self.num_codebooks), "int32")
        for some in groups_by_length(-(-lengths // self.stride) * self.stride, batch_size):
            found = self._compiled_encode(keras.ops.convert_to_tensor(ids_of_rows(some), "int32"))
            tokens[some, : found.shape[1]] = keras.ops.convert_to_numpy(found)
        return keras.ops.convert_to_tensor(tokens)

    def _set_pieces(self, pieces):
        if not isinstance(pieces, Pieces):
            raise ValueError(f"`pieces` must be a vqzoo.data.Pieces. Received: {pieces!r}")
        check_networks(self.encoder, self.decoder, pieces)
        self._pieces = pieces

    def _copy(self, config, weights=None):
        copy = super()._copy(config, weights)
        copy._set_pieces(self.pieces)
        return copy

    # === Config ===
    @classmethod
    def from_config(cls, config):
        return super().from_config({"pieces": None, **config})
