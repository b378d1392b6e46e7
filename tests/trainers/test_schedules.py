import math

import numpy as np
import pytest

from vqzoo.trainers import warmup_cosine


def test_rises_in_a_line_and_falls_along_a_cosine():
    schedule = warmup_cosine(2e-3, 1000, warmup=0.1)
    for step in range(0, 1001, 25):
        share = (step - 100) / 900
        expected = 2e-3 * step / 100 if step < 100 else 2e-3 * 0.5 * (1 + math.cos(math.pi * share))
        np.testing.assert_allclose(float(schedule(step)), expected, rtol=1e-4, atol=1e-9)


def test_no_rise_starts_at_the_highest():
    assert float(warmup_cosine(1e-3, 10, warmup=0.0)(0)) == pytest.approx(1e-3)


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_a_run_too_short_to_rise_still_learns(steps):
    assert float(warmup_cosine(1e-3, steps)(0)) > 0


@pytest.mark.parametrize("warmup", [-0.1, 1.0, 5])
def test_a_warmup_out_of_range_is_an_error(warmup):
    with pytest.raises(ValueError, match="`warmup` must be in"):
        warmup_cosine(1e-3, 100, warmup)


def test_no_steps_are_an_error():
    with pytest.raises(ValueError, match="`steps` must be positive"):
        warmup_cosine(1e-3, 0)
