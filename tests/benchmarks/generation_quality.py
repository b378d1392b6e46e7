"""What class-conditional priors make, judged by a classifier of real pictures.

    python tests/benchmarks/generation_quality.py CLOTHES PRIOR... --classifier classifier.keras
    python tests/benchmarks/generation_quality.py CLOTHES PRIOR --options '{"guidance": 1}' '{"top_p": 0.9}' --grid ...

CLOTHES has the folders `train` and `val`, each with a folder for every class. A small convolutional network learns the
classes of `train` (or is loaded, where `--classifier` is there already) and judges pictures of `val`, the same as each
prior's tokenizer brings them back, and what the prior makes of each class, as many. A row tells

    accuracy      share of the pictures that the classifier names as what they are, or were asked to be
    spread        deviation of its 128 features within a class over that of real pictures, mean of the classes
    pixels        the same of pixels; a tokenizer that blurs is below 1 by itself
    frechet       Fréchet distance of the features to those of `val` (not FID)
    nearest       root mean square difference to the nearest picture of `train`, mean; of copies it would be near 0
"""

import argparse
import json
import pathlib

import keras
import numpy as np
from PIL import Image

import vqzoo
from vqzoo.generation import Generator
from vqzoo.metrics import frechet_distance
from vqzoo.plots import save_picture_rows

EPOCHS, BATCH, FEATURES = 6, 128, 128
COLUMNS = ("accuracy", "spread", "pixels", "frechet", "nearest")


