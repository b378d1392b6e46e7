"""What each part of the VQGAN's training does: the same VQ-VAE sharpened with one thing changed at a time.

    python tests/benchmarks/features.py FEATURES_DIR NETWORKS
    python tests/benchmarks/ablations.py PHOTOS/train PHOTOS/val --init VQVAE_PRESET --networks NETWORKS --out FOLDER

Every row is `recipes/image_vqgan.py --init VQVAE_PRESET` on the same crops with the same number of steps, by the
command that is printed; then `quality.py` judges all of them on the same held-out crops.
"""

import argparse
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
# Name -> flags that differ; None leaves one out.
ROWS = {
    "all": {},
    "no perceptual loss": {"--perceptual": None},
    "no adaptive weight": {"--no-adaptive": ""},
    "joins at once": {"--discriminator_start": "0"},
    "joins late": {"--discriminator_start": "0.6"},
    "encoder too": {"--freeze_encoder": None},
    "batch normalization": {"--discriminator_batch_norm": ""},
    "no adversary": {"--adversarial_weight": "0", "--feature_matching_weight": "0"},
    "R1": {"--r1_weight": "10"},
    "LeCAM": {"--lecam_weight": "0.001"},
}
FLAGS = {"--perceptual_weight": "0.5", "--adversarial_weight": "0.15", "--feature_matching_weight": "0.2"}
FLAGS |= {"--discriminator_start": "0.3", "--learning_rate": "4e-4", "--validation_crops": "64", "--freeze_encoder": ""}


def main():
    """Trains each row, then judges all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures")
    parser.add_argument("validation")
    parser.add_argument("--init", required=True, help="preset of a VQ-VAE")
    parser.add_argument("--networks", type=pathlib.Path, required=True, help="folder of features.py")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the presets; those there are kept")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--epochs", type=int, default=3, help="of 100 steps")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--scale", type=float, default=0.5)
    parser.add_argument("--crops", type=int, default=2048, help="that judge")
    arguments = parser.parse_args()
    presets = []
    for name in arguments.rows:
        presets.append(arguments.out / name.replace(" ", "_"))
        if (presets[-1] / "manifest.json").is_file():
            continue
        recipe = [sys.executable, str(ROOT / "recipes" / "image_vqgan.py"), "--out", str(presets[-1])]
        recipe += [flag for flags in _flags(name, arguments).items() for flag in flags if flag]
        print(name, *recipe[1:], flush=True)
        subprocess.run(recipe, check=True)
    quality = [sys.executable, str(ROOT / "tests" / "benchmarks" / "quality.py"), arguments.validation]
    quality += [arguments.init, *map(str, presets), "--networks", str(arguments.networks)]
    quality += ["--scale", str(arguments.scale), "--crops", str(arguments.crops)]
    subprocess.run(quality, check=True)


def _flags(name, arguments):
    """Flag -> its value, "" for a switch."""
    scale = str(arguments.scale)
    flags = {"--data": arguments.pictures, "--validation_data": arguments.validation, "--init": arguments.init}
    flags |= {"--min_scale": scale, "--max_scale": scale, "--epochs": str(arguments.epochs)}
    flags |= {"--batch_size": str(arguments.batch_size), **FLAGS}
    flags["--perceptual"] = str(arguments.networks / "vgg16_hed_bfloat16.keras")
    flags |= ROWS[name]
    return {flag: value for flag, value in flags.items() if value is not None}


if __name__ == "__main__":
    main()
