"""Learning rate schedules."""

import keras


def warmup_cosine(highest, steps, warmup=0.05):
    """Builds a learning rate schedule with a linear warmup from 0 and a cosine decay to 0.

    The first steps of Adam change every weight by the full learning rate, independent of the gradient. Without a warmup
    they destroy much of what a preset has learned.

    Args:
        highest: float, learning rate at the end of the warmup.
        steps: int, steps of the whole run.
        warmup: float in [0, 1), fraction of warmup steps. Defaults to 0.05.

    Returns:
        `keras.optimizers.schedules.CosineDecay`.

    Raises:
        ValueError: if `warmup` is out of range, or `steps` is not positive.

    Example:
    >>> schedule = warmup_cosine(1e-3, 100, warmup=0.1)
    >>> [round(float(schedule(step)), 5) for step in (0, 5, 10, 55, 100)]
    [0.0, 0.0005, 0.001, 0.0005, 0.0]

    Reference:
        Loshchilov and Hutter 2017, https://arxiv.org/abs/1608.03983, equation 5; warmup: Goyal et al. 2017,
        https://arxiv.org/abs/1706.02677, section 2.2.
    """
    if not 0.0 <= warmup < 1.0:
        raise ValueError(f"`warmup` must be in [0, 1). Received: warmup={warmup}")
    if steps < 1:
        raise ValueError(f"`steps` must be positive, all steps of the run. Received: steps={steps}")
    rising = int(warmup * steps)
    if not rising:
        return keras.optimizers.schedules.CosineDecay(highest, steps)
    return keras.optimizers.schedules.CosineDecay(0.0, steps - rising, warmup_target=highest, warmup_steps=rising)
