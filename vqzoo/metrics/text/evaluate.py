"""Evaluates a text tokenizer on a dataset."""

import time

import numpy as np
from keras import ops

from vqzoo.metrics.codebook import CodebookUsage
from vqzoo.metrics.codebook import codebook_statistics
from vqzoo.metrics.rate import bits_per_character
from vqzoo.metrics.text.agreement import character_error_rate
from vqzoo.metrics.text.agreement import compressed_bits_per_character
from vqzoo.metrics.text.agreement import exact_match
from vqzoo.metrics.text.agreement import piece_accuracy

_NAMES = ("exact_match", "piece_accuracy", "character_error_rate", "bits_per_character", "bits_per_character_pieces")
_NAMES += ("bits_per_character_zlib", "bits_per_character_lzma", "usage", "perplexity", "dead_codes")
_NAMES += ("encoded_tokens_per_second", "decoded_tokens_per_second", "sentences", "characters")


def evaluate_text(tokenizer, sentences, batch_size=64, metrics=None):
    """Encodes and decodes sentences and measures the reconstructions.

    Sentences of similar length are encoded together. The tokens of each sentence are decoded only up to its own last
    chunk, as without a batch.

    Args:
        tokenizer: has `encode(texts) -> tokens`, `decode_ids(tokens) -> ids`, `pieces`, `stride` and `codebook_sizes`,
            as a `TextTokenizer`.
        sentences: iterable of str.
        batch_size: int, number of sentences per batch. Default 64.
        metrics: dict name -> additional metric, a callable (sentences, decoded) -> one number, such as `bleu` and
            `chrf`. Both are lists of str in the order of `sentences`. Defaults to none.

    Returns:
        A dict of Python numbers: `exact_match` (fraction of the sentences), `piece_accuracy` (fraction of all pieces,
        including the end-of-sequence token), `character_error_rate` (edit distances divided by lengths),
        `bits_per_character` of the tokens and `bits_per_character_pieces` of the pieces, both without entropy coding,
        `bits_per_character_zlib` and `bits_per_character_lzma` of all sentences in one file, and those of `metrics`.
        Over all tokens: `usage`, `perplexity` and `dead_codes` (see `CodebookUsage`); with several codebooks also the
        usage and the perplexity of each, `usage_0`, `perplexity_0` and so on. Then `encoded_tokens_per_second` and
        `decoded_tokens_per_second` (from and to strings, without compilation), `sentences` and `characters`, the
        numbers of them. If all sentences are empty, the values per character are left out.

    Raises:
        ValueError: there is no sentence, `batch_size` is below 1, a metric has a name of the report, or returns
            something else.

    Example:
    >>> class Bytes:
    ...     size, end = 256, 10
    ...     def encode(self, texts):
    ...         return [np.array([*text.encode("latin1"), 10]) for text in texts]
    ...     def decode(self, rows):
    ...         return [bytes(row.tolist()).decode("latin1").split(chr(10))[0] for row in rows]
    >>> class Coarse:  # loses the lowest bit
    ...     pieces, stride, codebook_sizes = Bytes(), 1, (128,)
    ...     def encode(self, texts):
    ...         rows = self.pieces.encode(texts)
    ...         return np.array([np.pad(row, (0, max(map(len, rows)) - len(row))) // 2 for row in rows])[..., None]
    ...     def decode_ids(self, tokens):
    ...         return 2 * tokens[..., 0]
    >>> report = evaluate_text(Coarse(), ["bad", "dad"])
    >>> report["piece_accuracy"], report["bits_per_character"]
    (0.75, 9.333333333333334)
    """
    sentences = list(sentences)
    several = range(len(tokenizer.codebook_sizes)) if len(tokenizer.codebook_sizes) > 1 else ()
    _check(sentences, batch_size, metrics or {}, [f"{name}_{i}" for i in several for name in ("usage", "perplexity")])
    rows = tokenizer.pieces.encode(sentences)
    chunks = np.array([-(-len(row) // tokenizer.stride) for row in rows])
    made, codebook, encoding, decoding = _through(tokenizer, sentences, chunks, batch_size)
    decoded = tokenizer.pieces.decode(made)
    usage = {name: float(value) for name, value in codebook.result().items()}
    of_each = [codebook_statistics(counts) for counts in codebook.counts_per_codebook()]
    tokens = int(chunks.sum()) * len(tokenizer.codebook_sizes)
    return {
        "exact_match": exact_match(sentences, decoded),
        "piece_accuracy": piece_accuracy(rows, made),
        **_per_character(tokenizer, sentences, decoded, chunks, rows),
        **{name: _number(name, metric(sentences, decoded)) for name, metric in (metrics or {}).items()},
        **usage,
        "dead_codes": int(usage["dead_codes"]),
        **{f"{name}_{i}": of_each[i][name] for i in several for name in ("usage", "perplexity")},
        "encoded_tokens_per_second": tokens / encoding,
        "decoded_tokens_per_second": tokens / decoding,
        "sentences": len(sentences),
        "characters": sum(map(len, sentences)),
    }


def _through(tokenizer, sentences, chunks, batch_size):
    """The reconstructed ids in the order of the sentences, the codebook usage, and the seconds of encode and decode."""
    order = np.argsort(-chunks, kind="stable")
    groups = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    codebook = CodebookUsage(tokenizer.codebook_sizes)
    made, seconds = [None] * len(sentences), np.zeros(2)
    # Excludes compilation from the time. A function that was traced with two lengths accepts any length.
    for group in (groups[0], groups[-1], *groups[:1]):
        tokenizer.decode_ids(tokenizer.encode([sentences[i] for i in group]))
    for group in groups:
        texts = [sentences[i] for i in group]
        start = time.perf_counter()
        tokens = ops.convert_to_numpy(tokenizer.encode(texts))  # numpy: waits for the device
        middle = time.perf_counter()
        ids = ops.convert_to_numpy(tokenizer.decode_ids(tokens))
        tokenizer.pieces.decode(ids)
        seconds += (middle - start, time.perf_counter() - middle)
        codebook.update_state(tokens, np.arange(tokens.shape[1]) < chunks[group, None])
        for i, row in zip(group, ids, strict=True):
            made[i] = row[: chunks[i] * tokenizer.stride]
    return made, codebook, *seconds.tolist()


def _per_character(tokenizer, sentences, decoded, chunks, rows):
    characters = sum(map(len, sentences))
    if not characters:
        return {}
    pieces = sum(map(len, rows))
    return {
        "character_error_rate": character_error_rate(sentences, decoded),
        "bits_per_character": bits_per_character(int(chunks.sum()), tokenizer.codebook_sizes, characters),
        "bits_per_character_pieces": bits_per_character(pieces, (tokenizer.pieces.size,), characters),
        "bits_per_character_zlib": compressed_bits_per_character(sentences, "zlib"),
        "bits_per_character_lzma": compressed_bits_per_character(sentences, "lzma"),
    }


def _check(sentences, batch_size, metrics, others):
    taken = sorted(set(metrics) & {*_NAMES, *others})
    if taken:
        raise ValueError(f"`metrics` must have names that the report does not use itself. Received: {taken}")
    if not sentences:
        raise ValueError("There is nothing to evaluate: `sentences` held no sentence. Check the folder or the split.")
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={batch_size}")


def _number(name, value):
    if np.ndim(value) or np.asarray(value).dtype.kind not in "biuf":
        raise ValueError(f"A metric must return one number. Received: from {name}, {value!r:.60}")
    return float(value)
