"""Trains a prior over the tokens of pictures, which then makes new ones: by class, by any text, or as they come.

    python recipes/image_generation.py                             # crops of the photographs of scikit-image
    python recipes/image_generation.py --data clothes/ --tokenizer image-vqvae-fashion-28   # subfolders are classes
    python recipes/image_generation.py --captions emoji/captions.tsv --tokenizer image-vqgan-emoji-f4   # by text
    python recipes/image_generation.py --kind masked               # all tokens at once, in a dozen steps; also repairs
    python recipes/image_generation.py --tokens shards/ --tokenizer NAME   # shards of `vqzoo encode --shards`
    python recipes/image_generation.py tiny --out /some/folder     # seconds: shows that it runs
    python recipes/image_generation.py gpu --data ...              # the published size: it wants a GPU

A table of captions is tab-separated, with a header line, a column `file` (relative to the table or to --data) and one
of texts. Pictures without a caption are left out, so fewer lines are fewer pictures. The preset keeps the pieces of the
texts and takes any text: `vqzoo generate saved_models/image_generation --condition "red heart" --count 8 --out new/`.

Reference: Esser, Rombach, Ommer 2021, https://arxiv.org/abs/2012.09841 (autoregressive); Chang et al. 2022,
https://arxiv.org/abs/2202.04200 (masked); Ho, Salimans 2022, https://arxiv.org/abs/2207.12598 (guidance)
"""

import dataclasses
import math
import os

os.environ.setdefault("VQZOO_QUIET", "1")  # TensorFlow's own messages would stand between the log lines

import vqzoo  # isort: skip
import keras

from vqzoo.generation import Generator
from vqzoo.networks import Transformer
from vqzoo.runs import ImagePriorData
from vqzoo.runs import PriorRun
from vqzoo.runs import RunSettings
from vqzoo.runs import run_recipe
from vqzoo.trainers import warmup_cosine

KINDS = {"autoregressive": vqzoo.AutoregressivePrior, "masked": vqzoo.MaskedPrior}


@dataclasses.dataclass(frozen=True)
class Config(RunSettings):
    # Data
    data: str = ""  # folder of pictures, recursive; empty: the photographs of scikit-image
    tokens: str = ""  # token shards of `tokenizer`, in place of `data`
    tokenizer: str = "image-vqgan-photos-f4"  # preset, name or folder, whose tokens are learnt; it stays as it is
    classes: bool = True  # the subfolders of `data` are classes, by which pictures can be asked for
    captions: str = ""  # table of what pictures show, in place of classes; without `data` its files are the pictures
    caption_column: str = ""  # of the table; empty: the first of caption, name and text that is there
    caption_length: int = 32  # pieces of a caption at most; longer ones are cut
    pieces: int = 1000  # into which captions are cut at most: 256 bytes, letters, and frequent words and parts of words
    styles: bool = False  # another crop of the same picture is the condition; kind masked, for image_style.py --prior
    out: str = "saved_models/image_generation"
    init: str = ""  # preset of a prior, name or folder, to go on from: its network and its captions' pieces
    kind: str = "autoregressive"  # or masked
    size: int = 0  # pixels a side of a picture; 0: those of the tokenizer's example
    examples: int = 10000  # crops to learn from at least: as many of each picture, one or more
    min_scale: float = 0.5  # smallest random resize of a picture before the crop
    max_scale: float = 1.0  # largest
    max_side: int = 1024  # pixels, longer side to which larger pictures are reduced first
    flip: bool = True  # mirror half of the crops
    # Network
    width: int = 192  # of the transformer
    depth: int = 4  # blocks
    heads: int = 4  # of each attention
    dropout: float = 0.1  # of attention weights and branches, in training
    token_noise: float = 0.0  # of kind autoregressive: share of the tokens read that are random ones in training
    condition_dropout: float = 0.1  # share of the examples that are learnt without their condition, for guidance
    # Losses
    label_smoothing: float = 0.0  # of the cross entropy
    # Training
    steps_per_epoch: int = 75
    validation_examples: int = 256  # held-out crops to evaluate on
    weight_decay: float = 0.05  # of AdamW
    # Samples
    guidance: float = 2.5  # how far samples move away from those without their condition; 1: not at all
    temperature: float = 1.0  # of samples: below 1 they are more typical and less varied
    top_p: float = 0.98  # samples are drawn from the likeliest tokens that have this probability together
    sampling_steps: int = 16  # of kind masked
    noise: float = 4.5  # of kind masked: how random the order is

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"--kind is one of {', '.join(KINDS)}. Received: {self.kind}")
        if self.token_noise and self.kind != "autoregressive":
            raise ValueError(f"--token_noise is of --kind autoregressive. Received: --token_noise {self.token_noise}")


