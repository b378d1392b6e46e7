"""Trains a VQ-VAE text tokenizer: sentences to a few codes, and back.

    python recipes/text_vqvae.py                                # English prose of docstrings of the installed packages
    python recipes/text_vqvae.py --data sentences.txt           # one sentence per line; or a folder of .txt
    python recipes/text_vqvae.py --vectors glove.6B.100d.txt    # starts from word vectors: GloVe, Word2Vec, npz
    python recipes/text_vqvae.py tiny --out /some/folder        # a test run of seconds

Reference: Kaiser et al. 2018, https://arxiv.org/abs/1803.03382; van den Oord et al. 2017,
https://arxiv.org/abs/1711.00937
"""

import dataclasses
import os

os.environ.setdefault("VQZOO_QUIET", "1")  # hides TensorFlow's messages between the log lines

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
    data: str = ""  # text file, one sentence per line, or folder of files, recursive; empty: prose of docstrings
    validation_share: float = 0.05
    out: str = "saved_models/text_vqvae"
    init: str = ""  # preset, name or folder, to start from: its pieces and networks replace those below
    # Networks
    pieces: int = 4000  # size of the subword vocabulary, trained on the data
    vectors: str = ""  # initial word vectors: GloVe, Word2Vec (text or binary), npz; empty: none
    tune_vectors: bool = True  # whether the vectors are trained
    length: int = 24  # pieces of a training example; longer sentences are cropped
    stride: int = 2  # pieces per position of tokens
    filters: int = 192  # channels of the blocks
    blocks: int = 4  # blocks of the encoder and of the decoder
    attention: int = 0  # transformer blocks of each; an autoregressive decoder only has such blocks
    embedding_dim: int = 128  # width of the piece embeddings, unless `vectors` are given
    latent_dim: int = 64  # width of a code
    codebooks: int = 2  # tokens per position
    codebook_size: int = 1024  # codes of each codebook
    decoder: str = "parallel"  # parallel or autoregressive, which predicts each piece from the previous ones
    word_dropout: float = 0.0  # fraction of the pieces hidden from the encoder in training
    decoder_word_dropout: float = 0.0  # the same fraction for the inputs of an autoregressive decoder
    startup: float = 0.1  # fraction of the steps over which codes replace dense latents
    latent_prior: float = 0.0  # weight of the loss of a small network that predicts the tokens; 0: none
    latent_prior_start: float = 0.5  # fraction of the steps before this loss reaches the encoder
    # Losses
    label_smoothing: float = 0.0  # label smoothing of the cross-entropy
    commitment_weight: float = 0.25  # weight of the commitment loss; the cross-entropy has weight 1
    # Training
    batch_size: int = 64
    steps_per_epoch: int = 160
    validation_sentences: int = 500  # number of sentences for the evaluation
    learning_rate: float = 2e-3

    def __post_init__(self):
        super().__post_init__()
        if self.decoder not in ("parallel", "autoregressive"):
            raise ValueError(f"--decoder must be parallel or autoregressive. Received: {self.decoder}")


SIZES = ("stride", "filters", "blocks", "attention", "embedding_dim", "latent_dim", "word_dropout")
WEIGHTS = {"commitment": "commitment_weight", "latent_prior": "latent_prior"}
# Settings that a preset in `init` replaces.
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
    weights = dict.fromkeys((*losses, *tokenizer.quantizer.loss_names), 1.0)  # a preset may have another quantizer
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
