"""Learning rates over the steps of a run."""

import keras


def warmup_cosine(highest, steps, warmup=0.05):
    """Builds a learning rate that rises from 0 over a share of the steps and falls to 0 along a cosine.

    Adam's first steps move every weight by the whole learning rate, whatever the gradient; without the rise they
    throw away much of what a preset had learnt.

    Args:
        highest: float, learning rate at the end of the rise.
        steps: int, steps of the whole run.
        warmup: float in [0, 1), share of the steps that rise. Defaults to 0.05.

    Returns:
        `keras.optimizers.schedules.CosineDecay`.

    Raises:
        ValueError: if `warmup` is out of range, or `steps` is no positive number.

    Example:
    >>> schedule = warmup_cosine(1e-3, 100, warmup=0.1)
    >>> [round(float(schedule(step)), 5) for step in (0, 5, 10, 55, 100)]
    [0.0, 0.0005, 0.001, 0.0005, 0.0]

    Reference:
        Loshchilov and Hutter 2017, https://arxiv.org/abs/1608.03983, equation 5; the rise: Goyal et al. 2017,
        https://arxiv.org/abs/1706.02677, section 2.2.
    """
    if not 0.0 <= warmup < 1.0:
        raise ValueError(f"`warmup` is a share of the steps, in [0, 1). Received: warmup={warmup}")
    if steps < 1:
        raise ValueError(f"`steps` is positive: all steps of the run. Received: steps={steps}")
    rising = int(warmup * steps)
    if not rising:
        return keras.optimizers.schedules.CosineDecay(highest, steps)
    return keras.optimizers.schedules.CosineDecay(0.0, steps - rising, warmup_target=highest, warmup_steps=rising)
