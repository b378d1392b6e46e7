"""Generative models of tokens. They continue, complete and generate token sequences."""

from vqzoo.startup import is_command as _is_command
from vqzoo.startup import on_first_use as _on_first_use

if _is_command():
    __getattr__ = _on_first_use(__name__)
else:
    from vqzoo.priors.autoregressive import AutoregressivePrior
    from vqzoo.priors.generation import in_graph
    from vqzoo.priors.grammar import Grammar
    from vqzoo.priors.grammar import Span
    from vqzoo.priors.masked import MaskedPrior
    from vqzoo.priors.masked import masked_share
    from vqzoo.priors.patterns import CoarseFirstPattern
    from vqzoo.priors.patterns import DelayPattern
    from vqzoo.priors.patterns import FlattenPattern
    from vqzoo.priors.patterns import ParallelPattern
    from vqzoo.priors.patterns import Pattern
    from vqzoo.priors.prior import CrossEntropy
    from vqzoo.priors.prior import Prior
    from vqzoo.priors.sampling import Sampling
    from vqzoo.priors.token_space import TokenSpace

__all__ = [
    "AutoregressivePrior",
    "CoarseFirstPattern",
    "CrossEntropy",
    "DelayPattern",
    "FlattenPattern",
    "Grammar",
    "MaskedPrior",
    "ParallelPattern",
    "Pattern",
    "Prior",
    "Sampling",
    "Span",
    "TokenSpace",
    "in_graph",
    "masked_share",
]
