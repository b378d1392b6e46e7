import numpy as np
import pytest

from vqzoo.data import TokenBatches

TOKENS = np.arange(42).reshape(7, 3, 2)
PREFIX = np.arange(7)[:, None] + 100


def test_an_epoch_has_each_row_once_with_its_prefix():
    batches = TokenBatches(TOKENS, 7, PREFIX, seed=3)
    for step in (0, 1):
        tokens, condition = batches.batch(step)
        rows = tokens[:, 0, 0] // 6
        assert sorted(rows) == list(range(7))
        np.testing.assert_array_equal(tokens, TOKENS[rows])
        np.testing.assert_array_equal(condition["prefix"], PREFIX[rows])
    assert not (batches.batch(0)[0] == batches.batch(1)[0]).all()


def test_the_dataset_goes_on_at_any_step_and_workers_share():
    batches = TokenBatches(TOKENS, 4, PREFIX)
    for step, (tokens, condition) in enumerate(batches.dataset(start=5, steps=3), start=5):
        np.testing.assert_array_equal(tokens, batches.batch(step)[0])
        np.testing.assert_array_equal(condition["prefix"], batches.batch(step)[1]["prefix"])
    halves = [batches.batch(2, worker, 2)[0] for worker in (0, 1)]
    np.testing.assert_array_equal(np.concatenate(halves), batches.batch(2)[0])
    (half,) = TokenBatches(TOKENS, 4).dataset(2, 1, worker=1, workers=2)
    np.testing.assert_array_equal(half, halves[1])
    assert half.shape == (2, 3, 2)


def test_rows_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match="Received: 7 rows of tokens, 6 of prefix"):
        TokenBatches(TOKENS, 4, PREFIX[1:])
    with pytest.raises(ValueError, match="Received: no rows of tokens"):
        TokenBatches(TOKENS[:0], 4)


def ragged(rows=50, most=20, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, most + 1, (2, rows))
    tokens = np.where(np.arange(most) < lengths[0][:, None], np.arange(rows)[:, None], -1)[..., None]
    return tokens, np.where(np.arange(most) < lengths[1][:, None], 7, 0)


@pytest.mark.parametrize("condition", ["prefix", "context"])
def test_batches_of_similar_lengths_are_cut_and_lose_nothing(condition):
    tokens, ids = ragged()
    batches = TokenBatches(tokens, 4, **{condition: ids}, seed=3, lengths=(8, 12, 99))
    assert batches.padding < TokenBatches(tokens, 4, **{condition: ids}).padding
    whole, cuts = [], set()
    for step in range(25):  # two epochs, which meet within a batch
        rows, conditions = batches.batch(step)
        cuts.add(rows.shape[1])
        assert rows.shape[1] in (8, 12, 20) and conditions[condition].shape[1] in (12, 20)
        for row, given in zip(rows, conditions[condition], strict=True):
            number = row[0, 0]
            whole.append(number)
            assert (row >= 0).sum() == (tokens[number] >= 0).sum() and (given > 0).sum() == (ids[number] > 0).sum()
    assert sorted(whole[:50]) == sorted(whole[50:]) == list(range(50)) and whole[:50] != whole[50:]
    assert len(cuts) > 1


def test_cut_batches_go_on_at_any_step_and_workers_share_a_length():
    tokens, ids = ragged()
    batches = TokenBatches(tokens, 4, context=ids, lengths=(8, 12))
    for step, (rows, conditions) in enumerate(batches.dataset(start=5, steps=9), start=5):
        np.testing.assert_array_equal(rows, batches.batch(step)[0])
        np.testing.assert_array_equal(conditions["context"], batches.batch(step)[1]["context"])
    for step in range(6):
        halves = [batches.batch(step, worker, 2)[0] for worker in (0, 1)]
        np.testing.assert_array_equal(np.concatenate(halves), batches.batch(step)[0])


def test_fewer_rows_than_a_batch_have_one_length():
    tokens, _ = ragged(rows=3)
    batches = TokenBatches(tokens, 8, lengths=(4,))
    assert batches.batch(0).shape[0] == 8 and 0.0 <= batches.padding < 1.0
    with pytest.raises(ValueError, match="`lengths` need tokens of one axis"):
        TokenBatches(TOKENS[:, None], 4, lengths=(2,))
