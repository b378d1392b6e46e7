"""Gives pictures the style of others: statistics of latents are exchanged, and the nearest codes decoded.

    python recipes/image_style.py                                  # the photographs of scikit-image, in each other's
    python recipes/image_style.py --data houses/ --styles paintings/ --tokenizer image-vqgan-photos-f4
    python recipes/image_style.py tiny --out /some/folder          # seconds: shows that it runs

Nothing is trained. `restyled.png` has the contents on the left and the styles above. Told are, for some strengths, how
far the result is from the content (of latents whose statistics are taken away: 0 the same, about 1.4 unrelated) and
from the style (means and deviations of latents), beside the distances between the pictures themselves. Afterwards:
`vqzoo restyle`.

Reference: Huang, Belongie 2017, https://arxiv.org/abs/1703.06868
"""

import dataclasses
import json
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's own messages would stand between the log lines

import numpy as np

import vqzoo
from vqzoo.cli import run_recipe
from vqzoo.data import ImageCrops
from vqzoo.trainers import save_picture_rows


@dataclasses.dataclass(frozen=True)
class Config:
    data: str = ""  # folder of pictures whose shapes stay; empty: the photographs of scikit-image
    styles: str = ""  # folder of pictures whose colours and textures are taken; empty: those of `data`
    tokenizer: str = "image-vqgan-photos-f4"  # preset, name or folder
    out: str = "saved_models/image_style"  # folder for the picture and the numbers
    size: int = 256  # pixels a side of a picture
    scale: float = 0.5  # resize of a picture before the crop
    count: int = 5  # contents, and styles
    strengths: tuple[float, ...] = (0.0, 0.5, 1.0)  # that are measured; the last is shown
    seed: int = 0  # of crops


VARIANTS = {
    "default": Config(),
    "tiny": Config(size=64, count=2, out="saved_models/image_style_tiny"),
    "gpu": Config(size=512, scale=1.0, count=8, tokenizer="saved_models/image_vqgan"),  # what `image_vqgan.py f16` made
}


def statistics(tokenizer, picture):
    """Means and deviations of the latents' channels, and the latents without them."""
    latents = np.asarray(tokenizer.encoder(picture[None], training=False), "float32")[0]
    means, deviations = latents.mean((0, 1)), latents.std((0, 1))
    return np.concatenate([means, deviations]), (latents - means) / (deviations + 1e-5)


def distances(tokenizer, result, content, style):
    """How far a result is from the content, and from the style."""
    (own, shapes), (_, others), (wanted, _) = (statistics(tokenizer, x) for x in (result, content, style))
    return np.sqrt(np.mean((shapes - others) ** 2)), np.sqrt(np.mean((own - wanted) ** 2))


def main(config):
    tokenizer = vqzoo.ImageTokenizer.from_preset(config.tokenizer)
    out = pathlib.Path(config.out).expanduser()
    options = {"flip": False, "scale": (config.scale, config.scale), "max_side": 1024, "seed": config.seed}
    options |= {"channels": tokenizer.encoder.input_shape[-1]}
    files = vqzoo.data.open_images(config.data) if config.data else vqzoo.data.sample_images()
    sources = (files, vqzoo.data.open_images(config.styles) if config.styles else files)
    contents, styles = (ImageCrops(x, config.size, min(config.count, len(x)), **options).batch(0) for x in sources)
    pairs = [(x, y) for x in contents for y in styles if x is not y and not np.array_equal(x, y)]
    pairs = pairs or [(contents[0], styles[0])]
    report = {"the two pictures": np.mean([distances(tokenizer, x, x, y) for x, y in pairs], axis=0).tolist()}
    for strength in config.strengths:
        made = [(vqzoo.restyle(tokenizer, x, y, strength), x, y) for x, y in pairs]
        told = np.mean([distances(tokenizer, *one) for one in made], axis=0)
        report[f"strength {strength:g}"] = told.tolist()
    for name, (content, style) in report.items():
        print(f"{name:>18}  from the content {content:.3f}  from the style {style:.3f}")
    blank = np.ones_like(contents[0])
    rows = [[blank, *styles]]
    rows += [[x, *(vqzoo.restyle(tokenizer, x, y, config.strengths[-1]) for y in styles)] for x in contents]
    save_picture_rows(out / "restyled.png", np.stack([x for row in rows for x in row]), len(rows[0]))
    (out / "distances.json").write_text(json.dumps(report, indent=1))
    print(f"contents on the left, styles above: {out / 'restyled.png'}")


if __name__ == "__main__":
    run_recipe(main, VARIANTS)
