"""Masking schedules of training and generation."""

import math

import keras

from vqzoo.priors.settings import SCHEDULES

_SMALLEST = 1e-6
_POWERS = {"linear": 1.0, "square": 2.0, "cubic": 3.0, "square_root": 0.5}


def masked_share(progress, schedule="cosine", tokens=196):
    r"""The fraction of masked tokens as a function of the progress.

    | schedule | fraction at r |
    |---|---|
    | `linear` (uniform) | 1 - r |
    | `cosine` | cos(pi r / 2) |
    | `square`, `cubic`, `square_root` | 1 - r^2, 1 - r^3, 1 - sqrt(r) |
    | `log` | -log2(r) / log2(N) |
    | `exp` | 1 - 2^(log2(N) (r - 1)) |

    clipped to [1e-6, 1], with N the number of tokens. Concave schedules (`cosine`, `square`, `cubic`, `exp`) first fix
    few tokens per step and later many.

    Args:
        progress: float tensor r, in [0, 1].
        schedule: str. Defaults to "cosine".
        tokens: int N, for `log` and `exp`. Defaults to 196.

    Returns:
        float32 tensor.

    Raises:
        ValueError: if the schedule is unknown.

    Example:
    >>> [round(float(masked_share(r)), 3) for r in (0.0, 0.5, 1.0)]
    [1.0, 0.707, 0.0]

    Reference:
        Chang et al. 2022 (MaskGIT), https://arxiv.org/abs/2202.04200, section 3.3; `log` and `exp` as in its code,
        libml/mask_schedule.py
    """
    r = keras.ops.cast(progress, "float32")
    bits = math.log2(max(tokens, 2))
    if schedule in _POWERS:
        share = 1.0 - r ** _POWERS[schedule]
    elif schedule == "cosine":
        share = keras.ops.cos(0.5 * math.pi * r)
    elif schedule == "log":
        share = -keras.ops.log2(keras.ops.maximum(r, 1e-12)) / bits
    elif schedule == "exp":
        share = 1.0 - 2.0 ** (bits * (r - 1.0))
    else:
        raise ValueError(f"`schedule` must be one of {', '.join(SCHEDULES)}. Received: schedule={schedule!r}")
    return keras.ops.clip(share, _SMALLEST, 1.0)
