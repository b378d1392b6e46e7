"""Trains a VQ-VAE image tokenizer: stable, cheap, slightly blurry.

    python recipes/image_vqvae.py                          # the photographs of scikit-image
    python recipes/image_vqvae.py --data ~/Pictures        # your own folder
    python recipes/image_vqvae.py dense28                  # fully connected, 28x28 gray images to 16 tokens
    python recipes/image_vqvae.py tiny --out /some/folder  # a test run of seconds

Reference: van den Oord et al. 2017, https://arxiv.org/abs/1711.00937
"""

import dataclasses
import os

os.environ.setdefault("VQZOO_QUIET", "1")  # hides TensorFlow's messages between the log lines

import vqzoo  # isort: skip
import keras

from vqzoo.losses import l2_loss
from vqzoo.runs import TokenizerRun
from vqzoo.runs import TokenizerSettings
from vqzoo.runs import run_recipe
from vqzoo.trainers import warmup_cosine


@dataclasses.dataclass(frozen=True)
class Config(TokenizerSettings):
    # Data
    data: str = ""  # image or folder of images, recursive; empty: the photographs of scikit-image
    out: str = "saved_models/image_vqvae"
    size: int = 64  # side of a training crop in pixels
    channels: int = 3  # 1 gray, 3 color, 4 color with opacity
    min_scale: float = 0.5  # smallest random resize factor before the crop
    max_scale: float = 1.0  # largest random resize factor
    max_side: int = 1024  # pixels, maximum of the longer side; larger images are reduced first
    flip: bool = True  # flip half of the crops horizontally
    jitter: float = 0.0  # largest relative change of brightness, contrast and saturation
    dense: bool = False  # fully connected networks for images of exactly `size`, 16 tokens each
    stride: int = 4  # side of a token in pixels; not for dense
    # Networks
    filters: int = 128  # filters of the convolutions; not for dense
    blocks: int = 2  # residual blocks; not for dense
    residual_filters: int = 64  # filters of the 3x3 convolutions inside the blocks; not for dense
    latent_dim: int = 32  # width of a code
    codebook_size: int = 1024  # number of codes
    decay: float = 0.99  # decay of the codebook's moving average
    gaussian: bool = False  # a Gaussian head before the codebook, sampled in training, its mean in inference
    # Losses
    commitment_weight: float = 0.25  # weight of the commitment loss; the squared error has weight 1
    kl_weight: float = 1e-3  # weight of the Gaussian head's divergence
    validation_crops: int = 256  # number of crops for the evaluation


# Settings that a preset in `init` replaces.
NETWORKS = ("dense", "stride", "filters", "blocks", "residual_filters", "latent_dim", "codebook_size", "decay")
NETWORKS += ("gaussian",)
DENSE = {"size": 28, "channels": 1, "out": "saved_models/image_vqvae_dense28", "dense": True, "latent_dim": 64}
TINY = {"size": 32, "filters": 16, "codebook_size": 64, "batch_size": 8, "epochs": 2, "steps_per_epoch": 10}
VARIANTS = {
    "default": Config(),
    "dense28": Config(**DENSE, codebook_size=512, batch_size=128, steps_per_epoch=500, learning_rate=3e-3),
    "tiny": Config(**TINY, validation_crops=16, average_decay=0.9, out="saved_models/image_vqvae_tiny"),
}


def build(context):
    config = context.settings
    quantizer = vqzoo.EMAVectorQuantizer(config.codebook_size, decay=config.decay, name="quantizer")
    if config.gaussian:
        quantizer = vqzoo.quantizers.GaussianQuantizer(quantizer, config.latent_dim, config.seed, name="gaussian")
    if config.init:
        tokenizer = vqzoo.ImageTokenizer.from_preset(config.init, config.precision)
    elif config.dense:
        tokenizer = vqzoo.tokenizers.image_vqvae_dense(
            (config.size, config.size, config.channels), latent_dim=config.latent_dim, quantizer=quantizer
        )
    else:
        tokenizer = vqzoo.image_vqvae(
            config.channels,
            config.filters,
            config.stride,
            config.blocks,
            config.residual_filters,
            config.latent_dim,
            quantizer,
        )
    weights = dict.fromkeys(tokenizer.quantizer.loss_names, 1.0)  # a preset may have another quantizer
    weights |= {"l2": 1.0, "commitment": config.commitment_weight}
    if "kl" in weights:
        weights["kl"] = config.kl_weight
    trainer = vqzoo.ReconstructionTrainer(tokenizer, {"l2": l2_loss}, weights, config.average_decay)
    trainer.build((None, config.size, config.size, config.channels))
    steps = config.epochs * config.steps_per_epoch
    trainer.compile(keras.optimizers.Adam(warmup_cosine(config.learning_rate, steps, config.warmup)))
    return trainer


def main(config):
    run = TokenizerRun(config, "image", "image_vqvae", NETWORKS)
    trainer = run.fit(build)
    run.finish(trainer)


if __name__ == "__main__":
    run_recipe(main, VARIANTS, replaced={"init": NETWORKS})
