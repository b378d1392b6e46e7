"""Transfers the style of images to others, by latent statistics or by a prior that is trained on styles.

    python recipes/image_style.py                                  # among the photographs of scikit-image
    python recipes/image_style.py --data houses/ --styles paintings/ --tokenizer image-vqgan-photos-f4
    python recipes/image_style.py --prior saved_models/styles      # also by a masked prior of styles
    python recipes/image_style.py tiny --out /some/folder          # a test run of seconds

Nothing is trained here. `recipes/image_generation.py --kind masked --styles` trains a prior of styles. It masks a
fraction of the content's tokens and predicts them from the rest and the tokens of the style. `restyled.png` has the
contents on the left and the styles on top. Each row by statistics is followed by the row by the prior. The recipe
reports, for several strengths, the distance of the result to the content (of normalized latents: 0 is equal, about 1.4
unrelated) and to the style (of means and standard deviations of latents), and the distances between the two images. All
are measured with the latents of `tokenizer`. Afterwards: `vqzoo restyle`.

Reference: Huang, Belongie 2017, https://arxiv.org/abs/1703.06868; Chang et al. 2022, https://arxiv.org/abs/2202.04200
"""

import dataclasses
import os
import pathlib

os.environ.setdefault("VQZOO_QUIET", "1")  # hides TensorFlow's messages between the log lines

import numpy as np

import vqzoo
from vqzoo.data import ImageCrops
from vqzoo.generation import Generator
from vqzoo.plots import save_picture_rows
from vqzoo.runs import run_recipe
from vqzoo.runs import save_report


@dataclasses.dataclass(frozen=True)
class Config:
    data: str = ""  # folder of content images; empty: the photographs of scikit-image
    styles: str = ""  # folder of style images, for colors and textures; empty: those of `data`
    tokenizer: str = "image-vqgan-photos-f4"  # preset, name or folder
    prior: str = ""  # preset of a prior of styles, name or folder; empty: only statistics
    out: str = "saved_models/image_style"  # folder for the image and the distances
    size: int = 256  # side of an image in pixels
    scale: float = 0.5  # resize factor before the crop
    count: int = 5  # number of contents, and of styles
    strengths: tuple[float, ...] = (0.0, 0.5, 1.0)  # strengths of the statistics to measure; the last is shown
    shares: tuple[float, ...] = (0.0, 0.3, 0.6, 0.9)  # fractions of the content's tokens to mask; the last is shown
    seed: int = 0  # seed of the crops


VARIANTS = {
    "default": Config(),
    "tiny": Config(size=64, count=2, out="saved_models/image_style_tiny"),
    "gpu": Config(size=512, scale=1.0, count=8, tokenizer="saved_models/image_vqgan"),  # made by `image_vqgan.py f16`
}


def statistics(tokenizer, image):
    """Means and standard deviations of the latent channels, and the normalized latents."""
    latents = np.asarray(tokenizer.encoder(image[None], training=False), "float32")[0]
    means, deviations = latents.mean((0, 1)), latents.std((0, 1))
    return np.concatenate([means, deviations]), (latents - means) / (deviations + 1e-5)


def distances(tokenizer, result, content, style):
    """The distances of a result to the content and to the style."""
    (own, shapes), (_, others), (wanted, _) = (statistics(tokenizer, x) for x in (result, content, style))
    return np.sqrt(np.mean((shapes - others) ** 2)), np.sqrt(np.mean((own - wanted) ** 2))


def main(config):
    tokenizer = vqzoo.ImageTokenizer.from_preset(config.tokenizer)
    out = pathlib.Path(os.path.expanduser(config.out))
    options = {"flip": False, "scale": (config.scale, config.scale), "max_side": 1024, "seed": config.seed}
    options |= {"channels": tokenizer.encoder.input_shape[-1]}
    files = vqzoo.data.open_images(config.data) if config.data else vqzoo.data.sample_images()
    sources = (files, vqzoo.data.open_images(config.styles) if config.styles else files)
    contents, styles = (ImageCrops(x, config.size, min(config.count, len(x)), **options).batch(0) for x in sources)
    pairs = [(x, y) for x in contents for y in styles if x is not y and not np.array_equal(x, y)]
    pairs = pairs or [(contents[0], styles[0])]
    report = {"the two pictures": np.mean([distances(tokenizer, x, x, y) for x, y in pairs], axis=0).tolist()}
    ways = {f"strength {x:g}": (tokenizer, x) for x in config.strengths}
    if config.prior:
        generator = Generator.from_preset(config.prior)
        ways |= {f"prior, share {x:g}": (generator, x) for x in config.shares}
    for name, (model, strength) in ways.items():
        made = [(vqzoo.restyle(model, x, y, strength), x, y) for x, y in pairs]
        report[name] = np.mean([distances(tokenizer, *one) for one in made], axis=0).tolist()
    for name, (content, style) in report.items():
        print(f"{name:>18}  from the content {content:.3f}  from the style {style:.3f}")
    blank = np.ones_like(contents[0])
    rows = [[blank, *styles]]
    shown = [(tokenizer, config.strengths[-1])] + ([(generator, config.shares[-1])] if config.prior else [])
    rows += [
        [x, *(vqzoo.restyle(model, x, y, strength) for y in styles)] for x in contents for model, strength in shown
    ]
    save_picture_rows(out / "restyled.png", np.stack([x for row in rows for x in row]), len(rows[0]))
    save_report(out / "distances.json", report)
    print(f"contents on the left, styles above: {out / 'restyled.png'}")


if __name__ == "__main__":
    run_recipe(main, VARIANTS)
