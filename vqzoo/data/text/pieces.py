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
# Characters of three bytes that mean nothing: one that no piece has stands where a text is cut at a U+2581.
_CUTS = [chr(code) for code in (*range(0xFDD0, 0xFDF0), *range(0xE000, 0xF900))]
_PROBE = "  a  b \0\t\r\n\u2581c\u2581\u2581 </s><unk><0x0A> e\u0301 \u05d0 \U0001f600 \uffff \u2047 "
# Of a training sentence; longer ones are cut. sentencepiece skips those above 4192 bytes, and is slow with long ones.
_CHARACTERS = 1000
# Of one text: it takes a second and some tens of megabytes, and has more pieces than any network takes.
MAX_CHARACTERS = 2**21
_LEARNT_CHARACTERS = 2**26  # of all training sentences, for which sentencepiece takes some gigabytes
_MOST_BYTES = 2**26  # of a model: a million pieces
_OTHERS = 2  # the end piece and the unknown one, which never comes, beside one piece for each byte


class Pieces:
    r"""Cuts text into pieces, of which each has an id, and joins them again: `decode(encode(texts)) == texts`.

    A model of sentencepiece: the frequent words and parts of words of a corpus, and the 256 bytes, in which all other
    characters are written. No character is changed, none is lost, no space is added or dropped; only lone surrogates,
    which no UTF-8 has, become U+FFFD. Time and memory are linear in the length of a text.

    A sentence ends in the end piece, which is also what padding consists of: of a row of ids, what stands behind the
    first end piece is nothing. With plain sentencepiece the ids are the same, but for the end piece and U+2581.

    Args:
        model: bytes of a sentencepiece model, as `model` of another and as sentencepiece's own files. It needs an end
            piece (`eos_id`), pieces for bytes (`byte_fallback`), and no normalisation.

    Raises:
        ValueError: the bytes are no such model.

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
                f"These {len(model)} bytes are no whole sentencepiece model ({error}). Copy the file again, or make "
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
        """Learns the pieces of a corpus. The same sentences give the same pieces.

        Args:
            sentences: iterable of str.
            size: int, pieces in all: the end piece, the unknown one, 256 bytes, and those of the corpus. Default 4000.
            seed: int, of which sentences are taken where there are more than `limit`. Default 0.
            exact: bool. Where the corpus is too small for so many pieces, False takes as many as it has. Default True.
            limit: int, sentences that are learnt from: 100,000 take about 15 seconds. A longer one than 1,000
                characters counts as several, and of more than 2**26 characters in all fewer are taken. Default 200,000.

        Returns:
            `Pieces`.

        Raises:
            ValueError: there is no sentence, or `size` is below or above what the corpus can give.
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
                    f"size={size}. Give more text, that size, or exact=False, which takes as many as there are."
                ) from error
            if smallest:
                raise ValueError(
                    f"Bytes and frequent letters alone are {smallest[1]} pieces. Received: size={size}. Give that size "
                    "or a larger one."
                ) from error
            raise ValueError(f"sentencepiece could not learn pieces of {len(lines)} lines: {error}") from error

    @property
    def model(self):
        """The model as bytes, a file of sentencepiece."""
        return self._model

    @property
    def size(self):
        """How many pieces there are: ids are from 0 to size - 1."""
        return len(self._names)

    @property
    def end(self):
        """The id of the end piece."""
        return self._processor.eos_id()

    @property
    def names(self):
        """How each piece is written, in the order of the ids: "▁the" with its space, "<0x0A>", "</s>"."""
        return self._names

    def encode(self, texts):
        """Turns texts into ids.

        Args:
            texts: list of str, of at most 2**21 characters each.

        Returns:
            A list with an int32 numpy array for each text, whose last id is the end piece.

        Raises:
            ValueError: `texts` is no list of str, or one of them is longer.
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
        """Turns ids into texts, each up to its first end piece.

        Args:
            rows: int array (batch, length), or list of int arrays or lists.

        Returns:
            List of str. Bytes that are no UTF-8 become U+FFFD.

        Raises:
            ValueError: an id is of no piece, or a row is none of ints.
        """
        rows = [self._text_ids(np.asarray(row)) for row in rows]
        return self._processor.decode(rows, num_threads=1) if rows else []  # it takes [] for the ids of one text

    def pad(self, rows, multiple=1, length=None):
        """Makes one array of rows of ids, with end pieces behind.

        Args:
            rows: list of int arrays, as from `encode`.
            multiple: int, the array's length is a multiple of it. Default 1.
            length: int, the array's length. Default None, that of the longest row or the next multiple.

        Returns:
            int32 numpy array (batch, length).

        Raises:
            ValueError: `length` is none of the multiples, or shorter than a row.
        """
        if not is_count(multiple) or (length is not None and (not is_count(length) or length % multiple)):
            raise ValueError(
                f"multiple must be an int, at least 1, and length a multiple of it. Received: {multiple=}, {length=}"
            )
        longest = max(map(len, rows), default=0)
        width = length or -(-longest // multiple) * multiple
        if longest > width:
            raise ValueError(f"A row has {longest} ids. Received: length={length}. Cut it, or take a larger length.")
        padded = np.full((len(rows), width), self.end, np.int32)
        for place, row in zip(padded, rows, strict=True):
            place[: len(row)] = row
        return padded

    def _check_bytes_and_end(self):
        count = sum(map(self._processor.is_byte, range(self.size)))
        lacking = ["an end piece (eos_id)"] * (self.end < 0) + ["a piece for each byte (byte_fallback)"] * (count < 256)
        if lacking:
            raise ValueError(
                f"This sentencepiece model lacks {' and '.join(lacking)}. Make one with `Pieces.train`, or train it "
                "with these options."
            )

    def _encode_cut(self, text):
        """The ids of a text with U+2581, which is written in bytes here: sentencepiece would make it a space."""
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
    return " ".join(f"{thing!r:.40}".split())  # an array takes several lines


def _sampled(sentences, limit, seed):
    """At most so many of the sentences, each as likely (Vitter's algorithm R), and long ones cut."""
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
        raise ValueError("There is no sentence to learn pieces from: all are empty, or there are none.")
    share = sum(map(len, kept)) / _LEARNT_CHARACTERS
    if share > 1.0:
        kept = [kept[i] for i in sorted(rng.permutation(len(kept))[: int(len(kept) / share)])]
    return kept


def _parts(sentences):
    """Sentences, and the parts of long ones: each as long as sentencepiece takes it."""
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
        num_threads=1,  # with more, other sums and so other pieces
        minloglevel=2,
        **options,
    )
    return writer.getvalue()
