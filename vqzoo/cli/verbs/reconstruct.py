"""Encodes files and decodes them again, to see what a preset keeps.

vqzoo reconstruct image-vqgan-photos-f4 holidays/ --out again/
"""

from vqzoo.cli.batch import add_batch_arguments
from vqzoo.cli.batch import pair_files
from vqzoo.cli.batch import run_each
from vqzoo.presets import find_preset


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="name, or folder")
    add_batch_arguments(parser)


def run(arguments):
    """Reconstructs every file; exit status 1 if one failed."""
    from vqzoo.modalities import modality_of
    from vqzoo.tokenizers import Tokenizer

    tokenizer = Tokenizer.from_preset(find_preset(arguments.preset))
    modality = modality_of(tokenizer, arguments.preset)
    if not arguments.out:
        raise ValueError("--out DIR is the folder for the reconstructions.")
    pairs = pair_files(arguments.paths, arguments.out, modality.suffix, modality.find)

    def reconstruct(source, target):
        signal = modality.load(tokenizer, source)
        reconstruction = modality.decode(tokenizer, modality.encode(tokenizer, [signal])[0], signal.shape[:-1])
        modality.save(tokenizer, target, reconstruction)
        return modality.compare(tokenizer, signal, reconstruction)

    return run_each("reconstructed", pairs, arguments, reconstruct, "reconstruction")
