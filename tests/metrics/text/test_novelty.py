import math

import pytest

from vqzoo.metrics.text import novelty

TRAINING = ["the cat sat on the mat and slept", "a dog ran by the sea", "the cat ran"]


def test_a_text_of_the_training_data_is_copied_whole():
    texts = [TRAINING[0], "the  cat ran", "a mouse"]
    assert novelty.copied_share(texts, TRAINING) == pytest.approx(2 / 3)
    assert novelty.copied_runs(texts, TRAINING) == [1.0, 0.0, 0.0]  # three words are no run


@pytest.mark.parametrize(
    "text, expected",
    [
        ("we saw the cat sat on the mat", 6 / 8),
        ("dog ran by the mat", 4 / 5),
        ("sat on the mat and sat on the mat and slept", 6 / 11),
        ("", 0.0),
        ("a", 0.0),
    ],
)
def test_the_longest_run_is_found(text, expected):
    assert novelty.copied_runs([text], TRAINING) == [pytest.approx(expected)]


def brute_force(text, training):
    words = text.split()
    grams = {
        tuple(row[i:j]) for row in map(str.split, training) for i in range(len(row)) for j in range(i + 4, len(row) + 1)
    }
    runs = [j - i for i in range(len(words)) for j in range(i + 4, len(words) + 1) if tuple(words[i:j]) in grams]
    return max(runs, default=0) / len(words)


def test_runs_are_those_of_brute_force():
    import random

    rng = random.Random(0)
    training = [" ".join(rng.choices("abc", k=30)) for _ in range(20)]
    texts = [" ".join(rng.choices("abc", k=25)) for _ in range(20)]
    assert novelty.copied_runs(texts, training) == [pytest.approx(brute_force(text, training)) for text in texts]


def test_repetition_is_less_distinct():
    assert novelty.distinct_ngrams(["a a a a"], 1) == 0.25 and novelty.distinct_ngrams(["a a a a"], 2) == pytest.approx(
        1 / 3
    )
    assert math.isnan(novelty.distinct_ngrams(["a", "b"], 2))


def test_the_chances_of_all_words_sum_to_one():
    model = novelty.TrigramModel(TRAINING * 2)
    words = [*model._known, "", None]
    for before in ((None, None), ("the", "cat"), ("never", "seen"), (None, "the")):
        assert sum(model._chance((*before, word)) for word in words) == pytest.approx(1.0)


def test_shuffled_texts_are_less_likely():
    model = novelty.TrigramModel(TRAINING * 2)
    assert model.bits_per_word(TRAINING) < model.bits_per_word(
        ["mat the on sat cat the slept and", "sea the by ran dog a"]
    )
