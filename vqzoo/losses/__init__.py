"""Training losses. A loss returns a float32 scalar or one value per example; a trainer's `loss_weights` weights it."""

from vqzoo.losses.adversarial import AdversarialLoss
from vqzoo.losses.adversarial import HingeLoss
from vqzoo.losses.adversarial import NonSaturatingLoss
from vqzoo.losses.adversarial import VanillaLoss
from vqzoo.losses.adversarial import adaptive_weight
from vqzoo.losses.adversarial import discriminator_parts
from vqzoo.losses.adversarial import feature_matching_loss
from vqzoo.losses.audio import LevelLoss
from vqzoo.losses.audio import MelLoss
from vqzoo.losses.audio import SpectralLoss
from vqzoo.losses.audio import STFTLoss
from vqzoo.losses.audio import si_sdr_loss
from vqzoo.losses.perceptual import PerceptualLoss
from vqzoo.losses.reconstruction import l1_loss
from vqzoo.losses.reconstruction import l2_loss
from vqzoo.losses.regularizers import LeCamRegularizer
from vqzoo.losses.regularizers import R1Penalty
from vqzoo.losses.text import PieceCrossEntropy

__all__ = [
    "AdversarialLoss",
    "HingeLoss",
    "LeCamRegularizer",
    "LevelLoss",
    "MelLoss",
    "NonSaturatingLoss",
    "PerceptualLoss",
    "PieceCrossEntropy",
    "R1Penalty",
    "STFTLoss",
    "SpectralLoss",
    "VanillaLoss",
    "adaptive_weight",
    "discriminator_parts",
    "feature_matching_loss",
    "l1_loss",
    "l2_loss",
    "si_sdr_loss",
]
