"""Text to pieces and back: a sentencepiece model that loses nothing."""

import io
import re

import numpy as np
import sentencepiece

from vqzoo.data.stream import is_count
from vqzoo.data.text.repair import texts_way_out

# sentencepiece writes a space as this character, and reads the character as a space.
_META = "\u2581"
_SURROGATE = re.compile("[\ud800-\udfff]")
# Unassigned characters of three bytes. One that is in no piece marks the cuts of a text at U+2581.
_CUTS = [chr(code) for code in (*range(0xFDD0, 0xFDF0), *range(0xE000, 0xF900))]
_PROBE = "  a  b \0\t\r\n\u2581c\u2581\u2581 </s><unk><0x0A> e\u0301 \u05d0 \U0001f600 \uffff \u2047 "
# Longest training sentence; longer ones are cut. sentencepiece skips those above 4192 bytes, and is slow with long
# ones.
_CHARACTERS = 1000
# Longest text. It takes a second and some tens of megabytes, and has more pieces than any network accepts.
MAX_CHARACTERS = 2**21
_LEARNT_CHARACTERS = 2**26  # of all training sentences, for which sentencepiece needs some gigabytes
_MOST_BYTES = 2**26  # of a model: a million pieces
_OTHERS = 2  # the end-of-sequence token and the unused unknown piece, besides one piece per byte


