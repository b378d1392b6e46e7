"""Large pictures in tiles: can the seams be seen, and how much memory do they save?

python tests/benchmarks/tiles.py PRESET PICTURE OUT                   # reduced to 1024 pixels on its longer side
python tests/benchmarks/tiles.py PRESET PICTURE OUT --tile_size 128
python tests/benchmarks/tiles.py memory                               # 3000x2000 pixels through image_vqvae()

The first prints, for tiles with the default margin and with none, how many tokens and which pixels differ from the
whole picture's, and their seams: the mean step of the reconstruction's error from the last pixel of a tile to the first
of the next, over the step at the same place without tiles. 1 is a seam that nobody can see. OUT gets whole | tiled |
ten times their difference, with and without margins. The second prints the largest resident memory and the
processor time of a process of its own for each way.
"""

import argparse
import itertools
import pathlib
import resource
import subprocess
import sys
import time

import keras
import numpy as np
from PIL import Image

import vqzoo
from vqzoo.tokenizers.image.tiles import decoding_tiles
from vqzoo.tokenizers.image.tiles import grid_of


def seams(error, reference, tiles, axis):
    """Mean absolute step of `error` (height, width, channels) over that of `reference`: at tile borders, elsewhere."""
    steps, expected = (np.abs(np.diff(x, axis=axis)).mean(axis=(1 - axis, 2)) for x in (error, reference))
    borders = np.zeros(len(steps), "bool")
    for before, after in itertools.pairwise(tiles):
        borders[(before.target.stop + after.target.start) // 2 - 1] = True  # the middle of what they share
    return tuple(float(steps[where].mean() / expected[where].mean()) for where in (borders, ~borders))


def compare(preset, picture, out, side, tile_size):
    """Prints one line for the whole picture and two for its tiles."""
    tokenizer = vqzoo.Tokenizer.from_preset(preset)
    image = vqzoo.data.load_image(picture, channels=tokenizer.signal_shape[-1])
    height, width = (round(length * side / max(image.shape[:2])) for length in image.shape[:2])
    channels = [Image.fromarray(image[..., i]).resize((width, height), Image.LANCZOS) for i in range(image.shape[-1])]
    image = np.clip(np.stack([np.asarray(channel) for channel in channels], -1), -1, 1)
    strides, _ = grid_of(tokenizer)

    def psnr(a, b):
        return float(10 * np.log10(4 / max(np.mean((np.clip(a, -1, 1) - np.clip(b, -1, 1)) ** 2), 1e-10)))

    def report(name, again, tokens, tile_margin):
        grid = zip(image.shape[:2], strides, strict=True)
        axes = [decoding_tiles(-(-length // stride), stride, tile_size, tile_margin) for length, stride in grid]
        ratios = [seams(again - image, whole - image, axes[axis], axis) for axis in (0, 1)]
        ratios = ", ".join(f"{at:.3f} (elsewhere {elsewhere:.3f})" for at, elsewhere in ratios)
        difference = np.abs(again - whole)
        print(
            f"{name}: {len(axes[0])}x{len(axes[1])} tiles, PSNR {psnr(again, image):.2f} dB, tokens as whole "
            f"{np.mean(tokens == whole_tokens):.2%}, pixels differ by {difference.mean():.5f} on average, "
            f"{difference.max():.5f} at most, steps at borders down and across {ratios}"
        )

    size = image.shape[:2]
    whole_tokens = np.asarray(tokenizer.encode(image[None]))
    whole = np.asarray(tokenizer.decode(whole_tokens, size=size))[0]
    print(f"whole: PSNR {psnr(whole, image):.2f} dB")
    for name, margin in (("tiled", None), ("no_margin", 0)):
        tiles = {"tile_size": tile_size, "tile_margin": margin}
        tokens = np.asarray(tokenizer.encode(image[None], **tiles))
        again = np.asarray(tokenizer.decode(tokens, size=size, **tiles))[0]
        report(name, again, tokens, margin)
        wide = np.concatenate([whole, again, 10 * (again - whole)], axis=1)
        vqzoo.data.save_image(pathlib.Path(out, f"{name}.png"), wide)


def run_once(height, width, tile_size):
    """Encodes and decodes one picture and prints the memory and the time of this process."""
    keras.utils.set_random_seed(0)
    tokenizer = vqzoo.image_vqvae()
    small = np.random.default_rng(0).uniform(-1, 1, (height // 50, width // 50, 3)).astype("float32")
    channels = [Image.fromarray(small[..., i]).resize((width, height), Image.BICUBIC) for i in range(3)]
    image = np.clip(np.stack([np.asarray(channel) for channel in channels], -1), -1, 1)[None]
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    tokens = tokenizer.encode(image, tile_size=tile_size or None)
    again = tokenizer.decode(tokens, size=(height, width), tile_size=tile_size or None)
    seconds, after = time.process_time() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{width}x{height}, {f'tiles of {tile_size}' if tile_size else 'whole'}: {after / 2**20:.2f} GiB at most, "
        f"{before / 2**20:.2f} before; {seconds:.0f} s of processor time; checksum {float(np.abs(again).sum()):.1f}"
    )


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", help="preset, or the word memory")
    parser.add_argument("picture", nargs="?")
    parser.add_argument("out", nargs="?")
    parser.add_argument("--side", type=int, default=1024, help="pixels of the picture's longer side")
    parser.add_argument("--tile_size", type=int, default=256, help="pixels")
    parser.add_argument("--size", type=int, nargs=2, default=(2000, 3000), help="memory: height and width")
    parser.add_argument("--ways", type=int, nargs="+", default=(0, 256, 512), help="memory: tile sizes, 0 is whole")
    arguments = parser.parse_args()
    if arguments.preset != "memory":
        compare(arguments.preset, arguments.picture, arguments.out, arguments.side, arguments.tile_size)
    elif len(arguments.ways) == 1:
        run_once(*arguments.size, arguments.ways[0])
    else:
        for way in arguments.ways:
            size = [str(length) for length in arguments.size]
            subprocess.run([sys.executable, __file__, "memory", "--size", *size, "--ways", str(way)], check=True)


if __name__ == "__main__":
    main()
