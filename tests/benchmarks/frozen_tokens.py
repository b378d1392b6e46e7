"""The tokens that each shipped preset makes, beside those that it made when it was committed.

    python tests/benchmarks/frozen_tokens.py [--write]

Prints for each preset how many of its tokens are those of `frozen_tokens.npz`, and fails where one is not. With --write
it adds the presets that the file lacks; those that it has stay, because users keep tokens and expect to decode them.
Another processor may round otherwise, and choose another code where two are equally near.
"""

import argparse
import io
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import vqzoo
from vqzoo.files import atomic_path

FILE = pathlib.Path(__file__).with_suffix(".npz")
PRESETS = pathlib.Path(__file__).parents[2] / "saved_models"
SENTENCES = [
    "And he went up into the mountain, and sat there by himself.",
    "the price rose from 1,204.50 to 99% of it; nobody knew why!",
    "Ünïcode, and a tab\tbetween words.",
    "",
]


def names():
    """The shipped presets, sorted."""
    return sorted(path.parent.name for path in PRESETS.glob("*/manifest.json"))


def image(shape):
    """One image (1, height, width, channels) in [-1, 1]: ramps, a disc, a box and noise, in steps of 1/255."""
    height, width, channels = (64 if size is None else size for size in shape)
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    pixels = np.stack([80 + 120 * y, 200 - 150 * x, 60 + 90 * x + 90 * y], axis=-1)
    pixels[(y - 0.35) ** 2 + (x - 0.4) ** 2 < 0.05] = 230, 180, 30
    pixels[(abs(y - 0.7) < 0.15) & (abs(x - 0.65) < 0.2)] = 20, 40, 120
    pixels += np.random.Generator(np.random.Philox(0)).integers(-12, 13, pixels.shape)
    pixels = pixels if channels == 3 else pixels.mean(axis=-1, keepdims=True)
    return (np.rint(pixels).clip(0, 255) / 127.5 - 1).astype("float32")[None]


def audio(rate):
    """One clip (1, samples, 1) of a second: three tones that swell, a click and noise, in steps of 16 bits."""
    t = np.arange(rate) / rate
    signal = sum(
        0.2 * np.sin(2 * np.pi * f * t + f) * np.sin(np.pi * t * k) ** 2 for k, f in ((1, 220), (2, 555), (5, 1760))
    )
    signal[rate // 2 : rate // 2 + 40] += 0.3
    signal += np.random.Generator(np.random.Philox(1)).integers(-100, 101, rate) / 32768
    return (np.rint(signal * 32768) / 32768).astype("float32")[None, :, None]


def tokens_of(name):
    """The tokens of a preset, int32 array: of the signals above, or for a prior what it generates from seed 7."""
    modality, kind = name.split("-")[:2]
    if kind == "prior":
        return np.asarray(vqzoo.generation.Generator.from_preset(name).tokens(3, seed=7))
    tokenizer = vqzoo.Tokenizer.from_preset(name)
    signal = {
        "image": lambda: image(tokenizer.encoder.input_shape[1:]),
        "audio": lambda: audio(tokenizer.sample_rate),
        "text": lambda: SENTENCES,
    }[modality]()
    return keras.ops.convert_to_numpy(tokenizer.encode(signal))


def frozen():
    """{preset: int32 array} of the file."""
    with np.load(FILE) as file:
        return dict(file)


def main():
    """Prints the table, or writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="add the presets that the file lacks")
    arguments = parser.parse_args()
    kept = frozen() if FILE.exists() else {}
    if arguments.write:
        kept |= {name: tokens_of(name) for name in names() if name not in kept}
        held = io.BytesIO()
        np.savez_compressed(held, **kept)
        with atomic_path(FILE) as path:
            path.write_bytes(held.getvalue())
    same = True
    print("| preset | tokens | equal |\n|---|---|---|")
    for name in names():
        made, expected = tokens_of(name), kept[name]
        equal = made.shape == expected.shape and int(np.sum(made == expected))
        same &= equal == expected.size
        print(f"| {name} | {expected.size} | {equal} |")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
