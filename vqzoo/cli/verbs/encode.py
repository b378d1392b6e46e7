"""Encodes files to tokens.

    vqzoo encode image-vqgan-photos-f4 photo.jpg holidays/ --out tokens/
    vqzoo encode image-vqgan-photos-f4 - < photo.jpg > photo.npz

Each becomes a .npz file that knows its preset. Files of one size are encoded together.
"""

import pathlib
import sys
import tempfile

import numpy as np

from vqzoo.cli.batch import FileRun
from vqzoo.cli.batch import add_batch_arguments
from vqzoo.cli.batch import check_free
from vqzoo.cli.batch import pair_files
from vqzoo.cli.signals import check_modality
from vqzoo.cli.signals import find_signals
from vqzoo.cli.signals import load_signal
from vqzoo.presets import find_preset
from vqzoo.presets import save_tokens
from vqzoo.tokenizers import Tokenizer

PIXELS_AT_ONCE = 2**20  # of all signals of a batch; larger ones go alone, in tiles
TILE = 512  # pixels


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="name, or folder")
    add_batch_arguments(parser, "pictures", pipe=True)
    parser.add_argument("--batch_size", type=int, default=16, help="files at once (default: 16)")


def run(arguments):
    """Encodes every file; exit status 1 if one failed."""
    folder = find_preset(arguments.preset)
    tokenizer = Tokenizer.from_preset(folder)
    check_modality(tokenizer, arguments.preset)
    # A token file names a folder by its whole path, or it would be found from one place only.
    preset = str(folder.resolve()) if pathlib.Path(arguments.preset).expanduser().exists() else arguments.preset
    if arguments.paths == ["-"]:
        return _pipe(preset, folder, tokenizer)
    if not arguments.out:
        raise ValueError("--out DIR is the folder for the tokens. Leave it out only with - for the path.")
    pairs = pair_files(arguments.paths, arguments.out, ".npz", find_signals)
    with FileRun(len(pairs), arguments.json) as progress:
        for group in _groups(pairs, tokenizer, arguments, progress):
            _encode(group, preset, folder, tokenizer, progress)
    return progress.conclude("encoded")


def encode_signals(tokenizer, signals):
    """Tokens of signals of one size.

    Args:
        tokenizer: `Tokenizer`.
        signals: list of float32 arrays (height, width, channels).

    Returns:
        int32 array (batch, *grid, num_codebooks).
    """
    large = signals[0][..., 0].size > PIXELS_AT_ONCE
    return np.asarray(tokenizer.encode(np.stack(signals), **({"tile_size": TILE} if large else {})))


def _groups(pairs, tokenizer, arguments, progress):
    """Lists of (source, target, signal) of one size each."""
    waiting = {}
    for source, target in pairs:
        try:
            check_free(target, arguments.force)
            signal = load_signal(source, tokenizer)
        except (ValueError, OSError) as error:
            progress.failed(source, error)
            continue
        group = waiting.setdefault(signal.shape, [])
        group.append((source, target, signal))
        pixels = signal[..., 0].size
        if len(group) >= arguments.batch_size or (len(group) + 1) * pixels > PIXELS_AT_ONCE:
            yield waiting.pop(signal.shape)
        elif sum(len(g) * g[0][2][..., 0].size for g in waiting.values()) > 8 * PIXELS_AT_ONCE:
            yield waiting.pop(next(iter(waiting)))
    yield from waiting.values()


def _encode(group, preset, folder, tokenizer, progress):
    try:
        tokens = encode_signals(tokenizer, [signal for _, _, signal in group])
    except ValueError as error:
        for source, _, _ in group:
            progress.failed(source, error)
        return
    for (source, target, signal), one in zip(group, tokens, strict=True):
        try:
            save_tokens(target, one, size=signal.shape[:-1], preset=preset, folder=folder)
        except (ValueError, OSError) as error:
            progress.failed(source, error)
        else:
            progress.succeeded(source, tokens=str(target), shape=list(one.shape))


def _pipe(preset, folder, tokenizer):
    with tempfile.TemporaryDirectory() as scratch:
        source, target = pathlib.Path(scratch, "standard input"), pathlib.Path(scratch, "tokens.npz")
        source.write_bytes(sys.stdin.buffer.read())
        signal = load_signal(source, tokenizer)
        save_tokens(
            target, encode_signals(tokenizer, [signal])[0], size=signal.shape[:-1], preset=preset, folder=folder
        )
        sys.stdout.buffer.write(target.read_bytes())
    return 0
