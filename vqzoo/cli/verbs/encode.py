"""Encodes files to tokens.

    vqzoo encode image-vqgan-photos-f4 photo.jpg holidays/ --out tokens/
    vqzoo encode image-vqgan-photos-f4 - < photo.jpg > photo.npz
    vqzoo encode image-vqgan-photos-f4 holidays/ --out shards/ --shards

Each becomes a .npz file that knows its preset. Files of one size are encoded together. With --shards the tokens of
many files become few files to train a prior on, read by vqzoo.data.TokenShards: a row for each picture, sound or
sentence. A run that was stopped goes on after the last whole shard when its command is repeated.
"""

import contextlib
import functools

from vqzoo.cli.batch import FileRun
from vqzoo.cli.batch import add_batch_arguments
from vqzoo.cli.batch import check_free
from vqzoo.cli.batch import check_pipe
from vqzoo.cli.batch import named_files
from vqzoo.cli.batch import pair_files
from vqzoo.cli.batch import piped_file
from vqzoo.cli.batch import positive
from vqzoo.cli.batch import result_path
from vqzoo.cli.batch import write_output
from vqzoo.data.files import amount
from vqzoo.files import user_path
from vqzoo.presets import describe_tokens
from vqzoo.presets import find_preset
from vqzoo.presets import save_tokens


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="name, or folder")
    add_batch_arguments(parser, pipe=True)
    parser.add_argument("--batch_size", type=positive, default=16, help="files at once (default: 16)")
    parser.add_argument(
        "--shards",
        type=positive,
        nargs="?",
        const=1000,
        metavar="FILES",
        help="TFRecord shards for training priors, of FILES files each (1000)",
    )


def run(arguments):
    """Encodes every file; exit status 1 if one failed."""
    from vqzoo.modalities import modality_of
    from vqzoo.tokenizers import Tokenizer

    folder = find_preset(arguments.preset)
    tokenizer = Tokenizer.from_preset(folder)
    coder = _Coder(modality_of(tokenizer, arguments.preset), tokenizer)
    # A token file names a folder by its whole path, or it would be found from one place only.
    preset = str(folder.resolve()) if user_path(arguments.preset).exists() else arguments.preset
    if arguments.paths == ["-"]:
        check_pipe(arguments)
        return _pipe(preset, folder, coder)
    if not arguments.out:
        raise ValueError("--out DIR is the folder for the tokens. Leave it out only with - for the path.")
    if arguments.shards is not None:
        return _shards(preset, folder, coder, arguments)
    pairs = pair_files(arguments.paths, arguments.out, ".npz", coder.modality.find)
    with FileRun(pairs, arguments.json) as progress:
        free = _free(pairs, arguments.force, progress)
        for group in _groups(free, coder, arguments.batch_size, progress):
            for source, target, signal, tokens in _encoded(group, coder, progress):
                with progress.kept_going(source):
                    with result_path(target, arguments.force) as temporary:
                        save_tokens(temporary, tokens, size=signal.shape[:-1], preset=preset, folder=folder)
                    progress.succeeded(source, tokens=str(target), shape=list(tokens.shape))
    return progress.conclude("encoded")


class _Coder:
    """A modality and the tokenizer that it is asked about."""

    def __init__(self, modality, tokenizer):
        self.modality = modality
        self.load = functools.partial(modality.load, tokenizer)
        self.encode = functools.partial(modality.encode, tokenizer)
        self.rows = functools.partial(modality.rows, tokenizer)


def _shards(preset, folder, coder, arguments):
    from vqzoo.data import write_token_shards

    files = named_files(arguments.paths, coder.modality.find)
    about = {"preset": preset, **describe_tokens(folder)}
    with FileRun(files, arguments.json) as progress:

        def encode(files, failed):
            rows = {}
            for group in _groups(files, coder, arguments.batch_size, progress):
                for path, name, signal, tokens in _encoded(group, coder, progress):
                    with progress.kept_going(path):
                        rows[path] = coder.rows(name, signal, tokens)
                        progress.succeeded(path, shape=list(tokens.shape))
            failed |= {name: progress.failures[str(path)] for path, name in files if path not in rows}
            return [row for path, _ in files for row in rows.get(path, ())]

        manifest = write_token_shards(files, arguments.out, about, encode, arguments.shards, arguments.force)
    progress.done = len(files) - len(manifest["failed"])  # with those of a run that was stopped
    progress.failures = manifest["failed"]
    count = len(manifest["shards"])
    return progress.conclude(f"encoded into {amount(count, 'shards')}:", folder=arguments.out, shards=count)


def _groups(pairs, coder, batch_size, progress):
    """Lists of (source, target, signal) of one size each; a source that cannot be read has failed."""
    waiting = {}
    for source, target in pairs:
        signal = None
        with progress.kept_going(source):
            signal = coder.load(source)
        if signal is None:
            continue
        group = waiting.setdefault(signal.shape, [])
        group.append((source, target, signal))
        values = signal[..., 0].size
        if len(group) >= batch_size or (len(group) + 1) * values > coder.modality.at_once:
            yield waiting.pop(signal.shape)
        elif sum(len(g) * g[0][2][..., 0].size for g in waiting.values()) > 8 * coder.modality.at_once:
            yield waiting.pop(next(iter(waiting)))
    yield from waiting.values()


def _free(pairs, force, progress):
    """Those whose target is not there yet; the others have failed."""
    for source, target in pairs:
        try:
            check_free(target, force)
        except ValueError as error:
            progress.failed(source, str(error))
        else:
            yield source, target


def _encoded(group, coder, progress):
    """The group with its tokens. If the group fails, each file is encoded by itself: one does not end the others."""
    if len(group) > 1:
        with contextlib.suppress(Exception):
            return _with_tokens(group, coder)
    done = []
    for one in group:
        with progress.kept_going(one[0]):
            done += _with_tokens([one], coder)
    return done


def _with_tokens(group, coder):
    tokens = coder.encode([signal for _, _, signal in group])
    return [(*one, row) for one, row in zip(group, tokens, strict=True)]


def _pipe(preset, folder, coder):
    with piped_file("standard input") as source:
        signal = coder.load(source)
        tokens = coder.encode([signal])[0]
        target = source.with_name("tokens.npz")
        save_tokens(target, tokens, size=signal.shape[:-1], preset=preset, folder=folder)
        write_output(target.read_bytes())
    return 0
