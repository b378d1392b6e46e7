"""Trains a VQGAN image tokenizer: sharper than a VQ-VAE, at more cost and with more to go wrong.

    python recipes/image_vqgan.py                            # photographs that come with scikit-image
    python recipes/image_vqgan.py --data ~/Pictures --size 128
    python recipes/image_vqgan.py --init saved_models/image_vqvae --freeze_encoder     # sharpens a VQ-VAE's decoder
    python recipes/image_vqgan.py f16 --data /data/imagenet/train --strategy mirrored  # the published size: wants GPUs
    python recipes/image_vqgan.py --data ~/Pictures --perceptual vgg16                 # sharper: downloads VGG16 once
    python recipes/image_vqgan.py tiny --out /some/folder    # seconds: shows that it runs

Reference: Esser, Rombach, Ommer 2021, https://arxiv.org/abs/2012.09841
"""

import dataclasses
import os

os.environ.setdefault("VQZOO_QUIET", "1")  # TensorFlow's own messages would stand between the log lines

import vqzoo  # isort: skip
import keras

from vqzoo.losses import PerceptualLoss
from vqzoo.networks import group_normalization
from vqzoo.networks.discriminators import batch_norm
from vqzoo.networks.discriminators import patch_discriminator
from vqzoo.runs import TokenizerRun
from vqzoo.runs import TokenizerSettings
from vqzoo.runs import run_recipe
from vqzoo.trainers import warmup_cosine


@dataclasses.dataclass(frozen=True)
class Config(TokenizerSettings):
    # Data
    data: str = ""  # picture or folder of pictures, recursive; empty: the photographs of scikit-image
    out: str = "saved_models/image_vqgan"
    freeze_encoder: bool = False  # trains the decoder alone: tokens stay those of `init`, and training is stabler
    size: int = 64  # pixels a side of a training crop
    channels: int = 3  # 1 grey, 3 colour, 4 with opacity
    min_scale: float = 0.5  # smallest random resize of a picture before the crop
    max_scale: float = 1.0  # largest
    max_side: int = 1024  # pixels, longer side to which larger pictures are reduced first
    flip: bool = True  # mirror half of the crops
    jitter: float = 0.0  # largest relative change of brightness, contrast and saturation
    # Networks
    filters: int = 128  # of the convolutions
    stride: int = 4  # pixels a side that one token stands for; not for residual
    residual: bool = False  # the published VQGAN's networks: better with a GPU and days, several times the cost
    multipliers: tuple[int, ...] = (1, 2, 4)  # residual: of `filters` at each halving; stride 2 ** (len - 1)
    blocks: int = 2  # residual blocks; residual: at each resolution
    residual_filters: int = 64  # of the 3x3 convolutions inside the blocks; not for residual
    attention: tuple[int, ...] = ()  # residual: levels with self-attention, 0 the full resolution
    mid_attention: bool = True  # residual: self-attention at the lowest resolution
    latent_dim: int = 32  # width of a code
    codebook_size: int = 1024  # codes
    # Losses
    commitment_weight: float = 0.25  # of the commitment loss; the absolute error weighs 1
    discriminator_filters: int = 32  # of its first convolution
    discriminator_depth: int = 2  # strided convolutions: 2 judges patches of 34 pixels, 3 of 70
    discriminator_start: float = 0.6  # share of the steps before the discriminator joins
    discriminator_warmup: float = 0.12  # share of the steps over which its weight grows from 0 to full
    discriminator_batch_norm: bool = False  # batch instead of group normalization inside it
    adaptive: bool = True  # adversarial weights are shares of the gradient of the signal's losses, not plain factors
    adversarial_weight: float = 0.5  # gradient of the adversarial loss as a fraction of the absolute error's
    feature_matching_weight: float = 0.4  # the same of the distance in the discriminator's features
    r1_weight: float = 0.0  # of the penalty on the discriminator's gradient, 10 in MaskGIT's tokenizer; 0 leaves it out
    lecam_weight: float = 0.0  # of the LeCAM regularizer, for small data; 0 leaves it out
    perceptual: str = ""  # vgg16, or a .keras file: a network whose features are compared as well; empty: none
    perceptual_weight: float = 1.0  # of that loss; the absolute error weighs 1
    # Training
    epochs: int = 8
    validation_crops: int = 256  # crops to evaluate on
    discriminator_learning_rate: float = 2e-4  # constant

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.discriminator_start <= 1:
            raise ValueError(f"--discriminator_start is a share of the steps, in [0, 1]: {self.discriminator_start}")
        if self.freeze_encoder and not self.init:
            raise ValueError("--freeze_encoder keeps what a preset has learnt: give one by --init")


