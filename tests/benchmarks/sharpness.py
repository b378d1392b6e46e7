"""How much of the finest detail a tokenizer keeps: energy of the Laplacian of its reconstructions over the originals'.

python tests/benchmarks/sharpness.py PICTURES PRESET...    # 64 crops of 64 pixels at half resolution
"""

import sys

import numpy as np

import vqzoo


def laplacian_energy(images):
    """Mean squared Laplacian of the mean of the channels of images (batch, height, width, channels)."""
    x = images.mean(-1)
    centre = x[:, 1:-1, 1:-1]
    neighbours = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:]
    return float(np.mean((4.0 * centre - neighbours) ** 2))


def main(pictures, *presets):
    """Prints one line for each preset."""
    crops = vqzoo.data.ImageCrops(
        vqzoo.data.find_images(pictures), size=64, batch_size=64, flip=False, scale=(0.5, 0.5)
    )
    images = crops.batch(0)
    for preset in presets:
        tokenizer = vqzoo.Tokenizer.from_preset(preset)
        again = np.clip(np.asarray(tokenizer.decode(tokenizer.encode(images))), -1.0, 1.0)
        print(f"{preset}: {laplacian_energy(again) / laplacian_energy(images):.1%} of the originals' Laplacian energy")


if __name__ == "__main__":
    main(*sys.argv[1:])
