"""Decodes token files, by the presets that made them.

vqzoo decode tokens/ --out pictures/
vqzoo decode - < photo.npz > photo.png
"""

import pathlib

from vqzoo.cli.batch import add_batch_arguments
from vqzoo.cli.batch import check_pipe
from vqzoo.cli.batch import pair_files
from vqzoo.cli.batch import piped_file
from vqzoo.cli.batch import run_each
from vqzoo.cli.batch import write_output
from vqzoo.data.files import listed_files
from vqzoo.jsons import shown
from vqzoo.presets import check_tokens_of
from vqzoo.presets import find_preset
from vqzoo.presets import load_tokens
from vqzoo.presets.hub import PREFIX


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    add_batch_arguments(parser, "token files", pipe=True)
    parser.add_argument("--preset", help="where the preset is now, if it was moved")


def run(arguments):
    """Decodes every file; exit status 1 if one failed."""
    tokenizers = _Tokenizers(arguments.preset)
    if arguments.paths == ["-"]:
        check_pipe(arguments)
        return _pipe(tokenizers)
    if not arguments.out:
        raise ValueError("--out DIR is the folder for what is decoded. Leave it out only with - for the path.")
    pairs = pair_files(arguments.paths, arguments.out, _suffix, _find_tokens)

    def decode(source, target):
        tokenizers.decode(source, target)
        return {}

    return run_each("decoded", pairs, arguments, decode, "decoded")


class _Tokenizers:
    """Loads each preset once."""

    def __init__(self, preset):
        self.preset = preset
        self.folders = {}  # a name of the Hub is asked for once
        self.loaded = {}

    def decode(self, path, target):
        """Writes the signal of a token file."""
        from vqzoo.modalities import modality_of
        from vqzoo.tokenizers import Tokenizer

        file = load_tokens(path)
        name = self.preset or file.preset
        if not self.preset and name.startswith(PREFIX):
            raise ValueError(
                f"The tokens are of {shown(name)}, a preset of the Hugging Face Hub, and nothing is fetched because a "
                "file says so. To fetch it, give it as --preset."
            )
        if not self.preset and name.startswith("~"):
            name = pathlib.Path(name)  # a name in a file was not typed by the user, so ~ is not a home folder
        if name not in self.folders:
            self.folders[name] = find_preset(name)
        folder = self.folders[name]
        check_tokens_of(file, folder, path)
        if name not in self.loaded:
            self.loaded[name] = Tokenizer.from_preset(folder)
        tokenizer = self.loaded[name]
        modality = modality_of(tokenizer, name)
        if file.modality != modality.name:
            raise ValueError(
                f"{str(path)!r} says that it holds tokens of {shown(file.modality)}, and its preset is of "
                f"{modality.name}. The file is damaged: encode the signal again."
            )
        modality.save(tokenizer, target, modality.decode(tokenizer, file.tokens, file.size))


def _suffix(path):
    """What the tokens of a file become; of a damaged one, which is named when its turn comes, anything."""
    from vqzoo.modalities import modality_named

    try:
        return modality_named(load_tokens(path).modality).suffix
    except Exception:
        return ".png"


def _find_tokens(folder):
    make = "make some by `vqzoo encode`"
    return listed_files(folder, (".npz",), "token file", make, make)


def _pipe(tokenizers):
    with piped_file("standard input.npz") as source:
        target = source.with_name(f"decoded{_suffix(source)}")
        tokenizers.decode(source, target)
        write_output(target.read_bytes())
    return 0