NETWORKS = ("filters", "stride", "residual", "multipliers", "blocks", "residual_filters", "attention", "mid_attention")
NETWORKS += ("latent_dim", "codebook_size")  # what a preset given as `init` decides
F16 = {"size": 256, "residual": True, "multipliers": (1, 1, 2, 2, 4), "attention": (4,), "latent_dim": 256}
F16 |= {"discriminator_filters": 64, "discriminator_depth": 3, "discriminator_start": 0.1, "batch_size": 32}
F16 |= {"steps_per_epoch": 5_000, "epochs": 100, "learning_rate": 1e-4, "average_decay": 0.9999}
TINY = {"size": 32, "filters": 16, "blocks": 1, "residual_filters": 8, "codebook_size": 64, "discriminator_filters": 8}
TINY |= {"learning_rate": 3e-3, "average_decay": 0.9, "batch_size": 8, "epochs": 2, "steps_per_epoch": 10}
VARIANTS = {
    "default": Config(),
    "f16": Config(**F16, discriminator_warmup=0.01, out="saved_models/image_vqgan_f16"),
    "tiny": Config(**TINY, validation_crops=16, out="saved_models/image_vqgan_tiny"),
}


def build(context):
    config = context.settings
    tokenizer = build_tokenizer(config)
    tokenizer.encoder.trainable = tokenizer.quantizer.trainable = not config.freeze_encoder
    norm = batch_norm if config.discriminator_batch_norm else group_normalization
    opponent = patch_discriminator(config.channels, config.discriminator_filters, config.discriminator_depth, norm)
    steps = config.epochs * config.steps_per_epoch
    signal_losses, regularizers = {"l1": vqzoo.losses.l1_loss}, {}
    weights = dict.fromkeys((*tokenizer.quantizer.loss_names, "l1", "discriminator"), 1.0)
    weights |= {x: getattr(config, f"{x}_weight") for x in ("commitment", "adversarial", "feature_matching")}
    if config.perceptual:
        vgg16 = config.perceptual == "vgg16"
        network = vqzoo.networks.image.vgg16_features() if vgg16 else keras.models.load_model(config.perceptual)
        signal_losses["perceptual"], weights["perceptual"] = PerceptualLoss(network), config.perceptual_weight
    if config.r1_weight:
        regularizers["r1"], weights["r1"] = vqzoo.losses.R1Penalty(), config.r1_weight
    if config.lecam_weight:
        regularizers["lecam"], weights["lecam"] = vqzoo.losses.LeCamRegularizer(), config.lecam_weight
    joining = {name: int(getattr(config, name) * steps) for name in ("discriminator_start", "discriminator_warmup")}
    options = {"regularizers": regularizers, "adaptive": config.adaptive, "average_decay": config.average_decay}
    trainer = vqzoo.AdversarialTrainer(tokenizer, opponent, signal_losses, weights, **joining, **options)
    trainer.build((None, config.size, config.size, config.channels))
    trainer.compile(
        keras.optimizers.Adam(warmup_cosine(config.learning_rate, steps, config.warmup), global_clipnorm=1.0),
        keras.optimizers.Adam(config.discriminator_learning_rate, beta_1=0.5),
    )
    return trainer


def build_tokenizer(config):
    if config.init:
        return vqzoo.ImageTokenizer.from_preset(config.init, config.precision)
    sizes = {name: getattr(config, name) for name in ("channels", "filters", "blocks", "latent_dim")}
    sizes["quantizer"] = vqzoo.EMAVectorQuantizer(config.codebook_size, name="quantizer")
    if not config.residual:
        sizes |= {"residual_filters": config.residual_filters, "name": "image_vqgan"}
        return vqzoo.image_vqvae(stride=config.stride, **sizes)
    return vqzoo.image_vqgan(**sizes, **{x: getattr(config, x) for x in ("multipliers", "attention", "mid_attention")})


def main(config):
    run = TokenizerRun(config, "image", "image_vqgan", NETWORKS)
    trainer = run.fit(build)
    run.finish(trainer, marks={"discriminator starts": trainer.discriminator_start})


if __name__ == "__main__":
    run_recipe(main, VARIANTS, replaced={"init": NETWORKS})