class Pieces:
    r"""Splits text into pieces with ids, and joins them again: `decode(encode(texts)) == texts`.

    It is a sentencepiece model. Its pieces are frequent words and parts of words of a corpus, and the 256 bytes, which
    encode all other characters. It is lossless: no character is changed, and no space is added or removed. Only lone
    surrogates, which UTF-8 does not have, become U+FFFD. Time and memory are linear in the length of a text.

    A sentence ends with the end-of-sequence token, which is also the padding. Ids after the first end-of-sequence token
    of a row are ignored. The ids equal those of plain sentencepiece, except for the end-of-sequence token and U+2581.

    Args:
        model: bytes of a sentencepiece model, such as the property `model` or the content of a file. It needs an
            end-of-sequence token (`eos_id`), pieces for bytes (`byte_fallback`), and no normalization.

    Raises:
        ValueError: the bytes are not such a model.

    Example:
    >>> pieces = Pieces.train(["the cat sat on the mat", "a cat, a mat and the dog"], size=300, exact=False)
    >>> (ids,) = pieces.encode(["the cat: 1 \u20ac"])
    >>> [pieces.names[i] for i in ids][-5:]
    ['▁', '<0xE2>', '<0x82>', '<0xAC>', '</s>']
    >>> pieces.decode([ids]) == ["the cat: 1 \u20ac"]
    True
    >>> Pieces(pieces.model) == pieces
    True

    Reference:
        Kudo 2018, https://arxiv.org/abs/1804.10959, section 3.2 (unigram model)
        Kudo and Richardson 2018, https://arxiv.org/abs/1808.06226
    """

    def __init__(self, model):
        if not isinstance(model, bytes):
            raise ValueError(
                f"A model is bytes, as `Pieces.train(...).model` or a file's. Received: {type(model).__name__}"
            )
        if len(model) > _MOST_BYTES:
            raise ValueError(
                f"A sentencepiece model has at most {_MOST_BYTES} bytes. Received: {len(model)}. Make one with "
                "`Pieces.train`."
            )
        self._model = model
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
            size = self._processor.vocab_size()
            self._names = tuple(self._processor.id_to_piece(list(range(size))))
        except (RuntimeError, UnicodeDecodeError) as error:
            raise ValueError(
                f"These {len(model)} bytes are not a whole sentencepiece model ({error}). Copy the file again, or make "
                "one with `Pieces.train`."
            ) from error
        self._check_bytes_and_end()
        letters = set().union(*self._names)
        self._cut = next(letter for letter in _CUTS if letter not in letters)
        self._cut_length = len(self._processor.encode(self._cut))
        self._meta = [self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in _META.encode()]
        if self.decode(self.encode([_PROBE, ""])) != [_PROBE, ""]:
            raise ValueError(
                "This sentencepiece model changes text: it normalises, drops spaces or is damaged. Make one with "
                "`Pieces.train`, which loses nothing."
            )

    @classmethod
    def train(cls, sentences, size=4000, seed=0, *, exact=True, limit=200_000):
        """Trains the pieces on a corpus. The same sentences give the same pieces.

        Args:
            sentences: iterable of str.
            size: int, number of all pieces: the end-of-sequence token, the unknown piece, 256 bytes, and those of the
                corpus. Default 4000.
            seed: int, seed of the selection of sentences if there are more than `limit`. Default 0.
            exact: bool. If the corpus is too small for `size`, False trains fewer pieces. Default True.
            limit: int, the largest number of training sentences. 100,000 take about 15 seconds. A sentence of more than
                1,000 characters counts as several. With more than 2**26 characters in all, fewer are used. Default
                200,000.

        Returns:
            `Pieces`.

        Raises:
            ValueError: there is no sentence, or `size` is too small or too large for the corpus.
        """
        if not is_count(size):
            raise ValueError(f"size must be an int, at least 1. Received: size={size}")
        lines = _sampled(sentences, limit, seed)
        try:
            return cls(_trained(lines, size, hard_vocab_limit=True))
        except RuntimeError as error:
            largest = re.search(r"too high .*<= (\d+)", str(error))
            smallest = re.search(r"required_chars\. \d+ vs (\d+)", str(error))
            if largest and not exact:
                return cls(_trained(lines, size, hard_vocab_limit=False))
            if largest:
                raise ValueError(
                    f"{len(lines)} lines do not have {size} pieces: the largest size is {largest[1]}. Received: "
                    f"size={size}. Give more text, that size, or exact=False, which uses all available pieces."
                ) from error
            if smallest:
                raise ValueError(
                    f"Bytes and frequent letters need {smallest[1]} pieces. Received: size={size}. Give that size "
                    "or a larger one."
                ) from error
            raise ValueError(f"sentencepiece could not train pieces on {len(lines)} lines: {error}") from error

    @property
    def model(self):
        """The model as bytes, in the file format of sentencepiece."""
        return self._model

    @property
    def size(self):
        """The number of pieces. Ids are from 0 to size - 1."""
        return len(self._names)

    @property
    def end(self):
        """The id of the end-of-sequence token."""
        return self._processor.eos_id()

    @property
    def names(self):
        """The texts of the pieces in the order of the ids: "▁the" with its space, "<0x0A>", "</s>"."""
        return self._names

    def encode(self, texts):
        """Encodes texts to ids.

        Args:
            texts: list of str, of at most 2**21 characters each.

        Returns:
            A list of int32 numpy arrays, one per text, whose last id is the end-of-sequence token.

        Raises:
            ValueError: `texts` is not a list of str, or one of them is too long.
        """
        texts = checked_texts(texts)
        longest = max(map(len, texts), default=0)
        if longest > MAX_CHARACTERS:
            raise ValueError(
                f"A text has at most {MAX_CHARACTERS} characters. Received: one of {longest}. Encode it by sentences "
                "or lines."
            )
        texts = [_SURROGATE.sub("\ufffd", text) for text in texts]
        rows = self._processor.encode(texts, num_threads=1)
        rows = [self._encode_cut(text) if _META in text else ids for text, ids in zip(texts, rows, strict=True)]
        return [np.array([*ids, self.end], np.int32) for ids in rows]

    def decode(self, rows):
        """Decodes ids to texts, each up to its first end-of-sequence token.

        Args:
            rows: int array (batch, length), or list of int arrays or lists.

        Returns:
            List of str. Bytes that are not UTF-8 become U+FFFD.

        Raises:
            ValueError: an id is out of range, or a row does not hold ints.
        """
        rows = [self._text_ids(np.asarray(row)) for row in rows]
        return self._processor.decode(rows, num_threads=1) if rows else []  # it interprets [] as the ids of one text

    def pad(self, rows, multiple=1, length=None):
        """Pads rows of ids with end-of-sequence tokens to one array.

        Args:
            rows: list of int arrays, as from `encode`.
            multiple: int, the length of the array is a multiple of it. Default 1.
            length: int, the length of the array. Default None, that of the longest row, rounded up to a multiple.

        Returns:
            int32 numpy array (batch, length).

        Raises:
            ValueError: `length` is not a multiple, or shorter than a row.
        """
        if not is_count(multiple) or (length is not None and (not is_count(length) or length % multiple)):
            raise ValueError(
                f"multiple must be an int, at least 1, and length a multiple of it. Received: {multiple=}, {length=}"
            )
        longest = max(map(len, rows), default=0)
        width = length or -(-longest // multiple) * multiple
        if longest > width:
            raise ValueError(f"A row has {longest} ids. Received: length={length}. Cut it, or use a larger length.")
        padded = np.full((len(rows), width), self.end, np.int32)
        for place, row in zip(padded, rows, strict=True):
            place[: len(row)] = row
        return padded

    def _check_bytes_and_end(self):
        count = sum(map(self._processor.is_byte, range(self.size)))
        lacking = ["an end-of-sequence token (eos_id)"] * (self.end < 0) + ["a piece for each byte (byte_fallback)"] * (
            count < 256
        )
        if lacking:
            raise ValueError(
                f"This sentencepiece model lacks {' and '.join(lacking)}. Make one with `Pieces.train`, or train it "
                "with these options."
            )

    def _encode_cut(self, text):
        """The ids of a text with U+2581, encoded in bytes, because sentencepiece would decode it as a space."""
        first, *others = self._processor.encode(
            [self._cut * bool(i) + part for i, part in enumerate(text.split(_META))], num_threads=1
        )
        for ids in others:
            first += self._meta + ids[self._cut_length :]
        return first

    def _text_ids(self, ids):
        if ids.ndim != 1 or (ids.dtype.kind not in "iu" and ids.size):
            raise ValueError(f"Each row must be ints, one axis. Received: {ids.dtype} of shape {ids.shape}")
        if ids.size and not 0 <= ids.min() <= ids.max() < self.size:
            raise ValueError(
                f"Ids are from 0 to {self.size - 1}. Received: ids from {ids.min()} to {ids.max()}. Were they made by "
                "other pieces?"
            )
        ends = np.flatnonzero(ids == self.end)
        return ids[: ends[0] if len(ends) else len(ids)].tolist()

    def __len__(self):
        return self.size

    def __eq__(self, other):
        return isinstance(other, Pieces) and self._model == other._model

    def __hash__(self):
        return hash(self._model)

    def __repr__(self):
        return f"Pieces(size={self.size})"


def checked_texts(texts):
    """Checks a list of texts.

    Args:
        texts: list or other iterable of str.

    Returns:
        List of str.

    Raises:
        ValueError: `texts` is one str, or holds something else.

    Example:
    >>> checked_texts(("a", "b"))
    ['a', 'b']
    """
    one = type(texts).__name__
    if isinstance(texts, (str, bytes)):
        raise ValueError(f"Give a list of str. Received: one {one}, {_shortened(texts)}. {texts_way_out(texts)}")
    if isinstance(texts, (set, frozenset, dict)) or not np.iterable(texts):
        raise ValueError(f"Give a list of str. Received: {_shortened(texts)} of type {one}. {texts_way_out(texts)}")
    listed = list(texts)
    wrong = [text for text in listed if not isinstance(text, str)][:1]
    if wrong:
        raise ValueError(
            f"Each text must be a str. Received: {_shortened(wrong[0])} of type {type(wrong[0]).__name__}. "
            f"{texts_way_out(texts)}"
        )
    return listed


def _shortened(thing):
    return " ".join(f"{thing!r:.40}".split())  # an array may span several lines


def _sampled(sentences, limit, seed):
    """A uniform sample of at most `limit` sentences (Vitter's algorithm R), with long ones cut."""
    if not is_count(limit) or not is_count(seed + 1):
        raise ValueError(f"limit must be an int, at least 1, and seed one, at least 0. Received: {limit=}, {seed=}")
    if isinstance(sentences, (str, bytes)):
        checked_texts(sentences)  # raises
    rng = np.random.default_rng(seed)
    kept = []
    for number, text in enumerate(_parts(sentences)):
        if number < limit:
            kept.append(text)
        elif (place := int(rng.integers(number + 1))) < limit:
            kept[place] = text
    kept = [_SURROGATE.sub("\ufffd", text) for text in kept if text.strip()]
    if not kept:
        raise ValueError("There is no sentence to train pieces on: all are empty, or there are none.")
    share = sum(map(len, kept)) / _LEARNT_CHARACTERS
    if share > 1.0:
        kept = [kept[i] for i in sorted(rng.permutation(len(kept))[: int(len(kept) / share)])]
    return kept


def _parts(sentences):
    """Sentences, with long ones split to the length that sentencepiece accepts."""
    for sentence in sentences:
        (text,) = checked_texts([sentence])
        yield text[:_CHARACTERS]
        yield from (text[i : i + _CHARACTERS] for i in range(_CHARACTERS, len(text), _CHARACTERS))


def _trained(lines, size, **options):
    writer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=writer,
        vocab_size=size,
        model_type="unigram",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        eos_id=0,
        unk_id=1,
        bos_id=-1,
        pad_id=-1,
        unk_surface="\ufffd",
        num_threads=1,  # more threads change the order of sums, and so the pieces
        minloglevel=2,
        **options,
    )
    return writer.getvalue()
