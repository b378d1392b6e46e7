"""What is minimised. A loss returns an unweighted float32 scalar; a trainer's `loss_weights` alone weighs it."""

from vqzoo.losses.adversarial import AdversarialLoss
from vqzoo.losses.adversarial import HingeLoss
from vqzoo.losses.adversarial import NonSaturatingLoss
from vqzoo.losses.adversarial import VanillaLoss
from vqzoo.losses.adversarial import adaptive_weight
from vqzoo.losses.adversarial import feature_matching_loss
from vqzoo.losses.perceptual import PerceptualLoss
from vqzoo.losses.reconstruction import l1_loss
from vqzoo.losses.reconstruction import l2_loss
from vqzoo.losses.regularizers import LeCamRegularizer
from vqzoo.losses.regularizers import R1Penalty

__all__ = [
    "AdversarialLoss",
    "HingeLoss",
    "LeCamRegularizer",
    "NonSaturatingLoss",
    "PerceptualLoss",
    "R1Penalty",
    "VanillaLoss",
    "adaptive_weight",
    "feature_matching_loss",
    "l1_loss",
    "l2_loss",
]
