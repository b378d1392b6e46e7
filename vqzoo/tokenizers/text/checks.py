"""Checks of the inputs of text tokenizers."""

import numbers
import os

import keras
import numpy as np

from vqzoo.data.received import densely
from vqzoo.data.received import described
from vqzoo.data.received import is_dense
from vqzoo.data.received import plain_array
from vqzoo.data.received import without_values
from vqzoo.data.text.pieces import checked_texts
from vqzoo.data.text.repair import texts_way_out
from vqzoo.networks.text import AutoregressiveTextDecoder
from vqzoo.networks.text import RealPieces
from vqzoo.ops import dtype_name
from vqzoo.ops import known_value
from vqzoo.tokenizers.signal_checks import as_array
from vqzoo.tokenizers.signal_checks import check_not_symbolic
from vqzoo.tokenizers.signal_checks import shape_of

# Maximum number of pieces of one text, whose logits take half a gigabyte.
LONGEST = 2**15
# Maximum number of pieces of a batch, including padding.
PIECES_AT_ONCE = LONGEST
MOST_TOKENS = 2**28  # of one array, a gigabyte, because one long text pads all others
_IDS_OF = "tokenizer.pieces.pad(tokenizer.pieces.encode({}), 1)"
_EXAMPLE = _IDS_OF.format('["A sentence."]')


def is_text(signal):
    """Whether `signal` is text, or contains items that are not numbers, which `vqzoo.data.Pieces` reports.

    Args:
        signal: anything.

    Returns:
        bool.

    Example:
    >>> is_text(["a", "b"]), is_text([[1, 2]]), is_text(np.array(["a"])), is_text("a")
    (True, False, True, True)
    """
    if isinstance(signal, list | tuple):
        return not signal or any(map(_is_textual, signal))
    if hasattr(signal, "dtype"):
        return dtype_name(signal).startswith(("<U", ">U", "<S", "|S", "str", "object", "StringDType"))
    return not isinstance(signal, numbers.Number) and not hasattr(signal, "__array__")


def checked_ids(ids, size):
    """Raises if `ids` are not ids of `size` pieces. The values of a symbolic tensor are not checked.

    Args:
        ids: array or tensor (batch, length).
        size: int, number of pieces.

    Returns:
        The ids as an int32 tensor.

    Raises:
        ValueError: if the shape or dtype is wrong; in eager calls also if ids are out of range.

    Example:
    >>> checked_ids([[1, 2]], 3).dtype
    tf.int32
    """
    if is_text(ids) or isinstance(ids, numbers.Number):
        texts = isinstance(ids, list | tuple) and all(isinstance(text, str) for text in ids)
        way_out = f"Pass `{_IDS_OF.format('x')}`." if texts and ids else texts_way_out(ids)
        raise ValueError(f"Networks and training take ids of pieces. Received: text, {_shortened(ids)}. {way_out}")
    array = as_array(ids)
    if array is None:
        raise ValueError(
            f"A batch of ids must be one array (batch, length). Received: {described(ids)}. {_ids_way_out(ids)}"
        )
    dtype, shape = dtype_name(array), tuple(array.shape)
    code = "x" if array is ids else "np.asarray(x)"
    values = known_value(array)
    numbers_of_ids = dtype.startswith(("int", "uint", "float", "bfloat"))
    known = numbers_of_ids and (values is None or bool(((values >= 0) & (values < size)).all()))
    if not dtype.startswith(("int", "uint")):
        whole = known and values is not None and bool((values == np.rint(values)).all())
        fixed = _with_two_axes('np.asarray(x, "int32")', shape)
        raise ValueError(
            f"Ids of pieces must be integers. Received: dtype={dtype}, shape={shape}. Pass "
            f"`{fixed if whole and fixed else _EXAMPLE}`."
        )
    if len(shape) != 2:
        known = known and not (dtype == "uint8" and len(shape) > 2)  # which are images
        fixed = known and _with_two_axes(code, shape) or _EXAMPLE
        raise ValueError(f"Ids of pieces must have the shape (batch, length). Received: shape={shape}. Pass `{fixed}`.")
    if shape[1] == 0:
        raise ValueError(
            "Ids of pieces must have the shape (batch, length), with an end-of-sequence token also for an empty text. "
            f'Received: shape={shape}. Pass `[""] * len(x)`.'
        )
    check_length(shape[1] or 1)
    if values is not None and values.size and not 0 <= values.min() <= values.max() < size:
        raise ValueError(
            f"Ids of pieces must be in [0, {size}). Received: values from {values.min()} to {values.max()}. Were they "
            f"made by other pieces than `tokenizer.pieces`? Pass `{_EXAMPLE}`."
        )
    return keras.ops.cast(array, "int32")


