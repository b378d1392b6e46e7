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
