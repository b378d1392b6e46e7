"""Trains a prior over the tokens of images, to generate new ones by class, by text, or without a condition.

    python recipes/image_generation.py                             # crops of the photographs of scikit-image
    python recipes/image_generation.py --data clothes/ --tokenizer image-vqvae-fashion-28   # subfolders are classes
    python recipes/image_generation.py --captions emoji/captions.tsv --tokenizer image-vqgan-emoji-f4   # by text
    python recipes/image_generation.py --kind masked               # parallel decoding in a dozen steps; also inpaints
    python recipes/image_generation.py --tokens shards/ --tokenizer NAME   # shards of `vqzoo encode --shards`
    python recipes/image_generation.py tiny --out /some/folder     # a test run of seconds
    python recipes/image_generation.py gpu --data ...              # the published size, on a GPU

A table of captions is tab-separated, with a header line, a column `file` (relative to the table or to --data) and one
of texts. Images without a caption are left out. The preset includes the text pieces and accepts any text:
`vqzoo generate saved_models/image_generation --condition "red heart" --count 8 --out new/`.

Reference: Esser, Rombach, Ommer 2021, https://arxiv.org/abs/2012.09841 (autoregressive); Chang et al. 2022,
https://arxiv.org/abs/2202.04200 (masked); Ho, Salimans 2022, https://arxiv.org/abs/2207.12598 (guidance)
"""

import dataclasses
import math
import os

os.environ.setdefault("VQZOO_QUIET", "1")  # hides TensorFlow's messages between the log lines

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
    data: str = ""  # folder of images, recursive; empty: the photographs of scikit-image
    tokens: str = ""  # token shards of `tokenizer`, instead of `data`
    tokenizer: str = "image-vqgan-photos-f4"  # preset of the tokenizer, name or folder; it is not trained
    classes: bool = True  # the subfolders of `data` are classes, as conditions
    captions: str = ""  # table of captions, instead of classes; without `data` its files are the images
    caption_column: str = ""  # column of the table; empty: the first of caption, name and text
    caption_length: int = 32  # maximum number of pieces of a caption; longer ones are truncated
    pieces: int = 1000  # maximum number of text pieces: 256 bytes, letters, and frequent words and parts of words
    styles: bool = False  # another crop of the image is the condition, for image_style.py --prior; kind masked
    out: str = "saved_models/image_generation"
    init: str = ""  # preset of a prior, name or folder, to start from, with its network and text pieces
    kind: str = "autoregressive"  # autoregressive or masked
    size: int = 0  # side of an image in pixels; 0: that of the tokenizer's example
    examples: int = 10000  # minimum number of training crops, equally many of each image
    min_scale: float = 0.5  # smallest random resize factor before the crop
    max_scale: float = 1.0  # largest random resize factor
    max_side: int = 1024  # pixels, maximum of the longer side; larger images are reduced first
    flip: bool = True  # flip half of the crops horizontally
    # Network
    width: int = 192  # width of the transformer
    depth: int = 4  # blocks of the transformer
    heads: int = 4  # attention heads per block
    dropout: float = 0.1  # rate of dropout of attention weights and branches
    token_noise: float = 0.0  # kind autoregressive: fraction of random input tokens in training
    condition_dropout: float = 0.1  # fraction of the examples that are trained without a condition, for guidance
    # Losses
    label_smoothing: float = 0.0  # label smoothing of the cross-entropy
    # Training
    steps_per_epoch: int = 75
    validation_examples: int = 256  # number of held-out crops for the evaluation
    weight_decay: float = 0.05  # weight decay of AdamW
    # Samples
    guidance: float = 2.5  # scale of classifier-free guidance; 1: none
    temperature: float = 1.0  # sampling temperature; below 1 samples are more typical and less diverse
    top_p: float = 0.98  # nucleus sampling: total probability of the candidate tokens
    sampling_steps: int = 16  # kind masked: number of steps
    noise: float = 4.5  # kind masked: randomness of the order

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"--kind must be one of {', '.join(KINDS)}. Received: {self.kind}")
        if self.token_noise and self.kind != "autoregressive":
            raise ValueError(f"--token_noise needs --kind autoregressive. Received: --token_noise {self.token_noise}")


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
    """The settings that a prior in `init` replaces."""
    kind = {"kind": "masked" if isinstance(start, vqzoo.MaskedPrior) else "autoregressive", "width": start.width}
    return {**kind, "depth": start.transformer.depth, "heads": start.transformer.heads}


def main(config):
    start = Generator.from_preset(config.init) if config.init else None
    if start is not None:
        sides = set(start.size or ())
        size = config.size or (sides.pop() if len(sides) == 1 else 0)
        config = dataclasses.replace(config, size=size, **network_of(start.prior))
    guidance = None if config.guidance == 1.0 else config.guidance  # guidance doubles the computation
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
