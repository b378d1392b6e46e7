"""Measures what a preset gives back of a folder of pictures, sounds or texts.

    vqzoo evaluate image-vqgan-photos-f4 ~/Pictures --size 64
    vqzoo evaluate image-vqgan-photos-f4 ~/Pictures --whole
    vqzoo evaluate saved_models/audio_vqvae ~/recordings --size 32000

Without --whole it is a sample: crops of pictures that were resized, clips of sounds, some of the sentences. With it
each file is measured as it is and counts once, large ones in tiles or windows.
"""

import sys

from vqzoo.cli.batch import positive
from vqzoo.data.files import counted
from vqzoo.data.image.bounds import MAX_SCALE
from vqzoo.jsons import json_text
from vqzoo.presets import find_preset
from vqzoo.priors.settings import Setting
from vqzoo.priors.settings import reader
from vqzoo.runs.failures import failure_line

_SCALE = reader(Setting(float, 0, MAX_SCALE, above=True))
_DEFAULTS = {"scale": 0.5, "crops": 256, "seed": 0}


def add_arguments(parser):
    """Adds the verb's arguments to its parser."""
    parser.add_argument("preset", help="name, or folder")
    parser.add_argument("path", help="file, or folder of them; pictures also as shards, or tfds:NAME")
    parser.add_argument("--whole", action="store_true", help="measure each file as it is, instead of a sample")
    parser.add_argument("--size", type=positive, help="pixels a side of the crops (128), or samples of the clips (2 s)")
    parser.add_argument("--scale", type=_SCALE, help="resize of a picture before the crop (default: 0.5)")
    parser.add_argument("--crops", type=positive, help="crops, clips or sentences to measure on (default: 256)")
    parser.add_argument("--seed", type=reader("seed"), help="of the crops, clips or sentences (default: 0)")
    parser.add_argument("--json", action="store_true", help="one line of JSON")


def run(arguments):
    """Prints the numbers, and what they were measured on; exit status 1 if a file was skipped."""
    from vqzoo.modalities import modality_of
    from vqzoo.tokenizers import Tokenizer

    given = [name for name in ("size", *_DEFAULTS) if getattr(arguments, name) is not None]
    if arguments.whole and given:
        raise ValueError(f"--whole measures files as they are: leave out {' '.join(f'--{name}' for name in given)}.")
    tokenizer = Tokenizer.from_preset(find_preset(arguments.preset))
    modality = modality_of(tokenizer, arguments.preset)
    if arguments.whole:
        evaluation = modality.evaluate_whole(tokenizer, arguments.path)
    else:
        size = arguments.size or 2 * getattr(tokenizer, "sample_rate", 64)
        scale, count, seed = (
            default if getattr(arguments, name) is None else getattr(arguments, name)
            for name, default in _DEFAULTS.items()
        )
        evaluation = modality.evaluate_sample(tokenizer, arguments.path, size, scale, count, seed)
    if arguments.json:
        skipped = {str(path): reason for path, reason in evaluation.skipped.items()}
        about = {"measured": evaluation.measured, "whole": arguments.whole, "files": evaluation.files}
        about |= {"skipped": len(skipped), "skipped_files": skipped, "ignored": evaluation.ignored}
        print(json_text({**evaluation.report, **about}))
        return int(bool(skipped))
    print(f"measured on {evaluation.measured}")
    for name, value in evaluation.report.items():
        print(f"{name:20s} {value:.4g}" if isinstance(value, float) else f"{name:20s} {value}")
    print(f"{'skipped':20s} {len(evaluation.skipped)}")
    if evaluation.ignored:
        print(f"ignored {counted(evaluation.ignored)}", file=sys.stderr)
    for path, reason in evaluation.skipped.items():
        print(f"  {failure_line(path, reason)}", file=sys.stderr)
    return int(bool(evaluation.skipped))
