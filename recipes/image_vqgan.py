"""Trains a VQGAN image tokenizer: sharper than a VQ-VAE, at a higher cost and with a less stable training.

    python recipes/image_vqgan.py                            # the photographs of scikit-image
    python recipes/image_vqgan.py --data ~/Pictures --size 128
    python recipes/image_vqgan.py --init saved_models/image_vqvae --freeze_encoder     # trains the decoder of a VQ-VAE
    python recipes/image_vqgan.py f16 --data /data/imagenet/train --strategy mirrored  # the published size, on GPUs
    python recipes/image_vqgan.py --data ~/Pictures --perceptual vgg16                 # sharper; downloads VGG16 once
    python recipes/image_vqgan.py tiny --out /some/folder    # a test run of seconds

Reference: Esser, Rombach, Ommer 2021, https://arxiv.org/abs/2012.09841
"""

import dataclasses
import os

os.environ.setdefault("VQZOO_QUIET", "1")  # hides TensorFlow's messages between the log lines

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
    data: str = ""  # image or folder of images, recursive; empty: the photographs of scikit-image
    out: str = "saved_models/image_vqgan"
    freeze_encoder: bool = False  # train only the decoder: keeps the tokens of `init`, and is more stable
    size: int = 64  # side of a training crop in pixels
    channels: int = 3  # 1 gray, 3 color, 4 color with opacity
    min_scale: float = 0.5  # smallest random resize factor before the crop
    max_scale: float = 1.0  # largest random resize factor
    max_side: int = 1024  # pixels, maximum of the longer side; larger images are reduced first
    flip: bool = True  # flip half of the crops horizontally
    jitter: float = 0.0  # largest relative change of brightness, contrast and saturation
    # Networks
    filters: int = 128  # filters of the convolutions
    stride: int = 4  # side of a token in pixels; not for residual
    residual: bool = False  # the networks of the VQGAN paper: better after days on a GPU, at several times the cost
    multipliers: tuple[int, ...] = (1, 2, 4)  # residual: multiples of `filters` per resolution; stride 2 ** (len - 1)
    blocks: int = 2  # residual blocks; residual: at each resolution
    residual_filters: int = 64  # filters of the 3x3 convolutions inside the blocks; not for residual
    attention: tuple[int, ...] = ()  # residual: levels with self-attention, 0 the full resolution
    mid_attention: bool = True  # residual: self-attention at the lowest resolution
    latent_dim: int = 32  # width of a code
    codebook_size: int = 1024  # number of codes
    # Losses
    commitment_weight: float = 0.25  # weight of the commitment loss; the absolute error has weight 1
    discriminator_filters: int = 32  # filters of its first convolution
    discriminator_depth: int = 2  # strided convolutions: receptive field of 34 pixels for 2, 70 for 3
    discriminator_start: float = 0.6  # fraction of the steps before the discriminator is used
    discriminator_warmup: float = 0.12  # fraction of the steps over which its weight increases from 0
    discriminator_batch_norm: bool = False  # batch instead of group normalization in the discriminator
    adaptive: bool = True  # adversarial weights are relative to the gradient of the signal losses, not plain factors
    adversarial_weight: float = 0.5  # weight of the adversarial loss
    feature_matching_weight: float = 0.4  # weight of the distance of the discriminator's features
    r1_weight: float = 0.0  # weight of the R1 gradient penalty, 10 in MaskGIT's tokenizer; 0: none
    lecam_weight: float = 0.0  # weight of the LeCAM regularizer, for small data; 0: none
    perceptual: str = ""  # vgg16 or a .keras file, network of the perceptual loss; empty: none
    perceptual_weight: float = 1.0  # weight of the perceptual loss; the absolute error has weight 1
    # Training
    epochs: int = 8
    validation_crops: int = 256  # number of crops for the evaluation
    discriminator_learning_rate: float = 2e-4  # constant, no schedule

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.discriminator_start <= 1:
            raise ValueError(f"--discriminator_start must be in [0, 1]. Received: {self.discriminator_start}")
        if self.freeze_encoder and not self.init:
            raise ValueError("--freeze_encoder needs a preset: give one with --init")


NETWORKS = ("filters", "stride", "residual", "multipliers", "blocks", "residual_filters", "attention", "mid_attention")
NETWORKS += ("latent_dim", "codebook_size")  # settings that a preset in `init` replaces
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