def check_networks(encoder, decoder, pieces):
    """Raises if networks are made for other pieces.

    Args:
        encoder: `keras.Model`.
        decoder: `keras.Model`.
        pieces: `vqzoo.data.Pieces`.

    Raises:
        ValueError: if the number of pieces or the end-of-sequence token differs.

    Example:
    >>> from vqzoo.data import Pieces
    >>> from vqzoo.networks.text import text_decoder, text_encoder
    >>> pieces = Pieces.train(["the cat sat on the mat"], size=300, exact=False)
    >>> encoder = text_encoder(pieces.size, 8, end=pieces.end, filters=16)
    >>> check_networks(encoder, text_decoder(pieces.size, 8, filters=16), pieces)
    """
    ends = {layer.end for layer in getattr(encoder, "layers", ()) if isinstance(layer, RealPieces)}
    sizes = {layer.input_dim for layer in getattr(encoder, "layers", ()) if isinstance(layer, keras.layers.Embedding)}
    if isinstance(decoder, AutoregressiveTextDecoder):
        ends, sizes = ends | {decoder.end}, sizes | {decoder.pieces}
    else:
        sizes |= {(getattr(decoder, "output_shape", None) or (None,))[-1]} - {None}
    if ends - {pieces.end} or sizes - {pieces.size}:
        raise ValueError(
            f"There are {pieces.size} pieces, and the end-of-sequence token is {pieces.end}. Received: networks of "
            f"{sizes} pieces with the end-of-sequence tokens {ends}. Build them with `pieces.size` and "
            "`end=pieces.end`."
        )


def check_eager(tokens):
    """Raises if tokens are symbolic, without values.

    Args:
        tokens: anything.

    Raises:
        ValueError: if they are symbolic.

    Example:
    >>> check_eager(np.zeros((1, 2, 1), "int32"))
    """
    check_not_symbolic(tokens)
    if hasattr(tokens, "dtype") and not without_values(tokens) and known_value(tokens) is None:
        raise ValueError(
            "Strings can be decoded only in eager calls. Received: tokens of a graph, such as that of `dataset.map`. "
            "Use `decode_ids` there, which returns ids of pieces."
        )


def check_length(pieces):
    """Raises if a text has too many pieces.

    Args:
        pieces: int.

    Raises:
        ValueError: if there are more than 32,768.

    Example:
    >>> check_length(1000)
    """
    if pieces > LONGEST:
        raise ValueError(
            f"A text may have at most {LONGEST} pieces, to limit memory. Received: {pieces} pieces. Encode its "
            "sentences or lines separately."
        )


def groups_of(texts, characters=2**20):
    """Splits texts into groups of about the given number of characters.

    Args:
        texts: list of str.
        characters: int, number of characters that ends a group. Defaults to 2**20, which take half a second.

    Yields:
        Lists of str, none of them empty.

    Example:
    >>> list(groups_of(["abc", "d", "efg"], characters=4))
    [['abc', 'd'], ['efg']]
    """
    group, count = [], 0
    for text in texts:
        group.append(text)
        count += len(text)
        if count >= characters:
            yield group
            group, count = [], 0
    if group:
        yield group