TINY = {"size": 32, "examples": 256, "width": 32, "depth": 1, "heads": 2, "batch_size": 8, "epochs": 2}
TINY |= {"steps_per_epoch": 15, "validation_examples": 16, "learning_rate": 3e-3, "average_decay": 0.9}
GPU = {"width": 768, "depth": 24, "heads": 12, "batch_size": 256, "epochs": 200, "steps_per_epoch": 1000}
GPU |= {"examples": 100000, "learning_rate": 3e-4, "average_decay": 0.9999, "precision": "mixed_bfloat16"}
VARIANTS = {
    "default": Config(),
    "tiny": Config(**TINY, out="saved_models/image_generation_tiny"),
    "gpu": Config(**GPU, validation_examples=4096),
}


def build(context):
    config, space, grid = context.settings, context.space, context.grid
    transformer = Transformer(
        config.depth, config.heads, causal=config.kind == "autoregressive", dropout=config.dropout
    )
    codebooks = len(space.sizes["image"])
    options = {"learnt_positions": math.prod(grid) * codebooks, "seed": config.seed}
    options |= {"condition_dropout": config.condition_dropout if len(space.names) > 1 else 0.0}
    options |= {"token_noise": config.token_noise} if config.kind == "autoregressive" else {}
    prior = KINDS[config.kind](space, transformer, "image", config.width, grid, **options)
    trainer = vqzoo.PriorTrainer(prior, None, config.label_smoothing, config.average_decay)
    trainer.build((None, *grid, codebooks))
    if context.start is not None:
        prior.set_weights(context.start.get_weights())
    rate = warmup_cosine(config.learning_rate, config.epochs * config.steps_per_epoch, config.warmup)
    trainer.compile(keras.optimizers.AdamW(rate, config.weight_decay, beta_2=0.95, global_clipnorm=1.0))
    return trainer


def network_of(start):
    """What a prior that is gone on from decides."""
    told = {"kind": "masked" if isinstance(start, vqzoo.MaskedPrior) else "autoregressive", "width": start.width}
    return {**told, "depth": start.transformer.depth, "heads": start.transformer.heads}


def main(config):
    start = Generator.from_preset(config.init) if config.init else None
    if start is not None:
        sides = set(start.size or ())
        size = config.size or (sides.pop() if len(sides) == 1 else 0)
        config = dataclasses.replace(config, size=size, **network_of(start.prior))
    guidance = None if config.guidance == 1.0 else config.guidance  # without it half of the work is done
    sampling = {"guidance": guidance, "temperature": config.temperature, "top_p": config.top_p}
    if config.kind == "masked":
        sampling |= {"steps": config.sampling_steps, "noise": config.noise}
    run = PriorRun(config, "image_generation", ImagePriorData(config), sampling, start)
    trainer = run.fit(build)
    run.finish(trainer)


OF_PICTURES = ("data", "validation_data", "examples", "min_scale", "max_scale", "max_side", "flip")
OF_NETWORK = ("kind", "width", "depth", "heads", "pieces", "caption_length")

if __name__ == "__main__":
    run_recipe(main, VARIANTS, replaced={"tokens": OF_PICTURES, "init": OF_NETWORK})
