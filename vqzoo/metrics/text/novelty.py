"""What generated texts are worth: how varied they are, how much of them was copied, how likely their words are."""

import collections
import math

from vqzoo.metrics.packages import optional_package

_BITS_A_LETTER = math.log2(27)
_RUN = 4  # words, the shortest run that counts as copied


def distinct_ngrams(texts, n):
    """The share of different n-grams among all n-grams of words, distinct-n.

    Args:
        texts: list of str.
        n: int, 1 or more.

    Returns:
        float in [0, 1]; NaN where no text has n words.

    Example:
    >>> distinct_ngrams(["a cat and a dog"], 1), distinct_ngrams(["a cat and a dog"], 2)
    (0.8, 1.0)

    Reference:
        Li et al. 2016, https://arxiv.org/abs/1510.03055, section 5.1
    """
    grams = [gram for text in texts for gram in _ngrams(text.split(), n)]
    return len(set(grams)) / len(grams) if grams else math.nan


def copied_share(texts, training):
    """The share of texts that are in the training data word for word.

    Args:
        texts: list of str.
        training: list of str.

    Returns:
        float in [0, 1].

    Example:
    >>> copied_share(["a  cat", "a dog"], ["a cat", "the sea"])
    0.5
    """
    known = {" ".join(text.split()) for text in training}
    return sum(" ".join(text.split()) in known for text in texts) / len(texts)


def copied_runs(texts, training):
    """How much of each text is one run of words of a training text.

    Args:
        texts: list of str.
        training: list of str.

    Returns:
        List of float in [0, 1]: the length of the longest such run over that of the text, in words. Runs of fewer than
        4 words count as 0.

    Example:
    >>> copied_runs(["we saw a cat and a dog", "no"], ["a cat and a dog came"])
    [0.7142857142857143, 0.0]
    """
    rows = [text.split() for text in training]
    places = collections.defaultdict(list)
    for number, words in enumerate(rows):
        for start, gram in enumerate(_ngrams(words, _RUN)):
            places[gram].append((number, start))
    return [_longest_run(text.split(), rows, places) for text in texts]


def _longest_run(words, rows, places):
    longest = 0
    for start, gram in enumerate(_ngrams(words, _RUN)):
        if len(words) - start <= longest:
            break
        for number, place in places.get(gram, ()):
            other, length = rows[number], _RUN
            while (
                start + length < len(words)
                and place + length < len(other)
                and words[start + length] == other[place + length]
            ):
                length += 1
            longest = max(longest, length)
    return longest / len(words) if words else 0.0


def self_bleu(texts):
    """Mean BLEU of each text against all others: high where a model repeats itself. Needs the package `sacrebleu`.

    Args:
        texts: list of str, two or more. The time grows with the square of their number.

    Returns:
        float from 0 to 100.

    Raises:
        ImportError: if the package is not installed.

    Reference:
        Zhu et al. 2018, https://arxiv.org/abs/1802.01886, section 3.1
    """
    bleu = optional_package("sacrebleu").metrics.BLEU(effective_order=True)
    scores = [bleu.sentence_score(text, texts[:i] + texts[i + 1 :]).score for i, text in enumerate(texts)]
    return sum(scores) / len(scores)


class TrigramModel:
    r"""An independent judge of texts: a model of three words, whose estimates of three orders are mixed.

    $$p(w \mid u, v) = \frac{c(u, v, w) + m \, p(w \mid v)}{c(u, v) + m}$$

    and so on down to words that are all alike. Words that occur less than twice in the training data are one word,
    "unknown", whose letters cost 4.75 bits each besides, as one of 27: otherwise made-up words would be cheap.

    Args:
        texts: list of str, the training data.
        weight: float m above 0, how many observations the lower order counts for. Defaults to 3.

    Example:
    >>> model = TrigramModel(["the cat sat", "the cat ran", "the dog sat"] * 2)
    >>> round(model.bits_per_word(["the cat sat"]), 2) < round(model.bits_per_word(["sat the cat"]), 2)
    True

    Reference:
        MacKay, Peto 1995, https://doi.org/10.1017/S1351324900000218, equation 13, the hierarchical Dirichlet model
    """

    def __init__(self, texts, weight=3.0):
        rows = [text.split() for text in texts]
        counts = collections.Counter(word for words in rows for word in words)
        self._known = {word for word, count in counts.items() if count > 1}
        self._weight = weight
        self._counts = [collections.Counter() for _ in range(3)]
        self._before = [collections.Counter() for _ in range(3)]
        for words in rows:
            for gram in _ngrams(self._padded(words), 3):
                for order in range(3):
                    self._counts[order][gram[2 - order :]] += 1
                    self._before[order][gram[2 - order : 2]] += 1

    def bits_per_word(self, texts):
        """Cross-entropy of texts, with the end of each as a word.

        Args:
            texts: list of str.

        Returns:
            float, bits per word.
        """
        rows = [text.split() for text in texts]
        bits = [-math.log2(self._chance(gram)) for words in rows for gram in _ngrams(self._padded(words), 3)]
        letters = sum(len(word) for words in rows for word in words if word not in self._known)
        return (sum(bits) + letters * _BITS_A_LETTER) / len(bits)

    def _padded(self, words):
        return [None, None, *(word if word in self._known else "" for word in words), None]

    def _chance(self, gram):
        chance = 1 / (len(self._known) + 2)
        for order in range(3):
            count, before = self._counts[order][gram[2 - order :]], self._before[order][gram[2 - order : 2]]
            chance = (count + self._weight * chance) / (before + self._weight)
        return chance


def _ngrams(words, n):
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
