"""What presets make of the same held-out pictures: distances to the originals, and a picture to look at.

    python tests/benchmarks/features.py FEATURES_DIR NETWORKS
    python tests/benchmarks/quality.py PICTURES PRESET... --networks NETWORKS --size 64 --scale 0.5 --grid grid.png

One line of JSON and one row of a table for each preset; with `--record` the numbers go into its metadata and card too.
`perceptual_vgg16_hed` is the distance of unit-normalised activations of VGG16 tuned for edges, all five blocks;
`frechet_efficientnet_lite0` the Fréchet distance of 1,280 pooled features: neither is LPIPS or FID. `laplacian` is the
share of the originals' finest detail, the energy of the Laplacian, that is left.
"""

import argparse
import json
import pathlib

import keras
import numpy as np
from PIL import Image

import vqzoo
from vqzoo.losses import PerceptualLoss
from vqzoo.metrics import FrechetDistance
from vqzoo.metrics import evaluate_images

SHOWN = ("psnr", "ssim", "ms_ssim_3_scales", "perceptual_vgg16_hed", "frechet_efficientnet_lite0")
SHOWN += ("laplacian", "usage", "perplexity", "bits_per_pixel")


class Sharpness:
    """Energy of the Laplacian of the reconstructions over that of the originals."""

    def reset_state(self):
        self.energies = np.zeros(2)

    def update_state(self, images, reconstructions):
        self.energies += [_laplacian_energy(np.asarray(x)) for x in (images, reconstructions)]

    def result(self):
        return self.energies[1] / self.energies[0]


def main():
    """Judges each preset, then draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures")
    parser.add_argument("presets", nargs="+")
    parser.add_argument("--networks", type=pathlib.Path, help="folder of features.py: distances by those in it")
    parser.add_argument("--share", type=float, help="of PICTURES that the recipe held out; without: all were")
    parser.add_argument("--record", action="store_true", help="writes the numbers into the presets")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--scale", type=float, default=0.5)
    parser.add_argument("--crops", type=int, default=2048)
    parser.add_argument("--grid", help="PNG of some crops as each preset gives them back")
    parser.add_argument("--shown", type=int, nargs="+", default=range(8), help="numbers of the crops in the grid")
    arguments = parser.parse_args()
    metrics = {"laplacian": Sharpness()}
    if arguments.networks and (arguments.networks / "vgg16_hed.keras").exists():
        vgg16 = keras.models.load_model(arguments.networks / "vgg16_hed.keras")
        metrics["perceptual_vgg16_hed"] = PerceptualLoss(vgg16)
    if arguments.networks and (arguments.networks / "efficientnet_lite0.keras").exists():
        efficientnet = keras.models.load_model(arguments.networks / "efficientnet_lite0.keras")
        metrics["frechet_efficientnet_lite0"] = FrechetDistance(efficientnet)
    scale = (arguments.scale, arguments.scale)
    files = vqzoo.data.find_images(arguments.pictures)
    if arguments.share:
        _, files = vqzoo.data.split_images(files, arguments.share)
    crop = {"size": arguments.size, "channels": arguments.channels, "scale": scale, "max_side": 1024}
    crops = vqzoo.data.ImageCrops(files, batch_size=32, flip=False, **crop)
    batches = [crops.batch(i) for i in range(-(-arguments.crops // 32))]
    columns = [np.concatenate(batches[: max(arguments.shown) // 32 + 1])[list(arguments.shown)]]
    print("| preset | " + " | ".join(SHOWN) + " |\n|---|" + "---|" * len(SHOWN), flush=True)
    for preset in arguments.presets:
        tokenizer = vqzoo.Tokenizer.from_preset(preset)
        report = evaluate_images(tokenizer, batches, metrics=metrics)
        cells = [f"{report[name]:.4g}" if name in report else "" for name in SHOWN]
        print(f"| {pathlib.Path(preset).name} | " + " | ".join(cells) + " |")
        print(json.dumps({"preset": preset, **report}), flush=True)
        if arguments.record:
            report.pop("images_per_second")  # of this machine
            vqzoo.presets.update_metadata(preset, metrics=report)
        columns.append(np.asarray(tokenizer.decode(tokenizer.encode(columns[0]), size=columns[0].shape[1:3])))
    if arguments.grid:
        # Originals above, then a row for each preset.
        rows = [np.concatenate(list(pictures), axis=1) for pictures in columns]
        pixels = np.rint((np.clip(np.concatenate(rows), -1.0, 1.0) + 1.0) * 127.5).astype("uint8")
        factor = max(1, 128 // arguments.size)
        Image.fromarray(pixels).resize((pixels.shape[1] * factor, pixels.shape[0] * factor), 0).save(arguments.grid)


def _laplacian_energy(images):
    x = images.mean(-1)
    centre = x[:, 1:-1, 1:-1]
    neighbours = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:]
    return float(np.sum((4.0 * centre - neighbours) ** 2))


if __name__ == "__main__":
    main()
