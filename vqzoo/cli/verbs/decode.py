"""Decodes token files, by the presets that made them.

vqzoo decode tokens/ --out pictures/
vqzoo decode - < photo.npz > photo.png
"""

import pathlib
import sys
import tempfile

import numpy as np

from vqzoo.cli.batch import add_batch_arguments
from vqzoo.cli.batch import pair_files
from vqzoo.cli.batch import run_each
from vqzoo.cli.signals import check_modality
from vqzoo.cli.signals import save_signal
from vqzoo.cli.verbs.encode import PIXELS_AT_ONCE
from vqzoo.cli.verbs.encode import TILE
from vqzoo.presets import check_tokens_of
from vqzoo.presets import find_preset
from vqzoo.presets import load_tokens
from vqzoo.tokenizers import Tokenizer


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    add_batch_arguments(parser, "token files", pipe=True)
    parser.add_argument("--preset", help="where the preset is now, if it was moved")


def run(arguments):
    """Decodes every file; exit status 1 if one failed."""
    tokenizers = _Tokenizers(arguments.preset)
    if arguments.paths == ["-"]:
        return _pipe(tokenizers)
    if not arguments.out:
        raise ValueError("--out DIR is the folder for what is decoded. Leave it out only with - for the path.")
    pairs = pair_files(arguments.paths, arguments.out, ".png", _find_tokens)

    def decode(source, target):
        save_signal(target, tokenizers.decode(source))
        return {"decoded": str(target)}

    return run_each("decoded", pairs, arguments, decode)


class _Tokenizers:
    """Loads each preset once."""

    def __init__(self, preset):
        self.preset = preset
        self.folders = {}  # a name of the Hub is asked for once
        self.loaded = {}

    def decode(self, path):
        """The signal of a token file."""
        file = load_tokens(path)
        name = self.preset or file.preset
        if name not in self.folders:
            self.folders[name] = find_preset(name)
        folder = self.folders[name]
        check_tokens_of(file, folder, path)
        if name not in self.loaded:
            self.loaded[name] = Tokenizer.from_preset(folder)
            check_modality(self.loaded[name], name)
        large = np.prod(file.size) > PIXELS_AT_ONCE
        tiles = {"tile_size": TILE} if large else {}
        decoded = np.asarray(self.loaded[name].decode(file.tokens[None], size=file.size, **tiles))[0]
        if decoded.shape[:-1] != file.size:
            raise ValueError(f"{str(path)!r} tells a size of {file.size}, which its tokens do not cover.")
        return decoded


def _find_tokens(folder):
    found = sorted(folder.rglob("*.npz"))
    if not found:
        raise ValueError(f"{str(folder)!r} holds no token files (.npz). They are made by `vqzoo encode`.")
    return found


def _pipe(tokenizers):
    with tempfile.TemporaryDirectory() as scratch:
        source, target = pathlib.Path(scratch, "tokens.npz"), pathlib.Path(scratch, "signal.png")
        source.write_bytes(sys.stdin.buffer.read())
        save_signal(target, tokenizers.decode(source))
        sys.stdout.buffer.write(target.read_bytes())
    return 0
