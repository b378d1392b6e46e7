"""Trains a VQ-VAE image tokenizer: stable, cheap, a little soft.

    python recipes/image_vqvae.py                          # photographs that come with scikit-image
    python recipes/image_vqvae.py --data ~/Pictures        # your own folder
    python recipes/image_vqvae.py dense28                  # fully connected, 28x28 grey pictures to 16 tokens
    python recipes/image_vqvae.py tiny --out /some/folder  # seconds: shows that it runs

Reference: van den Oord et al. 2017, https://arxiv.org/abs/1711.00937
"""

import dataclasses
import os

os.environ.setdefault("VQZOO_QUIET", "1")  # TensorFlow's own messages would stand between the log lines

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
    data: str = ""  # picture or folder of pictures, recursive; empty: the photographs of scikit-image
    out: str = "saved_models/image_vqvae"
    size: int = 64  # pixels a side of a training crop
    channels: int = 3  # 1 grey, 3 colour, 4 with opacity
    min_scale: float = 0.5  # smallest random resize of a picture before the crop
    max_scale: float = 1.0  # largest
    max_side: int = 1024  # pixels, longer side to which larger pictures are reduced first
    flip: bool = True  # mirror half of the crops
    jitter: float = 0.0  # largest relative change of brightness, contrast and saturation
    dense: bool = False  # fully connected networks for pictures of exactly `size`, 16 tokens each
    stride: int = 4  # pixels a side that one token stands for; not for dense
    # Networks
    filters: int = 128  # of the convolutions; not for dense
    blocks: int = 2  # residual blocks; not for dense
    residual_filters: int = 64  # of the 3x3 convolutions inside the blocks; not for dense
    latent_dim: int = 32  # width of a code
    codebook_size: int = 1024  # codes
    decay: float = 0.99  # of the codebook's moving average
    gaussian: bool = False  # a Gaussian head before the codebook: sampled in training, its mean in inference
    # Losses
    commitment_weight: float = 0.25  # of the commitment loss; the squared error weighs 1
    kl_weight: float = 1e-3  # of the Gaussian head's divergence
    validation_crops: int = 256  # crops to evaluate on


# What a preset given as `init` decides.
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
    weights = dict.fromkeys(tokenizer.quantizer.loss_names, 1.0)  # a preset may bring another quantizer
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
