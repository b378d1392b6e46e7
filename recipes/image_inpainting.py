"""Trains a masked prior and repairs damaged pictures with it, beside what needs no learning.

    python recipes/image_inpainting.py                             # photographs that come with scikit-image
    python recipes/image_inpainting.py --data ~/Pictures           # your own folder
    python recipes/image_inpainting.py --prior saved_models/image_inpainting   # one that is there: repairs alone
    python recipes/image_inpainting.py --tokens shards/ --data ~/Pictures   # what `vqzoo encode --shards` made of them
    python recipes/image_inpainting.py tiny --out /some/folder     # seconds: shows that it runs

Boxes and strokes are cut out of held-out pictures. Told is, for each method, the PSNR inside the holes, the SSIM of the
whole, and with `--features` a perceptual distance; `repairs.png` shows them. Afterwards: `vqzoo inpaint`.

Reference: Chang et al. 2022, https://arxiv.org/abs/2202.04200, section 4.3; Telea 2004 (the baseline)
"""

import dataclasses
import math
import os
import pathlib

os.environ.setdefault("VQZOO_QUIET", "1")  # TensorFlow's own messages would stand between the log lines

import vqzoo  # isort: skip
import keras
import numpy as np

from vqzoo.generation import Generator
from vqzoo.generation import classical_repairs
from vqzoo.generation import random_masks
from vqzoo.networks import Transformer
from vqzoo.plots import save_picture_rows
from vqzoo.runs import ImagePriorData
from vqzoo.runs import PriorRun
from vqzoo.runs import RunSettings
from vqzoo.runs import held_out_images
from vqzoo.runs import run_recipe
from vqzoo.runs import save_report
from vqzoo.trainers import warmup_cosine


@dataclasses.dataclass(frozen=True)
class Config(RunSettings):
    # Data
    data: str = ""  # folder of pictures, recursive; empty: the photographs of scikit-image
    prior: str = ""  # preset of a masked prior, name or folder: then nothing is trained; empty: train one
    tokens: str = ""  # token shards of `tokenizer`, to learn from; pictures to repair are still those of `data`
    tokenizer: str = "image-vqgan-photos-f4"  # preset, name or folder, whose tokens are learnt; it stays as it is
    classes: bool = False  # the subfolders of `data` are classes
    out: str = "saved_models/image_inpainting"
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
    # Training
    steps_per_epoch: int = 75
    validation_examples: int = 256  # held-out crops to evaluate on
    repaired: int = 32  # of them are damaged and repaired
    share: float = 0.25  # of a picture that is damaged
    features: str = ""  # .keras file of a network, for a perceptual distance; empty: none
    weight_decay: float = 0.05  # of AdamW
    rim: int = 2  # tokens at the border of a hole that keep a filling which needs no learning: 0 for a strong prior
    temperature: float = 0.5  # of what is made: below 1 it is more typical
    sampling_steps: int = 12  # in which the tokens of a hole are made
    noise: float = 1.0  # how random their order is

    def __post_init__(self):
        if not 0.0 < self.share < 1.0 or self.repaired < 1 or self.rim < 0:
            told = f"--share {self.share} --repaired {self.repaired} --rim {self.rim}"
            raise ValueError(f"--share lies in (0, 1), --repaired is 1 or more, --rim 0 or more. Received: {told}")
        if self.features and not pathlib.Path(self.features).is_file():
            raise ValueError(f"--features is a .keras file, which does not exist. Received: {self.features}")
        if self.tokens and not (self.data or self.validation_data):
            raise ValueError("--tokens holds no pictures to repair. Give those that were encoded by --data, too.")


TINY = {"size": 32, "examples": 256, "width": 32, "depth": 1, "heads": 2, "batch_size": 8, "epochs": 2, "repaired": 4}
TINY |= {"steps_per_epoch": 15, "validation_examples": 16, "learning_rate": 3e-3, "average_decay": 0.9}
GPU = {"width": 768, "depth": 24, "heads": 12, "batch_size": 256, "epochs": 200, "steps_per_epoch": 1000}
GPU |= {"examples": 100000, "learning_rate": 3e-4, "average_decay": 0.9999, "precision": "mixed_bfloat16"}
VARIANTS = {
    "default": Config(),
    "tiny": Config(**TINY, out="saved_models/image_inpainting_tiny"),
    "gpu": Config(**GPU, validation_examples=4096, repaired=512, rim=0),
}


