"""Do pictures that a prior makes of a text look like the picture of that text? Judged by the features of a network.

    python tests/benchmarks/features.py FEATURES_DIR NETWORKS
    python tests/benchmarks/generation_names.py CAPTIONS PRIOR --features NETWORKS/efficientnet_lite0.keras
        [--options '{"guidance": 1}' ...] [--names 200] [--count 4] [--grid grid.png] [--record]

CAPTIONS is the table that the prior learnt from. Of some of its texts the prior makes a few pictures each; a picture
is named right where the nearest of all pictures of the table, by the angle between features, has its text, and nearly
right where one of the five nearest has. A row tells both shares, the same for the real pictures as the prior's
tokenizer gives them back, and how far pictures of one text are from each other and from their real one (root mean
square, of [-1, 1]): copies of it would be at the distance of the tokenizer's.
"""

import argparse
import json

import keras
import numpy as np
from PIL import Image

import vqzoo
from vqzoo.generation import Generator
from vqzoo.plots import save_picture_rows

BATCH = 128
COLUMNS = ("named", "named_in_five", "from_real", "from_each_other")


def main():
    """Judges real pictures, then those of each setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captions")
    parser.add_argument("prior")
    parser.add_argument("--features", required=True)
    parser.add_argument("--options", type=json.loads, nargs="+", default=[{}], help="of sampling, each a row")
    parser.add_argument("--names", type=int, default=200)
    parser.add_argument("--count", type=int, default=4, help="pictures of each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--grid", help="PNG of what the last row made of some")
    parser.add_argument("--record", action="store_true", help="writes the first row into the prior's card")
    arguments = parser.parse_args()
    generator = Generator.from_preset(arguments.prior)
    table = vqzoo.data.CaptionTable(arguments.captions)
    files = table.pictures("")
    names = np.array([table.of(file.name)[0] for file in files])
    real = np.stack([_picture(file, generator.size) for file in files])
    judge = Judge(keras.models.load_model(arguments.features), real, names)
    some = np.random.default_rng(0).permutation(len(real))[: arguments.names]
    print("| | " + " | ".join(COLUMNS) + " |\n|---|" + "---|" * len(COLUMNS))
    again = np.asarray(generator.decode(generator.tokenizer.encode(real[some], batch_size=BATCH)))
    _row("real pictures, through the tokenizer", judge(again, some, 1))
    for number, options in enumerate(arguments.options):
        asked = names[some].tolist()
        made = generator.generate(len(asked) * arguments.count, asked, seed=arguments.seed, batch_size=BATCH, **options)
        told = judge(made, np.tile(some, arguments.count), arguments.count)
        _row(json.dumps(options), told)
        if arguments.record and number == 0:
            metrics = vqzoo.presets.read_metadata(arguments.prior)["metrics"]
            vqzoo.presets.update_metadata(arguments.prior, metrics={**metrics, **told, "names": len(asked)})
    if arguments.grid:
        rows = made.reshape(arguments.count, len(asked), *made.shape[1:])[:, :12]
        shown = np.concatenate([rows, real[some[:12]][None]]).swapaxes(0, 1)
        save_picture_rows(arguments.grid, shown.reshape(-1, *made.shape[1:]), arguments.count + 1, asked[:12])


class Judge:
    """Names pictures after the nearest of those it knows."""

    def __init__(self, network, real, names):
        self.network, self.real, self.names = network, real, names
        self.known = self._directions(real)

    def __call__(self, pictures, asked, count):
        """The numbers of a row."""
        found = np.argsort(-self._directions(pictures) @ self.known.T, axis=1)[:, :5]
        right = self.names[found] == self.names[asked][:, None]
        groups = pictures.reshape(count, -1, *pictures.shape[1:])
        apart = [_distance(groups[i], groups[j]) for i in range(count) for j in range(i)]
        told = {"named": right[:, 0].mean(), "named_in_five": right.any(axis=1).mean()}
        told["from_real"] = _distance(pictures, self.real[asked]).mean()
        return {name: float(x) for name, x in told.items()} | (
            {"from_each_other": float(np.mean(apart))} if apart else {}
        )

    def _directions(self, pictures):
        features = self.network.predict(np.clip(pictures, -1, 1), BATCH, verbose=0).reshape(len(pictures), -1)
        return features / np.linalg.norm(features, axis=1, keepdims=True)


def _picture(file, size):
    picture = vqzoo.data.load_image(file)
    pixels = Image.fromarray(np.rint((picture + 1.0) * 127.5).astype("uint8"))
    return np.asarray(pixels.resize(size[::-1], Image.Resampling.LANCZOS), "float32") / 127.5 - 1.0


def _distance(one, other):
    return np.sqrt(np.mean((one - other) ** 2, axis=(1, 2, 3)))


def _row(name, told):
    print(f"| {name} | " + " | ".join(f"{told[x]:.3f}" if x in told else "" for x in COLUMNS) + " |", flush=True)


if __name__ == "__main__":
    main()
