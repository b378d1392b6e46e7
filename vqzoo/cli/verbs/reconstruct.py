"""Encodes files and decodes them again, to see what a preset keeps.

vqzoo reconstruct image-vqgan-photos-f4 holidays/ --out again/
"""

import numpy as np

from vqzoo.cli.batch import add_batch_arguments
from vqzoo.cli.batch import pair_files
from vqzoo.cli.batch import run_each
from vqzoo.cli.signals import check_modality
from vqzoo.cli.signals import find_signals
from vqzoo.cli.signals import load_signal
from vqzoo.cli.signals import save_signal
from vqzoo.cli.verbs.encode import PIXELS_AT_ONCE
from vqzoo.cli.verbs.encode import TILE
from vqzoo.presets import find_preset
from vqzoo.tokenizers import Tokenizer


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="name, or folder")
    add_batch_arguments(parser, "pictures")


def run(arguments):
    """Reconstructs every file; exit status 1 if one failed."""
    tokenizer = Tokenizer.from_preset(find_preset(arguments.preset))
    check_modality(tokenizer, arguments.preset)
    if not arguments.out:
        raise ValueError("--out DIR is the folder for the reconstructions.")
    pairs = pair_files(arguments.paths, arguments.out, ".png", find_signals)

    def reconstruct(source, target):
        signal = load_signal(source, tokenizer)
        tiles = {"tile_size": TILE} if signal[..., 0].size > PIXELS_AT_ONCE else {}
        tokens = tokenizer.encode(signal[None], **tiles)
        again = np.clip(tokenizer.decode(tokens, size=signal.shape[:-1], **tiles)[0], -1.0, 1.0)
        save_signal(target, again)
        psnr = 10.0 * np.log10(4.0 / max(float(np.mean(np.square(again - signal))), 1e-10))
        return {"reconstruction": str(target), "psnr": psnr}

    return run_each("reconstructed", pairs, arguments, reconstruct)
