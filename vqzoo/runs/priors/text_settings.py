"""What recipes that generate text share: their settings, and the prior and trainer that these describe."""

import dataclasses

import keras

from vqzoo.networks import Transformer
from vqzoo.priors import AutoregressivePrior
from vqzoo.priors import MaskedPrior
from vqzoo.runs.settings import RunSettings
from vqzoo.trainers import PriorTrainer
from vqzoo.trainers import warmup_cosine

KINDS = {"autoregressive": AutoregressivePrior, "masked": MaskedPrior}


@dataclasses.dataclass(frozen=True)
class TextPriorSettings(RunSettings):
    """What every training run of a prior of text needs.

    Raises:
        ValueError: if a setting is out of its range.

    Example:
    >>> TextPriorSettings(width=64).heads
    4
    """

    # Data
    validation_share: float = 0.05
    pieces: int = 6000  # size of the subword vocabulary, of pairs one for each side
    length: int = 64  # pieces of a text at most; longer ones are left out
    tokenizer: str = ""  # preset of a text tokenizer whose tokens are generated; empty: the pieces themselves
    init: str = ""  # preset of a prior, name or folder, to start from, with its network and text pieces
    # Network
    kind: str = "autoregressive"  # autoregressive or masked
    width: int = 256  # width of the transformer
    depth: int = 4  # blocks of the transformer
    encoder_depth: int = 3  # blocks of the encoder of what a text is generated from
    heads: int = 4  # attention heads per block
    dropout: float = 0.1  # rate of dropout of attention weights and branches
    condition_dropout: float = 0.0  # fraction of the examples that are trained without a condition, for guidance
    # Losses
    label_smoothing: float = 0.0  # label smoothing of the cross-entropy
    # Training
    batch_size: int = 64
    steps_per_epoch: int = 500
    validation_examples: int = 512  # number of held-out texts for the evaluation
    weight_decay: float = 0.05  # weight decay of AdamW

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"--kind must be one of {', '.join(KINDS)}. Received: {self.kind}")


def build_text_prior(context):
    """A prior of text and its trainer, compiled.

    Args:
        context: the `context` of a `PriorRun` with `TextPriorSettings`.

    Returns:
        `PriorTrainer`.
    """
    settings, asked = context.settings, len(context.space.names) > 1
    causal = settings.kind == "autoregressive"
    transformer = Transformer(
        settings.depth, settings.heads, causal=causal, cross_attention=asked, dropout=settings.dropout
    )
    encoder = None
    if asked and settings.encoder_depth:
        encoder = Transformer(settings.encoder_depth, settings.heads, dropout=settings.dropout, name="context_encoder")
    prior = KINDS[settings.kind](
        context.space,
        transformer,
        context.target,
        settings.width,
        context.grid,
        context_encoder=encoder,
        condition_dropout=settings.condition_dropout if asked else 0.0,
        seed=settings.seed,
    )
    trainer = PriorTrainer(prior, None, settings.label_smoothing, settings.average_decay)
    trainer.build((None, context.length, prior.num_codebooks))
    if context.start is not None:
        prior.set_weights(context.start.get_weights())
    rate = warmup_cosine(settings.learning_rate, settings.epochs * settings.steps_per_epoch, settings.warmup)
    trainer.compile(keras.optimizers.AdamW(rate, settings.weight_decay, beta_2=0.98, global_clipnorm=1.0))
    return trainer


def network_of(start):
    """The settings that a prior in `init` replaces.

    Args:
        start: `Prior`.

    Returns:
        Dict name of a setting -> value.
    """
    encoder = start.context_encoder
    return {
        "kind": "autoregressive" if start.causal else "masked",
        "width": start.width,
        "depth": start.transformer.depth,
        "encoder_depth": encoder.depth if encoder is not None else 0,
        "heads": start.transformer.heads,
    }