def build(context):
    config, space, grid = context.settings, context.space, context.grid
    transformer = Transformer(config.depth, config.heads, dropout=config.dropout)
    steps = math.prod(grid) * len(space.sizes["image"])
    options = {"learnt_positions": steps, "condition_dropout": 0.1 if "label" in space.sizes else 0.0}
    prior = vqzoo.MaskedPrior(space, transformer, "image", config.width, grid, seed=config.seed, **options)
    trainer = vqzoo.PriorTrainer(prior, average_decay=config.average_decay)
    trainer.build((None, *grid, len(space.sizes["image"])))
    rate = warmup_cosine(config.learning_rate, config.epochs * config.steps_per_epoch, config.warmup)
    trainer.compile(keras.optimizers.AdamW(rate, config.weight_decay, beta_2=0.95, global_clipnorm=1.0))
    return trainer


def judged(images, masks, repaired, metric):
    """Dict of the numbers of one method."""
    holes = np.repeat(masks[..., None], images.shape[-1], axis=-1)
    errors = [np.mean((x - y)[hole] ** 2) for x, y, hole in zip(images, np.clip(repaired, -1, 1), holes, strict=True)]
    told = {"psnr_in_holes": float(np.mean(10 * np.log10(4 / np.maximum(errors, 1e-10))))}
    told["ssim"] = float(np.mean(vqzoo.metrics.ssim(images, repaired.astype("float32"))))
    return {**told, **({"perceptual": float(np.mean(metric(images, repaired.astype("float32"))))} if metric else {})}


def main(config):
    out = pathlib.Path(os.path.expanduser(config.out))
    sampling = {"temperature": config.temperature, "steps": config.sampling_steps, "noise": config.noise}
    run = None if config.prior else PriorRun(config, "image_inpainting", ImagePriorData(config), sampling)
    metric = vqzoo.losses.PerceptualLoss(keras.models.load_model(config.features)) if config.features else None
    if run and run.finish(run.fit(build)) is None:
        return  # a worker that writes nothing
    generator = Generator.from_preset(config.prior or out)
    images = held_out_images(config, generator.size, generator.tokenizer.encoder.input_shape[-1], config.repaired)
    masks = random_masks(len(images), images.shape[1:3], config.share, config.seed)
    pairs = zip(np.where(masks[..., None], 0.0, images), masks, strict=True)
    repaired = [vqzoo.inpaint(generator, x, mask, seed=config.seed, rim=config.rim, **sampling) for x, mask in pairs]
    made = {**classical_repairs(images, masks), "prior": np.stack(repaired)}
    report = {name: judged(images, masks, repaired, metric) for name, repaired in made.items()}
    for name in report:
        print(f"{name:>12}  " + "  ".join(f"{key} {value:.4g}" for key, value in report[name].items()))
    columns = [np.where(masks[..., None], 1.0, images), *made.values(), images]
    shown = np.stack(columns, axis=1)[:8].reshape(-1, *images.shape[1:])
    save_picture_rows(out / "run" / "repairs.png", shown, len(columns))
    save_report(out / "run" / "repairs.json", report)
    print(f"damaged, {', '.join(made)}, original: {out / 'run' / 'repairs.png'}")


OF_REPAIRS = ("data", "validation_data", "validation_share", "prior", "out", "min_scale", "max_scale", "max_side")
OF_REPAIRS += ("repaired", "share", "features", "rim", "temperature", "sampling_steps", "noise", "seed")
OF_TRAINING = [field.name for field in dataclasses.fields(Config) if field.name not in OF_REPAIRS]

if __name__ == "__main__":
    run_recipe(main, VARIANTS, replaced={"tokens": ("examples", "flip"), "prior": OF_TRAINING})
