"""How far what priors make is from held-out pictures, beside real ones, judged by the features of a network.

    python tests/benchmarks/features.py FEATURES_DIR NETWORKS
    python tests/benchmarks/generation_crops.py PHOTOS PRIOR... --features NETWORKS/efficientnet_lite0.keras
        [--count 2048] [--scale 0.5 1.0] [--seed 1] [--grid grid.png] [--record]

PHOTOS has the folders `train` and `val`. All is compared with crops of `val`, as large as the priors' pictures: crops
of `train`, which is as near as other photographs come; the crops of `val` themselves as the tokenizer brings them
back; the tokens of crops of `train`, each place of another crop, which a prior has to beat; and what each PRIOR makes,
the name or folder of a preset, or one with settings of sampling, such as `'NAME={"temperature": 0.9}'`. A row tells,
as in the card that `--record` writes,

    frechet_efficientnet_lite0    Fréchet distance, which is not FID, of the network's features: COUNT pictures of each
    feature_spread                root of the features' total variance, as a share of that of the crops of `val`
"""

import argparse
import json
import pathlib

import keras
import numpy as np

import vqzoo
from vqzoo.generation import Generator
from vqzoo.metrics import frechet_distance
from vqzoo.plots import save_picture_rows

BATCH = 64
COLUMNS, ROWS = 12, 2  # of the grid, for each prior


def main():
    """Judges real pictures, then those of each prior and setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("priors", type=_asked, nargs="+")
    parser.add_argument("--features", required=True)
    parser.add_argument("--count", type=int, default=2048)
    parser.add_argument("--scale", type=float, nargs=2, default=(0.5, 1.0), help="of the crops, the recipes' default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--grid", help="PNG of held-out crops, the same through the tokenizer, and of each prior")
    parser.add_argument(
        "--record", action="store_true", help="writes the numbers of priors without settings into their cards"
    )
    arguments = parser.parse_args()
    generators = {folder: Generator.from_preset(folder) for folder, _ in arguments.priors}
    first = next(iter(generators.values()))
    train, held_out = (_crops(arguments.pictures / part, first, arguments) for part in ("train", "val"))
    judge = Judge(keras.models.load_model(arguments.features), held_out)
    print("| | frechet_efficientnet_lite0 | feature_spread |\n|---|---|---|")
    _row("crops of other photographs", judge(train))
    again = _again(first, held_out)
    _row("held-out crops, through the tokenizer", judge(again))
    tokens = np.asarray(first.tokenizer.encode(train, batch_size=BATCH))
    flat = tokens.reshape(len(tokens), -1)
    mixed = np.random.default_rng(arguments.seed).permuted(flat, axis=0).reshape(tokens.shape)
    _row("tokens of any crops", judge(first.decode(mixed, BATCH)))
    shown = [held_out[:COLUMNS], again[:COLUMNS]]
    for folder, options in arguments.priors:
        made = generators[folder].generate(arguments.count, seed=arguments.seed, batch_size=BATCH, **options)
        told = judge(made)
        _row(f"{folder.name} {json.dumps(options)}", told)
        shown.append(made[: COLUMNS * ROWS])
        if arguments.record and not options:
            metrics = vqzoo.presets.read_metadata(folder)["metrics"]
            vqzoo.presets.update_metadata(folder, metrics={**metrics, **told})
    if arguments.grid:
        save_picture_rows(arguments.grid, np.concatenate(shown), COLUMNS, [])


class Judge:
    """Compares the features of pictures with those of real ones."""

    def __init__(self, network, real):
        self.network = network
        self.real = self._moments(real)

    def __call__(self, pictures):
        """The numbers of a row."""
        own = self._moments(pictures)
        spread = np.sqrt(np.trace(own[1]) / np.trace(self.real[1]))
        return {"frechet_efficientnet_lite0": frechet_distance(*own, *self.real), "feature_spread": float(spread)}

    def _moments(self, pictures):
        features = self.network.predict(np.clip(pictures, -1, 1), BATCH, verbose=0).reshape(len(pictures), -1)
        features = features.astype("float64")
        return features.mean(0), np.cov(features, rowvar=False)


def _asked(text):
    """A prior's folder, and settings of its sampling."""
    name, _, options = text.partition("={")
    return vqzoo.presets.find_preset(name), json.loads("{" + options if options else "{}")


def _crops(folder, generator, arguments):
    crop = {"size": generator.size, "channels": 3, "scale": tuple(arguments.scale), "max_side": 1024}
    crops = vqzoo.data.ImageCrops(vqzoo.data.find_images(folder), batch_size=BATCH, flip=False, **crop)
    return np.concatenate([crops.batch(i) for i in range(-(-arguments.count // BATCH))])[: arguments.count]


def _again(generator, pictures):
    return generator.decode(np.asarray(generator.tokenizer.encode(pictures, batch_size=BATCH)), BATCH)


def _row(name, told):
    print(f"| {name} | " + " | ".join(f"{told[x]:.4g}" for x in told) + " |", flush=True)


if __name__ == "__main__":
    main()
