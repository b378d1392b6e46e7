import numpy as np
import pytest

from vqzoo.priors import masked_share
from vqzoo.priors.settings import SCHEDULES

R = np.linspace(0.0, 1.0, 11)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", 1 - R),
        ("cosine", np.cos(np.pi / 2 * R)),
        ("square", 1 - R**2),
        ("cubic", 1 - R**3),
        ("square_root", 1 - np.sqrt(R)),
        ("log", [1.0, *(-np.log2(R[1:]) / 8)]),
        ("exp", 1 - 2.0 ** (-8 * (1 - R))),
    ],
)
def test_each_schedule_is_its_formula(schedule, expected):
    np.testing.assert_allclose(masked_share(R, schedule, tokens=256), np.clip(expected, 1e-6, 1), atol=2e-6)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_falls_from_all_to_nothing(schedule):
    share = np.asarray(masked_share(R, schedule, tokens=256))
    assert share[0] > 0.99 and share[-1] < 0.01 and (np.diff(share) < 0).all()
    middle = float(masked_share(0.5, schedule, tokens=256))
    assert middle > 0.5 if schedule in ("cosine", "square", "cubic", "exp") else middle <= 0.5


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="`schedule` must be one of linear, cosine, .* Received: schedule='half'"):
        masked_share(0.5, "half")
