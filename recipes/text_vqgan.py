"""Trains a VQGAN text tokenizer: a VQ-VAE that is also trained with a discriminator.

    python recipes/text_vqgan.py                                # English prose of docstrings of the installed packages
    python recipes/text_vqgan.py --data sentences.txt           # one sentence per line; or a folder of .txt
    python recipes/text_vqgan.py --init saved_models/text_vqvae --freeze_encoder    # trains the decoder of a VQ-VAE
    python recipes/text_vqgan.py tiny --out /some/folder        # a test run of seconds

The discriminator sees embeddings of pieces: those of the text, and their means under the decoder's probabilities.
Reference: Esser et al. 2021, https://arxiv.org/abs/2012.09841; of soft sentences, Subramanian et al. 2017,
https://arxiv.org/abs/1705.10929
"""

import dataclasses
import os

os.environ.setdefault("VQZOO_QUIET", "1")  # hides TensorFlow's messages between the log lines

import vqzoo  # isort: skip
import keras

from vqzoo.networks.discriminators import text_discriminator
from vqzoo.runs import TokenizerRun
from vqzoo.runs import TokenizerSettings
from vqzoo.runs import run_recipe
from vqzoo.trainers import warmup_cosine


@dataclasses.dataclass(frozen=True)
class Config(TokenizerSettings):
    # Data
    data: str = ""  # text file, one sentence per line, or folder of files, recursive; empty: prose of docstrings
    validation_share: float = 0.05
    out: str = "saved_models/text_vqgan"
    init: str = ""  # preset, name or folder, to start from: its pieces and networks replace those below
    freeze_encoder: bool = False  # train only the decoder: keeps the tokens of `init`
    # Networks
    pieces: int = 4000  # size of the subword vocabulary, trained on the data
    vectors: str = ""  # initial word vectors: GloVe, Word2Vec (text or binary), npz; empty: none
    tune_vectors: bool = True  # whether the vectors are trained
    length: int = 24  # pieces of a training example; longer sentences are cropped
    stride: int = 2  # pieces per position of tokens
    filters: int = 192  # channels of the blocks
    blocks: int = 4  # blocks of the encoder and of the decoder
    attention: int = 0  # transformer blocks of each
    embedding_dim: int = 128  # width of the piece embeddings, unless `vectors` are given
    latent_dim: int = 64  # width of a code
    codebooks: int = 2  # tokens per position
    codebook_size: int = 1024  # codes of each codebook
    word_dropout: float = 0.0  # fraction of the pieces hidden from the encoder in training
    startup: float = 0.1  # fraction of the steps over which codes replace dense latents
    latent_prior: float = 0.0  # weight of the loss of a small network that predicts the tokens; 0: none
    latent_prior_start: float = 0.5  # fraction of the steps before this loss reaches the encoder
    # Losses
    label_smoothing: float = 0.0  # label smoothing of the cross-entropy
    commitment_weight: float = 0.25  # weight of the commitment loss; the cross-entropy has weight 1
    adversarial_weight: float = 0.1  # weight of the adversarial loss
    feature_matching_weight: float = 0.1  # weight of the distance of the discriminator's features
    adaptive: bool = True  # adversarial weights are relative to the gradient of the other losses, not plain factors
    discriminator_start: float = 0.5  # fraction of the steps before the discriminator is used
    discriminator_warmup: float = 0.1  # fraction of the steps over which its weight increases
    discriminator_filters: int = 128  # filters of its convolutions
    discriminator_learning_rate: float = 2e-4  # constant, no schedule
    # Training
    batch_size: int = 64
    steps_per_epoch: int = 160
    validation_sentences: int = 500  # number of sentences for the evaluation
    learning_rate: float = 2e-3

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.discriminator_start <= 1:
            raise ValueError(f"--discriminator_start must be in [0, 1]. Received: {self.discriminator_start}")
        if self.freeze_encoder and not self.init:
            raise ValueError("--freeze_encoder needs a preset: give one with --init")


