"""Trains a VQ-VAE text tokenizer: sentences to a few codes, and back.

    python recipes/text_vqvae.py                                # English prose of docstrings, which is already here
    python recipes/text_vqvae.py --data sentences.txt           # one sentence a line; or a folder of .txt
    python recipes/text_vqvae.py --vectors glove.6B.100d.txt    # begins with word vectors: GloVe, Word2Vec, npz
    python recipes/text_vqvae.py tiny --out /some/folder        # seconds: shows that it runs

Reference: Kaiser et al. 2018, https://arxiv.org/abs/1803.03382; van den Oord et al. 2017,
https://arxiv.org/abs/1711.00937
"""

import dataclasses
import os

os.environ.setdefault("VQZOO_QUIET", "1")  # TensorFlow's own messages would stand between the log lines

import vqzoo  # isort: skip
import keras

from vqzoo.networks.text import AutoregressiveTextDecoder
from vqzoo.runs import TokenizerRun
from vqzoo.runs import TokenizerSettings
from vqzoo.runs import run_recipe
from vqzoo.trainers import warmup_cosine


@dataclasses.dataclass(frozen=True)
class Config(TokenizerSettings):
    # Data
    data: str = ""  # text file, one sentence a line, or folder of them, recursive; empty: prose of docstrings
    validation_share: float = 0.05
    out: str = "saved_models/text_vqvae"
    init: str = ""  # preset, name or folder, to start from: its pieces and networks replace those below
    # Networks
    pieces: int = 4000  # of words, that sentences are cut into; learnt from the data
    vectors: str = ""  # word vectors to start from: GloVe, Word2Vec (text or binary), npz; empty: none
    tune_vectors: bool = True  # whether they learn
    length: int = 24  # pieces of a training example; of longer sentences a part is taken
    stride: int = 2  # pieces that one position of tokens stands for
    filters: int = 192  # of the blocks
    blocks: int = 4  # of the encoder and of the decoder
    attention: int = 0  # transformer blocks of each; an autoregressive decoder has no other blocks anyway
    embedding_dim: int = 128  # width of a piece's vector, unless `vectors` have theirs
    latent_dim: int = 64  # width of a code
    codebooks: int = 2  # tokens at each position
    codebook_size: int = 1024  # codes of each
    decoder: str = "parallel"  # or autoregressive: sees the pieces before too, and makes one after another
    word_dropout: float = 0.0  # share of the pieces hidden from the encoder in training
    decoder_word_dropout: float = 0.0  # share of the pieces before hidden from an autoregressive decoder in training
    startup: float = 0.1  # share of the steps over which dense latents give way to codes
    latent_prior: float = 0.0  # weight of how badly a small network predicts the tokens; 0 has none
    latent_prior_start: float = 0.5  # share of the steps after which the encoder feels it
    # Losses
    label_smoothing: float = 0.0  # of the cross-entropy
    commitment_weight: float = 0.25  # of the commitment loss; the cross-entropy weighs 1
    # Training
    batch_size: int = 64
    steps_per_epoch: int = 160
    validation_sentences: int = 500  # to evaluate on
    learning_rate: float = 2e-3

    def __post_init__(self):
        super().__post_init__()
        if self.decoder not in ("parallel", "autoregressive"):
            raise ValueError(f"--decoder is parallel or autoregressive. Received: {self.decoder}")


SIZES = ("stride", "filters", "blocks", "attention", "embedding_dim", "latent_dim", "word_dropout")
WEIGHTS = {"commitment": "commitment_weight", "latent_prior": "latent_prior"}
# What a preset given as `init` decides.
NETWORKS = (*SIZES, "pieces", "vectors", "tune_vectors", "codebooks", "codebook_size", "startup", "latent_prior")
NETWORKS += ("latent_prior_start", "decoder", "decoder_word_dropout")
TINY = {"pieces": 600, "filters": 64, "blocks": 2, "embedding_dim": 64, "latent_dim": 32, "codebook_size": 256}
TINY |= {"length": 32, "batch_size": 16, "epochs": 2, "steps_per_epoch": 25, "validation_sentences": 32}
VARIANTS = {
    "default": Config(),
    "tiny": Config(**TINY, average_decay=0.9, learning_rate=5e-3, out="saved_models/text_vqvae_tiny"),
}


def build(context):
    config, pieces = context.settings, context.pieces
    tokenizer = build_tokenizer(config, pieces)
    losses = {"cross_entropy": vqzoo.losses.PieceCrossEntropy(pieces.end, config.label_smoothing)}
    weights = dict.fromkeys((*losses, *tokenizer.quantizer.loss_names), 1.0)  # a preset may bring another quantizer
    weights |= {x: getattr(config, w) for x, w in WEIGHTS.items() if x in weights}
    trainer = vqzoo.ReconstructionTrainer(tokenizer, losses, weights, config.average_decay)
    trainer.build((None, None))
    rate = warmup_cosine(config.learning_rate, config.epochs * config.steps_per_epoch, config.warmup)
    trainer.compile(keras.optimizers.Adam(rate, beta_2=0.99, global_clipnorm=1.0))
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
    if config.decoder == "autoregressive":
        same = {name: getattr(config, name) for name in ("stride", "filters", "embedding_dim")}
        same |= {"depth": config.blocks, "word_dropout": config.decoder_word_dropout}
        most = -(-max(512, config.length) // config.stride) * config.stride  # pieces, a multiple of the stride
        sizes["decoder"] = AutoregressiveTextDecoder(
            pieces.size, end=pieces.end, max_length=most, name="decoder", **same
        )
    tokenizer = vqzoo.text_vqvae(pieces, quantizer=quantizer, name="text_vqvae", **sizes)
    tokenizer.encoder.get_layer("embedding").trainable = config.tune_vectors
    return tokenizer


def main(config):
    run = TokenizerRun(config, "text", "text_vqvae", NETWORKS)
    trainer = run.fit(build)
    run.finish(trainer)


if __name__ == "__main__":
    run_recipe(main, VARIANTS, replaced={"init": NETWORKS})
