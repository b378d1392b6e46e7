import numpy as np
import pytest

from vqzoo.metrics import TokenEntropy


def test_all_tokens_count_the_same():
    rng = np.random.default_rng(0)
    metric, all_nats = TokenEntropy(), []
    for count in (3, 50, 1, 0):
        nats, counted = rng.exponential(size=(count, 4)).astype("float32"), rng.random((count, 4)) < 0.7
        metric.update_state(nats, counted)
        all_nats.append(nats[counted])
    mean = np.concatenate(all_nats).mean()
    told = {name: float(value) for name, value in metric.result().items()}
    assert told == pytest.approx({"bits_per_token": mean / np.log(2), "perplexity": np.exp(mean)}, rel=1e-5)
    metric.reset_state()
    assert {name: float(value) for name, value in metric.result().items()} == {"bits_per_token": 0, "perplexity": 1}


def test_what_is_not_counted_may_be_anything():
    metric = TokenEntropy()
    metric.update_state(np.array([1.0, np.nan, np.inf], "float32"), np.array([True, False, False]))
    assert float(metric.result()["perplexity"]) == pytest.approx(np.e, rel=1e-5)