SIZES = ("stride", "filters", "blocks", "attention", "embedding_dim", "latent_dim", "word_dropout")
# Settings that a preset in `init` replaces.
NETWORKS = (*SIZES, "pieces", "vectors", "tune_vectors", "codebooks", "codebook_size", "startup", "latent_prior")
NETWORKS += ("latent_prior_start",)
TINY = {"pieces": 600, "filters": 64, "blocks": 2, "embedding_dim": 64, "latent_dim": 32, "codebook_size": 256}
TINY |= {"length": 32, "batch_size": 16, "epochs": 2, "steps_per_epoch": 25, "validation_sentences": 32}
TINY |= {"discriminator_filters": 16}
VARIANTS = {
    "default": Config(),
    "tiny": Config(**TINY, average_decay=0.9, learning_rate=5e-3, out="saved_models/text_vqgan_tiny"),
}


def build(context):
    config, pieces = context.settings, context.pieces
    tokenizer = build_tokenizer(config, pieces)
    tokenizer.encoder.trainable = tokenizer.quantizer.trainable = not config.freeze_encoder
    opponent = text_discriminator(tokenizer.encoder.get_layer("embedding").output_dim, config.discriminator_filters)
    losses = {"cross_entropy": vqzoo.losses.PieceCrossEntropy(pieces.end, config.label_smoothing)}
    weights = dict.fromkeys((*losses, *tokenizer.quantizer.loss_names, "discriminator"), 1.0)
    weights |= {x: getattr(config, f"{x}_weight") for x in ("commitment", "adversarial", "feature_matching")}
    if "latent_prior" in weights:
        weights["latent_prior"] = config.latent_prior
    steps = config.epochs * config.steps_per_epoch
    joining = {name: int(getattr(config, name) * steps) for name in ("discriminator_start", "discriminator_warmup")}
    options = {"adaptive": config.adaptive, "average_decay": config.average_decay}
    trainer = vqzoo.AdversarialTrainer(tokenizer, opponent, losses, weights, **joining, **options)
    trainer.build((None, None))
    trainer.compile(
        keras.optimizers.Adam(warmup_cosine(config.learning_rate, steps, config.warmup), global_clipnorm=1.0),
        keras.optimizers.Adam(config.discriminator_learning_rate, beta_1=0.5),
    )
    return trainer


def build_tokenizer(config, pieces):
    if config.init:
        return vqzoo.TextTokenizer.from_preset(config.init, config.precision)
    levels = [vqzoo.EMAVectorQuantizer(config.codebook_size) for _ in range(config.codebooks)]
    quantizer = vqzoo.quantizers.ResidualQuantizer(levels, name="quantizer")
    steps = config.epochs * config.steps_per_epoch
    if config.latent_prior:
        start = round(config.latent_prior_start * steps)
        stop = start + max(1, steps // 10)
        quantizer = vqzoo.quantizers.LatentPriorQuantizer(quantizer, start, stop, name="latent_prior")
    if round(config.startup * steps):
        dense = round(config.startup * steps)
        quantizer = vqzoo.quantizers.StartupQuantizer(quantizer, 0, dense, config.seed, name="startup")
    sizes = {name: getattr(config, name) for name in SIZES}
    if config.vectors:
        words, vectors = vqzoo.data.load_vectors(config.vectors)
        sizes["embeddings"] = vqzoo.data.piece_vectors(pieces, words, vectors, words)
    tokenizer = vqzoo.text_vqgan(pieces, quantizer=quantizer, name="text_vqgan", **sizes)
    tokenizer.encoder.get_layer("embedding").trainable = config.tune_vectors
    return tokenizer


def main(config):
    run = TokenizerRun(config, "text", "text_vqgan", NETWORKS)
    trainer = run.fit(build)
    run.finish(trainer, marks={"discriminator starts": trainer.discriminator_start})


if __name__ == "__main__":
    run_recipe(main, VARIANTS, replaced={"init": NETWORKS})
