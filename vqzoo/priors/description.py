"""A prior in one line."""

from vqzoo.measures import codebooks_line
from vqzoo.measures import model_line


def prior_line(prior):
    """What `repr` of a prior is: class, preset, what it predicts, its conditions, parameters. It never raises.

    Args:
        prior: `Prior`, also one that is not built.

    Returns:
        str.

    Example:
    >>> from vqzoo.networks import Transformer
    >>> from vqzoo.priors import MaskedPrior, TokenSpace
    >>> MaskedPrior(TokenSpace({"label": 10, "image": 512}), Transformer(1, 2), "image", 8, grid=(4, 4))
    MaskedPrior(image of 4x4 positions, 1 codebook of 512, condition label of 10, not built)
    """
    space, target = getattr(prior, "space", None), getattr(prior, "target", None)
    if space is None or target not in space.sizes:  # in the middle of its constructor
        return model_line(prior)
    grid = getattr(prior, "grid", None)
    positions = f" of {'x'.join(map(str, grid))} positions" if grid else " of any length"
    conditions = [
        f"condition {name} of {sizes[0] if len(sizes) == 1 else codebooks_line(sizes)}"
        for name, sizes in space.sizes.items()
        if name != target
    ]
    return model_line(prior, f"{target}{positions}", codebooks_line(space.sizes[target]), *conditions)
