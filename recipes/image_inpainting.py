"""Trains a masked prior and inpaints damaged images with it, next to baselines without training.

    python recipes/image_inpainting.py                             # the photographs of scikit-image
    python recipes/image_inpainting.py --data ~/Pictures           # your own folder
    python recipes/image_inpainting.py --prior saved_models/image_inpainting   # only inpaint, with a trained prior
    python recipes/image_inpainting.py --tokens shards/ --data ~/Pictures   # shards of `vqzoo encode --shards`
    python recipes/image_inpainting.py tiny --out /some/folder     # a test run of seconds

Boxes and strokes are cut out of held-out images. For each method the recipe reports the PSNR inside the holes, the SSIM
of the whole image, and with `--features` a perceptual distance. `repairs.png` shows the results.
Afterwards: `vqzoo inpaint`.

Reference: Chang et al. 2022, https://arxiv.org/abs/2202.04200, section 4.3; Telea 2004 (the baseline)
"""

import dataclasses
import math
import os
import pathlib

os.environ.setdefault("VQZOO_QUIET", "1")  # hides TensorFlow's messages between the log lines

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
    data: str = ""  # folder of images, recursive; empty: the photographs of scikit-image
    prior: str = ""  # preset of a masked prior, name or folder, instead of a training; empty: train one
    tokens: str = ""  # token shards of `tokenizer`, for training; the images to repair are those of `data`
    tokenizer: str = "image-vqgan-photos-f4"  # preset of the tokenizer, name or folder; it is not trained
    classes: bool = False  # the subfolders of `data` are classes
    out: str = "saved_models/image_inpainting"
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
    # Training
    steps_per_epoch: int = 75
    validation_examples: int = 256  # number of held-out crops for the evaluation
    repaired: int = 32  # number of validation images to damage and repair
    share: float = 0.25  # damaged fraction of an image
    features: str = ""  # .keras file of a network for a perceptual distance; empty: none
    weight_decay: float = 0.05  # weight decay of AdamW
    rim: int = 2  # width in tokens of the border of a hole that is filled by a baseline; 0 for a strong prior
    temperature: float = 0.5  # sampling temperature; below 1 the result is more typical
    sampling_steps: int = 12  # number of steps that generate the tokens of a hole
    noise: float = 1.0  # randomness of the order of the tokens

    def __post_init__(self):
        if not 0.0 < self.share < 1.0 or self.repaired < 1 or self.rim < 0:
            received = f"--share {self.share} --repaired {self.repaired} --rim {self.rim}"
            raise ValueError(f"--share must be in (0, 1), --repaired at least 1, --rim 0 or more. Received: {received}")
        if self.features and not pathlib.Path(self.features).is_file():
            raise ValueError(f"--features must be a .keras file that exists. Received: {self.features}")
        if self.tokens and not (self.data or self.validation_data):
            raise ValueError("--tokens has no images to repair. Also give the encoded images with --data.")


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
    """Dict of the metrics of one method."""
    holes = np.repeat(masks[..., None], images.shape[-1], axis=-1)
    errors = [np.mean((x - y)[hole] ** 2) for x, y, hole in zip(images, np.clip(repaired, -1, 1), holes, strict=True)]
    metrics = {"psnr_in_holes": float(np.mean(10 * np.log10(4 / np.maximum(errors, 1e-10))))}
    metrics["ssim"] = float(np.mean(vqzoo.metrics.ssim(images, repaired.astype("float32"))))
    return {**metrics, **({"perceptual": float(np.mean(metric(images, repaired.astype("float32"))))} if metric else {})}


def main(config):
    out = pathlib.Path(os.path.expanduser(config.out))
    sampling = {"temperature": config.temperature, "steps": config.sampling_steps, "noise": config.noise}
    run = None if config.prior else PriorRun(config, "image_inpainting", ImagePriorData(config), sampling)
    metric = vqzoo.losses.PerceptualLoss(keras.models.load_model(config.features)) if config.features else None
    if run and run.finish(run.fit(build)) is None:
        return  # a worker that does not write results
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