def main():
    """Trains the judge, then judges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("priors", nargs="+")
    parser.add_argument("--classifier", type=pathlib.Path, default=pathlib.Path("classifier.keras"))
    parser.add_argument("--options", type=json.loads, nargs="+", default=[{}], help="of sampling, each a row")
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--grid", help="PNG of what the last row made, a row for each class")
    parser.add_argument("--neighbours", help="PNG of pictures made, each beside its nearest of `train`")
    parser.add_argument("--record", action="store_true", help="writes the first row of each prior into its card")
    arguments = parser.parse_args()
    train, train_labels, names = read(arguments.pictures / "train")
    real, labels, _ = read(arguments.pictures / "val")
    if not arguments.classifier.exists():
        learn(train, train_labels, real, labels).save(arguments.classifier)
    judge = Judge(keras.models.load_model(arguments.classifier), train, real, labels)
    some = np.random.default_rng(0).permutation(len(real))[: arguments.count]
    print("| | " + " | ".join(COLUMNS) + " |\n|---|" + "---|" * len(COLUMNS), flush=True)
    row("real pictures", judge(real[some], labels[some]))
    for prior in arguments.priors:
        generator = Generator.from_preset(prior)
        known = generator.conditions.known
        if [name.lower() for name in known] != [name.lower() for name in names]:
            raise SystemExit(f"{prior} knows {known}, the pictures are of {names}")
        tokens = generator.tokenizer.encode(real[some], batch_size=500)
        row(f"{pathlib.Path(prior).name}: its tokenizer", judge(generator.decode(tokens), labels[some]))
        for number, options in enumerate(arguments.options):
            asked = np.arange(arguments.count) % len(names)
            made = generator.generate(arguments.count, asked.tolist(), seed=arguments.seed, batch_size=500, **options)
            told = judge(made, asked)
            row(f"{pathlib.Path(prior).name} {json.dumps(options)}", told)
            print(judge.by_class(made, asked, names), flush=True)
            if arguments.record and number == 0:
                metrics = vqzoo.presets.read_metadata(prior)["metrics"]
                more = {f"classifier_{name}": told[name] for name in ("accuracy", "spread", "frechet")}
                vqzoo.presets.update_metadata(prior, metrics={**metrics, **more})
    if arguments.grid:
        shown = np.concatenate([made[asked == label][:12] for label in range(len(names))])
        save_picture_rows(arguments.grid, shown, 12, names)
    if arguments.neighbours:
        near = train[judge.nearest(made[: 4 * len(names)])[0]]
        pairs = np.stack([made[: len(near)], near], axis=1).reshape(-1, *made.shape[1:])
        save_picture_rows(arguments.neighbours, pairs, 10)


class Judge:
    """A classifier, and what it says of real pictures."""

    def __init__(self, classifier, train, real, labels):
        self.classifier = classifier
        self.features = keras.Model(classifier.inputs, classifier.get_layer("features").output)
        self.train, self.real, self.labels = train, real, labels
        self.real_features = self.features.predict(real, 500, verbose=0).astype("float64")

    def __call__(self, pictures, labels):
        """The numbers of a row."""
        features = self.features.predict(pictures, 500, verbose=0).astype("float64")
        own, usual = (spreads(x, of) for x, of in ((features, labels), (self.real_features, self.labels)))  # (classes,)
        flat = [spreads(x.reshape(len(x), -1), of) for x, of in ((pictures, labels), (self.real, self.labels))]
        moments = [(x.mean(0), np.cov(x, rowvar=False)) for x in (features, self.real_features)]
        return {
            "accuracy": float(np.mean(self.named(pictures) == labels)),
            "spread": float(np.mean(own / usual)),
            "pixels": float(np.mean(flat[0] / flat[1])),
            "frechet": frechet_distance(*moments[0], *moments[1]),
            "nearest": float(np.mean(self.nearest(pictures[:500])[1])),
        }

    def named(self, pictures):
        """What the classifier takes pictures for."""
        return self.classifier.predict(pictures, 500, verbose=0).argmax(-1)

    def by_class(self, pictures, labels, names):
        """The accuracy of each class, in words."""
        right = self.named(pictures) == labels
        return ", ".join(f"{name} {np.mean(right[labels == i]):.0%}" for i, name in enumerate(names))

    def nearest(self, pictures):
        """Rows of the nearest training pictures, and root mean square differences."""
        rows, train = pictures.reshape(len(pictures), -1), self.train.reshape(len(self.train), -1)
        squares = (rows**2).sum(1)[:, None] - 2.0 * rows @ train.T + (train**2).sum(1)
        found = squares.argmin(1)
        return found, np.sqrt(np.maximum(squares[np.arange(len(rows)), found], 0.0) / rows.shape[1])


def read(folder):
    """Pictures, the numbers of their classes, and the classes' names."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    files = [(path, i) for i, name in enumerate(names) for path in sorted((folder / name).glob("*.png"))]
    pictures = np.stack([np.asarray(Image.open(path)) for path, _ in files])
    pictures = pictures.reshape(*pictures.shape[:3], -1).astype("float32") / 127.5 - 1.0
    return pictures, np.array([i for _, i in files]), names


def spreads(rows, labels):
    """The deviation within each class: root of the sum of the variances."""
    return np.array([np.sqrt(rows[labels == i].var(axis=0).sum()) for i in np.unique(labels)])


def learn(pictures, labels, held_out, held_out_labels):
    """A classifier of real pictures."""
    keras.utils.set_random_seed(0)
    layers = [keras.Input(pictures.shape[1:])]
    for filters in (32, 64, 128):
        layers += [keras.layers.Conv2D(filters, 3, padding="same", activation="relu"), keras.layers.MaxPooling2D()]
    layers += [keras.layers.Flatten(), keras.layers.Dropout(0.3)]
    layers += [keras.layers.Dense(FEATURES, activation="relu", name="features"), keras.layers.Dropout(0.3)]
    layers += [keras.layers.Dense(int(labels.max()) + 1, dtype="float32")]
    model = keras.Sequential(layers)
    rate = vqzoo.trainers.warmup_cosine(2e-3, EPOCHS * (len(pictures) // BATCH))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    told = (held_out, held_out_labels)
    model.fit(pictures, labels, batch_size=BATCH, epochs=EPOCHS, verbose=2, validation_data=told)
    return model


def row(name, told):
    """Prints one row of the table."""
    print(f"| {name} | " + " | ".join(f"{told[column]:.3f}" for column in COLUMNS) + " |", flush=True)


if __name__ == "__main__":
    main()