def rows_at_once(length, batch_size=None):
    """The number of rows of a length that fit into a batch.

    Args:
        length: int, number of pieces of the longest row.
        batch_size: int, maximum number of rows. Defaults to no maximum.

    Returns:
        int, at least 1.

    Example:
    >>> rows_at_once(2**14), rows_at_once(8, batch_size=64), rows_at_once(2**20)
    (2, 64, 1)
    """
    fitting = max(1, PIECES_AT_ONCE // max(1, int(length)))
    return fitting if batch_size is None else min(batch_size, fitting)


def groups_by_length(lengths, batch_size=None):
    """Groups rows of about equal length, the longest first, so that a group has little padding.

    Args:
        lengths: int array, length of each row.
        batch_size: int, maximum number of rows of a group. Defaults to no maximum.

    Yields:
        int arrays, indices of rows.

    Example:
    >>> [group.tolist() for group in groups_by_length(np.array([5, 2**15, 9]))]
    [[1], [2, 0]]
    """
    order = np.argsort(-lengths, kind="stable")
    while len(order):
        count = rows_at_once(lengths[order[0]], batch_size)
        yield order[:count]
        order = order[count:]


def check_padded(texts, chunks, num_codebooks):
    """Raises if the tokens of texts, padded to the longest, are too large for one array.

    Args:
        texts: int, number of texts.
        chunks: int, number of chunks of the longest text.
        num_codebooks: int.

    Raises:
        ValueError: if there are more than 2**28 tokens.

    Example:
    >>> check_padded(1000, 16, 4)
    """
    if texts * chunks * num_codebooks > MOST_TOKENS:
        raise ValueError(
            f"The tokens of texts are padded to the longest text and must be at most {MOST_TOKENS}. "
            f"Received: {texts} texts, the longest of {chunks} chunks with {num_codebooks} tokens. Encode long texts "
            "separately from short ones."
        )


def _is_textual(item):
    """Whether an item of a list is neither a number nor a row of numbers. Only the first of a row is checked."""
    if isinstance(item, list | tuple):
        return bool(item) and _is_textual(item[0])
    if isinstance(item, dict):
        return any(isinstance(value, str) for value in item.values())
    return item is None or isinstance(item, str | bytes | os.PathLike)


def _ids_way_out(ids):
    """The last sentence of an error about an input that is not an array of ids."""
    plain, code = plain_array(ids, "x")
    if plain is not ids:
        return f"Pass `{code}`."
    if hasattr(ids, "row_splits"):
        return "Pass `tokenizer.pieces.pad(x.to_list(), 1)`."
    if not is_dense(ids):
        return densely(ids, "x")
    rows = isinstance(ids, list | tuple) and [as_array(row) for row in ids]
    if rows and all(row is not None and row.ndim == 1 for row in rows):
        return "Their lengths differ. Pass `tokenizer.pieces.pad(x, 1)`."
    return f"Pass `{_EXAMPLE}`."


def _with_two_axes(code, shape):
    """The code of an array (batch, length); None if it is not known."""
    if len(shape) == 1 and shape[0]:
        return f"{code}[None]"
    if len(shape) == 3 and shape[-1] == 1:
        return f"{code}[..., 0]"
    if len(shape) > 2 and None not in shape and 0 not in shape:
        return f"np.reshape({code}, (-1, {shape[-1]}))"
    return code if len(shape) == 2 else None


def _shortened(thing):
    line = " ".join(repr(thing).split())  # an array takes several lines
    return line if len(line) <= 40 else f"{line[:37]}..."


def check_not_ids(tokens, num_codebooks):
    """Raises ValueError if the input of `decode` may be ids of pieces.

    Args:
        tokens: anything.
        num_codebooks: int, number of codebooks of the tokenizer.
    """
    array = as_array(tokens)
    shape = None if array is None or dtype_name(array).startswith("float") else shape_of(array)
    if shape and len(shape) == 2 and num_codebooks != 1 and shape[1] != num_codebooks:
        raise ValueError(
            "Tokens have the shape (batch, chunks, num_codebooks), and ids of pieces (batch, length). Received: "
            f"shape={shape}. For ids, call `tokenizer.pieces.decode(x)`."
        )


def rows_of(texts, pieces):
    """The ids of each text.

    Args:
        texts: list of str.
        pieces: `vqzoo.data.Pieces`.

    Returns:
        List of int32 arrays.

    Raises:
        ValueError: if they are strings of a graph, or a text is too long.
    """
    if hasattr(texts, "dtype") and known_value(texts) is None:
        raise ValueError(
            "Strings can be split into pieces only in eager calls. Received: strings of a graph, such as that of "
            "`dataset.map`. Make a data set of ids: `tokenizer.pieces.pad(tokenizer.pieces.encode(texts), 1)`."
        )
    rows = []
    for some in groups_of(checked_texts(texts)):  # finds a text that is too long before all texts are split
        rows += pieces.encode(some)
        check_length(max(map(len, rows[-len(some) :])))
    return rows
